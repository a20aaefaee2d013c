// SessionSet: the client sessions of one event loop, with what every server does to them: close
// those that CLIENT KILL names, that are idle for too long or that do not read, resume those that
// CLIENT PAUSE held, show MONITOR's lines to those that asked, and tell those that track keys of
// changes.
//
// A session whose commands wait elsewhere has OnUnblockAsked(with_error), for CLIENT UNBLOCK.
//
// A session has client(), Close(), Resume(), idle() (nothing of it is under way), has_unsent() (the
// client could read something), unsent() (all bytes that it will get), last_active_ms() and
// AppendMonitored() and OnInvalidation().  Close() leads to Remove().
//
// Threads: the loop's.
// Owner:   the worker that owns the loop.

#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "common/base/logging.h"
#include "common/net/event_loop.h"
#include "common/service/acl_gate.h"
#include "common/service/client_pause.h"
#include "common/service/connection_commands.h"
#include "common/service/monitor_feed.h"
#include "common/tracking/invalidation.h"

namespace kvs {

template <typename Session>
class SessionSet {
 public:
  // `before_output` is called before anything is appended to a session outside its own turn.
  SessionSet(EventLoop* loop, const ServiceContext& service,
             std::function<void(Session*)> before_output)
      : loop_(loop),
        clients_(service.clients),
        pause_(service.pause),
        feed_(service.monitors),
        before_output_(std::move(before_output)),
        outlet_([this] { loop_->PostAlways([this] { ShowMonitored(); }); }),
        invalidations_([this] { loop_->PostAlways([this] { TellInvalidations(); }); }) {}

  bool empty() const { return sessions_.empty(); }
  // Registers a client whose CLIENT KILL closes its session here.
  std::shared_ptr<ClientInfo> AddClient(int fd) {
    auto info = clients_->Add(fd, loop_->now_ms(), [this] {
      if (!kill_posted_.exchange(true, std::memory_order_acq_rel)) {
        loop_->PostAlways([this] { CloseKilled(); });
      }
    });
    info->invalidations.store(&invalidations_, std::memory_order_release);
    return info;
  }
  Session* Add(std::unique_ptr<Session> session) {
    Session* raw = session.get();
    by_id_.emplace(raw->client()->info->id, raw);
    sessions_.emplace(raw, std::move(session));
    return raw;
  }
  // The session is deleted after this turn.
  void Remove(Session* session) {
    clients_->Remove(session->client()->info->id);
    by_id_.erase(session->client()->info->id);
    std::erase(paused_, session);
    ForgetMonitor(session);
    const auto found = sessions_.find(session);
    if (found != sessions_.end()) {
      loop_->DeleteLater(std::move(found->second));
      sessions_.erase(found);
    }
  }

  // Returns the sessions of which `wanted(session)` is true.
  template <typename Predicate>
  std::vector<Session*> Select(const Predicate& wanted) const {
    std::vector<Session*> selected;
    for (const auto& [session, owner] : sessions_) {
      if (wanted(session)) {
        selected.push_back(session);
      }
    }
    return selected;
  }
  template <typename Function>
  void ForEach(const Function& function) const {
    for (const auto& [session, owner] : sessions_) {
      function(session);
    }
  }
  template <typename Predicate>
  void CloseIf(const Predicate& wanted) {
    for (Session* session : Select(wanted)) {
      session->Close();
    }
  }
  // Closes who has been silent for longer than `idle_limit_ms` with nothing under way and no
  // message to wait for, and who has
  // not read for longer than `output_limit_ms`; 0 for no limit.
  void CloseIdle(int64_t idle_limit_ms, int64_t output_limit_ms) {
    if (idle_limit_ms == 0 && output_limit_ms == 0) {
      return;
    }
    CloseIf([&](Session* session) {
      const int64_t silent_ms = loop_->now_ms() - session->last_active_ms();
      return (idle_limit_ms > 0 && silent_ms > idle_limit_ms && session->idle() &&
              !session->client()->subscribed) ||
             (output_limit_ms > 0 && silent_ms > output_limit_ms && session->has_unsent());
    });
  }

