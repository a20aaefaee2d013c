// The functions of Lua's libraries that are not Lua's own: those that could change what is
// protected, read bytecode, run without end in C, or that Redis has made its own way.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "storage_node/script/lua_state.h"

namespace kvs {
namespace {

int RefuseProtected(lua_State* lua) {
  lua_pushstring(lua, kReadOnlyError);
  return lua_error(lua);
}

// The original function is the upvalue.
int CallOriginal(lua_State* lua) {
  lua_pushvalue(lua, lua_upvalueindex(1));
  lua_insert(lua, 1);
  lua_call(lua, lua_gettop(lua) - 1, LUA_MULTRET);
  return lua_gettop(lua);
}

// For functions that change their first argument.
int WritingFunction(lua_State* lua) {
  return IsProtected(lua, 1) ? RefuseProtected(lua) : CallOriginal(lua);
}

int LookingFunction(lua_State* lua) {
  LookAtHost(lua);
  return CallOriginal(lua);
}

// For functions that read their first argument around its metatable.
int ReadingFunction(lua_State* lua) {
  if (IsProtected(lua, 1)) {
    PushHidden(lua, 1);
    lua_replace(lua, 1);
  }
  return CallOriginal(lua);
}

// Replaces t[name] of the table on the top by `function` around it.
void Wrap(lua_State* lua, const char* name, lua_CFunction function) {
  lua_getfield(lua, -1, name);
  lua_pushcclosure(lua, function, 1);
  lua_setfield(lua, -2, name);
}

void Set(lua_State* lua, const char* name, lua_CFunction function) {
  lua_pushcfunction(lua, function);
  lua_setfield(lua, -2, name);
}

// The upvalue is next().
int Pairs(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TTABLE);
  lua_pushvalue(lua, lua_upvalueindex(1));
  lua_pushvalue(lua, 1);
  lua_pushnil(lua);
  return 3;
}

// An error that redis.call() has raised is caught as its text.
int PCall(lua_State* lua) {
  luaL_checkany(lua, 1);
  const int failed = lua_pcall(lua, lua_gettop(lua) - 1, LUA_MULTRET, 0);
  if (failed != 0 && lua_istable(lua, -1)) {
    lua_pushliteral(lua, "err");
    lua_rawget(lua, -2);
    if (lua_isstring(lua, -1) != 0) {
      lua_replace(lua, -2);
    } else {
      lua_pop(lua, 1);
    }
  }
  lua_pushboolean(lua, failed == 0 ? 1 : 0);
  lua_insert(lua, 1);
  return lua_gettop(lua);
}

// xpcall(function, handler).  Lua would run the handler where the error is raised, which may be
// where the script is being stopped, and there nothing could stop the handler.
int XPCall(lua_State* lua) {
  luaL_checkany(lua, 2);
  lua_settop(lua, 2);
  lua_insert(lua, 1);
  const int failed = lua_pcall(lua, 0, LUA_MULTRET, 0);
  if (failed != 0) {
    const bool handled = lua_pcall(lua, 1, 1, 0) == 0;
    (void)handled;  // What the handler returns or raises is the result.
    lua_pushboolean(lua, 0);
    lua_insert(lua, 1);
    return 2;
  }
  lua_pushboolean(lua, 1);
  lua_replace(lua, 1);
  return lua_gettop(lua);
}

// Loads the text at `index`; bytecode could do anything to the process.
int LoadText(lua_State* lua, int index, const char* name) {
  const std::string_view text = TextAt(lua, index);
  if (text.starts_with('\x1b')) {
    lua_pushnil(lua);
    lua_pushliteral(lua, "bytecode is not allowed");
    return 2;
  }
  if (luaL_loadbuffer(lua, text.data(), text.size(), name) != 0) {
    lua_pushnil(lua);
    lua_insert(lua, -2);
    return 2;
  }
  return 1;
}

int LoadString(lua_State* lua) {
  const char* text = luaL_checkstring(lua, 1);
  return LoadText(lua, 1, luaL_optstring(lua, 2, text));
}

// load(function [, name]): the pieces that the function returns, until there is none.
int Load(lua_State* lua) {
  luaL_checktype(lua, 1, LUA_TFUNCTION);
  const char* name = luaL_optstring(lua, 2, "=(load)");
  lua_settop(lua, 2);
  lua_newtable(lua);
  int count = 0;
  for (;;) {
    lua_pushvalue(lua, 1);
    lua_call(lua, 0, 1);
    if (lua_isnil(lua, -1) || (lua_isstring(lua, -1) != 0 && TextAt(lua, -1).empty())) {
      lua_pop(lua, 1);
      break;
    }
    if (lua_isstring(lua, -1) == 0) {
      return luaL_error(lua, "reader function must return a string");
    }
    lua_rawseti(lua, 3, ++count);
  }
  luaL_Buffer text;
  luaL_buffinit(lua, &text);
  for (int i = 1; i <= count; ++i) {
    lua_rawgeti(lua, 3, i);
    luaL_addvalue(&text);
  }
  luaL_pushresult(&text);
  lua_replace(lua, 3);
  return LoadText(lua, 3, name);
}

// Scripts share the collector: its pace is not theirs to set.
int CollectGarbage(lua_State* lua) {
  constexpr const char* kOptions[] = {"stop", "restart",  "collect",    "count",
                                      "step", "setpause", "setstepmul", nullptr};
  const int option = luaL_checkoption(lua, 1, "collect", kOptions);
  if (std::strcmp(kOptions[option], "count") == 0) {
    lua_pushnumber(lua, static_cast<double>(RunOf(lua)->memory) / 1024);
    return 1;
  }
  if (std::strcmp(kOptions[option], "collect") == 0) {
    lua_gc(lua, LUA_GCCOLLECT, 0);
  }
  lua_pushinteger(lua, 0);
  return 1;
}

// string.rep() loops in C, where nothing can stop it.
int Rep(lua_State* lua) {
  const std::string_view text = {luaL_checkstring(lua, 1), TextAt(lua, 1).size()};
  const lua_Number times = luaL_checknumber(lua, 2);
  if (text.empty() || !(times >= 1)) {
    lua_pushliteral(lua, "");
    return 1;
  }
  if (static_cast<double>(text.size()) * times > static_cast<double>(RunOf(lua)->memory_limit)) {
    return luaL_error(lua, "not enough memory");
  }
  return CallOriginal(lua);
}

// cjson counts in 32 bits.
constexpr size_t kMaxJson = size_t{256} << 20;
constexpr int kMaxJsonDepth = 1000;

// Adds what the value on the top takes as JSON, at most, and what walking through it costs. Returns
// false when that is more than `limit`.
bool AddJsonSize(lua_State* lua, size_t limit, int depth, size_t* size) {
  constexpr int kSlots = 4;
  constexpr size_t kNumber = 32;
  constexpr size_t kTable =
      56;  // In memory: a table that stands in many places is told of in each.
  if (lua_type(lua, -1) == LUA_TSTRING) {
    *size += 6 * lua_objlen(lua, -1) + 4;
    return *size <= limit;
  }
  *size += lua_istable(lua, -1) ? kTable : kNumber;
  if (!lua_istable(lua, -1) || depth > kMaxJsonDepth || lua_checkstack(lua, kSlots) == 0) {
    return *size <= limit;
  }
  lua_Number highest = 0;
  bool is_array = true;
  lua_pushnil(lua);
  while (lua_next(lua, -2) != 0) {
    const bool fits = AddJsonSize(lua, limit, depth + 1, size);
    lua_pop(lua, 1);
    *size += lua_type(lua, -1) == LUA_TSTRING ? 6 * lua_objlen(lua, -1) + 4 : kNumber;
    is_array = is_array && lua_type(lua, -1) == LUA_TNUMBER;
    highest = is_array ? std::fmax(highest, lua_tonumber(lua, -1)) : highest;
    if (!fits || *size > limit) {
      lua_pop(lua, 1);
      return false;
    }
  }
  // What is missing between the elements of an array is written as null.
  return !is_array || static_cast<double>(*size) + 5 * highest <= static_cast<double>(limit);
}

// cjson ends the process when it has no memory for a text.
int JsonEncode(lua_State* lua) {
  if (lua_gettop(lua) == 1) {
    size_t size = 0;
    if (!AddJsonSize(lua, std::min(RunOf(lua)->memory_limit, kMaxJson), 0, &size)) {
      return luaL_error(lua, "not enough memory");
    }
  }
  return CallOriginal(lua);
}

int JsonMaxDepth(lua_State* lua) {
  if (lua_gettop(lua) > 0) {
    luaL_argcheck(lua, luaL_checkinteger(lua, 1) <= kMaxJsonDepth, 1,
                  "expected integer between 1 and 1000");
  }
  return CallOriginal(lua);
}

// The buffer would stay as large as it ever was.
int JsonKeepBuffer(lua_State* lua) {
  lua_pushboolean(lua, 0);
  return 1;
}

// A second instance would have functions that are not mended.
int SameJson(lua_State* lua) {
  lua_pushvalue(lua, lua_upvalueindex(1));
  return 1;
}

// The numbers of lrand48(), which go on from script to script, as in Redis.
constexpr uint64_t kRandomMask = (uint64_t{1} << 48) - 1;
constexpr double kRandomLimit = 2147483647;

uint32_t NextRandom(LuaRun* run) {
  run->random = (run->random * 0x5deece66dULL + 0xb) & kRandomMask;
  return static_cast<uint32_t>(run->random >> 17);
}

int Random(lua_State* lua) {
  const double r = std::fmod(NextRandom(RunOf(lua)), kRandomLimit) / kRandomLimit;
  switch (lua_gettop(lua)) {
    case 0:
      lua_pushnumber(lua, r);
      return 1;
    case 1: {
      const int upper = luaL_checkint(lua, 1);
      luaL_argcheck(lua, 1 <= upper, 1, "interval is empty");
      lua_pushnumber(lua, std::floor(r * upper) + 1);
      return 1;
    }
    case 2: {
      const int lower = luaL_checkint(lua, 1);
      const int upper = luaL_checkint(lua, 2);
      luaL_argcheck(lua, lower <= upper, 2, "interval is empty");
      lua_pushnumber(lua, std::floor(r * (static_cast<double>(upper) - lower + 1)) + lower);
      return 1;
    }
    default:
      return luaL_error(lua, "wrong number of arguments");
  }
}

int RandomSeed(lua_State* lua) {
  const auto seed = static_cast<uint32_t>(luaL_checkint(lua, 1));
  RunOf(lua)->random = (uint64_t{seed} << 16) + 0x330e;
  return 0;
}

}  // namespace

