// Streams and their groups against maps, in turns of several commands, packed and not, with expiry,
// renames, hand-overs, crashes and sweeps in between.

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/slowness.h"
#include "common/resp/reply_tree.h"
#include "storage_node/command/command_testbed.h"
#include "storage_node/keys/stream_codec.h"

namespace kvs {
namespace {

struct PendingModel {
  std::string consumer;
  int64_t delivered_ms = 0;
  int64_t deliveries = 1;
};

struct GroupModel {
  StreamId last;
  std::set<std::string> consumers;
  std::map<StreamId, PendingModel> pending;
};

struct Model {
  bool exists = false;
  StreamId last;
  std::map<StreamId, std::string> entries;  // The value of the one field.
  std::map<std::string, GroupModel> groups;
};

using Entry = std::pair<std::string, std::string>;
const std::string kGone = "<gone>";  // The value of an entry that has been deleted.

class StreamModelTest : public testing::TestWithParam<uint64_t> {
 protected:
  StreamModelTest() { NewClient(); }
  void TearDown() override {
    client_->Commit();
    EXPECT_EQ(testbed_.CheckBookkeeping(), "");
    client_.reset();
    EXPECT_EQ(testbed_.CheckStoredData(), "");
  }
  void NewClient() { client_ = std::make_unique<CommandClient>(&testbed_, 2); }

  Reply Ask(std::vector<std::string> args) {
    Result<Reply> reply = ParseReply(client_->RunRaw(args));
    EXPECT_TRUE(reply.ok()) << args[0];
    return reply.ok() ? *std::move(reply) : Reply();
  }
  std::string Key() {
    return (random_.OneIn(2) ? "{t}" : "k") + std::to_string(random_.Uniform(3));
  }
  // An id around those that are there.
  StreamId SomeId(const Model& stream) {
    return {random_.Uniform(stream.last.ms + 3), random_.Uniform(4)};
  }
  static std::vector<std::pair<std::string, std::string>> Entries(const Reply& reply) {
    std::vector<std::pair<std::string, std::string>> entries;
    for (const Reply& entry : reply.elements) {
      EXPECT_EQ(entry.elements.size(), 2u);
      const Reply& words = entry.elements[1];
      EXPECT_EQ(words.elements.size(), words.is_null() ? 0u : 2u);
      entries.emplace_back(entry.elements[0].text,
                           words.is_null() ? kGone : words.elements[1].text);
    }
    return entries;
  }
  static std::vector<std::pair<std::string, std::string>> Part(const Model& stream, StreamId first,
                                                               StreamId last, size_t limit) {
    std::vector<std::pair<std::string, std::string>> entries;
    for (const auto& [id, value] : stream.entries) {
      if (first <= id && id <= last && (limit == 0 || entries.size() < limit)) {
        entries.emplace_back(id.ToString(), value);
      }
    }
    return entries;
  }