  // After a change of the users: closes whose user is gone, and who has subscribed to what its user
  // may no longer hear.
  void ReviewUsers(const ServiceContext& service) {
    CloseIf([&service](Session* session) {
      return !session->client()->close_after_reply &&
             !MayStay(session->subscriptions(), service, session->client());
    });
  }

  // Calls session->Resume() when the pause is over.
  void ResumeAfterPause(Session* session) {
    paused_.push_back(session);
    if (pause_timer_ == kNoTimer) {
      pause_timer_ = loop_->After(ClientPause::kRetryMs, [this] { ResumePaused(); });
    }
  }
  // After a command that may have begun or ended a session's monitoring.
  void UpdateMonitor(Session* session) {
    if (!session->client()->info->monitor.load(std::memory_order_relaxed)) {
      return ForgetMonitor(session);
    }
    if (std::find(monitors_.begin(), monitors_.end(), session) != monitors_.end()) {
      return;
    }
    if (monitors_.empty()) {
      feed_->Add(&outlet_);
    }
    monitors_.push_back(session);
  }

 private:
  // A client that monitors and does not read is closed when so much waits for it.
  static constexpr size_t kMaxMonitorBacklog = size_t{32} << 20;

  void ResumePaused() {
    pause_timer_ = kNoTimer;
    if (pause_->InForce(loop_->clock()->MonotonicMillis())) {
      pause_timer_ = loop_->After(ClientPause::kRetryMs, [this] { ResumePaused(); });
      return;
    }
    for (Session* session : std::exchange(paused_, {})) {
      session->Resume();
    }
  }
  void CloseKilled() {
    kill_posted_.store(false, std::memory_order_release);
    CloseIf([](Session* session) { return session->client()->info->killed(); });
    if constexpr (requires(Session * session) { session->OnUnblockAsked(true); }) {
      ForEach([](Session* session) {
        const ClientInfo::UnblockAsked asked = session->client()->info->TakeUnblock();
        if (asked != ClientInfo::UnblockAsked::kNo) {
          session->OnUnblockAsked(asked == ClientInfo::UnblockAsked::kError);
        }
      });
    }
  }
  void ForgetMonitor(Session* session) {
    if (std::erase(monitors_, session) > 0 && monitors_.empty()) {
      feed_->Remove(&outlet_);
    }
  }
  void ShowMonitored() {
    bool overflown = false;
    const std::string lines = outlet_.Take(&overflown);
    for (Session* session : std::vector<Session*>(monitors_)) {
      if (overflown || session->unsent() > kMaxMonitorBacklog) {
        KVS_LOG(kWarning, "closed {}: it monitors and does not read",
                session->client()->info->address);
        session->Close();
      } else {
        before_output_(session);
        session->AppendMonitored(lines);
      }
    }
  }

  void TellInvalidations() {
    std::set<uint64_t> losers;
    for (const InvalidationOrder& order : invalidations_.Take(&losers)) {
      const auto found = by_id_.find(order.client);
      if (found != by_id_.end()) {
        before_output_(found->second);
        found->second->OnInvalidation(order);
      }
    }
    for (const uint64_t id : losers) {
      const auto found = by_id_.find(id);
      if (found != by_id_.end()) {
        KVS_LOG(kWarning, "closed {}: it has lost what it was to be told of keys",
                found->second->client()->info->address);
        found->second->Close();
      }
    }
  }

  EventLoop* const loop_;
  ClientRegistry* const clients_;
  ClientPause* const pause_;
  MonitorFeed* const feed_;
  const std::function<void(Session*)> before_output_;
  std::unordered_map<Session*, std::unique_ptr<Session>> sessions_;
  std::vector<Session*> paused_;
  TimerId pause_timer_ = kNoTimer;
  std::vector<Session*> monitors_;
  MonitorOutlet outlet_;
  InvalidationOutlet invalidations_;
  std::unordered_map<uint64_t, Session*> by_id_;
  std::atomic<bool> kill_posted_{false};
};

}  // namespace kvs
