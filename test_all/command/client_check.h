// What `test_all -h HOST -p PORT` does: checks any running cluster from the outside.
//
// Every key has a random prefix and is deleted again, and nothing is flushed unless the user says
// so: the cluster may hold somebody's data.
//
// Threads: main-only.

#pragma once

#include <string>

#include "test_all/command/case_runner.h"

namespace kvs {

struct ClientCheckOptions {
  Target target;
  int loops = 1;
  bool flush = false;  // Also run what needs an empty server, and flush it.
  bool colour = false;
  std::string filter;  // Only checks whose name holds this.
};

// Prints a line for each check.  Returns the number of those that failed.
int RunClientChecks(const ClientCheckOptions& options);

}  // namespace kvs
