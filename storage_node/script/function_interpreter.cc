#include "storage_node/script/function_interpreter.h"

#include <fmt/format.h>

#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/resp/resp_writer.h"
#include "storage_node/script/lua_machine.h"

namespace kvs {

// Takes what a library's code registers.
class LibraryBuilder {
 public:
  LibraryBuilder(const FunctionLibrary* library, FunctionLibrary* fresh)
      : library_(library), fresh_(fresh) {}

  // What the table of the functions is called in the registry.
  void* key() const { return const_cast<FunctionLibrary*>(library_); }
  bool is_full() const { return count_ >= kMaxFunctionsOfLibrary; }
  // Descriptions are copied out of Lua's memory, which has a limit of its own.
  bool has_room_for(std::string_view description) const {
    return description.size() <= kMaxDescriptionBytes - description_bytes_;
  }
  void Note(std::string_view name, const std::string_view* description, FunctionFlags flags) {
    ++count_;
    description_bytes_ += description == nullptr ? 0 : description->size();
    if (fresh_ != nullptr) {
      fresh_->functions.emplace_back(
          std::string(name),
          description == nullptr ? std::nullopt : std::optional<std::string>(*description), flags);
    }
  }

 private:
  const FunctionLibrary* const library_;
  FunctionLibrary* const fresh_;
  static constexpr size_t kMaxDescriptionBytes = size_t{1} << 20;  // Of a library.
  size_t count_ = 0;
  size_t description_bytes_ = 0;
};

namespace {

int Raise(lua_State* lua, std::string_view text) {
  PushError(lua, text);
  return lua_error(lua);
}

// What redis.register_function() gets: places on the stack, 0 for what is missing.
struct Registered {
  int name = 0;
  int callback = 0;
  int description = 0;
  FunctionFlags flags = 0;
};

// Reads the array of flags on the top.
void TakeFlags(lua_State* lua, FunctionFlags* flags) {
  if (!lua_istable(lua, -1)) {
    Raise(lua,
          "ERR flags argument to redis.register_function must be a table representing function "
          "flags");
  }
  for (int i = 1;; ++i) {
    lua_rawgeti(lua, -1, i);
    if (lua_isnil(lua, -1)) {
      lua_pop(lua, 1);
      return;
    }
    const std::string_view word =
        lua_type(lua, -1) == LUA_TSTRING ? TextAt(lua, -1) : std::string_view();
    FunctionFlags bit = 0;
    for (const FunctionFlag& flag : kFunctionFlags) {
      bit |= EqualsIgnoreCase(word, flag.name) ? flag.bit : 0;
    }
    if (bit == 0) {
      Raise(lua, "ERR unknown flag given");
    }
    *flags |= bit;
    lua_pop(lua, 1);
  }
}

// Takes the named argument whose value is on the top.
void TakeNamed(lua_State* lua, std::string_view name, Registered* registered) {
  const auto place = [lua](int* index, bool fits, const char* error) {
    if (!fits) {
      Raise(lua, error);
    }
    lua_pushvalue(lua, -1);
    lua_replace(lua, *index);
  };
  if (name == "function_name") {
    registered->name = 2;
    place(&registered->name, lua_isstring(lua, -1) != 0,
          "ERR function_name argument given to redis.register_function must be a string");
  } else if (name == "description") {
    registered->description = 3;
    place(&registered->description, lua_isstring(lua, -1) != 0,
          "ERR description argument given to redis.register_function must be a string");
  } else if (name == "callback") {
    registered->callback = 4;
    place(&registered->callback, lua_isfunction(lua, -1),
          "ERR callback argument given to redis.register_function must be a function");
  } else if (name == "flags") {
    TakeFlags(lua, &registered->flags);
  } else {
    Raise(lua, "ERR unknown argument given to redis.register_function");
  }
}

// redis.register_function{function_name=..., callback=..., flags={...}, description=...}
void TakeTable(lua_State* lua, Registered* registered) {
  if (!lua_istable(lua, 1)) {
    Raise(lua,
          "ERR calling redis.register_function with a single argument is only applicable to Lua "
          "table (representing named arguments).");
  }
  lua_settop(lua, 4);  // Places for what is in the table.
  lua_pushnil(lua);
  while (lua_next(lua, 1) != 0) {
    if (lua_isstring(lua, -2) == 0) {
      Raise(lua, "ERR named argument key given to redis.register_function is not a string");
    }
    // A number that is no longer one would confuse lua_next().
    const std::string_view name =
        lua_type(lua, -2) == LUA_TSTRING ? TextAt(lua, -2) : std::string_view();
    TakeNamed(lua, name, registered);
    lua_pop(lua, 1);
  }
  if (registered->name == 0) {
    Raise(lua, "ERR redis.register_function must get a function name argument");
  }
  if (registered->callback == 0) {
    Raise(lua, "ERR redis.register_function must get a callback argument");
  }
}

// redis.register_function(name, callback)
void TakePair(lua_State* lua, Registered* registered) {
  if (lua_isstring(lua, 1) == 0) {
    Raise(lua, "ERR first argument to redis.register_function must be a string");
  }
  if (!lua_isfunction(lua, 2)) {
    Raise(lua, "ERR second argument to redis.register_function must be a function");
  }
  registered->name = 1;
  registered->callback = 2;
}

// Compiles the library that it is called with, and returns its code as a function.
int CompileLibrary(lua_State* lua) {
  const std::string_view code = static_cast<const FunctionLibrary*>(lua_touserdata(lua, 1))->code();
  if (luaL_loadbuffer(lua, code.data(), code.size(), "@user_function") != 0) {
    return lua_error(lua);
  }
  return 1;
}

// Called with the code of a library.
int RunLibraryCode(lua_State* lua) {
  lua_pushlightuserdata(lua, RunOf(lua)->library->key());
  lua_newtable(lua);
  lua_rawset(lua, LUA_REGISTRYINDEX);
  lua_call(lua, 0, 0);
  return 0;
}

// Called with a function and its call and reply: runs it and writes what it returns.
struct Frame {
  const FunctionInterpreter::Call* call;
  std::string* reply;
};

int RunFunction(lua_State* lua) {
  const auto* frame = static_cast<const Frame*>(lua_touserdata(lua, 2));
  lua_settop(lua, 1);
  PushTexts(lua, frame->call->keys);
  PushTexts(lua, frame->call->args);
  lua_call(lua, 2, 1);
  WriteValue(lua, frame->call->protocol, frame->reply);
  return 0;
}

int OpenScope(lua_State* lua) {
  OpenLibraryScope(lua);
  SetLoading(lua, false);
  return 0;
}

std::string_view TextOnTop(lua_State* lua) {
  return lua_isstring(lua, -1) != 0 ? TextAt(lua, -1) : std::string_view("unknown error");
}

}  // namespace

int RegisterFunction(lua_State* lua) {
  LibraryBuilder* builder = RunOf(lua)->library;
  const int count = lua_gettop(lua);
  if (builder == nullptr) {
    return Raise(lua, "ERR redis.register_function can only be called on FUNCTION LOAD command");
  }
  if (count < 1 || count > 2) {
    return Raise(lua, "ERR wrong number of arguments to redis.register_function");
  }
  Registered registered;
  if (count == 1) {
    TakeTable(lua, &registered);
  } else {
    TakePair(lua, &registered);
  }
  const std::string_view name = TextAt(lua, registered.name);
  if (!IsFunctionName(name)) {
    return Raise(lua,
                 "ERR Library names can only contain letters, numbers, or underscores(_) and must "
                 "be at least one character long");
  }
  lua_pushlightuserdata(lua, builder->key());
  lua_rawget(lua, LUA_REGISTRYINDEX);
  lua_pushvalue(lua, registered.name);
  lua_rawget(lua, -2);
  if (!lua_isnil(lua, -1)) {
    return Raise(lua, "ERR Function already exists in the library");
  }
  if (builder->is_full()) {
    return Raise(lua, "ERR a library may not register so many functions");
  }
  lua_pop(lua, 1);
  lua_pushvalue(lua, registered.name);
  lua_pushvalue(lua, registered.callback);
  lua_rawset(lua, -3);
  std::string_view description;
  if (registered.description != 0) {
    description = TextAt(lua, registered.description);
  }
  if (registered.description != 0 && !builder->has_room_for(description)) {
    Raise(lua, "ERR the descriptions of a library have 1048576 bytes at most");
  }
  builder->Note(name, registered.description != 0 ? &description : nullptr, registered.flags);
  return 0;
}

struct FunctionInterpreter::Impl {
  explicit Impl(size_t memory_limit) : machine(memory_limit), lua(machine.lua()) {}

