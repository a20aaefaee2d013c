// LedgerWriters: clients that write to a server in pipelines and remember what was acknowledged, so
// that a test can stop the server in any way and see afterwards what is missing.
//
// Threads: the test's; each writer has a thread of its own between Start() and Stop().
// Owner:   the test.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "common/base/random.h"
#include "common/base/thread.h"
#include "test_all/check/ledger.h"
#include "test_all/harness/resp_client.h"

namespace kvs {

// One client that writes its own keys in pipelines until it is stopped or cut off.
class LedgerWriter {
 public:
  LedgerWriter(std::string prefix, uint64_t seed) : prefix_(std::move(prefix)), random_(seed) {}

  void Start(uint16_t port) {
    stop_ = false;
    thread_ = Thread("writer", [this, port] { Run(port); });
  }
  void Stop() {
    stop_ = true;
    thread_.Join();
  }
  uint64_t acknowledged() const { return acknowledged_; }
  Ledger* ledger() { return &ledger_; }

 private:
  void Run(uint16_t port);
  bool RunBatch(RespClient* client);
  Ledger::Write Next(std::string* bytes);

  const std::string prefix_;
  Random random_;
  Ledger ledger_;  // The thread's while it runs, then the test's.
  uint64_t sent_ = 0;
  std::atomic<uint64_t> acknowledged_{0};
  std::atomic<bool> stop_{false};
  Thread thread_;
};

class LedgerWriters {
 public:
  LedgerWriters();

  // The writers write to the port until Stop(), or until their connections end.
  void Start(uint16_t port);
  void Stop();
  // Writes that were acknowledged, in all.
  uint64_t acknowledged() const;
  // Reads every key and compares.  Returns what is wrong, or "", and adds the keys that exist to
  // `*existing`.  What is found counts as acknowledged from then on.
  std::string CheckAll(RespClient* client, int64_t* existing);

 private:
  std::vector<std::unique_ptr<LedgerWriter>> writers_;
};

}  // namespace kvs
