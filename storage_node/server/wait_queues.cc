#include "storage_node/server/wait_queues.h"

#include "common/base/check.h"

namespace kvs {

WaitTicket WaitQueues::Add(std::span<const std::string> keys) {
  const WaitTicket ticket = ++last_;
  waiters_[ticket].keys.assign(keys.begin(), keys.end());
  for (const std::string& key : keys) {
    queues_[key].insert(ticket);
  }
  return ticket;
}

std::optional<WaitTicket> WaitQueues::Claim(std::string_view key, WaitTicket after) {
  const auto queue = queues_.find(key);
  if (queue == queues_.end()) {
    return std::nullopt;
  }
  for (auto it = queue->second.upper_bound(after); it != queue->second.end(); ++it) {
    Waiter& waiter = waiters_.at(*it);
    if (!waiter.claimed) {
      waiter.claimed = true;
      return *it;
    }
    waiter.passed_by = true;
  }
  return std::nullopt;
}

bool WaitQueues::PutBack(WaitTicket ticket) {
  Waiter& waiter = waiters_.at(ticket);
  KVS_CHECK(waiter.claimed);
  waiter.claimed = false;
  const bool passed_by = waiter.passed_by;
  waiter.passed_by = false;
  return passed_by;
}

bool WaitQueues::Remove(WaitTicket ticket) {
  const auto found = waiters_.find(ticket);
  if (found == waiters_.end()) {
    return false;
  }
  for (const std::string& key : found->second.keys) {
    const auto queue = queues_.find(key);
    if (queue == queues_.end()) {
      continue;  // It has named the key twice.
    }
    queue->second.erase(ticket);
    if (queue->second.empty()) {
      queues_.erase(queue);
    }
  }
  waiters_.erase(found);
  return true;
}

}  // namespace kvs
