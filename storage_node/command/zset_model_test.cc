// Sorted sets against a std::set, in turns of several commands, packed and not, with expiry,
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
#include "common/base/strings.h"
#include "common/resp/reply_tree.h"
#include "storage_node/command/command_testbed.h"

namespace kvs {
namespace {

using Scored = std::pair<double, std::string>;

// A sorted set as simple as can be.
struct Model {
  std::map<std::string, double> scores;
  std::set<Scored> order;

  void Set(const std::string& member, double score) {
    Remove(member);
    scores[member] = score;
    order.emplace(score, member);
  }
  bool Remove(const std::string& member) {
    const auto found = scores.find(member);
    if (found == scores.end()) {
      return false;
    }
    order.erase({found->second, member});
    scores.erase(found);
    return true;
  }
  int64_t Rank(const std::string& member) const {
    return std::distance(order.begin(), order.find({scores.at(member), member}));
  }
  std::vector<Scored> Between(double min, double max) const {
    return {order.lower_bound({min, ""}), order.lower_bound({max + 0.5, ""})};
  }
};

class ZSetModelTest : public testing::TestWithParam<uint64_t> {
 protected:
  ZSetModelTest() { NewClient(); }
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
  // The third key grows large enough for a rank index.
  std::string Member(const std::string& key) {
    return "m" + std::to_string(random_.Uniform(key == "k2" ? 3000 : 40));
  }
  std::string Key() {
    return (random_.OneIn(3) ? "{t}" : "k") + std::to_string(random_.Uniform(3));
  }
  double Score() { return static_cast<double>(random_.Uniform(60)) - 20; }
  static std::vector<std::string> Texts(const Reply& reply) {
    std::vector<std::string> texts;
    for (const Reply& element : reply.elements) {
      texts.push_back(element.text);
    }
    return texts;
  }
  static std::vector<Scored> Pairs(const Reply& reply) {
    const std::vector<std::string> texts = Texts(reply);
    std::vector<Scored> pairs;
    for (size_t i = 0; i + 1 < texts.size(); i += 2) {
      double score = 0;
      EXPECT_TRUE(ParseDouble(texts[i + 1], &score));
      pairs.emplace_back(score, texts[i]);
    }
    return pairs;
  }

