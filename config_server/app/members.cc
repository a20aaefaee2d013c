#include "config_server/app/members.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace kvs {
namespace {

std::string KeyOf(ControlKind kind, const std::string& id) {
  return std::string(ControlKindName(kind)) + "/" + id;
}

}  // namespace

LinkId Members::Attach(const Registration& registration, LinkId link, int64_t now_ms) {
  const std::string key = KeyOf(registration.kind, registration.id);
  Member& member = members_[key];
  const LinkId before = member.link;
  by_link_.erase(before);
  member = Member();
  member.registration = registration;
  member.link = link;
  member.last_seen_ms = now_ms;
  member.heartbeat.epoch = registration.epoch;
  member.heartbeat.stats = Json::MakeObject();
  member.pushed_namespace = registration.map_namespace;
  member.pushed_epoch = registration.epoch;
  by_link_[link] = key;
  return before;
}

Member* Members::FindByLink(LinkId link) {
  const auto found = by_link_.find(link);
  return found == by_link_.end() ? nullptr : &members_.at(found->second);
}

const Member* Members::FindById(ControlKind kind, const std::string& id) const {
  const auto found = members_.find(KeyOf(kind, id));
  return found == members_.end() ? nullptr : &found->second;
}

void Members::Detach(LinkId link, int64_t now_ms) {
  if (Member* const member = FindByLink(link); member != nullptr) {
    member->link = kNoLink;
    member->last_seen_ms = now_ms;
    by_link_.erase(link);
  }
}

void Members::Forget(int64_t now_ms) {
  std::erase_if(members_, [&](const auto& entry) {
    const Member& member = entry.second;
    const bool crowded = members_.size() > kMaxMembers;
    return !member.online() && member.registration.kind == ControlKind::kProxy &&
           (crowded || now_ms - member.last_seen_ms >= kForgetProxyMillis);
  });
}

std::string Members::NamespaceOf(const Member& member, const Topology& topology) const {
  if (member.registration.kind == ControlKind::kNode) {
    const TopologyNode* const node = topology.FindNode(member.registration.id);
    return node == nullptr ? "" : node->namespace_name;
  }
  const auto& maps = topology.maps();
  const std::string& wanted = member.registration.namespace_name;
  if (!wanted.empty()) {
    return maps.contains(wanted) ? wanted : "";
  }
  if (maps.contains(member.pushed_namespace)) {
    return member.pushed_namespace;
  }
  return maps.size() == 1 ? maps.begin()->first : "";
}

std::set<std::string> Members::OnlineNodes() const {
  std::set<std::string> ids;
  for (const auto& [key, member] : members_) {
    if (member.online() && member.registration.kind == ControlKind::kNode) {
      ids.insert(member.registration.id);
    }
  }
  return ids;
}

std::map<std::string, std::string> Members::ProxiesPushes(const Topology& topology) const {
  std::map<std::string, std::vector<ShardNode>> proxies;
  for (const auto& [key, member] : members_) {
    if (member.online() && member.registration.kind == ControlKind::kProxy) {
      proxies[NamespaceOf(member, topology)].push_back(
          {member.registration.id, member.registration.address});
    }
  }
  proxies.erase("");
  std::map<std::string, std::string> pushes;
  for (const auto& [name, list] : proxies) {
    EncodeProxiesPush(name, list, &pushes[name]);
  }
  return pushes;
}

size_t Members::OnlineCount(ControlKind kind) const {
  return static_cast<size_t>(
      std::count_if(members_.begin(), members_.end(), [&](const auto& entry) {
        return entry.second.online() && entry.second.registration.kind == kind;
      }));
}

MemberView Members::View(const Member& member, const Topology& topology, int64_t now_ms) const {
  MemberView view;
  view.registration = member.registration;
  view.namespace_name = NamespaceOf(member, topology);
  view.online = member.online();
  view.epoch = member.heartbeat.epoch;
  view.heartbeat_age_ms = now_ms - member.last_seen_ms;
  view.stats = member.heartbeat.stats;
  return view;
}

std::vector<MemberView> Members::Views(ControlKind kind, const Topology& topology,
                                       int64_t now_ms) const {
  std::vector<MemberView> views;
  if (kind == ControlKind::kNode) {
    for (const auto& [id, node] : topology.nodes()) {
      if (const Member* const member = FindById(kind, id); member != nullptr) {
        views.push_back(View(*member, topology, now_ms));
        continue;
      }
      MemberView view;  // Known from the meta store only: it has not come back yet.
      view.registration = {kind, id, node.address, node.wanted_namespace, "", "", 0};
      view.namespace_name = node.namespace_name;
      views.push_back(std::move(view));
    }
  } else {
    for (const auto& [key, member] : members_) {
      if (member.registration.kind == kind) {
        views.push_back(View(member, topology, now_ms));
      }
    }
  }
  std::sort(views.begin(), views.end(), [](const MemberView& a, const MemberView& b) {
    return std::tie(a.registration.address, a.registration.id) <
           std::tie(b.registration.address, b.registration.id);
  });
  return views;
}

}  // namespace kvs
