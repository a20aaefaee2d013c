#include "storage_node/script/lua_machine.h"

#include <fmt/format.h>

#include <cstdlib>

#include "common/base/check.h"

namespace kvs {
namespace {

// After a script that has left more than this behind, all of it is collected.
constexpr size_t kLargeHeap = size_t{16} << 20;
// A block of this size is worth a look at the host: instructions that copy much are slow.
constexpr size_t kLargeBlock = size_t{64} << 10;
constexpr int kCollectionStep = 100;

const char kRunKey = 0;

void* Allocate(void* of, void* old, size_t old_size, size_t new_size) {
  auto* run = static_cast<LuaRun*>(of);
  if (old == nullptr) {
    old_size = 0;
  }
  if (new_size == 0) {
    std::free(old);  // NOLINT(cppcoreguidelines-no-malloc): Lua asks for realloc's ways.
    run->memory -= old_size;
    return nullptr;
  }
  if (new_size > old_size && run->memory + (new_size - old_size) > run->memory_limit) {
    return nullptr;
  }
  if (new_size >= kLargeBlock && run->host != nullptr) {
    lua_sethook(run->lua, LookAtHost, LUA_MASKCOUNT, 1);
  }
  void* now = std::realloc(old, new_size);  // NOLINT(cppcoreguidelines-no-malloc)
  if (now != nullptr) {
    run->memory += new_size - old_size;
  }
  return now;
}

int OpenAll(lua_State* lua) {
  OpenSandbox(lua);
  return 0;
}

// Makes a table of what is raised, and notes where that was: as Redis's handler.
int HandleError(lua_State* lua) {
  lua_Debug where;
  bool known = lua_getstack(lua, 1, &where) == 1 && lua_getinfo(lua, "Sl", &where) != 0;
  if (known && *where.what == 'C') {
    known = lua_getstack(lua, 2, &where) == 1 && lua_getinfo(lua, "Sl", &where) != 0;
  }
  if (!lua_istable(lua, 1) || IsProtected(lua, 1)) {
    lua_createtable(lua, 0, 3);
    lua_pushliteral(lua, "ERR ");
    if (lua_isstring(lua, 1) != 0) {
      lua_pushvalue(lua, 1);
    } else {
      lua_pushstring(lua, luaL_typename(lua, 1));
    }
    lua_concat(lua, 2);
    lua_setfield(lua, -2, "err");
    lua_replace(lua, 1);
  }
  if (known) {
    // Around metamethods: the table may be one that the script has made.
    lua_pushliteral(lua, "source");
    lua_pushstring(lua, where.source);
    lua_rawset(lua, 1);
    lua_pushliteral(lua, "line");
    lua_pushinteger(lua, where.currentline);
    lua_rawset(lua, 1);
  }
  lua_settop(lua, 1);
  return 1;
}

std::string_view FieldText(lua_State* lua, const char* name) {
  lua_pushstring(lua, name);
  lua_rawget(lua, -2);
  const std::string_view text = lua_isstring(lua, -1) != 0 ? TextAt(lua, -1) : std::string_view();
  lua_pop(lua, 1);  // The table keeps it alive.
  return text;
}

}  // namespace

LuaRun* RunOf(lua_State* lua) {
  lua_pushlightuserdata(lua, const_cast<char*>(&kRunKey));
  lua_rawget(lua, LUA_REGISTRYINDEX);
  auto* run = static_cast<LuaRun*>(lua_touserdata(lua, -1));
  lua_pop(lua, 1);
  return run;
}

int StopScript(lua_State* lua) {
  RunOf(lua)->stopped = true;
  lua_sethook(lua, LookAtHost, LUA_MASKCOUNT, 1);
  return luaL_error(lua, "the script was stopped");
}

void LookAtHost(lua_State* lua, lua_Debug* /*where*/) {
  LuaRun* run = RunOf(lua);
  if (run->stopped || !run->host->MayGoOn()) {
    StopScript(lua);
  }
  lua_sethook(lua, LookAtHost, LUA_MASKCOUNT, kInstructionsBetweenLooks);
}

LuaMachine::LuaMachine(size_t memory_limit) : memory_limit_(memory_limit) {
  run_.memory_limit = SIZE_MAX;
  lua_ = lua_newstate(Allocate, &run_);
  KVS_CHECK(lua_ != nullptr);
  run_.lua = lua_;
  lua_pushlightuserdata(lua_, const_cast<char*>(&kRunKey));
  lua_pushlightuserdata(lua_, &run_);
  lua_rawset(lua_, LUA_REGISTRYINDEX);
  lua_pushcfunction(lua_, OpenAll);
  KVS_CHECK(lua_pcall(lua_, 0, 0, 0) == 0);
}

LuaMachine::~LuaMachine() {
  lua_close(lua_);
}

int LuaMachine::Protected(int arguments, int results, int handler) {
  run_.memory_limit = memory_limit_;
  const int failed = lua_pcall(lua_, arguments, results, handler);
  run_.memory_limit = SIZE_MAX;
  return failed;
}

Interpreter::End LuaMachine::Run(ScriptHost* host, int arguments) {
  run_.host = host;
  run_.protocol = 2;
  run_.stopped = false;
  const int handler = lua_gettop(lua_) - arguments;
  lua_pushcfunction(lua_, HandleError);
  lua_insert(lua_, handler);
  lua_sethook(lua_, LookAtHost, LUA_MASKCOUNT, kInstructionsBetweenLooks);
  const bool failed = Protected(arguments, 0, handler) != 0;
  lua_sethook(lua_, nullptr, 0, 0);
  run_.host = nullptr;
  if (run_.stopped) {
    return Interpreter::End::kStopped;
  }
  return failed ? Interpreter::End::kFailed : Interpreter::End::kReplied;
}

void LuaMachine::Collect() {
  if (run_.memory > kLargeHeap) {
    CollectAll();
  } else {
    lua_gc(lua_, LUA_GCSTEP, kCollectionStep);
  }
}

void PushTexts(lua_State* lua, CommandArgs texts) {
  lua_createtable(lua, static_cast<int>(texts.size()), 0);
  for (size_t i = 0; i < texts.size(); ++i) {
    PushText(lua, texts[i]);
    lua_rawseti(lua, -2, static_cast<int>(i) + 1);
  }
}

std::string ErrorTextAt(lua_State* lua) {
  if (!lua_istable(lua, -1)) {
    return fmt::format("ERR {}", lua_isstring(lua, -1) != 0 ? TextAt(lua, -1) : "unknown error");
  }
  const std::string_view text = FieldText(lua, "err");
  return text.empty() ? "ERR unknown error" : std::string(text);
}

std::string ErrorTextAt(lua_State* lua, std::string_view name) {
  std::string text = ErrorTextAt(lua);
  if (lua_istable(lua, -1)) {
    const std::string source(FieldText(lua, "source"));
    const std::string line(FieldText(lua, "line"));
    if (!source.empty() && !line.empty()) {
      text += fmt::format(" script: {}, on {}:{}.", name, source, line);
    }
  }
  return text;
}

}  // namespace kvs
