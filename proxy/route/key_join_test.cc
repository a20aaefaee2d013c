#include "proxy/route/key_join.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/resp/reply_tree.h"

namespace kvs {
namespace {

using Scores = std::map<std::string, double>;

// What a node says of a key.
std::string ReplyOf(const Scores& key, bool scored) {
  std::string reply;
  RespWriter writer(3, &reply);
  scored ? writer.Array(key.size()) : writer.Set(key.size());
  for (const auto& [member, score] : key) {
    if (scored) {
      writer.Array(2);
    }
    writer.Bulk(member);
    if (scored) {
      writer.Score(score);
    }
  }
  return reply;
}

std::string Join(const JoinRequest& join, const std::vector<Scores>& keys, int protocol) {
  std::vector<std::string> replies;
  std::vector<JoinInput> inputs;
  for (const Scores& key : keys) {
    replies.push_back(ReplyOf(key, join.scored));
  }
  for (const std::string& reply : replies) {
    Result<JoinInput> input = JoinInput::Parse(join, reply);
    EXPECT_TRUE(input.ok()) << reply;
    inputs.push_back(*std::move(input));
  }
  std::vector<const JoinInput*> all;
  for (const JoinInput& input : inputs) {
    all.push_back(&input);
  }
  std::string out;
  RespWriter writer(protocol, &out);
  JoinInputs(join, all, &writer);
  return out;
}

std::vector<std::string> Names(const std::string& frame) {
  const Result<Reply> reply = ParseReply(frame);
  EXPECT_TRUE(reply.ok()) << frame;
  std::vector<std::string> names;
  for (const Reply& element : reply->elements) {
    names.push_back(element.text);
  }
  std::sort(names.begin(), names.end());
  return names;
}

TEST(KeyJoinTest, AReadOfAKeyNamesIt) {
  for (const bool scored : {false, true}) {
    const JoinRequest join = {.scored = scored};
    std::string request;
    EncodeJoinRead(join, "a key", &request);
    const Result<Reply> words = ParseReply(request);
    ASSERT_TRUE(words.ok());
    std::vector<std::string_view> args;
    for (const Reply& word : words->elements) {
      args.push_back(word.text);
    }
    EXPECT_EQ(KeyOfJoinRead(join, args), "a key");
    EXPECT_NE(ResolveCommand(args), nullptr);
  }
}

TEST(KeyJoinTest, ScoresAreWeightedAndJoinedInTheOrderOfSizes) {
  JoinRequest join = {.scored = true, .weights = {1, 2}, .with_scores = true};
  const std::vector<Scores> keys = {{{"a", 1}, {"b", 2}}, {{"b", 3}}};
  EXPECT_EQ(Join(join, keys, 2), "*4\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\nb\r\n$1\r\n8\r\n");
  EXPECT_EQ(Join(join, keys, 3), "*2\r\n*2\r\n$1\r\na\r\n,1\r\n*2\r\n$1\r\nb\r\n,8\r\n");
  join.operation = JoinOperation::kIntersection;
  join.aggregate = Aggregate::kMax;
  EXPECT_EQ(Join(join, keys, 2), "*2\r\n$1\r\nb\r\n$1\r\n6\r\n");
  join.with_scores = false;
  EXPECT_EQ(Join(join, keys, 2), "*1\r\n$1\r\nb\r\n");
  join.operation = JoinOperation::kDifference;
  join.weights.clear();
  EXPECT_EQ(Join(join, keys, 3), "*1\r\n$1\r\na\r\n");

  // 0.1 + 0.2 + 0.3 depends on which comes first: the smallest input does.
  const JoinRequest sum = {.scored = true, .with_scores = true};
  const Scores large = {{"m", 0.1}, {"x", 9}, {"y", 9}};
  const Scores middle = {{"m", 0.2}, {"x", 9}};
  const Scores small = {{"m", 0.3}};
  std::string expected;
  RespWriter(2, &expected).Score((0.3 + 0.2) + 0.1);
  const std::string reply = Join(sum, {large, middle, small}, 2);
  EXPECT_EQ(reply.find("$1\r\nm\r\n" + expected), 4U) << reply;
}

TEST(KeyJoinTest, SetsAreJoinedAsStdSetsAre) {
  Random random(5);
  for (int round = 0; round < 500; ++round) {
    JoinRequest join;
    join.operation = static_cast<JoinOperation>(random.Uniform(3));
    std::vector<Scores> keys(1 + random.Uniform(4));
    for (Scores& key : keys) {
      for (uint64_t i = random.Uniform(12); i > 0; --i) {
        key["m" + std::to_string(random.Uniform(12))] = 1;
      }
    }
    std::vector<std::string> expected;
    std::set<std::string> all;
    for (const Scores& key : keys) {
      for (const auto& [member, score] : key) {
        all.insert(member);
      }
    }
    for (const std::string& member : all) {
      const auto has = [&](const Scores& key) { return key.contains(member); };
      const bool wanted = join.operation == JoinOperation::kUnion ? true
                          : join.operation == JoinOperation::kIntersection
                              ? std::all_of(keys.begin(), keys.end(), has)
                              : has(keys[0]) && std::none_of(keys.begin() + 1, keys.end(), has);
      if (wanted) {
        expected.push_back(member);
      }
    }
    ASSERT_EQ(Names(Join(join, keys, 3)), expected);
    join.counts = true;
    join.limit = random.OneIn(2) ? UINT64_MAX : random.Uniform(4) + 1;
    ASSERT_EQ(Join(join, keys, 2),
              ":" + std::to_string(std::min<uint64_t>(expected.size(), join.limit)) + "\r\n");
  }
}

TEST(KeyJoinTest, AReplyOfAnotherShapeIsNoInput) {
  const JoinRequest plain;
  const JoinRequest scored = {.scored = true};
  for (const char* reply :
       {"", "*1\r\n$1\r\na\r\n", "~1\r\n:1\r\n", "~1\r\n", "~2\r\n$1\r\na\r\n", "_\r\n",
        "~1\r\n$1\r\na\r\n+x\r\n", "~1\r\n$-1\r\n", "~999999999999\r\n$1\r\na\r\n"}) {
    EXPECT_FALSE(JoinInput::Parse(plain, reply).ok()) << reply;
  }
  for (const char* reply :
       {"~1\r\n$1\r\na\r\n", "*1\r\n$1\r\na\r\n", "*1\r\n*2\r\n$1\r\na\r\n$1\r\n1\r\n",
        "*1\r\n*2\r\n$1\r\na\r\n,x\r\n", "*1\r\n*1\r\n$1\r\na\r\n", "*1\r\n*2\r\n$1\r\na\r\n"}) {
    EXPECT_FALSE(JoinInput::Parse(scored, reply).ok()) << reply;
  }
}

}  // namespace
}  // namespace kvs
