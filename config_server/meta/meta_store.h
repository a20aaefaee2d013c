// MetaStore: the config server's memory.  A few thousand small records under names, changed by
// atomic compare-and-set transactions that are on the disk when Commit() returns.
//
// A transaction says what it believes (the present values of the records that it was computed from)
// and what it wants.  If a belief is wrong nothing happens, so two writers can never build on each
// other's half-known state, whichever store is behind the interface.
//
// Threads: thread-safe.  Calls block on the disk: not for a loop.
// Owner:   the program; outlives the threads that call it.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"

namespace kvs {

using MetaRecord = std::pair<std::string, std::string>;  // Key and value.

struct MetaTransaction {
  struct Compare {
    std::string key;
    std::optional<std::string> expected;  // No value: there must be no such record.
    bool operator==(const Compare&) const = default;
  };
  std::vector<Compare> compares;
  std::vector<MetaRecord> puts;
  std::vector<std::string> deletes;  // Of records that need not exist.

  bool operator==(const MetaTransaction&) const = default;
};

inline constexpr size_t kMaxMetaKeySize = 256;
inline constexpr size_t kMaxMetaValueSize = size_t{8} << 20;

class MetaStore {
 public:
  virtual ~MetaStore() = default;

  // Returns the value, or kNotFound.
  virtual Result<std::string> Get(std::string_view key) const = 0;
  // Returns the records whose keys begin with `prefix`, in the order of their keys.
  virtual Result<std::vector<MetaRecord>> List(std::string_view prefix) const = 0;
  // Applies all of the transaction durably, or nothing.
  //   kAborted: a compare does not hold; the message names its key
  //   kInvalidArgument: an empty or too long key, a too long value, a key that is changed twice
  //   kIoError: the disk failed; the outcome is known only after the store was opened again, and
  //             every later Commit() fails too
  virtual Status Commit(const MetaTransaction& transaction) = 0;
};

// Returns kInvalidArgument as Commit() does.  For implementations.
Status CheckMetaTransaction(const MetaTransaction& transaction);

}  // namespace kvs
