// ControlServer: the port that nodes and proxies dial.
//
// It knows the wire: greeting, secret, limits, frames, silence.  What a registration means is its
// host's business.  Links are named by numbers that are never used again, so that an answer that
// comes late cannot hit another link.
//
// Threads: loop-owned.
// Owner:   ConfigServer.
// Format:  doc/protocols/control.md

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/unique_fd.h"
#include "common/control/control_message.h"
#include "common/metrics/metrics.h"
#include "common/net/event_loop.h"
#include "common/net/listener.h"
#include "config_server/app/members.h"

namespace kvs {

class ControlHost {
 public:
  virtual ~ControlHost() = default;
  // A process wants to register.  The host calls FinishRegistration(), now or later.
  virtual void OnRegister(LinkId link, const Registration& registration) = 0;
  // Returns the epoch of the process's namespace, 0 if it is free.
  virtual uint64_t OnHeartbeat(LinkId link, Heartbeat heartbeat) = 0;
  // The link is gone.  Also called for links that never registered.
  virtual void OnLinkClosed(LinkId link) = 0;
};

struct ControlServerOptions {
  std::string secret;
  int64_t silence_ms = 5000;   // A registered process that says nothing for so long is cut off.
  int64_t greeting_ms = 5000;  // From the connection to CONTROL REGISTER.
};

inline constexpr size_t kMaxControlLinks = 4096;
inline constexpr size_t kMaxControlStrangers = 256;  // Links that have not shown the secret yet.
inline constexpr int kMaxControlRequestsPerSecond = 100;
inline constexpr size_t kMaxControlOutput = size_t{32} << 20;

class ControlSession;

class ControlServer {
 public:
  // Takes a listening socket.  `host` and `metrics` outlive the server.
  ControlServer(EventLoop* loop, UniqueFd fd, ControlServerOptions options, ControlHost* host,
                MetricCells* metrics);
  ~ControlServer();

  Status Start();
  // Closes the listener and all links, and tells the host of each.
  void Stop();
  uint16_t port() const { return port_; }
  size_t link_count() const { return sessions_.size(); }
  bool IsOpen(LinkId link) const { return sessions_.contains(link); }

  // The following do nothing if the link is gone.
  // Answers CONTROL REGISTER; after an error the link is closed.
  void FinishRegistration(LinkId link, const Result<RegistrationReply>& reply);
  // Sends a push (control_message.h).
  void Push(LinkId link, std::string_view push);
  void Close(LinkId link);

 private:
  friend class ControlSession;
  void OnAccept(UniqueFd fd);
  void OnSessionClosed(LinkId link);
  void Sweep();
  size_t StrangerCount() const;
  ControlSession* Find(LinkId link);

  EventLoop* const loop_;
  const ControlServerOptions options_;
  ControlHost* const host_;
  MetricCells* const metrics_;
  const uint16_t port_;
  Listener listener_;
  TimerId sweep_ = kNoTimer;
  LinkId last_link_ = kNoLink;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);  // For what sessions post.
  std::map<LinkId, std::unique_ptr<ControlSession>> sessions_;
};

}  // namespace kvs
