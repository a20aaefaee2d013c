// Hashes against a std::map, in turns of several commands, packed and not, with expiry, renames,
// hand-overs, crashes and sweeps in between.

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/slowness.h"
#include "common/resp/reply_tree.h"
#include "storage_node/command/command_testbed.h"

namespace kvs {
namespace {

using Fields = std::map<std::string, std::string>;

class HashModelTest : public testing::TestWithParam<uint64_t> {
 protected:
  HashModelTest() { NewClient(); }
  void TearDown() override {
    client_->Commit();
    EXPECT_EQ(testbed_.CheckBookkeeping(), "");
    client_.reset();
  }
  void NewClient() { client_ = std::make_unique<CommandClient>(&testbed_, 2); }

  Reply Ask(std::vector<std::string> args) {
    Result<Reply> reply = ParseReply(client_->RunRaw(args));
    EXPECT_TRUE(reply.ok()) << args[0];
    return reply.ok() ? *std::move(reply) : Reply();
  }
  std::string Field() { return "f" + std::to_string(random_.Uniform(30)); }
  std::string Key() {
    return (random_.OneIn(2) ? "{t}" : "k") + std::to_string(random_.Uniform(3));
  }
  static std::vector<std::string> Texts(const Reply& reply) {
    std::vector<std::string> texts;
    for (const Reply& element : reply.elements) {
      texts.push_back(element.text);
    }
    return texts;
  }

