#include "storage_node/server/blocked_clients.h"

#include <utility>

#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

std::string ErrorReply(int protocol, std::string_view error) {
  std::string reply;
  RespWriter(protocol, &reply).Error(error);
  return reply;
}

}  // namespace

std::string BlockedCommand::TimeoutReply() const {
  std::string reply = timeout_reply;
  if (reply.empty()) {
    RespWriter(protocol, &reply).NullArray();
  }
  return reply;
}

WaitTicket BlockedClients::Add(BlockedCommandPtr command) {
  const MutexLock lock(&mu_);
  const WaitTicket ticket = queues_.Add(command->keys);
  by_client_[command->client_id] = ticket;
  for (size_t i = 0; command->wants_the_end && i < command->keys.size(); ++i) {
    ++ends_[command->keys[i]];
  }
  entries_[ticket].command = std::move(command);
  count_.store(queues_.size(), std::memory_order_release);
  return ticket;
}

void BlockedClients::Remove(WaitTicket ticket) {
  const BlockedCommandPtr command = entries_.at(ticket).command;
  by_client_.erase(command->client_id);
  for (size_t i = 0; command->wants_the_end && i < command->keys.size(); ++i) {
    const auto end = ends_.find(command->keys[i]);
    if (--end->second == 0) {
      ends_.erase(end);
    }
  }
  entries_.erase(ticket);
  queues_.Remove(ticket);
  count_.store(queues_.size(), std::memory_order_release);
}

std::optional<BlockedClients::Claimed> BlockedClients::Claim(std::string_view key,
                                                             WaitTicket after) {
  const MutexLock lock(&mu_);
  const std::optional<WaitTicket> ticket = queues_.Claim(key, after);
  if (!ticket.has_value()) {
    return std::nullopt;
  }
  return Claimed{*ticket, entries_.at(*ticket).command};
}

void BlockedClients::Finish(WaitTicket ticket) {
  const MutexLock lock(&mu_);
  Remove(ticket);
}

bool BlockedClients::PutBack(WaitTicket ticket) {
  const MutexLock lock(&mu_);
  const bool passed_by = queues_.PutBack(ticket);
  Entry& entry = entries_.at(ticket);
  if (entry.abandoned) {
    Remove(ticket);
    return false;
  }
  if (!entry.end_reply.empty()) {
    End(ticket, std::move(entry.end_reply));
    return false;
  }
  return passed_by;
}

void BlockedClients::End(WaitTicket ticket, std::string reply) {
  const auto found = entries_.find(ticket);
  if (found == entries_.end()) {
    return;  // It has its reply already.
  }
  if (queues_.IsClaimed(ticket)) {
    found->second.end_reply = std::move(reply);
    return;
  }
  UnblockHost* const host = found->second.command->host;
  Remove(ticket);
  const bool failed = reply.starts_with('-');
  host->OnUnblocked(ticket, {.reply = std::move(reply), .failed = failed});
}

void BlockedClients::Expire(WaitTicket ticket) {
  const MutexLock lock(&mu_);
  if (const auto found = entries_.find(ticket); found != entries_.end()) {
    End(ticket, found->second.command->TimeoutReply());
  }
}

void BlockedClients::Refuse(WaitTicket ticket, const std::string& error) {
  const MutexLock lock(&mu_);
  if (const auto found = entries_.find(ticket); found != entries_.end()) {
    End(ticket, ErrorReply(found->second.command->protocol, error));
  }
}

void BlockedClients::GiveUp(WaitTicket ticket) {
  const MutexLock lock(&mu_);
  const auto found = entries_.find(ticket);
  if (found == entries_.end()) {
    return;
  }
  if (queues_.IsClaimed(ticket)) {
    found->second.abandoned = true;
  } else {
    Remove(ticket);
  }
}

bool BlockedClients::Unblock(uint64_t client_id, bool with_error) {
  const MutexLock lock(&mu_);
  const auto found = by_client_.find(client_id);
  if (found == by_client_.end() || queues_.IsClaimed(found->second)) {
    return false;  // Who is claimed is about to be served.
  }
  const WaitTicket ticket = found->second;
  const BlockedCommandPtr command = entries_.at(ticket).command;
  End(ticket, with_error
                  ? ErrorReply(command->protocol, "UNBLOCKED client unblocked via CLIENT UNBLOCK")
                  : command->TimeoutReply());
  return true;
}

bool BlockedClients::HasAnEnd(std::string_view key) const {
  const MutexLock lock(&mu_);
  return ends_.contains(key);
}

std::vector<std::string> BlockedClients::KeysWithAnEnd() const {
  const MutexLock lock(&mu_);
  std::vector<std::string> keys;
  for (const auto& [key, count] : ends_) {
    keys.push_back(key);
  }
  return keys;
}

BlockedCommandPtr BlockedClients::Find(WaitTicket ticket) const {
  const MutexLock lock(&mu_);
  const auto found = entries_.find(ticket);
  return found == entries_.end() ? nullptr : found->second.command;
}

size_t BlockedClients::key_count() const {
  const MutexLock lock(&mu_);
  return queues_.key_count();
}

}  // namespace kvs
