// FakeConfigServer: a config server that publishes whatever maps a test makes up.
//
// For changes that the real one would not make, or not so fast.  It lets everybody in.
//
// Threads: main-only.
// Owner:   the test.

#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/fake_server.h"

namespace kvs {

class FakeConfigServer {
 public:
  static constexpr size_t kBlocks = 64;  // Slots change hands in blocks of so many equal parts.

  explicit FakeConfigServer(const TempDir& dir);

  // The options that make a proxy dial it.
  Words JoinOptions() const;
  // Publishes a new map: owners[i] is the port of the node that serves the i-th block of slots.
  // REQUIRES: kBlocks owners
  void Publish(const std::vector<uint16_t>& owners);
  uint64_t epoch() const { return epoch_; }
  // How often a process has registered.
  int registered() const { return registered_; }

  // The block that a key's slot is part of.
  static size_t BlockOf(std::string_view key);

 private:
  void OnRequest(FakePeer* peer, const std::vector<std::string>& request);

  const std::string secret_file_;
  uint64_t epoch_ = 0;
  std::atomic<int> registered_{0};
  Mutex mu_;
  std::string push_ KVS_GUARDED_BY(mu_);  // Of the last map.
  FakeServer server_;
};

}  // namespace kvs
