// Process: a child process with its output in a file; and RunTool(), a child that is waited for.
//
// A child never outlives the suite: the kernel kills it when the thread that started it ends,
// whatever way that thread ends.  So only the main thread starts processes.
//
// Threads: main-only.
// Owner:   the test or the Cluster; the destructor kills and reaps.

#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace kvs {

struct ProcessOptions {
  std::vector<std::string> argv;  // argv[0] is a path, or a name to look up in PATH.
  std::string output_file;        // Gets stdout and stderr, appended.
  std::string working_dir;        // Empty: the suite's.
  std::vector<std::string> env;   // "NAME=value", beside the suite's own environment.
};

class Process {
 public:
  static Result<std::unique_ptr<Process>> Start(ProcessOptions options);
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // Returns whether it still runs; reaps it if not.
  bool Running();
  // Sends a signal; no effect once it has ended.
  void Signal(int signal);
  // Sends SIGSTOP and waits until every thread has stopped: the signal reaches one of them first,
  // and on a busy machine the others go on for a while.
  Status Pause();
  // Sends SIGKILL and waits until the process is gone.
  void Kill();
  // Waits for the end and returns the exit status, or 128 + the signal that ended it.
  //   kTimeout: it still runs after `timeout_ms` (multiplied by kSlownessFactor)
  Result<int> Wait(int64_t timeout_ms);
  // Sends SIGTERM and waits as Wait() does.
  Result<int> Terminate(int64_t timeout_ms);
  // Returns what it has printed so far.
  std::string Output() const;

 private:
  Process(pid_t pid, std::string output_file) : pid_(pid), output_file_(std::move(output_file)) {}

  pid_t pid_;
  std::string output_file_;
  bool reaped_ = false;
  int exit_code_ = 0;
};

struct ToolResult {
  int exit_code = 0;
  std::string output;  // stdout and stderr.
};

// Runs a program to its end, with an empty standard input.
//   kTimeout: it was killed after `timeout_ms` (multiplied by kSlownessFactor)
Result<ToolResult> RunTool(std::vector<std::string> argv, int64_t timeout_ms = 30'000,
                           std::vector<std::string> env = {});

}  // namespace kvs
