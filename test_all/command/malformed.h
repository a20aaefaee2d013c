// The table of malformed requests, and what a server did with one.
//
// Threads: pure functions but for the socket.

#pragma once

#include <string>
#include <vector>

#include "test_all/command/case_runner.h"

namespace kvs {

struct MalformedCase {
  std::string shown;  // As it stands in the table.
  std::string bytes;
  std::string outcome;  // "open" or "closed", and the reply on one line behind a space.
};

std::vector<MalformedCase> MalformedCases();

// Sends the bytes over a fresh connection and returns what came of them, in the words of `outcome`.
// What shall stay open counts as open if nothing more happens for a short while.
std::string TryMalformed(const Target& target, const MalformedCase& test);

}  // namespace kvs
