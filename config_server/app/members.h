// Members: the nodes and proxies that have registered since this process started.
//
// Threads: loop-owned.
// Owner:   ConfigServer.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/control/control_message.h"
#include "config_server/api/config_api.h"
#include "config_server/topology/topology.h"

namespace kvs {

using LinkId = uint64_t;
inline constexpr LinkId kNoLink = 0;

struct Member {
  Registration registration;
  LinkId link = kNoLink;  // kNoLink: offline.
  int64_t last_seen_ms = 0;
  Heartbeat heartbeat;
  // What the process has been told last; a namespace without an epoch never stands here.
  std::string pushed_namespace;
  uint64_t pushed_epoch = 0;
  std::string pushed_proxies;  // The push that named the proxies; empty: none yet.

  bool online() const { return link != kNoLink; }
};

// A proxy that is gone is forgotten after this time, or sooner if there are too many.
inline constexpr int64_t kForgetProxyMillis = 600'000;
inline constexpr size_t kMaxMembers = 8192;

class Members {
 public:
  // Takes a registration in and returns the link that it replaces, or kNoLink.
  LinkId Attach(const Registration& registration, LinkId link, int64_t now_ms);
  // Returns nullptr if no process is registered over that link.
  Member* FindByLink(LinkId link);
  const Member* FindById(ControlKind kind, const std::string& id) const;
  // Marks the process of that link as offline, if there is one.
  void Detach(LinkId link, int64_t now_ms);
  // Forgets proxies that have been offline for long.
  void Forget(int64_t now_ms);

  // Returns the namespace that a process belongs to now; empty if none.
  std::string NamespaceOf(const Member& member, const Topology& topology) const;
  std::set<std::string> OnlineNodes() const;
  // Returns the pushes that name the proxies of each namespace that are online.
  std::map<std::string, std::string> ProxiesPushes(const Topology& topology) const;
  size_t OnlineCount(ControlKind kind) const;
  // Returns all nodes of the topology, or all proxies, in the order of their addresses.
  std::vector<MemberView> Views(ControlKind kind, const Topology& topology, int64_t now_ms) const;

  std::map<std::string, Member>& all() { return members_; }

 private:
  MemberView View(const Member& member, const Topology& topology, int64_t now_ms) const;

  std::map<std::string, Member> members_;  // By kind and id.
  std::map<LinkId, std::string> by_link_;  // Keys of members_.
};

}  // namespace kvs
