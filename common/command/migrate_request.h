// MigrateRequest: what MIGRATE asks for, read from its words.
//
// A node reads them to do it, a proxy to know how long it may take.
//
// Threads: pure functions; MigrateRequest is a value.
// Owner:   the caller; views point into the request.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "common/base/status.h"
#include "common/command/command_table.h"

namespace kvs {

struct MigrateRequest {
  std::string_view host = {};
  uint16_t port = 0;  // 0: what it says is none.
  int64_t db = 0;
  int64_t timeout_ms = 0;  // Above 0: how long the target may be silent.
  bool copy = false;
  bool replace = false;
  std::optional<std::string_view> username = {};
  std::optional<std::string_view> password = {};
  CommandArgs keys = {};

  // How long all of it may take: a target that always says a little does not hold the keys for
  // ever.
  int64_t total_ms() const;
};

//   kInvalidArgument: in Redis's words
// REQUIRES: the arity has been checked
Result<MigrateRequest> ParseMigrate(CommandArgs args);

}  // namespace kvs