  void Step() {
    testbed_.type_limits().packed_size = random_.Uniform(3) * 80;
    const std::string key = Key();
    switch (random_.Uniform(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Set(key);
      case 4:
      case 5:
      case 6:
        return Delete(key);
      case 7:
        return Increment(key);
      case 8:
        return ReadFields(key);
      case 9:
        return ReadAll(key);
      case 10:
        return Scan(key);
      case 11:
        return Sample(key);
      case 12:
        return Rename(key, Key());
      case 13:
        return Remove(key);
      case 14:
        client_->Commit();
        return;
      default:
        return Disturb();
    }
  }
  void Set(const std::string& key) {
    std::vector<std::string> args = {"hset", key};
    int64_t added = 0;
    for (uint64_t i = 1 + random_.Uniform(4); i > 0; --i) {
      const std::string field = Field();
      args.push_back(field);
      args.push_back(std::string(random_.Uniform(12), 'v'));
      added += hashes_[key].insert_or_assign(field, args.back()).second ? 1 : 0;
    }
    ASSERT_EQ(Ask(args).integer, added);
  }
  void Delete(const std::string& key) {
    std::vector<std::string> args = {"hdel", key};
    int64_t deleted = 0;
    for (uint64_t i = 1 + random_.Uniform(4); i > 0; --i) {
      args.push_back(Field());
      deleted += static_cast<int64_t>(hashes_[key].erase(args.back()));
    }
    ASSERT_EQ(Ask(args).integer, deleted);
  }
  void Increment(const std::string& key) {
    const auto by = static_cast<int64_t>(random_.Uniform(100)) - 50;
    std::string& value = hashes_[key]["n"];
    value = std::to_string((value.empty() ? 0 : std::stoll(value)) + by);
    ASSERT_EQ(std::to_string(Ask({"hincrby", key, "n", std::to_string(by)}).integer), value);
  }
  void ReadFields(const std::string& key) {
    const std::string field = Field();
    const Fields& hash = hashes_[key];
    const auto found = hash.find(field);
    const std::string value = found == hash.end() ? "" : found->second;
    ASSERT_EQ(Ask({"hget", key, field}).text, value);
    ASSERT_EQ(Ask({"hexists", key, field}).integer, found == hash.end() ? 0 : 1);
    ASSERT_EQ(Ask({"hstrlen", key, field}).integer, static_cast<int64_t>(value.size()));
    ASSERT_EQ(Texts(Ask({"hmget", key, "none", field})), (std::vector<std::string>{"", value}));
  }
  void ReadAll(const std::string& key) {
    ASSERT_EQ(Ask({"hlen", key}).integer, static_cast<int64_t>(hashes_[key].size()));
    ASSERT_EQ(Ask({"exists", key}).integer, hashes_[key].empty() ? 0 : 1);
    const std::vector<std::string> all = Texts(Ask({"hgetall", key}));
    Fields read;
    for (size_t i = 0; i + 1 < all.size(); i += 2) {
      read[all[i]] = all[i + 1];
    }
    ASSERT_EQ(read, hashes_[key]);
    ASSERT_EQ(all.size(), 2 * read.size());
    ASSERT_EQ(Texts(Ask({"hkeys", key})).size(), read.size());
    ASSERT_EQ(Texts(Ask({"hvals", key})).size(), read.size());
  }
  // A scan returns at least what is there from its beginning to its end.
  void Scan(const std::string& key) {
    Fields stays = hashes_[key];
    std::set<std::string> seen;
    std::string cursor = "0";
    do {
      const Reply reply = Ask({"hscan", key, cursor, "count", "3"});
      ASSERT_EQ(reply.elements.size(), 2u);
      cursor = reply.elements[0].text;
      const std::vector<std::string> part = Texts(reply.elements[1]);
      for (size_t i = 0; i < part.size(); i += 2) {
        seen.insert(part[i]);
      }
      random_.OneIn(2) ? Set(key) : Delete(key);
      std::erase_if(stays, [&](const auto& item) { return !hashes_[key].contains(item.first); });
    } while (cursor != "0");
    for (const auto& [field, value] : stays) {
      ASSERT_TRUE(seen.contains(field)) << field;
    }
  }
  void Sample(const std::string& key) {
    const Fields& hash = hashes_[key];
    const auto count = static_cast<size_t>(random_.Uniform(12));
    const auto distinct = Texts(Ask({"hrandfield", key, std::to_string(count)}));
    ASSERT_EQ(distinct.size(), std::min(count, hash.size()));
    ASSERT_EQ(std::set<std::string>(distinct.begin(), distinct.end()).size(), distinct.size());
    const auto repeated = Texts(Ask({"hrandfield", key, "-" + std::to_string(count + 1)}));
    ASSERT_EQ(repeated.size(), hash.empty() ? 0 : count + 1);
    for (const std::string& field : repeated) {
      ASSERT_TRUE(hash.contains(field)) << field;
    }
  }
  void Rename(const std::string& from, const std::string& to) {
    if (hashes_[from].empty() || from == to) {
      return;
    }
    if (random_.OneIn(2)) {
      ASSERT_EQ(Ask({"copy", from, to, "replace"}).integer, 1);
      hashes_[to] = hashes_[from];
    } else {
      ASSERT_EQ(Ask({"rename", from, to}).text, "OK");
      hashes_[to] = std::move(hashes_[from]);
      hashes_[from].clear();
    }
  }
  // Deletes the key, or lets it expire, or overwrites it.
  void Remove(const std::string& key) {
    switch (random_.Uniform(3)) {
      case 0:
        Ask({"del", key});
        break;
      case 1:
        Ask({"pexpire", key, "5"});
        client_->Commit();
        testbed_.clock().AdvanceMicros(6000);
        break;
      default:
        Ask({"set", key, "a string"});
        Ask({"getdel", key});
        break;
    }
    hashes_[key].clear();
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

  Random random_{GetParam()};
  CommandTestbed testbed_;
  std::unique_ptr<CommandClient> client_;
  std::map<std::string, Fields> hashes_;
};

TEST_P(HashModelTest, IsAMap) {
  for (int i = 0; i < 2500 / kSlownessFactor; ++i) {
    Step();
    if (HasFatalFailure()) {
      FAIL() << "step " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, HashModelTest, testing::Range<uint64_t>(1, 7));

}  // namespace
}  // namespace kvs
