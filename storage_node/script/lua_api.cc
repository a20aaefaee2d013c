// The library `redis` of the sandbox.

#include <cmath>
#include <span>

#include "common/base/build_info.h"
#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/digest/digest.h"
#include "storage_node/script/lua_state.h"

namespace kvs {
namespace {

constexpr const char* kNoArguments =
    "ERR Please specify at least one argument for this redis lib call";
constexpr const char* kBadArguments =
    "ERR Lua redis lib command arguments must be strings or integers";
// A number's text, at most.
constexpr size_t kMaxNumberText = 32;

// Levels of redis.log().
constexpr int kLogDebug = 0;
constexpr int kLogVerbose = 1;
constexpr int kLogNotice = 2;
constexpr int kLogWarning = 3;
// Flags of redis.set_repl(), which changes nothing here: effects are replicated.
constexpr int kReplAof = 1;
constexpr int kReplReplica = 2;
constexpr int kReplAll = kReplAof | kReplReplica;

int RaiseError(lua_State* lua, std::string_view text) {
  PushError(lua, text);
  return lua_error(lua);
}

// Takes the arguments for a command, or returns what is wrong with them.
const char* TakeArguments(lua_State* lua, LuaRun* run) {
  const int count = lua_gettop(lua);
  if (count == 0) {
    return kNoArguments;
  }
  run->args.clear();
  run->numbers.clear();
  run->numbers.reserve(static_cast<size_t>(count) * kMaxNumberText);
  for (int i = 1; i <= count; ++i) {
    if (lua_type(lua, i) == LUA_TNUMBER) {
      const size_t begin = run->numbers.size();
      run->numbers += FormatScore(lua_tonumber(lua, i));
      run->args.push_back(std::string_view(run->numbers).substr(begin));
    } else if (lua_type(lua, i) == LUA_TSTRING) {
      run->args.push_back(TextAt(lua, i));
    } else {
      return kBadArguments;
    }
  }
  return nullptr;
}

int RunCommand(lua_State* lua, bool raises) {
  LuaRun* run = RunOf(lua);
  const char* wrong = TakeArguments(lua, run);
  if (wrong != nullptr) {
    PushError(lua, wrong);
    return raises ? lua_error(lua) : 1;
  }
  run->reply.clear();
  if (run->stopped || !run->host->Call(run->args, run->protocol, &run->reply)) {
    return StopScript(lua);
  }
  PushReply(lua, run->reply);
  return raises && run->reply.starts_with('-') ? lua_error(lua) : 1;
}

int Call(lua_State* lua) {
  return RunCommand(lua, true);
}

int ProtectedCall(lua_State* lua) {
  return RunCommand(lua, false);
}

// redis.error_reply(text): a first word is the code if there is a second one.
int ErrorReply(lua_State* lua) {
  if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
    PushError(lua, "ERR wrong number or type of arguments");
    return 1;
  }
  std::string_view text = TextAt(lua, 1);
  if (text.starts_with('-')) {
    text.remove_prefix(1);
  }
  if (text.find(' ') == std::string_view::npos) {
    lua_pushliteral(lua, "ERR ");
    PushText(lua, text);
    lua_concat(lua, 2);
    text = TextAt(lua, -1);
  }
  PushError(lua, text);
  return 1;
}

int StatusReply(lua_State* lua) {
  if (lua_gettop(lua) != 1 || lua_type(lua, 1) != LUA_TSTRING) {
    PushError(lua, "ERR wrong number or type of arguments");
    return 1;
  }
  lua_createtable(lua, 0, 1);
  lua_pushvalue(lua, 1);
  lua_setfield(lua, -2, "ok");
  return 1;
}

int Sha1(lua_State* lua) {
  if (lua_gettop(lua) != 1) {
    return RaiseError(lua, "ERR wrong number of arguments");
  }
  const std::string_view text = TextAt(lua, 1);
  RunOf(lua)->text = Sha1Hex(text);
  PushText(lua, RunOf(lua)->text);
  return 1;
}

int Log(lua_State* lua) {
  const int count = lua_gettop(lua);
  if (count < 2) {
    return RaiseError(lua, "ERR redis.log() requires two arguments or more.");
  }
  if (lua_isnumber(lua, 1) == 0) {
    return RaiseError(lua, "ERR First argument must be a number (log level).");
  }
  const auto level = static_cast<int>(lua_tonumber(lua, 1));
  if (level < kLogDebug || level > kLogWarning) {
    return RaiseError(lua, "ERR Invalid debug level.");
  }
  lua_pushliteral(lua, "");
  for (int i = 2; i <= count; ++i) {
    if (lua_isstring(lua, i) != 0) {
      lua_pushstring(lua, i == 2 ? "" : " ");
      lua_pushvalue(lua, i);
      lua_concat(lua, 3);
    }
  }
  const std::string_view text = TextAt(lua, -1);
  if (level == kLogWarning) {
    KVS_LOG(kWarning, "script: {}", text);
  } else if (level == kLogNotice) {
    KVS_LOG(kInfo, "script: {}", text);
  } else {
    KVS_LOG(kDebug, "script: {}", text);
  }
  return 0;
}

int SetResp(lua_State* lua) {
  if (lua_gettop(lua) != 1) {
    return RaiseError(lua, "ERR redis.setresp() requires one argument.");
  }
  const lua_Number version = lua_tonumber(lua, 1);
  if (version != 2 && version != 3) {
    return RaiseError(lua, "ERR RESP version must be 2 or 3.");
  }
  RunOf(lua)->protocol = static_cast<int>(version);
  return 0;
}

int SetRepl(lua_State* lua) {
  if (lua_gettop(lua) != 1) {
    return RaiseError(lua, "ERR redis.set_repl() requires two arguments.");
  }
  const auto flags = static_cast<int>(lua_tonumber(lua, 1));
  if ((flags & ~kReplAll) != 0) {
    return RaiseError(lua,
                      "ERR Invalid replication flags. Use REPL_AOF, REPL_REPLICA, REPL_ALL or "
                      "REPL_NONE.");
  }
  return 0;
}

// What Redis says since scripts are always replicated by their effects.
int ReplicateCommands(lua_State* lua) {
  lua_pushboolean(lua, 1);
  return 1;
}

// There is no debugger.
int Breakpoint(lua_State* lua) {
  lua_pushboolean(lua, 0);
  return 1;
}

int Debug(lua_State* /*lua*/) {
  return 0;
}

enum class Verdict : uint8_t { kYes, kNo, kUnknown };

Verdict AskHost(LuaRun* run) {
  const Result<bool> may = run->host->MayRun(run->args);
  if (!may.ok()) {
    return Verdict::kUnknown;
  }
  return *may ? Verdict::kYes : Verdict::kNo;
}

int AclCheckCommand(lua_State* lua) {
  LuaRun* run = RunOf(lua);
  const char* wrong = TakeArguments(lua, run);
  if (wrong != nullptr) {
    return RaiseError(lua, wrong);
  }
  const Verdict verdict = AskHost(run);
  if (verdict == Verdict::kUnknown) {
    return RaiseError(lua, "ERR Invalid command passed to redis.acl_check_cmd()");
  }
  lua_pushboolean(lua, verdict == Verdict::kYes ? 1 : 0);
  return 1;
}

constexpr luaL_Reg kFunctions[] = {{"call", Call},
                                   {"pcall", ProtectedCall},
                                   {"error_reply", ErrorReply},
                                   {"status_reply", StatusReply},
                                   {"sha1hex", Sha1},
                                   {"log", Log},
                                   {"setresp", SetResp},
                                   {"set_repl", SetRepl},
                                   {"replicate_commands", ReplicateCommands},
                                   {"breakpoint", Breakpoint},
                                   {"debug", Debug},
                                   {"acl_check_cmd", AclCheckCommand}};

struct Constant {
  const char* name;
  int value;
};
constexpr Constant kConstants[] = {{"LOG_DEBUG", kLogDebug},
                                   {"LOG_VERBOSE", kLogVerbose},
                                   {"LOG_NOTICE", kLogNotice},
                                   {"LOG_WARNING", kLogWarning},
                                   {"REPL_NONE", 0},
                                   {"REPL_AOF", kReplAof},
                                   {"REPL_SLAVE", kReplReplica},
                                   {"REPL_REPLICA", kReplReplica},
                                   {"REPL_ALL", kReplAll},
                                   {"REDIS_VERSION_NUM", kRedisVersionNumber}};

// What there is while a library is being loaded.
constexpr luaL_Reg kLoadingFunctions[] = {{"register_function", RegisterFunction}, {"log", Log}};
constexpr Constant kLoadingConstants[] = {{"LOG_DEBUG", kLogDebug},
                                          {"LOG_VERBOSE", kLogVerbose},
                                          {"LOG_NOTICE", kLogNotice},
                                          {"LOG_WARNING", kLogWarning},
                                          {"REDIS_VERSION_NUM", kRedisVersionNumber}};

void PushTable(lua_State* lua, std::span<const luaL_Reg> functions,
               std::span<const Constant> constants) {
  lua_newtable(lua);
  for (const luaL_Reg& function : functions) {
    lua_pushcfunction(lua, function.func);
    lua_setfield(lua, -2, function.name);
  }
  for (const Constant& constant : constants) {
    lua_pushinteger(lua, constant.value);
    lua_setfield(lua, -2, constant.name);
  }
  PushText(lua, kRedisVersion);
  lua_setfield(lua, -2, "REDIS_VERSION");
}

}  // namespace

void PushError(lua_State* lua, std::string_view text) {
  lua_createtable(lua, 0, 4);
  PushText(lua, text);
  lua_setfield(lua, -2, "err");
  lua_pushboolean(lua, 1);
  lua_setfield(lua, -2, "ignore_error_stats_update");
}

void PushRedisLibrary(lua_State* lua) {
  PushTable(lua, kFunctions, kConstants);
}

void PushLoadingLibrary(lua_State* lua) {
  PushTable(lua, kLoadingFunctions, kLoadingConstants);
}

}  // namespace kvs