void MendBase(lua_State* lua) {
  Wrap(lua, "rawset", WritingFunction);
  Wrap(lua, "setmetatable", WritingFunction);
  Wrap(lua, "rawget", ReadingFunction);
  Wrap(lua, "next", ReadingFunction);
  lua_getfield(lua, -1, "next");
  lua_pushcclosure(lua, Pairs, 1);
  lua_setfield(lua, -2, "pairs");
  Set(lua, "pcall", PCall);
  Set(lua, "xpcall", XPCall);
  Set(lua, "load", Load);
  Set(lua, "loadstring", LoadString);
  Set(lua, "collectgarbage", CollectGarbage);
}

void MendString(lua_State* lua) {
  Wrap(lua, "rep", Rep);
}

void MendTable(lua_State* lua) {
  for (const char* name : {"insert", "remove", "sort", "setn"}) {
    Wrap(lua, name, WritingFunction);
  }
}

void MendJson(lua_State* lua) {
  Wrap(lua, "encode", JsonEncode);
  Wrap(lua, "encode_max_depth", JsonMaxDepth);
  Wrap(lua, "decode_max_depth", JsonMaxDepth);
  lua_getfield(lua, -1, "encode_keep_buffer");
  lua_pushboolean(lua, 0);
  lua_call(lua, 1, 0);
  Set(lua, "encode_keep_buffer", JsonKeepBuffer);
  lua_pushvalue(lua, -1);
  Protect(lua);
  lua_pushcclosure(lua, SameJson, 1);
  lua_setfield(lua, -2, "new");
}

void MendCoroutine(lua_State* lua) {
  for (const char* name : {"create", "wrap", "resume"}) {
    Wrap(lua, name, LookingFunction);
  }
}

void MendMath(lua_State* lua) {
  Set(lua, "random", Random);
  Set(lua, "randomseed", RandomSeed);
}

}  // namespace kvs