  void Step() {
    testbed_.type_limits().packed_size = random_.Uniform(3) * 150;
    const std::string key = Key();
    switch (random_.Uniform(28)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Add(key);
      case 4:
        return Delete(key);
      case 5:
        return Trim(key);
      case 6:
      case 7:
        return ReadRange(key);
      case 8:
        return ReadBehind(key);
      case 9:
        return SetId(key);
      case 10:
        return Rename(key, Key());
      case 11:
        return Remove(key);
      case 12:
        client_->Commit();
        return;
      case 13:
        return Disturb();
      default:
        return GroupStep(key);
    }
  }
  void Add(const std::string& key) {
    Model& stream = streams_[key];
    std::vector<std::string> args = {"xadd", key};
    const bool no_make = random_.OneIn(5);
    if (no_make) {
      args.push_back("nomkstream");
    }
    const bool trims = random_.OneIn(4);
    const size_t most = random_.Uniform(30);
    if (trims) {
      args.insert(args.end(), {"maxlen", std::to_string(most)});
    }
    const StreamId id = random_.OneIn(2) ? StreamId{stream.last.ms, stream.last.seq + 1}
                                         : StreamId{stream.last.ms + 1 + random_.Uniform(3), 0};
    args.push_back(random_.OneIn(2) ? id.ToString() : std::to_string(id.ms) + "-*");
    const std::string value(random_.Uniform(40), 'v');
    args.insert(args.end(), {"f", value});
    if (no_make && !stream.exists) {
      ASSERT_TRUE(Ask(args).is_null());
      return;
    }
    ASSERT_EQ(Ask(args).text, id.ToString());
    stream.exists = true;
    stream.last = id;
    stream.entries[id] = value;
    while (trims && stream.entries.size() > most) {
      stream.entries.erase(stream.entries.begin());
    }
  }
  void Delete(const std::string& key) {
    Model& stream = streams_[key];
    std::vector<std::string> args = {"xdel", key};
    int64_t deleted = 0;
    for (uint64_t i = 1 + random_.Uniform(4); i > 0; --i) {
      const bool first = random_.OneIn(3) && !stream.entries.empty();
      const StreamId id = first ? stream.entries.begin()->first : SomeId(stream);
      args.push_back(id.ToString());
      deleted += static_cast<int64_t>(stream.entries.erase(id));
    }
    ASSERT_EQ(Ask(args).integer, deleted);
  }
  void Trim(const std::string& key) {
    Model& stream = streams_[key];
    const size_t before = stream.entries.size();
    std::vector<std::string> args = {"xtrim", key};
    if (random_.OneIn(2)) {
      const size_t most = random_.Uniform(before + 3);
      args.insert(args.end(), {"maxlen", std::to_string(most)});
      while (stream.entries.size() > most) {
        stream.entries.erase(stream.entries.begin());
      }
    } else {
      const StreamId first = SomeId(stream);
      args.insert(args.end(), {"minid", "=", first.ToString()});
      stream.entries.erase(stream.entries.begin(), stream.entries.lower_bound(first));
    }
    ASSERT_EQ(Ask(args).integer, static_cast<int64_t>(before - stream.entries.size()));
  }
  void ReadRange(const std::string& key) {
    const Model& stream = streams_[key];
    ASSERT_EQ(Ask({"xlen", key}).integer, static_cast<int64_t>(stream.entries.size()));
    ASSERT_EQ(Ask({"exists", key}).integer, stream.exists ? 1 : 0);
    const StreamId first = SomeId(stream);
    const StreamId last = random_.OneIn(2) ? kMaxStreamId : SomeId(stream);
    const size_t limit = 1 + random_.Uniform(20);
    ASSERT_EQ(Entries(Ask({"xrange", key, first.ToString(), last.ToString(), "count",
                           std::to_string(limit)})),
              Part(stream, first, last, limit));
    auto all = Part(stream, first, last, 0);
    std::reverse(all.begin(), all.end());
    ASSERT_EQ(Entries(Ask({"xrevrange", key, last.ToString(), first.ToString()})), all);
  }
  void ReadBehind(const std::string& key) {
    const Model& stream = streams_[key];
    const StreamId behind = SomeId(stream);
    const auto wanted = Part(stream, NextStreamId(behind), kMaxStreamId, 5);
    const Reply reply = Ask({"xread", "count", "5", "streams", key, behind.ToString()});
    ASSERT_EQ(reply.is_null(), wanted.empty());
    if (!wanted.empty()) {
      ASSERT_EQ(Entries(reply.elements[0].elements[1]), wanted);
    }
  }
  void SetId(const std::string& key) {
    Model& stream = streams_[key];
    const StreamId id = {stream.last.ms + random_.Uniform(2), stream.last.seq};
    ASSERT_EQ(Ask({"xsetid", key, id.ToString()}).text, stream.exists ? "OK" : "ERR no such key");
    stream.last = stream.exists ? id : stream.last;
  }
  void Rename(const std::string& from, const std::string& to) {
    if (!streams_[from].exists || from == to) {
      return;
    }
    if (random_.OneIn(2)) {
      ASSERT_EQ(Ask({"copy", from, to, "replace"}).integer, 1);
      streams_[to] = streams_[from];
    } else {
      ASSERT_EQ(Ask({"rename", from, to}).text, "OK");
      streams_[to] = std::exchange(streams_[from], {});
    }
  }
  void Remove(const std::string& key) {
    if (!random_.OneIn(4)) {
      return;
    }
    if (random_.OneIn(2)) {
      Ask({"del", key});
    } else {
      Ask({"pexpire", key, "5"});
      client_->Commit();
      testbed_.clock().AdvanceMicros(6000);
    }
    streams_[key] = {};
  }
  void Disturb() {
    client_->Commit();
    if (random_.OneIn(3)) {
      client_.reset();
      random_.OneIn(2) ? testbed_.Crash() : testbed_.Restart();
      NewClient();
      return;
    }
    Store* store = testbed_.store();
    for (int i = 0; i < store->engines().instance_count(); ++i) {
      ASSERT_TRUE(store->pipeline().HandOver(i).ok());
    }
    Sweeper sweeper(store, &testbed_.clock());
    ASSERT_TRUE(sweeper.RunSlice(2000).ok());
  }

