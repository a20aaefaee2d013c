#include "common/command/join_request.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Returns the whole request, or the error's text.
Result<JoinRequest> Parse(const std::string& line) {
  std::vector<std::string> words;
  EXPECT_TRUE(SplitArguments(line, &words));
  const std::vector<std::string_view> args(words.begin(), words.end());
  const CommandSpec* spec = ResolveCommand(args);
  EXPECT_NE(spec, nullptr) << line;
  KVS_ASSIGN_OR_RETURN(JoinRequest request, ParseJoinKeys(*spec, args));
  KVS_RETURN_IF_ERROR(ParseJoinOptions(*spec, args, &request));
  return request;
}

std::string ErrorOf(const std::string& line) {
  const Result<JoinRequest> request = Parse(line);
  return request.ok() ? "ok" : std::string(request.status().message());
}

TEST(JoinRequestTest, TheKeysOfSetsAreTheWords) {
  const Result<JoinRequest> request = Parse("sdiff a b c");
  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->operation, JoinOperation::kDifference);
  EXPECT_FALSE(request->scored);
  EXPECT_EQ(request->first_key, 1U);
  EXPECT_EQ(request->key_count, 3U);
  EXPECT_EQ(Parse("sunionstore d a b")->first_key, 2U);
  EXPECT_EQ(Parse("sinter a")->operation, JoinOperation::kIntersection);
}

TEST(JoinRequestTest, CountedKeysAreFollowedByOptions) {
  const Result<JoinRequest> request = Parse("zunion 2 a b weights 2 -inf aggregate MAX withscores");
  ASSERT_TRUE(request.ok());
  EXPECT_TRUE(request->scored && request->with_scores);
  EXPECT_EQ(request->first_key, 2U);
  EXPECT_EQ(request->key_count, 2U);
  EXPECT_EQ(request->weight(0), 2);
  EXPECT_EQ(request->weight(1), -kInfinity);
  EXPECT_EQ(request->aggregate, Aggregate::kMax);
  EXPECT_EQ(Parse("zinterstore d 1 a weights 3")->first_key, 3U);
  EXPECT_EQ(Parse("zinter 1 a")->weight(0), 1);
  const Result<JoinRequest> counts = Parse("sintercard 2 a b limit 7");
  ASSERT_TRUE(counts.ok());
  EXPECT_TRUE(counts->counts);
  EXPECT_EQ(counts->limit, 7U);
  EXPECT_EQ(Parse("zintercard 1 a limit 0")->limit, UINT64_MAX);
  EXPECT_EQ(Parse("pfcount a b")->operation, JoinOperation::kDistinct);
  EXPECT_EQ(Parse("pfcount a b")->key_count, 2U);
}

TEST(JoinRequestTest, MistakesAreNamedInRedissWords) {
  EXPECT_EQ(ErrorOf("sintercard 0 a"), "numkeys should be greater than 0");
  EXPECT_EQ(ErrorOf("sintercard 2 a"), "Number of keys can't be greater than number of args");
  EXPECT_EQ(ErrorOf("sintercard 9223372036854775808 a"), "numkeys should be greater than 0");
  EXPECT_EQ(ErrorOf("sintercard 1 a limit -1"), "LIMIT can't be negative");
  EXPECT_EQ(ErrorOf("sintercard 1 a limit"), "syntax error");
  EXPECT_EQ(ErrorOf("zunion x a"), "value is not an integer or out of range");
  EXPECT_EQ(ErrorOf("zunion 0 a"), "at least 1 input key is needed for 'zunion' command");
  EXPECT_EQ(ErrorOf("zunion 2 a"), "syntax error");
  EXPECT_EQ(ErrorOf("zunion 1 a weights x"), "weight value is not a float");
  EXPECT_EQ(ErrorOf("zunion 2 a b weights 1"), "syntax error");
  EXPECT_EQ(ErrorOf("zunion 1 a aggregate avg"), "syntax error");
  EXPECT_EQ(ErrorOf("zdiff 1 a weights 1"), "syntax error");
  EXPECT_EQ(ErrorOf("zunionstore d 1 a withscores"), "syntax error");
  EXPECT_EQ(ErrorOf("zintercard 1 a withscores"), "syntax error");
}

TEST(JoinRequestTest, ScoresThatAreNoNumberAreZero) {
  EXPECT_EQ(JoinScores(1, 2, Aggregate::kSum), 3);
  EXPECT_EQ(JoinScores(1, 2, Aggregate::kMin), 1);
  EXPECT_EQ(JoinScores(1, 2, Aggregate::kMax), 2);
  EXPECT_EQ(JoinScores(kInfinity, -kInfinity, Aggregate::kSum), 0);
  EXPECT_EQ(WeightedScore(kInfinity, 0), 0);
  EXPECT_EQ(WeightedScore(2, -3), -6);
}

}  // namespace
}  // namespace kvs
