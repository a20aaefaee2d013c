// WaitQueues: who waits for which keys, in the order of arrival.
//
// A key that has something to give is offered to those that wait for it, the first one first.
// Whoever serves one claims it meanwhile, so nobody else serves it, too.  One that gets nothing
// after all is put back, with its place in all its queues.  If another of its keys was offered
// while it was claimed, that offer passed it by: the one who puts it back hears of it, and offers
// its keys again.
//
// Threads: one owner at a time.
// Owner:   BlockedClients.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvs {

// Larger ones came later.  0 is none.
using WaitTicket = uint64_t;

class WaitQueues {
 public:
  // Adds one that waits for any of the keys.
  WaitTicket Add(std::span<const std::string> keys);
  // Claims the first one that waits for the key, behind `after`.
  std::optional<WaitTicket> Claim(std::string_view key, WaitTicket after);
  // It waits again.  Returns whether an offer has passed it by.  REQUIRES: it is claimed
  bool PutBack(WaitTicket ticket);
  // It waits no more.  Returns false if it is not there.
  bool Remove(WaitTicket ticket);

  bool Contains(WaitTicket ticket) const { return waiters_.contains(ticket); }
  // REQUIRES: Contains(ticket)
  bool IsClaimed(WaitTicket ticket) const { return waiters_.at(ticket).claimed; }
  size_t size() const { return waiters_.size(); }
  size_t key_count() const { return queues_.size(); }

 private:
  struct Waiter {
    std::vector<std::string> keys;
    bool claimed = false;
    bool passed_by = false;
  };

  WaitTicket last_ = 0;
  std::map<WaitTicket, Waiter> waiters_;
  std::map<std::string, std::set<WaitTicket>, std::less<>> queues_;
};

}  // namespace kvs
