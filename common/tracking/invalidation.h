// Invalidation: what a client that tracks keys is told.  InvalidationOutlet: its way to the loop of
// that client.
//
// Threads: an Invalidation is immutable; the outlet is thread-safe.
// Owner:   of the outlet: the loop's session set, which outlives the clients that are registered
//          with it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/mutex.h"

namespace kvs {

// The channel that a client of RESP2 subscribes to for the messages that others redirect to it.
inline constexpr std::string_view kInvalidationChannel = "__redis__:invalidate";

struct Invalidation {
  enum class Kind : uint8_t {
    kKeys,
    kEverything,      // All keys.
    kRedirectBroken,  // The connection that was to be told instead is gone.
  };
  Kind kind = Kind::kKeys;
  std::vector<std::string> keys = {};
  int64_t redirect = 0;  // kRedirectBroken: the connection.

  // About how much memory it takes.
  size_t bytes() const;
};
using InvalidationPtr = std::shared_ptr<const Invalidation>;

// Appends it as the push of RESP3, or as a message of kInvalidationChannel.
void AppendInvalidationPush(const Invalidation& invalidation, std::string* out);
void AppendInvalidationMessage(const Invalidation& invalidation, std::string* out);

// One on its way.
struct InvalidationOrder {
  uint64_t client = 0;
  InvalidationPtr invalidation;
  bool redirected = false;  // It is about what another client has read.
};

class InvalidationOutlet {
 public:
  static constexpr size_t kMaxWaitingBytes = size_t{64} << 20;

  // `wake` makes the loop call Take() soon; called by any thread.
  explicit InvalidationOutlet(std::function<void()> wake) : wake_(std::move(wake)) {}

  void Push(InvalidationOrder order) KVS_EXCLUDES(mu_);
  // Returns those that came since the last call.  Adds the clients that have lost some: nothing is
  // known of what they, or those that redirect to them, keep.
  std::vector<InvalidationOrder> Take(std::set<uint64_t>* losers) KVS_EXCLUDES(mu_);

 private:
  const std::function<void()> wake_;
  Mutex mu_;
  std::vector<InvalidationOrder> orders_ KVS_GUARDED_BY(mu_);
  size_t bytes_ KVS_GUARDED_BY(mu_) = 0;
  std::set<uint64_t> losers_ KVS_GUARDED_BY(mu_);
};

}  // namespace kvs
