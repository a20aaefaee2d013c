#include "storage_node/script/interpreter.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/check.h"
#include "common/resp/resp_writer.h"
#include "storage_node/script/lua_machine.h"

namespace kvs {
namespace {

// A state keeps so many programs compiled; what is asked for again is compiled again.
constexpr int kMaxPrograms = 1000;

const char kProgramsKey = 0;

struct Frame {
  const Interpreter::Call* call;
  std::string* reply;
};

// Called with the program and a Frame: runs it and writes what it returns.
int RunProgram(lua_State* lua) {
  const auto* frame = static_cast<const Frame*>(lua_touserdata(lua, 2));
  PushTexts(lua, frame->call->keys);
  PushTexts(lua, frame->call->args);
  SetScriptArguments(lua);
  lua_pushvalue(lua, 1);
  lua_call(lua, 0, 1);
  WriteValue(lua, frame->call->protocol, frame->reply);
  // What the script was called with may be large, and is of no more use.
  lua_pushnil(lua);
  lua_pushnil(lua);
  SetScriptArguments(lua);
  return 0;
}

}  // namespace

struct Interpreter::Impl {
  explicit Impl(size_t memory_limit) : machine(memory_limit), lua(machine.lua()) {}

  LuaMachine machine;
  lua_State* const lua;
  int programs = 0;

  // Pushes the program of the script, compiled; or returns false with the error pushed.
  bool PushProgram(const Script& script);
  bool CompileAndPush(const Script& script);
  void ForgetPrograms();
};

Interpreter::Interpreter(size_t memory_limit) : impl_(std::make_unique<Impl>(memory_limit)) {
  impl_->ForgetPrograms();
}

Interpreter::~Interpreter() = default;

size_t Interpreter::memory() const {
  return impl_->machine.memory();
}

namespace {

struct Source {
  const Script* script;
};

// Compiles the script of the Source and notes it among the programs.
int LoadProgram(lua_State* lua) {
  const Script& script = *static_cast<const Source*>(lua_touserdata(lua, 1))->script;
  const std::string_view code = script.code();
  if (luaL_loadbuffer(lua, code.data(), code.size(), "@user_script") != 0) {
    return lua_error(lua);
  }
  lua_pushlightuserdata(lua, const_cast<char*>(&kProgramsKey));
  lua_rawget(lua, LUA_REGISTRYINDEX);
  PushText(lua, script.sha);
  lua_pushvalue(lua, -3);
  lua_rawset(lua, -3);
  lua_pop(lua, 1);
  return 1;
}

}  // namespace

bool Interpreter::Impl::PushProgram(const Script& script) {
  lua_pushlightuserdata(lua, const_cast<char*>(&kProgramsKey));
  lua_rawget(lua, LUA_REGISTRYINDEX);
  lua_getfield(lua, -1, script.sha.c_str());
  lua_remove(lua, -2);
  if (lua_isfunction(lua, -1)) {
    return true;
  }
  lua_pop(lua, 1);
  if (script.code().starts_with('\x1b')) {
    lua_pushliteral(lua, "user_script: bytecode is not allowed");
    return false;
  }
  if (programs >= kMaxPrograms || machine.is_crowded()) {
    ForgetPrograms();
  }
  if (CompileAndPush(script)) {
    return true;
  }
  if (programs == 0) {
    return false;
  }
  lua_pop(lua, 1);
  ForgetPrograms();  // They may have taken what it needs.
  return CompileAndPush(script);
}

void Interpreter::Impl::ForgetPrograms() {
  programs = 0;
  lua_pushlightuserdata(lua, const_cast<char*>(&kProgramsKey));
  lua_newtable(lua);
  lua_rawset(lua, LUA_REGISTRYINDEX);
  machine.CollectAll();
}

bool Interpreter::Impl::CompileAndPush(const Script& script) {
  const Source source{&script};
  lua_pushcfunction(lua, LoadProgram);
  lua_pushlightuserdata(lua, const_cast<Source*>(&source));
  if (machine.Protected(1, 1, 0) != 0) {
    return false;
  }
  ++programs;
  return true;
}

Status Interpreter::Compile(const Script& script) {
  lua_State* lua = impl_->lua;
  const bool compiled = impl_->PushProgram(script);
  Status status;
  if (!compiled) {
    status = Status::InvalidArgument(fmt::format(
        "Error compiling script (new function): {}",
        lua_isstring(lua, -1) != 0 ? TextAt(lua, -1) : std::string_view("unknown error")));
  }
  lua_settop(lua, 0);
  return status;
}

Interpreter::End Interpreter::Run(const Call& call, std::string* reply) {
  lua_State* lua = impl_->lua;
  const size_t begin = reply->size();
  if (Status status = Compile(*call.script); !status.ok()) {
    RespWriter(call.protocol, reply).Error(status);
    return End::kFailed;
  }
  const Frame frame{.call = &call, .reply = reply};
  lua_pushcfunction(lua, RunProgram);
  KVS_CHECK(impl_->PushProgram(*call.script));
  lua_pushlightuserdata(lua, const_cast<Frame*>(&frame));
  const End end = impl_->machine.Run(call.host, 2);
  if (end != End::kReplied) {
    reply->resize(begin);
  }
  if (end == End::kFailed) {
    RespWriter(call.protocol, reply).Error(ErrorTextAt(lua, call.script->sha));
  }
  lua_settop(lua, 0);
  impl_->machine.Collect();
  if (impl_->machine.is_crowded()) {
    impl_->ForgetPrograms();
  }
  return end;
}

}  // namespace kvs