  void Step() {
    testbed_.type_limits().packed_size = random_.Uniform(3) * 100;
    const std::string key = Key();
    switch (random_.Uniform(18)) {
      case 0:
      case 1:
      case 2:
        return Add(key);
      case 3:
        return Remove(key);
      case 4:
        return RemoveRange(key);
      case 5:
        return Increment(key);
      case 6:
        return Pop(key);
      case 7:
      case 8:
        return ReadMember(key);
      case 9:
      case 10:
        return ReadRange(key);
      case 11:
        return Scan(key);
      case 12:
        return Sample(key);
      case 13:
        return Rename(key, Key());
      case 14:
        return Combine(key, Key(), Key());
      case 15:
        return random_.OneIn(4) ? Drop(key) : ReadRange(key);
      case 16:
        client_->Commit();
        return;
      default:
        return Disturb();
    }
  }
  void Add(const std::string& key) {
    std::vector<std::string> args = {"zadd", key};
    Model& model = sets_[key];
    int64_t added = 0;
    for (uint64_t i = 1 + random_.Uniform(key == "k2" ? 300 : 5); i > 0; --i) {
      const std::string member = Member(key);
      const double score = Score();
      args.push_back(FormatScore(score));
      args.push_back(member);
      added += model.scores.contains(member) ? 0 : 1;
      model.Set(member, score);
    }
    ASSERT_EQ(Ask(args).integer, added);
  }
  void Remove(const std::string& key) {
    std::vector<std::string> args = {"zrem", key};
    int64_t removed = 0;
    for (uint64_t i = 1 + random_.Uniform(4); i > 0; --i) {
      args.push_back(Member(key));
      removed += sets_[key].Remove(args.back()) ? 1 : 0;
    }
    ASSERT_EQ(Ask(args).integer, removed);
  }
  void RemoveRange(const std::string& key) {
    Model& model = sets_[key];
    std::vector<Scored> gone;
    if (random_.OneIn(2)) {
      const double min = Score();
      const double max = min + static_cast<double>(random_.Uniform(6));
      gone = model.Between(min, max);
      ASSERT_EQ(Ask({"zremrangebyscore", key, FormatScore(min), FormatScore(max)}).integer,
                static_cast<int64_t>(gone.size()));
    } else {
      const std::vector<Scored> all(model.order.begin(), model.order.end());
      const uint64_t first = random_.Uniform(all.size() + 1);
      const uint64_t last = first + random_.Uniform(5);
      for (uint64_t i = first; i <= last && i < all.size(); ++i) {
        gone.push_back(all[i]);
      }
      ASSERT_EQ(Ask({"zremrangebyrank", key, std::to_string(first), std::to_string(last)}).integer,
                static_cast<int64_t>(gone.size()));
    }
    for (const Scored& member : gone) {
      model.Remove(member.second);
    }
  }
  void Increment(const std::string& key) {
    const std::string member = Member(key);
    Model& model = sets_[key];
    const double sum = (model.scores.contains(member) ? model.scores[member] : 0) + Score() / 2;
    const double by = sum - (model.scores.contains(member) ? model.scores[member] : 0);
    ASSERT_EQ(Ask({"zincrby", key, FormatScore(by), member}).text, FormatScore(sum));
    model.Set(member, sum);
  }
  void Pop(const std::string& key) {
    Model& model = sets_[key];
    const bool largest = random_.OneIn(2);
    const uint64_t count = random_.Uniform(5);
    std::vector<Scored> wanted;
    while (wanted.size() < count && !model.order.empty()) {
      wanted.push_back(largest ? *model.order.rbegin() : *model.order.begin());
      model.Remove(wanted.back().second);
    }
    ASSERT_EQ(Pairs(Ask({largest ? "zpopmax" : "zpopmin", key, std::to_string(count)})), wanted);
  }
  void ReadMember(const std::string& key) {
    const Model& model = sets_[key];
    const std::string member = Member(key);
    const auto found = model.scores.find(member);
    ASSERT_EQ(Ask({"zcard", key}).integer, static_cast<int64_t>(model.scores.size()));
    const std::string score = Ask({"zscore", key, member}).text;
    const Reply rank = Ask({"zrank", key, member});
    const Reply from_end = Ask({"zrevrank", key, member});
    if (found == model.scores.end()) {
      ASSERT_EQ(score, "");
      ASSERT_EQ(rank.type, Reply::Type::kNull);
      return;
    }
    ASSERT_EQ(score, FormatScore(found->second));
    ASSERT_EQ(rank.integer, model.Rank(member));
    ASSERT_EQ(from_end.integer, static_cast<int64_t>(model.scores.size()) - 1 - model.Rank(member));
  }
  void ReadRange(const std::string& key) {
    const Model& model = sets_[key];
    const double min = Score();
    const double max = min + static_cast<double>(random_.Uniform(10));
    const std::vector<Scored> wanted = model.Between(min, max);
    const std::string from = FormatScore(min);
    const std::string to = FormatScore(max);
    ASSERT_EQ(Ask({"zcount", key, from, to}).integer, static_cast<int64_t>(wanted.size()));
    ASSERT_EQ(Pairs(Ask({"zrangebyscore", key, from, to, "withscores"})), wanted);
    const uint64_t skip = random_.Uniform(wanted.size() + 2);
    std::vector<Scored> part(wanted.rbegin(), wanted.rend());
    part.erase(part.begin(),
               part.begin() + static_cast<ptrdiff_t>(std::min<uint64_t>(skip, part.size())));
    part.resize(std::min<size_t>(part.size(), 3));
    ASSERT_EQ(Pairs(Ask({"zrevrangebyscore", key, to, from, "limit", std::to_string(skip), "3",
                         "withscores"})),
              part);
    const std::vector<Scored> all(model.order.begin(), model.order.end());
    const uint64_t first = random_.Uniform(all.size() + 1);
    std::vector<Scored> ranks(all.begin() + static_cast<ptrdiff_t>(first), all.end());
    ranks.resize(std::min<size_t>(ranks.size(), 4));
    ASSERT_EQ(
        Pairs(Ask({"zrange", key, std::to_string(first), std::to_string(first + 3), "withscores"})),
        ranks);
    std::reverse(ranks.begin(), ranks.end());
    if (!ranks.empty()) {
      const int64_t last = static_cast<int64_t>(first + ranks.size()) - 1;
      const auto size = static_cast<int64_t>(all.size());
      ASSERT_EQ(Pairs(Ask({"zrevrange", key, std::to_string(size - 1 - last),
                           std::to_string(size - 1 - static_cast<int64_t>(first)), "withscores"})),
                ranks);
    }
  }
  // A scan returns at least what is there from its beginning to its end.
  void Scan(const std::string& key) {
    std::map<std::string, double> stays = sets_[key].scores;
    std::set<std::string> seen;
    std::string cursor = "0";
    do {
      const Reply reply = Ask({"zscan", key, cursor, "count", key == "k2" ? "400" : "3"});
      ASSERT_EQ(reply.elements.size(), 2u);
      cursor = reply.elements[0].text;
      for (const Scored& pair : Pairs(reply.elements[1])) {
        ASSERT_EQ(sets_[key].scores.at(pair.second), pair.first);
        seen.insert(pair.second);
      }
      random_.OneIn(2) ? Add(key) : Remove(key);
      std::erase_if(stays,
                    [&](const auto& item) { return !sets_[key].scores.contains(item.first); });
    } while (cursor != "0" && !HasFatalFailure());
    for (const auto& [member, score] : stays) {
      ASSERT_TRUE(seen.contains(member)) << member;
    }
  }
  void Sample(const std::string& key) {
    const Model& model = sets_[key];
    const auto count = static_cast<size_t>(random_.Uniform(12));
    const auto distinct = Texts(Ask({"zrandmember", key, std::to_string(count)}));
    ASSERT_EQ(distinct.size(), std::min(count, model.scores.size()));
    ASSERT_EQ(std::set<std::string>(distinct.begin(), distinct.end()).size(), distinct.size());
    const auto repeated =
        Pairs(Ask({"zrandmember", key, "-" + std::to_string(count + 1), "withscores"}));
    ASSERT_EQ(repeated.size(), model.scores.empty() ? 0 : count + 1);
    for (const Scored& pair : repeated) {
      ASSERT_TRUE(model.order.contains(pair)) << pair.second;
    }
  }
  void Rename(const std::string& from, const std::string& to) {
    if (sets_[from].scores.empty() || from == to) {
      return;
    }
    if (random_.OneIn(2)) {
      ASSERT_EQ(Ask({"copy", from, to, "replace"}).integer, 1);
      sets_[to] = sets_[from];
    } else {
      ASSERT_EQ(Ask({"rename", from, to}).text, "OK");
      sets_[to] = std::move(sets_[from]);
      sets_[from] = {};
    }
  }
  void Combine(const std::string& target, const std::string& a, const std::string& b) {
    Model result;
    const uint64_t kind = random_.Uniform(4);
    for (const auto& [member, score] : sets_[a].scores) {
      const auto other = sets_[b].scores.find(member);
      const bool both = other != sets_[b].scores.end();
      if (kind == 3 ? score >= 0 && score <= 9 : kind == 2 ? !both : kind == 0 || both) {
        result.Set(member, kind >= 2 ? score : score + (both ? other->second : 0));
      }
    }
    for (const auto& [member, score] : sets_[b].scores) {
      if (kind == 0 && !sets_[a].scores.contains(member)) {
        result.Set(member, score);
      }
    }
    const auto count = static_cast<int64_t>(result.scores.size());
    if (kind == 3) {
      ASSERT_EQ(Ask({"zrangestore", target, a, "0", "9", "byscore"}).integer, count);
    } else {
      static const std::vector<std::string> names = {"zunionstore", "zinterstore", "zdiffstore"};
      ASSERT_EQ(Ask({names[kind], target, "2", a, b}).integer, count);
    }
    sets_[target] = std::move(result);
    ReadRange(target);
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
    sets_[key] = {};
  }
  void Disturb() {
    client_->Commit();
    if (random_.OneIn(4)) {
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
  std::map<std::string, Model> sets_;
};

TEST_P(ZSetModelTest, IsASortedSet) {
  for (int i = 0; i < 1500 / kSlownessFactor; ++i) {
    Step();
    if (HasFatalFailure()) {
      FAIL() << "step " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ZSetModelTest, testing::Range<uint64_t>(1, 7));

}  // namespace
}  // namespace kvs