  int64_t Now() { return testbed_.clock().WallMillis(); }
  std::string SomeConsumer() {
    return std::string(1 + random_.Uniform(2), "ab"[random_.Uniform(2)]);
  }
  static std::string ValueOf(const Model& stream, StreamId id) {
    const auto found = stream.entries.find(id);
    return found != stream.entries.end() ? found->second : kGone;
  }

  void GroupStep(const std::string& key) {
    Model& stream = streams_[key];
    const std::string name = random_.OneIn(3) ? "g" : "group";
    if (!stream.groups.contains(name)) {
      return MakeGroup(key, name);
    }
    GroupModel* const group = &stream.groups[name];
    switch (random_.Uniform(14)) {
      case 0:
        return MakeGroup(key, name);
      case 1:
        return RemoveGroup(key, name);
      case 2:
        return RemoveConsumer(key, name, group);
      case 3:
      case 4:
      case 5:
        return ReadNew(key, name, group);
      case 6:
        return ReadPending(key, name, group);
      case 7:
      case 8:
        return Acknowledge(key, name, group);
      case 9:
        return Claim(key, name, group);
      case 10:
        return ClaimMany(key, name, group);
      case 11:
        testbed_.clock().AdvanceMicros(1000 * static_cast<int64_t>(random_.Uniform(4)));
        return;
      default:
        return LookAtGroup(key, name, *group);
    }
  }
  void MakeGroup(const std::string& key, const std::string& name) {
    Model& stream = streams_[key];
    const StreamId id = SomeId(stream);
    if (stream.groups.contains(name)) {
      if (random_.OneIn(2)) {
        ASSERT_EQ(Ask({"xgroup", "setid", key, name, id.ToString()}).text, "OK");
        stream.groups[name].last = id;
      }
      return;
    }
    const bool make = random_.OneIn(2);
    std::vector<std::string> args = {"xgroup", "create", key, name, id.ToString()};
    if (make) {
      args.push_back("mkstream");
    }
    const std::string reply = Ask(args).text;
    ASSERT_EQ(reply == "OK", make || stream.exists) << reply;
    if (reply == "OK") {
      stream.exists = true;
      stream.groups[name].last = id;
    }
  }
  void RemoveGroup(const std::string& key, const std::string& name) {
    if (random_.OneIn(3)) {
      ASSERT_EQ(Ask({"xgroup", "destroy", key, name}).integer, 1);
      streams_[key].groups.erase(name);
    }
  }
  void RemoveConsumer(const std::string& key, const std::string& name, GroupModel* group) {
    const std::string consumer = SomeConsumer();
    const size_t removed = std::erase_if(
        group->pending, [&](const auto& one) { return one.second.consumer == consumer; });
    ASSERT_EQ(Ask({"xgroup", "delconsumer", key, name, consumer}).integer,
              static_cast<int64_t>(removed));
    group->consumers.erase(consumer);
  }
  void ReadNew(const std::string& key, const std::string& name, GroupModel* group) {
    const Model& stream = streams_[key];
    const size_t limit = 1 + random_.Uniform(12);
    const bool no_ack = random_.OneIn(5);
    const std::string consumer = SomeConsumer();
    std::vector<std::string> args = {"xreadgroup", "group", name,
                                     consumer,     "count", std::to_string(limit)};
    if (no_ack) {
      args.push_back("noack");
    }
    args.insert(args.end(), {"streams", key, ">"});
    const Reply reply = Ask(args);
    group->consumers.insert(consumer);
    std::vector<Entry> wanted;
    for (auto it = stream.entries.upper_bound(group->last);
         it != stream.entries.end() && wanted.size() < limit; ++it) {
      wanted.emplace_back(it->first.ToString(), it->second);
      group->last = it->first;
      if (!no_ack) {
        group->pending[it->first] = {.consumer = consumer, .delivered_ms = Now()};
      }
    }
    ASSERT_EQ(reply.is_null(), wanted.empty());
    if (!wanted.empty()) {
      ASSERT_EQ(Entries(reply.elements[0].elements[1]), wanted);
    }
  }
  void ReadPending(const std::string& key, const std::string& name, GroupModel* group) {
    const Model& stream = streams_[key];
    const size_t limit = 1 + random_.Uniform(12);
    const std::string consumer = SomeConsumer();
    const StreamId behind = SomeId(stream);
    const Reply reply = Ask({"xreadgroup", "group", name, consumer, "count", std::to_string(limit),
                             "streams", key, behind.ToString()});
    group->consumers.insert(consumer);
    std::vector<Entry> wanted;
    for (auto it = group->pending.upper_bound(behind);
         it != group->pending.end() && wanted.size() < limit; ++it) {
      if (it->second.consumer != consumer) {
        continue;
      }
      wanted.emplace_back(it->first.ToString(), ValueOf(stream, it->first));
      if (wanted.back().second != kGone) {
        it->second.delivered_ms = Now();
        ++it->second.deliveries;
      }
    }
    ASSERT_EQ(Entries(reply.elements[0].elements[1]), wanted);
  }
  // An id that is pending, or any.
  StreamId SomePending(const std::string& key, const GroupModel& group) {
    const auto found = group.pending.lower_bound(SomeId(streams_[key]));
    return found != group.pending.end() ? found->first : SomeId(streams_[key]);
  }
  void Acknowledge(const std::string& key, const std::string& name, GroupModel* group) {
    std::vector<std::string> args = {"xack", key, name};
    int64_t acknowledged = 0;
    for (uint64_t i = 1 + random_.Uniform(6); i > 0; --i) {
      const StreamId id = SomePending(key, *group);
      args.push_back(id.ToString());
      acknowledged += static_cast<int64_t>(group->pending.erase(id));
    }
    ASSERT_EQ(Ask(args).integer, acknowledged);
  }
  void Claim(const std::string& key, const std::string& name, GroupModel* group) {
    const Model& stream = streams_[key];
    const std::string consumer = SomeConsumer();
    const auto min_idle = static_cast<int64_t>(random_.Uniform(4));
    const bool force = random_.OneIn(2);
    std::vector<std::string> args = {"xclaim", key, name, consumer, std::to_string(min_idle)};
    std::vector<Entry> wanted;
    for (uint64_t i = 1 + random_.Uniform(6); i > 0; --i) {
      const StreamId id = random_.OneIn(3) ? SomeId(stream) : SomePending(key, *group);
      args.push_back(id.ToString());
      if (!stream.entries.contains(id)) {
        group->pending.erase(id);
        continue;
      }
      const auto found = group->pending.find(id);
      if (found == group->pending.end() ? !force : Now() - found->second.delivered_ms < min_idle) {
        continue;
      }
      PendingModel& pending = group->pending[id];
      pending.consumer = consumer;
      pending.delivered_ms = Now();
      ++pending.deliveries;
      wanted.emplace_back(id.ToString(), stream.entries.at(id));
    }
    if (force) {
      args.push_back("force");
    }
    group->consumers.insert(consumer);
    ASSERT_EQ(Entries(Ask(args)), wanted);
  }
  void ClaimMany(const std::string& key, const std::string& name, GroupModel* group) {
    const Model& stream = streams_[key];
    const std::string consumer = SomeConsumer();
    const auto min_idle = static_cast<int64_t>(random_.Uniform(4));
    const StreamId first = SomeId(stream);
    size_t left = 1 + random_.Uniform(4);
    const Reply reply = Ask({"xautoclaim", key, name, consumer, std::to_string(min_idle),
                             first.ToString(), "count", std::to_string(left)});
    group->consumers.insert(consumer);
    size_t attempts = 10 * left;
    std::vector<Entry> wanted;
    std::vector<std::string> deleted;
    auto it = group->pending.lower_bound(first);
    while (it != group->pending.end() && attempts > 0 && left > 0) {
      --attempts;
      if (!stream.entries.contains(it->first)) {
        deleted.push_back(it->first.ToString());
        it = group->pending.erase(it);
        --left;
        continue;
      }
      if (Now() - it->second.delivered_ms >= min_idle) {
        it->second = {
            .consumer = consumer, .delivered_ms = Now(), .deliveries = it->second.deliveries + 1};
        wanted.emplace_back(it->first.ToString(), stream.entries.at(it->first));
        --left;
      }
      ++it;
    }
    ASSERT_EQ(reply.elements.size(), 3u);
    ASSERT_EQ(reply.elements[0].text,
              (it != group->pending.end() ? it->first : StreamId()).ToString());
    ASSERT_EQ(Entries(reply.elements[1]), wanted);
    ASSERT_EQ(reply.elements[2].elements.size(), deleted.size());
    for (size_t i = 0; i < deleted.size(); ++i) {
      ASSERT_EQ(reply.elements[2].elements[i].text, deleted[i]);
    }
  }
  void LookAtGroup(const std::string& key, const std::string& name, const GroupModel& group) {
    const Reply summary = Ask({"xpending", key, name});
    ASSERT_EQ(summary.elements[0].integer, static_cast<int64_t>(group.pending.size()));
    const Reply info = Ask({"xinfo", "groups", key});
    ASSERT_EQ(info.elements.size(), streams_[key].groups.size());
    const Reply consumers = Ask({"xinfo", "consumers", key, name});
    ASSERT_EQ(consumers.elements.size(), group.consumers.size());
    std::map<std::string, int64_t> counts;
    for (const std::string& consumer : group.consumers) {
      counts[consumer] = 0;
    }
    for (const auto& [id, pending] : group.pending) {
      ++counts[pending.consumer];
    }
    auto count = counts.begin();
    for (const Reply& consumer : consumers.elements) {
      ASSERT_EQ(consumer.elements[1].text, count->first);
      ASSERT_EQ(consumer.elements[3].integer, count->second);
      ++count;
    }
    const std::string only = random_.OneIn(2) ? SomeConsumer() : "";
    std::vector<std::string> args = {"xpending", key, name, "-", "+", "1000"};
    if (!only.empty()) {
      args.push_back(only);
    }
    const Reply all = Ask(args);
    size_t i = 0;
    for (const auto& [id, pending] : group.pending) {
      if (!only.empty() && pending.consumer != only) {
        continue;
      }
      ASSERT_LT(i, all.elements.size());
      const std::vector<Reply>& fields = all.elements[i++].elements;
      ASSERT_EQ(fields[0].text, id.ToString());
      ASSERT_EQ(fields[1].text, pending.consumer);
      ASSERT_EQ(fields[2].integer, Now() - pending.delivered_ms);
      ASSERT_EQ(fields[3].integer, pending.deliveries);
    }
    ASSERT_EQ(i, all.elements.size());
  }

  Random random_{GetParam()};
  CommandTestbed testbed_;
  std::unique_ptr<CommandClient> client_;
  std::map<std::string, Model> streams_;
};

TEST_P(StreamModelTest, IsAMapThatGrows) {
  for (int i = 0; i < 4000 / kSlownessFactor; ++i) {
    Step();
    if (HasFatalFailure()) {
      FAIL() << "step " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, StreamModelTest, testing::Range<uint64_t>(1, 7));

}  // namespace
}  // namespace kvs
