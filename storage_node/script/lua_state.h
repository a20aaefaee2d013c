// What the C functions of the sandbox know of the script that runs.
//
// A Lua error leaves C functions by longjmp: none of them may have an object with a destructor on
// its stack when it raises one.  That is why their scratch space is here.
//
// Threads: as Interpreter.
// Owner:   Interpreter.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <lua5.1/lua.hpp>

#include "storage_node/script/interpreter.h"

namespace kvs {

class LibraryBuilder;

struct LuaRun {
  size_t memory = 0;
  size_t memory_limit = 0;

  lua_State* lua = nullptr;    // The main coroutine.
  ScriptHost* host = nullptr;  // While a script runs.
  int protocol = 2;            // Of the replies that redis.call() gets; redis.setresp() sets it.
  bool stopped = false;        // Every instruction fails from now on.
  LibraryBuilder* library = nullptr;  // While a library's code runs: what it registers goes there.
  uint64_t random = 0x1234abcd330eULL;  // State of math.random(), which begins as lrand48().

  std::string reply;                   // Of redis.call().
  std::vector<std::string_view> args;  // The same.
  std::string numbers;                 // Those of the arguments that are numbers.
  std::string text;                    // Of what is being packed.
};

// Returns what belongs to the state; set by Interpreter.
LuaRun* RunOf(lua_State* lua);

// Stops the script: raises an error now and at each instruction from now on.
int StopScript(lua_State* lua);
// How often the host is asked, in instructions.
inline constexpr int kInstructionsBetweenLooks = 1000;
void LookAtHost(lua_State* lua, lua_Debug* where);
// The same from a function: each coroutine counts its own instructions.
inline void LookAtHost(lua_State* lua) {
  LookAtHost(lua, nullptr);
}

// Opens the libraries and makes the sandbox's globals those of all code that is loaded.
// REQUIRES: in a protected call
void OpenSandbox(lua_State* lua);
// Gives the globals KEYS and ARGV the two tables on the top, and takes them off.
void SetScriptArguments(lua_State* lua);
// Makes a sandbox for libraries of functions of one that is open: there are no KEYS and ARGV, and
// from now on SetLoading() says which globals there are.
// REQUIRES: in a protected call
void OpenLibraryScope(lua_State* lua);
// Whether code sees nothing but what a library needs to register its functions.
void SetLoading(lua_State* lua, bool loading);
// Replaces the table on the top by one that shows the same and cannot be changed.
void Protect(lua_State* lua);
// Pushes the table that a protected one shows.
void PushHidden(lua_State* lua, int index);
// Whether what is at the index came from Protect().
bool IsProtected(lua_State* lua, int index);
inline constexpr const char* kReadOnlyError = "Attempt to modify a readonly table";

// Each pushes the table of a library.
void PushRedisLibrary(lua_State* lua);
// What is in it while a library is being loaded.
void PushLoadingLibrary(lua_State* lua);
// redis.register_function()
int RegisterFunction(lua_State* lua);
void PushMsgpackLibrary(lua_State* lua);
void PushStructLibrary(lua_State* lua);
// Each replaces functions of a library, whose table is on the top, by ones that are safe or behave
// as Redis's.
void MendBase(lua_State* lua);
void MendString(lua_State* lua);
void MendTable(lua_State* lua);
void MendMath(lua_State* lua);
void MendJson(lua_State* lua);
void MendCoroutine(lua_State* lua);

// Pushes what a reply is to a script.  Raises an error if there is no room.
void PushReply(lua_State* lua, std::string_view reply);
// Appends what the value on the top is to a client that speaks `protocol`, and takes it off.
// REQUIRES: in a protected call
void WriteValue(lua_State* lua, int protocol, std::string* out);
// Pushes the table that stands for an error.  `text` with its code and without '-'.
void PushError(lua_State* lua, std::string_view text);

// Raises an error if what is being built outside of Lua's heap is larger than that may be: one text
// may stand in it a million times.
inline void CheckBuilt(lua_State* lua, const LuaRun& run, size_t size) {
  if (size > run.memory_limit) {
    luaL_error(lua, "not enough memory");
  }
}

inline void PushText(lua_State* lua, std::string_view text) {
  lua_pushlstring(lua, text.data(), text.size());
}
inline std::string_view TextAt(lua_State* lua, int index) {
  size_t size = 0;
  const char* text = lua_tolstring(lua, index, &size);
  return {text, size};
}

}  // namespace kvs
