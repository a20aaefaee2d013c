// TargetLink: one connection to the target of a MIGRATE, with a limit on its silence.
//
// It looks the name up in a thread of its own, tries its addresses one after the other, sends what
// it is given and keeps what comes.  A target that takes or says nothing for the given time is
// lost; so is one that closes.
//
// Threads: loop-owned.
// Owner:   MigrateWorker; used for one connection after the other.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/unique_fd.h"
#include "common/net/event_loop.h"
#include "common/net/resolver.h"
#include "storage_node/migrate/migration.h"

namespace kvs {

class TargetLink : private IoHandler {
 public:
  // May close the link in each call, and open it again.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnConnected() = 0;
    // There is more in input().
    virtual void OnInput() = 0;
    // All that was given has been sent.
    virtual void OnSent() = 0;
    // The link is closed.
    virtual void OnLost(TargetLoss loss) = 0;
  };

  // All outlive the link.
  TargetLink(EventLoop* loop, Owner* owner, NameLookup lookup = &ResolveHost);
  ~TargetLink() override { Close(); }

  // May call OnLost() before it returns.  REQUIRES: it is closed
  void Open(const std::string& host, uint16_t port, int64_t timeout_ms);
  // Leaves what was received and not taken.  The owner is not called again.
  void Close();

  // REQUIRES, for the following: it is connected
  void Send(std::string bytes);
  size_t unsent() const { return output_.size() - sent_; }
  std::string* input() { return &input_; }
  // The target is not what is being waited for.
  void Touch();

 private:
  void OnReady(bool readable, bool writable) override;
  void TryNextAddress();
  void OnConnectEnd();
  // Return false if the link is another one, or none, afterwards.
  bool Flush();
  bool Receive();
  void Lose();
  void ArmTimer(int64_t delay_ms);
  void UpdateInterest();

  EventLoop* const loop_;
  Owner* const owner_;
  uint64_t round_ = 0;                  // Which connection this is; grows with each end, too.
  std::vector<std::string> addresses_;  // Still to be tried, the next one last.
  uint16_t port_ = 0;
  int64_t timeout_ms_ = 0;
  int64_t heard_ms_ = 0;
  TimerId timer_ = kNoTimer;
  UniqueFd fd_;
  IoWatch* watch_ = nullptr;
  bool connected_ = false;
  bool has_address_ = false;
  std::string output_;
  size_t sent_ = 0;  // Of output_.
  std::string input_;
  int lookups_ = 0;  // Under way.
  Resolver resolver_;
};

}  // namespace kvs
