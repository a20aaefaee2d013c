// FunctionRegistry: the libraries of functions that a node knows now.
//
// Who changes them holds kFunctionsLock, and publishes the new set when the change is in the log.
// Everybody else takes the set that is there, and looks at the version for a newer one.
//
// Threads: thread-safe.
// Owner:   NodeServer.

#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "common/base/mutex.h"
#include "storage_node/script/function_library.h"

namespace kvs {

// Locked like a key of this name by who changes the libraries, and observed by who reads them.
inline constexpr std::string_view kFunctionsLock = "the libraries of functions";

class FunctionRegistry {
 public:
  FunctionSetPtr current() const KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    return current_;
  }
  // Grows with each Publish().  Who has read it before current() has no older set than that.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }
  void Publish(FunctionSetPtr set) KVS_EXCLUDES(mu_) {
    {
      const MutexLock lock(&mu_);
      current_ = std::move(set);
    }
    version_.fetch_add(1, std::memory_order_acq_rel);
  }

 private:
  mutable Mutex mu_;
  FunctionSetPtr current_ KVS_GUARDED_BY(mu_) = std::make_shared<const FunctionSet>();
  std::atomic<uint64_t> version_{0};
};

}  // namespace kvs
