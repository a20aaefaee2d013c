// Interpreter: runs scripts in Lua 5.1, as Redis does, in a sandbox.
//
// A script sees the globals that Redis's scripts see and nothing of the process: no files, no
// network, no bytecode, and no table of a library that it could change.  What it wants of the
// database goes through ScriptHost.  It is stopped, wherever it is and whatever it catches, when
// the host says so, and its memory has a limit.
//
// Threads: one owner; a script runs in the thread that calls Run().
// Owner:   a dispatcher.

#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "common/base/status.h"
#include "common/command/command_table.h"
#include "storage_node/script/script_cache.h"

namespace kvs {

class ScriptHost {
 public:
  virtual ~ScriptHost() = default;
  // Runs a command of the script's and appends its reply to `*reply`, encoded for `protocol`; an
  // error is a reply.  Returns false if the script has to stop where it is.
  virtual bool Call(CommandArgs args, int protocol, std::string* reply) = 0;
  // Asked every fraction of a millisecond while the script computes: whether it may go on.
  virtual bool MayGoOn() = 0;
  // Whether the script's user may run the command; an error text if there is no such command.
  virtual Result<bool> MayRun(CommandArgs args) = 0;
};

class Interpreter {
 public:
  // Scripts may take `memory_limit` bytes, the libraries' own included.
  explicit Interpreter(size_t memory_limit);
  ~Interpreter();
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;

  // Returns why the script's text is no program, in Redis's words.
  Status Compile(const Script& script);

  struct Call {
    const Script* script;
    std::span<const std::string_view> keys;
    std::span<const std::string_view> args;
    int protocol = 2;  // The client's.
    ScriptHost* host;
  };
  enum class End : uint8_t {
    kReplied,
    kFailed,   // The reply is the error that ended it.
    kStopped,  // By the host; there is no reply.
  };
  // Runs a script and appends its reply to `*reply`.
  End Run(const Call& call, std::string* reply);

  // What scripts and libraries take now.
  size_t memory() const;

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

}  // namespace kvs
