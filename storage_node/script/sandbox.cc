// The globals that scripts see.
//
// Lua 5.1 has no tables that cannot be changed, and scripts of all users share a state.  So each
// table of a library is hidden behind an empty one whose metatable shows it: what is not in the
// empty one is looked up, and what would be written to it is refused.  Functions that write around
// metatables (rawset, table.insert, ...) know such tables and refuse as well.  The globals are
// built alike, in three steps: an empty table, the table with KEYS and ARGV, the rest.

#include "storage_node/script/lua_state.h"

// These are C and do not say so.
extern "C" {
#include <lua5.1/lua-bitop.h>
#include <lua5.1/lua-cjson.h>
}

namespace kvs {
namespace {

const char kProtectedKey = 0;  // In metatables of Protect().
const char kScopeKey = 0;      // In the registry: the table with KEYS and ARGV.
const char kLoadingKey = 0;    // In the registry: what libraries see while they are loaded,
const char kRestKey = 0;       // and what their functions see.
const char kNothingKey = 0;    // In the registry: what getmetatable() shows of protected tables.

constexpr const char* kBaseNames[] = {
    "assert", "collectgarbage", "error",  "gcinfo",       "getmetatable", "ipairs",
    "load",   "loadstring",     "next",   "pairs",        "pcall",        "rawequal",
    "rawget", "rawset",         "select", "setmetatable", "tonumber",     "tostring",
    "type",   "unpack",         "xpcall", "_VERSION"};

int RefuseWrite(lua_State* lua) {
  return luaL_error(lua, kReadOnlyError);
}

int RefuseUnknown(lua_State* lua) {
  const char* name = lua_isstring(lua, 2) != 0 ? lua_tostring(lua, 2) : luaL_typename(lua, 2);
  return luaL_error(lua, "Script attempted to access nonexistent global variable '%s'", name);
}

void SetRegistry(lua_State* lua, const char* key) {
  lua_pushlightuserdata(lua, const_cast<char*>(key));
  lua_insert(lua, -2);
  lua_rawset(lua, LUA_REGISTRYINDEX);
}

void PushRegistry(lua_State* lua, const char* key) {
  lua_pushlightuserdata(lua, const_cast<char*>(key));
  lua_rawget(lua, LUA_REGISTRYINDEX);
}

// Leaves an empty table, which cannot be changed, whose missing fields are those of the one on the
// top.
void Hide(lua_State* lua) {
  lua_newtable(lua);
  lua_createtable(lua, 0, 4);
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_pushcfunction(lua, RefuseWrite);
  lua_setfield(lua, -2, "__newindex");
  PushRegistry(lua, &kNothingKey);
  lua_setfield(lua, -2, "__metatable");
  lua_pushlightuserdata(lua, const_cast<char*>(&kProtectedKey));
  lua_pushvalue(lua, -4);
  lua_rawset(lua, -3);
  lua_setmetatable(lua, -2);
  lua_remove(lua, -2);
}

void Open(lua_State* lua, lua_CFunction open, const char* name) {
  lua_pushcfunction(lua, open);
  lua_pushstring(lua, name);
  lua_call(lua, 1, 0);
}

// Takes the library's table from the globals of the state, mends it, and gives it to the table on
// the top.
void Give(lua_State* lua, const char* name, void (*mend)(lua_State*)) {
  lua_getglobal(lua, name);
  if (mend != nullptr) {
    mend(lua);
  }
  Protect(lua);
  lua_setfield(lua, -2, name);
}

void GivePushed(lua_State* lua, const char* name) {
  Protect(lua);
  lua_setfield(lua, -2, name);
}

void GiveOpened(lua_State* lua, const char* name, lua_CFunction open, void (*mend)(lua_State*)) {
  lua_pushcfunction(lua, open);
  lua_call(lua, 0, 1);
  if (mend != nullptr) {
    mend(lua);
  }
  GivePushed(lua, name);
}

void GiveClock(lua_State* lua) {
  lua_createtable(lua, 0, 1);
  lua_getglobal(lua, "os");
  lua_getfield(lua, -1, "clock");
  lua_setfield(lua, -3, "clock");
  lua_pop(lua, 1);
  GivePushed(lua, "os");
}

void GiveBase(lua_State* lua) {
  for (const char* name : kBaseNames) {
    lua_getglobal(lua, name);
    lua_setfield(lua, -2, name);
  }
  MendBase(lua);
}

// Looking for what is not in the table on the top becomes an error.
void RefuseUnknownIn(lua_State* lua) {
  lua_createtable(lua, 0, 1);
  lua_pushcfunction(lua, RefuseUnknown);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
}

// All strings share a metatable.
void ProtectStrings(lua_State* lua) {
  lua_pushliteral(lua, "");
  lua_getmetatable(lua, -1);
  lua_createtable(lua, 0, 1);
  lua_getfield(lua, -4, "string");
  lua_setfield(lua, -2, "__index");
  Protect(lua);
  lua_setfield(lua, -2, "__metatable");
  lua_pop(lua, 2);
}

}  // namespace

void Protect(lua_State* lua) {
  Hide(lua);
}

bool IsProtected(lua_State* lua, int index) {
  if (!lua_istable(lua, index) || lua_getmetatable(lua, index) == 0) {
    return false;
  }
  lua_pushlightuserdata(lua, const_cast<char*>(&kProtectedKey));
  lua_rawget(lua, -2);
  const bool is = !lua_isnil(lua, -1);
  lua_pop(lua, 2);
  return is;
}

void PushHidden(lua_State* lua, int index) {
  lua_getmetatable(lua, index);
  lua_pushlightuserdata(lua, const_cast<char*>(&kProtectedKey));
  lua_rawget(lua, -2);
  lua_remove(lua, -2);
}

void OpenSandbox(lua_State* lua) {
  Open(lua, luaopen_base, "");
  Open(lua, luaopen_table, LUA_TABLIBNAME);
  Open(lua, luaopen_string, LUA_STRLIBNAME);
  Open(lua, luaopen_math, LUA_MATHLIBNAME);
  Open(lua, luaopen_os, LUA_OSLIBNAME);
  lua_newtable(lua);
  Hide(lua);
  lua_getmetatable(lua, -1);
  lua_pushvalue(lua, -2);
  lua_setfield(lua, -2, "__metatable");
  lua_pop(lua, 1);
  SetRegistry(lua, &kNothingKey);

  lua_newtable(lua);
  GiveBase(lua);
  Give(lua, "string", MendString);
  Give(lua, "table", MendTable);
  Give(lua, "math", MendMath);
  Give(lua, "coroutine", MendCoroutine);
  GiveClock(lua);
  GiveOpened(lua, "cjson", luaopen_cjson, MendJson);
  GiveOpened(lua, "bit", luaopen_bit, nullptr);
  PushMsgpackLibrary(lua);
  GivePushed(lua, "cmsgpack");
  PushStructLibrary(lua);
  GivePushed(lua, "struct");
  PushRedisLibrary(lua);
  GivePushed(lua, "redis");
  ProtectStrings(lua);
  RefuseUnknownIn(lua);

  lua_newtable(lua);  // The table with KEYS and ARGV.
  lua_createtable(lua, 0, 1);
  lua_pushvalue(lua, -3);
  lua_setfield(lua, -2, "__index");
  lua_setmetatable(lua, -2);
  lua_pushvalue(lua, -1);
  SetRegistry(lua, &kScopeKey);

  lua_pushvalue(lua, -1);
  Hide(lua);
  lua_pushvalue(lua, -1);
  lua_setfield(lua, -3, "_G");
  lua_replace(lua, LUA_GLOBALSINDEX);
  lua_settop(lua, 0);
}

void OpenLibraryScope(lua_State* lua) {
  PushRegistry(lua, &kScopeKey);
  lua_getmetatable(lua, -1);
  lua_getfield(lua, -1, "__index");
  lua_pushliteral(lua, "_G");
  lua_pushvalue(lua, LUA_GLOBALSINDEX);
  lua_rawset(lua, -3);
  SetRegistry(lua, &kRestKey);
  lua_pop(lua, 1);
  lua_pushliteral(lua, "_G");
  lua_pushnil(lua);
  lua_rawset(lua, -3);
  lua_pop(lua, 1);

  lua_createtable(lua, 0, 1);
  PushLoadingLibrary(lua);
  RefuseUnknownIn(lua);
  GivePushed(lua, "redis");
  RefuseUnknownIn(lua);
  SetRegistry(lua, &kLoadingKey);
}

void SetLoading(lua_State* lua, bool loading) {
  PushRegistry(lua, &kScopeKey);
  lua_getmetatable(lua, -1);
  PushRegistry(lua, loading ? &kLoadingKey : &kRestKey);
  lua_setfield(lua, -2, "__index");
  lua_pop(lua, 2);
}

void SetScriptArguments(lua_State* lua) {
  PushRegistry(lua, &kScopeKey);
  lua_insert(lua, -3);
  lua_setfield(lua, -3, "ARGV");
  lua_setfield(lua, -2, "KEYS");
  lua_pop(lua, 1);
}

}  // namespace kvs
