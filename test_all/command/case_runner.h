// CaseRunner: sends the requests of a case over a fresh connection and compares the replies.
//
// A case may run among a user's keys: then its own get a random prefix that no user has, and are
// deleted behind it.
//
// Threads: pure functions but for the sockets.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "test_all/command/case_table.h"
#include "test_all/harness/resp_client.h"

namespace kvs {

struct Target {
  std::string host = "127.0.0.1";
  uint16_t port = 0;
  std::string password;  // Empty: none.
};

struct RunOptions {
  int protocol = 2;
  std::string key_prefix;  // Empty: keys as they are, on a server that is flushed before.
};

// Returns a connection that speaks `protocol` and has given the password.
Result<RespClient> OpenClient(const Target& target, int protocol);

// Returns the raw reply to each step, sent one after the other.
//   kUnavailable and others: the connection failed; the message names the step
Result<std::vector<std::string>> RunCase(const Target& target, const Case& test,
                                         const RunOptions& options);

// Compares RESP2 replies with the table's.  Returns the first difference, or "".
std::string CompareWithTable(const Case& test, const std::vector<std::string>& replies);

// Compares the replies of two servers: bytes, but only the shape (types and sizes) where the table
// has a pattern.  Returns the first difference, or "".
std::string CompareServers(const Case& test, const std::vector<std::string>& expected,
                           const std::vector<std::string>& found);

}  // namespace kvs
