// Sets against a std::set, in turns of several commands, packed and not, with expiry, renames,
// hand-overs, crashes and sweeps in between.

#include <algorithm>
#include <iterator>
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

using Members = std::set<std::string>;

class SetModelTest : public testing::TestWithParam<uint64_t> {
 protected:
  SetModelTest() { NewClient(); }
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
  std::string Member() {
    return (random_.OneIn(3) ? "m" : "") + std::to_string(random_.Uniform(30));
  }
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
  // The elements of a reply that names none twice.
  static Members Distinct(const Reply& reply) {
    const std::vector<std::string> texts = Texts(reply);
    Members members(texts.begin(), texts.end());
    EXPECT_EQ(members.size(), texts.size());
    return members;
  }

  void Step() {
    testbed_.type_limits().packed_size = random_.Uniform(3) * 60;
    testbed_.type_limits().set_max_listpack_entries = random_.Uniform(20);
    const std::string key = Key();
    switch (random_.Uniform(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        return Add(key);
      case 4:
      case 5:
        return Remove(key);
      case 6:
        return Pop(key);
      case 7:
        return Move(key, Key());
      case 8:
        return Look(key);
      case 9:
        return Scan(key);
      case 10:
        return Sample(key);
      case 11:
        return Rename(key, Key());
      case 12:
        return Join();
      case 13:
        return Drop(key);
      case 14:
        client_->Commit();
        return;
      default:
        return Disturb();
    }
  }
  void Add(const std::string& key) {
    std::vector<std::string> args = {"sadd", key};
    int64_t added = 0;
    for (uint64_t i = 1 + random_.Uniform(6); i > 0; --i) {
      args.push_back(Member());
      added += sets_[key].insert(args.back()).second ? 1 : 0;
    }
    ASSERT_EQ(Ask(args).integer, added);
  }
  void Remove(const std::string& key) {
    std::vector<std::string> args = {"srem", key};
    int64_t removed = 0;
    for (uint64_t i = 1 + random_.Uniform(4); i > 0; --i) {
      args.push_back(Member());
      removed += static_cast<int64_t>(sets_[key].erase(args.back()));
    }
    ASSERT_EQ(Ask(args).integer, removed);
  }
  void Pop(const std::string& key) {
    Members& set = sets_[key];
    if (random_.OneIn(2)) {
      const Reply reply = Ask({"spop", key});
      ASSERT_EQ(set.erase(reply.text), set.empty() ? 0U : 1U);
      return;
    }
    const size_t count = random_.Uniform(12);
    const Members popped = Distinct(Ask({"spop", key, std::to_string(count)}));
    ASSERT_EQ(popped.size(), std::min(count, set.size()));
    for (const std::string& member : popped) {
      ASSERT_EQ(set.erase(member), 1U) << member;
    }
  }
  void Move(const std::string& from, const std::string& to) {
    const std::string member = Member();
    const bool found = sets_[from].erase(member) > 0;
    ASSERT_EQ(Ask({"smove", from, to, member}).integer, found ? 1 : 0);
    if (found) {
      sets_[to].insert(member);
    }
  }
  void Look(const std::string& key) {
    const Members& set = sets_[key];
    const std::string member = Member();
    const int64_t found = set.contains(member) ? 1 : 0;
    ASSERT_EQ(Ask({"scard", key}).integer, static_cast<int64_t>(set.size()));
    ASSERT_EQ(Ask({"exists", key}).integer, set.empty() ? 0 : 1);
    ASSERT_EQ(Ask({"sismember", key, member}).integer, found);
    ASSERT_EQ(Ask({"smismember", key, "none", member}).elements[1].integer, found);
    ASSERT_EQ(Distinct(Ask({"smembers", key})), set);
  }
  // A scan returns at least what is there from its beginning to its end.
  void Scan(const std::string& key) {
    Members stays = sets_[key];
    Members seen;
    std::string cursor = "0";
    do {
      const Reply reply = Ask({"sscan", key, cursor, "count", "3"});
      ASSERT_EQ(reply.elements.size(), 2u);
      cursor = reply.elements[0].text;
      for (const std::string& member : Texts(reply.elements[1])) {
        seen.insert(member);
      }
      random_.OneIn(2) ? Add(key) : Remove(key);
      std::erase_if(stays, [&](const std::string& m) { return !sets_[key].contains(m); });
    } while (cursor != "0");
    ASSERT_TRUE(std::includes(seen.begin(), seen.end(), stays.begin(), stays.end()));
  }
  void Sample(const std::string& key) {
    const Members& set = sets_[key];
    const size_t count = random_.Uniform(12);
    const Members distinct = Distinct(Ask({"srandmember", key, std::to_string(count)}));
    ASSERT_EQ(distinct.size(), std::min(count, set.size()));
    ASSERT_TRUE(std::includes(set.begin(), set.end(), distinct.begin(), distinct.end()));
    const auto repeated = Texts(Ask({"srandmember", key, "-" + std::to_string(count + 1)}));
    ASSERT_EQ(repeated.size(), set.empty() ? 0 : count + 1);
    for (const std::string& member : repeated) {
      ASSERT_TRUE(set.contains(member)) << member;
    }
    ASSERT_TRUE(set.empty() || set.contains(Ask({"srandmember", key}).text));
  }
  Members Joined(char how, const std::vector<std::string>& keys) {
    Members joined = sets_[keys[0]];
    for (size_t i = 1; i < keys.size(); ++i) {
      const Members& other = sets_[keys[i]];
      if (how == 'u') {
        joined.insert(other.begin(), other.end());
      } else {
        std::erase_if(joined,
                      [&](const std::string& m) { return other.contains(m) == (how == 'd'); });
      }
    }
    return joined;
  }
  void Join() {
    const std::vector<std::string> names = {"inter", "union", "diff"};
    const std::string& name = names[random_.Uniform(3)];
    std::vector<std::string> keys;
    for (uint64_t i = 1 + random_.Uniform(3); i > 0; --i) {
      keys.push_back(Key());
    }
    const Members joined = Joined(name[0], keys);
    std::vector<std::string> args = {"s" + name};
    args.insert(args.end(), keys.begin(), keys.end());
    ASSERT_EQ(Distinct(Ask(args)), joined);
    if (name == "inter") {
      const uint64_t limit = random_.Uniform(8);
      args = {"sintercard", std::to_string(keys.size())};
      args.insert(args.end(), keys.begin(), keys.end());
      args.insert(args.end(), {"limit", std::to_string(limit)});
      ASSERT_EQ(Ask(args).integer,
                static_cast<int64_t>(limit == 0 ? joined.size()
                                                : std::min<size_t>(limit, joined.size())));
    }
    const std::string to = Key();
    args = {"s" + name + "store", to};
    args.insert(args.end(), keys.begin(), keys.end());
    ASSERT_EQ(Ask(args).integer, static_cast<int64_t>(joined.size()));
    sets_[to] = joined;
  }
  void Rename(const std::string& from, const std::string& to) {
    if (sets_[from].empty() || from == to) {
      return;
    }
    if (random_.OneIn(2)) {
      ASSERT_EQ(Ask({"copy", from, to, "replace"}).integer, 1);
      sets_[to] = sets_[from];
    } else {
      ASSERT_EQ(Ask({"rename", from, to}).text, "OK");
      sets_[to] = std::move(sets_[from]);
      sets_[from].clear();
    }
  }
  // Deletes the key, or lets it expire, or overwrites it.
  void Drop(const std::string& key) {
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
    sets_[key].clear();
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
  std::map<std::string, Members> sets_;
};

TEST_P(SetModelTest, IsASet) {
  for (int i = 0; i < 2500 / kSlownessFactor; ++i) {
    Step();
    if (HasFatalFailure()) {
      FAIL() << "step " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, SetModelTest, testing::Range<uint64_t>(1, 7));

// What an intersection costs follows from the smallest set.
TEST(SetAlgebraTest, AnIntersectionReadsTheSmallestSetAndProbesTheOthers) {
  CommandTestbed testbed;
  testbed.type_limits().packed_size = 100;
  std::vector<std::string> args = {"sadd", "large"};
  for (int i = 0; i < 5000; ++i) {
    args.push_back("member:" + std::to_string(i));
  }
  ASSERT_EQ(testbed.Run(args), ":5000");
  ASSERT_EQ(testbed.Run("sadd small member:4999 x member:17"), ":3");
  EXPECT_EQ(testbed.Run("sinter large small"), "*2 $11 member:4999 $9 member:17");
  EXPECT_EQ(testbed.Run("sintercard 2 large small"), ":2");
  EXPECT_EQ(testbed.Run("sintercard 2 large small limit 1"), ":1");
  EXPECT_EQ(testbed.Run("sdiff small large"), "*1 $1 x");
  EXPECT_EQ(testbed.Run("sdiffstore large small large"), ":1");
  EXPECT_EQ(testbed.Run("smembers large"), "*1 $1 x");
  EXPECT_EQ(testbed.CheckBookkeeping(), "");
  EXPECT_EQ(testbed.CheckStoredData(), "");
}

TEST(SetAlgebraTest, RepliesInResp3AreSetsWhereRedisSaysSo) {
  CommandTestbed testbed;
  CommandClient client(&testbed, 3);
  EXPECT_EQ(client.Run("sadd a 1 2"), ":2");
  EXPECT_EQ(client.Run("smembers a"), "~2 $1 1 $1 2");
  EXPECT_EQ(client.Run("smembers none"), "~0");
  EXPECT_EQ(client.Run("sinter a a"), "~2 $1 1 $1 2");
  EXPECT_EQ(client.Run("sunion a none"), "~2 $1 1 $1 2");
  EXPECT_EQ(client.Run("sdiff a a"), "~0");
  EXPECT_EQ(client.Run("srandmember a 5"), "*2 $1 1 $1 2");
  EXPECT_EQ(client.Run("srandmember none 5"), "*0");
  EXPECT_EQ(client.Run("srandmember none"), "_");
  EXPECT_EQ(client.Run("spop none"), "_");
  EXPECT_EQ(client.Run("spop none 1"), "~0");
  EXPECT_EQ(client.Run("sscan none 0"), "*2 $1 0 *0");
  EXPECT_EQ(client.Run("smismember a 1 3"), "*2 :1 :0");
}

std::string Range(int from, int to) {
  std::string words;
  for (int i = from; i < to; ++i) {
    words += " " + std::to_string(i);
  }
  return words;
}

// In the words of Redis 7.2, by the limits that an option can change.
TEST(SetEncodingTest, FollowsTheMembersAndNeverGoesBack) {
  CommandTestbed testbed;
  const auto encoding = [&](const std::string& key) {
    return testbed.Run("object encoding " + key);
  };
  testbed.Run("sadd ints" + Range(0, 512));
  EXPECT_EQ(encoding("ints"), "$6 intset");
  testbed.Run("sadd ints 0 511");
  EXPECT_EQ(encoding("ints"), "$6 intset");
  testbed.Run("sadd ints 512");
  EXPECT_EQ(encoding("ints"), "$9 hashtable");
  testbed.Run("srem ints 512 511");
  EXPECT_EQ(encoding("ints"), "$9 hashtable");
  testbed.Run("copy ints copied");
  EXPECT_EQ(encoding("copied"), "$9 hashtable");
  testbed.Run("spop ints 505");
  EXPECT_EQ(encoding("ints"), "$8 listpack");

  testbed.type_limits().set_max_intset_entries = 2000;
  testbed.Run("sadd many" + Range(0, 1500));
  testbed.Run("spop many 1300");
  EXPECT_EQ(encoding("many"), "$6 intset");
  testbed.type_limits().set_max_intset_entries = 512;

  testbed.Run("sadd mixed" + Range(0, 127) + " a");
  EXPECT_EQ(encoding("mixed"), "$8 listpack");
  testbed.Run("sadd mixed b");
  EXPECT_EQ(encoding("mixed"), "$9 hashtable");
  testbed.Run("sadd late" + Range(0, 128));
  EXPECT_EQ(encoding("late"), "$6 intset");
  testbed.Run("sadd late a");
  EXPECT_EQ(encoding("late"), "$9 hashtable");

  testbed.Run("sadd long " + std::string(64, 'x'));
  EXPECT_EQ(encoding("long"), "$8 listpack");
  testbed.Run("sadd long " + std::string(65, 'x'));
  EXPECT_EQ(encoding("long"), "$9 hashtable");
  testbed.Run("sadd minus -1 9223372036854775807 -9223372036854775808");
  EXPECT_EQ(encoding("minus"), "$6 intset");
  testbed.Run("sadd minus 9223372036854775808");
  EXPECT_EQ(encoding("minus"), "$8 listpack");
  testbed.Run("sadd zero -0 01 +1");
  EXPECT_EQ(encoding("zero"), "$8 listpack");
}

TEST(SetEncodingTest, OfAStoredSetFollowsTheInputsAsInRedis) {
  CommandTestbed testbed;
  const auto encoding = [&](const std::string& key) {
    return testbed.Run("object encoding " + key);
  };
  testbed.Run("sadd few 1 2 3");
  testbed.Run("sadd words a 1 2");
  testbed.Run("sadd ints" + Range(0, 300));
  testbed.Run("sadd table" + Range(0, 300) + " a");
  EXPECT_EQ(testbed.Run("sinterstore d few words"), ":2");
  EXPECT_EQ(encoding("d"), "$6 intset");
  EXPECT_EQ(testbed.Run("sunionstore d few words"), ":4");
  EXPECT_EQ(encoding("d"), "$8 listpack");
  EXPECT_EQ(testbed.Run("sdiffstore d table words"), ":298");
  EXPECT_EQ(encoding("d"), "$6 intset");
  EXPECT_EQ(testbed.Run("sinterstore d ints table"), ":300");
  EXPECT_EQ(encoding("d"), "$6 intset");
  EXPECT_EQ(testbed.Run("sadd ints b c"), ":2");
  EXPECT_EQ(testbed.Run("sinterstore d table ints"), ":300");
  EXPECT_EQ(encoding("d"), "$9 hashtable");
}

}  // namespace
}  // namespace kvs
