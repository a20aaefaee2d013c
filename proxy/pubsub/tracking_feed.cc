#include "proxy/pubsub/tracking_feed.h"

#include <fmt/format.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/logging.h"
#include "common/resp/reply_tree.h"
#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

// How often a node that says nothing is asked whether it is still there.
constexpr int64_t kPingMs = 500;

}  // namespace

TrackingFeed::~TrackingFeed() {
  EndAll();
}

void TrackingFeed::End(Feed* feed) {
  feed->link->set_listener(nullptr);
  links_->Discard(feed->link);
}

void TrackingFeed::EndAll() {
  for (auto& [address, feed] : feeds_) {
    End(&feed);
  }
  feeds_.clear();
  hub_->set_complete(false);
}

// Makes the feeds those of the router's nodes.
void TrackingFeed::Begin(bool fresh) {
  const std::vector<NodeAddress>& shards = router_->table()->shards;
  const std::set<NodeAddress> wanted(shards.begin(), shards.end());
  bool missed = false;  // Something may have been, or may be until the feed is up.
  for (auto it = feeds_.begin(); it != feeds_.end();) {
    if (wanted.contains(it->first)) {
      ++it;
      continue;
    }
    // It has no keys any more, but what it has told last is lost.
    missed = true;
    End(&it->second);
    it = feeds_.erase(it);
  }
  for (const NodeAddress& address : wanted) {
    Feed& feed = feeds_[address];
    if (feed.link == nullptr) {
      feed.link = links_->Borrow(address);
      feed.link->set_listener(this);
      feed.fresh = fresh;
      missed = missed || !fresh;
    }
  }
  if (missed) {
    hub_->set_complete(false);
    hub_->OnEverything();
  }
}

void TrackingFeed::Ask(Feed* feed) {
  std::string request;
  EncodeRequest({"CLIENT", "TRACKING", "ON", "BCAST"}, &request);
  feed->asked = feed->link->Tell(request).ok();
  feed->heard_ms = loop_->now_ms();
}

bool TrackingFeed::IsComplete() const {
  for (const auto& [address, feed] : feeds_) {
    if (!feed.up) {
      return false;
    }
  }
  return !feeds_.empty();
}

void TrackingFeed::Update(int64_t timeout_ms) {
  if (!hub_->active()) {
    if (!feeds_.empty()) {
      EndAll();
    }
    return;
  }
  Begin(/*fresh=*/feeds_.empty());
  const int64_t now_ms = loop_->now_ms();
  for (auto& [address, feed] : feeds_) {
    if (!feed.asked && !feed.refused) {
      Ask(&feed);
    } else if (feed.up && !feed.pinged && now_ms - feed.heard_ms > kPingMs) {
      std::string request;
      EncodeRequest({"PING"}, &request);
      feed.pinged = feed.link->Tell(request).ok();
      feed.heard_ms = now_ms;
    } else if ((feed.pinged || (feed.asked && !feed.up && !feed.refused)) &&
               now_ms - feed.heard_ms > timeout_ms) {
      feed.link->Fail(Status::Timeout(fmt::format("timeout: node {} did not answer within {} ms",
                                                  feed.link->name(), timeout_ms)));
    }
  }
  hub_->set_complete(IsComplete());
}

void TrackingFeed::Flush() {
  for (const auto& [address, feed] : feeds_) {
    if (feed.link->needs_flush()) {
      feed.link->Flush();
    }
  }
}

void TrackingFeed::OnPush(NodeLink* link, const ReplyFrame& frame) {
  Result<Reply> push = ParseReply(frame.view());
  if (!push.ok() || push->elements.size() != 2 || push->elements[0].text != "invalidate") {
    return;
  }
  feeds_[link->address()].heard_ms = loop_->now_ms();
  Reply& keys = push->elements[1];
  if (keys.type != Reply::Type::kArray) {
    return hub_->OnEverything();
  }
  std::vector<TrackedWrite> writes;
  writes.reserve(keys.elements.size());
  for (Reply& key : keys.elements) {
    writes.push_back({.client = 0, .key = std::move(key.text)});
  }
  hub_->OnWrites(std::move(writes));
}

void TrackingFeed::OnUnasked(NodeLink* link, const ReplyFrame& frame) {
  Feed& feed = feeds_[link->address()];
  feed.heard_ms = loop_->now_ms();
  if (feed.up) {
    feed.pinged = false;
    return;
  }
  if (frame.type() == '-') {
    feed.refused = true;
    const std::string_view line = frame.view().substr(1, frame.view().find('\r') - 1);
    KVS_LOG(kWarning,
            "node {} does not tell of its writes, so clients with CLIENT TRACKING keep nothing: {}",
            link->name(), line);
    return;
  }
  feed.up = true;
  if (!std::exchange(feed.fresh, false)) {
    hub_->OnEverything();
  }
  hub_->set_complete(IsComplete());
}

void TrackingFeed::OnBreak(NodeLink* link, const Status& /*status*/) {
  Feed& feed = feeds_[link->address()];
  const bool was_up = feed.up;
  feed = {.link = feed.link, .fresh = feed.fresh};
  hub_->set_complete(false);
  if (was_up) {
    hub_->OnEverything();
  }
}

}  // namespace kvs
