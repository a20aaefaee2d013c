// FunctionInterpreter: runs functions of libraries in Lua 5.1, as Redis does, in a sandbox.
//
// A library's code runs once, when the library is loaded, and then its functions are called.  It
// sees nothing while it is loaded but what registers functions, so it registers the same ones in
// every thread.  What its local variables hold stays between calls, in this thread and until the
// memory is needed: a function must not count on it.
//
// Threads: as Interpreter.
// Owner:   a dispatcher; NodeServer while it starts.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/status.h"
#include "storage_node/script/function_library.h"
#include "storage_node/script/interpreter.h"

namespace kvs {

// Lets a library's code run until a time, and do nothing but register functions.
class LoadingHost : public ScriptHost {
 public:
  // `clock` outlives it; `end_micros` is of its monotonic time.
  LoadingHost(Clock* clock, int64_t end_micros) : clock_(clock), end_micros_(end_micros) {}

  bool Call(CommandArgs /*args*/, int /*protocol*/, std::string* /*reply*/) override {
    return false;
  }
  bool MayGoOn() override { return clock_->MonotonicMicros() <= end_micros_; }
  Result<bool> MayRun(CommandArgs /*args*/) override { return false; }

 private:
  Clock* const clock_;
  const int64_t end_micros_;
};

class FunctionInterpreter {
 public:
  // Functions may take `memory_limit` bytes, and libraries that do nothing half of it.
  explicit FunctionInterpreter(size_t memory_limit);
  ~FunctionInterpreter();
  FunctionInterpreter(const FunctionInterpreter&) = delete;
  FunctionInterpreter& operator=(const FunctionInterpreter&) = delete;

  // Reads a library's text and runs its code for as long as `host` lets it.  The library is kept
  // for calls until Retain() forgets it.
  //   kInvalidArgument, kTooLarge: why there is no such library; the former in Redis's words
  Result<LibraryPtr> Load(std::string_view text, ScriptHost* host);
  // The same for one that was read before, here or in another thread; it may be kept already.
  Status Prepare(const LibraryPtr& library, ScriptHost* host);
  // Forgets all libraries that are not in the set.
  void Retain(const FunctionSet& set);

  struct Call {
    FoundFunction function;
    CommandArgs keys;
    CommandArgs args;
    int protocol = 2;  // The client's.
    ScriptHost* host;
  };
  // Runs a function and appends its reply to `*reply`.  REQUIRES: its library is prepared
  Interpreter::End Run(const Call& call, std::string* reply);

  // What functions and libraries take now.
  size_t memory() const;
  size_t library_count() const { return loaded_.size(); }

 private:
  struct Impl;
  // `fresh` is the library if its functions are to be noted in it, or nullptr.
  Status RunCode(const FunctionLibrary& library, FunctionLibrary* fresh, ScriptHost* host);
  void Forget(const FunctionLibrary* library);
  void ForgetAll();

  const std::unique_ptr<Impl> impl_;
  // Those whose code has run.  Their addresses are their names in the Lua state.
  std::unordered_map<const FunctionLibrary*, LibraryPtr> loaded_;
};

}  // namespace kvs
