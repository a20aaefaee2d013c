// LuaMachine: a Lua state with the sandbox of scripts, whose memory is limited, and how something
// is run in it that the host may stop.
//
// Threads: as Interpreter.
// Owner:   Interpreter, FunctionInterpreter.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "storage_node/script/interpreter.h"
#include "storage_node/script/lua_state.h"

namespace kvs {

class LuaMachine {
 public:
  explicit LuaMachine(size_t memory_limit);
  ~LuaMachine();
  LuaMachine(const LuaMachine&) = delete;
  LuaMachine& operator=(const LuaMachine&) = delete;

  lua_State* lua() const { return lua_; }
  LuaRun* run() { return &run_; }
  size_t memory() const { return run_.memory; }
  // Whether more than half of the memory is taken, so that little is left for what runs.
  bool is_crowded() const { return run_.memory > memory_limit_ / 2; }

  // As lua_pcall().  Memory is limited in here only: elsewhere an error could not be caught.
  int Protected(int arguments, int results, int handler);
  // Calls the function on the stack with the `arguments` above it, which writes its reply itself,
  // or returns nothing.  The error that ends it is pushed as a table.
  Interpreter::End Run(ScriptHost* host, int arguments);

  // Removes garbage: a little of it, or all if there is much.
  void Collect();
  void CollectAll() { lua_gc(lua_, LUA_GCCOLLECT, 0); }

 private:
  LuaRun run_;
  const size_t memory_limit_;
  lua_State* lua_ = nullptr;
};

// Pushes a table of texts.
void PushTexts(lua_State* lua, CommandArgs texts);
// Returns the text of the error on the top, and where the script `name` has raised it.
std::string ErrorTextAt(lua_State* lua, std::string_view name);
// The same without where.
std::string ErrorTextAt(lua_State* lua);

}  // namespace kvs