  LuaMachine machine;
  lua_State* const lua;
};

FunctionInterpreter::FunctionInterpreter(size_t memory_limit)
    : impl_(std::make_unique<Impl>(memory_limit)) {
  lua_pushcfunction(impl_->lua, OpenScope);
  KVS_CHECK(lua_pcall(impl_->lua, 0, 0, 0) == 0);
}

FunctionInterpreter::~FunctionInterpreter() = default;

size_t FunctionInterpreter::memory() const {
  return impl_->machine.memory();
}

Result<LibraryPtr> FunctionInterpreter::Load(std::string_view text, ScriptHost* host) {
  KVS_ASSIGN_OR_RETURN(std::shared_ptr<FunctionLibrary> library, MakeLibrary(text));
  KVS_RETURN_IF_ERROR(RunCode(*library, library.get(), host));
  if (library->functions.empty()) {
    Forget(library.get());
    return Status::InvalidArgument("No functions registered");
  }
  if (impl_->machine.is_crowded()) {
    impl_->machine.CollectAll();
  }
  if (impl_->machine.is_crowded() && !loaded_.empty()) {
    // The others come back when they are called: what counts is what this one takes.
    Forget(library.get());
    ForgetAll();
    KVS_ASSIGN_OR_RETURN(library, MakeLibrary(text));
    KVS_RETURN_IF_ERROR(RunCode(*library, library.get(), host));
  }
  if (impl_->machine.is_crowded()) {
    Forget(library.get());
    return Status::TooLarge(
        "the libraries of functions would take more than half of script-memory-limit");
  }
  loaded_.emplace(library.get(), library);
  return LibraryPtr(library);
}

Status FunctionInterpreter::Prepare(const LibraryPtr& library, ScriptHost* host) {
  if (loaded_.contains(library.get())) {
    return Status::Ok();
  }
  if (impl_->machine.is_crowded()) {
    ForgetAll();
  }
  Status status = RunCode(*library, nullptr, host);
  if (!status.ok() && !loaded_.empty()) {
    ForgetAll();  // They may have taken what it needs.
    status = RunCode(*library, nullptr, host);
  }
  if (status.ok()) {
    loaded_.emplace(library.get(), library);
  }
  return status;
}

Status FunctionInterpreter::RunCode(const FunctionLibrary& library, FunctionLibrary* fresh,
                                    ScriptHost* host) {
  lua_State* lua = impl_->lua;
  LuaMachine& machine = impl_->machine;
  lua_pushcfunction(lua, RunLibraryCode);
  lua_pushcfunction(lua, CompileLibrary);
  lua_pushlightuserdata(lua, const_cast<FunctionLibrary*>(&library));
  if (machine.Protected(1, 1, 0) != 0) {
    Status status =
        Status::InvalidArgument(fmt::format("Error compiling function: {}", TextOnTop(lua)));
    lua_settop(lua, 0);
    return status;
  }
  LibraryBuilder builder(&library, fresh);
  machine.run()->library = &builder;
  SetLoading(lua, true);
  const Interpreter::End end = machine.Run(host, 1);
  Status status;
  if (end == Interpreter::End::kStopped) {
    status = Status::InvalidArgument("Error registering functions: ERR FUNCTION LOAD timeout");
  } else if (end == Interpreter::End::kFailed) {
    status =
        Status::InvalidArgument(fmt::format("Error registering functions: {}", ErrorTextAt(lua)));
  }
  lua_settop(lua, 0);
  SetLoading(lua, false);
  machine.run()->library = nullptr;
  if (!status.ok()) {
    Forget(&library);
  }
  machine.Collect();
  return status;
}

void FunctionInterpreter::Forget(const FunctionLibrary* library) {
  lua_State* lua = impl_->lua;
  lua_pushlightuserdata(lua, const_cast<FunctionLibrary*>(library));
  lua_pushnil(lua);
  lua_rawset(lua, LUA_REGISTRYINDEX);
}

void FunctionInterpreter::ForgetAll() {
  for (const auto& [library, kept] : loaded_) {
    Forget(library);
  }
  loaded_.clear();
  impl_->machine.CollectAll();
}

void FunctionInterpreter::Retain(const FunctionSet& set) {
  for (auto it = loaded_.begin(); it != loaded_.end();) {
    if (set.FindLibrary(it->second->name) == it->second) {
      ++it;
    } else {
      Forget(it->first);
      it = loaded_.erase(it);
    }
  }
}

Interpreter::End FunctionInterpreter::Run(const Call& call, std::string* reply) {
  lua_State* lua = impl_->lua;
  LuaMachine& machine = impl_->machine;
  KVS_CHECK(loaded_.contains(call.function.library.get()));
  const size_t begin = reply->size();
  const Frame frame{.call = &call, .reply = reply};
  const std::string& name = call.function.function->name;
  lua_pushcfunction(lua, RunFunction);
  lua_pushlightuserdata(lua, const_cast<FunctionLibrary*>(call.function.library.get()));
  lua_rawget(lua, LUA_REGISTRYINDEX);
  PushText(lua, name);
  lua_rawget(lua, -2);
  lua_remove(lua, -2);
  lua_pushlightuserdata(lua, const_cast<Frame*>(&frame));
  const Interpreter::End end = machine.Run(call.host, 2);
  if (end != Interpreter::End::kReplied) {
    reply->resize(begin);
  }
  if (end == Interpreter::End::kFailed) {
    RespWriter(call.protocol, reply).Error(ErrorTextAt(lua, name));
  }
  lua_settop(lua, 0);
  machine.Collect();
  if (machine.is_crowded()) {
    machine.CollectAll();
    if (machine.is_crowded()) {
      ForgetAll();
    }
  }
  return end;
}

}  // namespace kvs
