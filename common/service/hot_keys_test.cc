#include "common/service/hot_keys.h"

#include <map>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

TEST(KeySketchTest, CountsExactlyWhileThereIsRoom) {
  KeySketch sketch(3);
  for (const char* key : {"a", "b", "a", "c", "a", "b"}) {
    sketch.Add(key);
  }
  const std::vector<KeySketch::Entry> top = sketch.Top(10);
  ASSERT_EQ(top.size(), 3U);
  EXPECT_EQ(top[0].key + top[1].key + top[2].key, "abc");
  EXPECT_EQ(top[0].count, 3U);
  EXPECT_EQ(top[0].error, 0U);
  EXPECT_EQ(sketch.total(), 6U);
}

// What the algorithm promises, for streams of many shapes.
TEST(KeySketchTest, NeverCountsTooLowAndErrsByItsShareAtMost) {
  constexpr size_t kCapacity = 20;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    KeySketch sketch(kCapacity);
    std::map<std::string, uint64_t> truth;
    const uint64_t keys = 1 + random.Uniform(200);
    for (int i = 0; i < 3000; ++i) {
      const uint64_t bound = 1 + random.Uniform(keys);  // Low numbers are more frequent.
      const std::string key = "a key of some length " + std::to_string(random.Uniform(bound));
      sketch.Add(key);
      ++truth[key];
    }
    const uint64_t most_error = sketch.total() / kCapacity;
    std::map<std::string, uint64_t> found;
    for (const KeySketch::Entry& entry : sketch.Top(kCapacity)) {
      found[entry.key] = entry.count;
      ASSERT_GE(entry.count, truth[entry.key]);
      ASSERT_LE(entry.count - entry.error, truth[entry.key]);
      ASSERT_LE(entry.error, most_error);
    }
    for (const auto& [key, count] : truth) {
      ASSERT_TRUE(count <= most_error || found.contains(key)) << key;
    }
  }
}

class HotKeysTest : public testing::Test {
 protected:
  void Get(const std::string& key, int64_t now_ms) {
    const std::vector<std::string_view> args = {"get", key};
    hot_keys_.Sample(GetCommand(CommandId::kGet), args, now_ms);
  }
  HotKeys hot_keys_;
};

TEST_F(HotKeysTest, TellsTheRateOfTheLastSeconds) {
  for (int i = 0; i < 1000; ++i) {
    Get(i % 4 == 0 ? "hot" : "key:" + std::to_string(i), 10 * i);
  }
  const std::vector<HotKey> top = hot_keys_.Top(1, 10'000);
  ASSERT_EQ(top.size(), 1U);
  EXPECT_EQ(top[0].key, "hot");
  // 250 samples in ten seconds, each for sixteen requests.
  EXPECT_NEAR(top[0].per_second, 400, 20);
  EXPECT_NEAR(top[0].share, 0.25, 0.02);
  EXPECT_EQ(hot_keys_.Top(1, 19'999).size(), 1U) << "the window before";
  EXPECT_TRUE(hot_keys_.Top(1, 60'000).empty()) << "nobody has asked for it lately";
}

TEST_F(HotKeysTest, CountsTheKeysOfACommandAndNothingElse) {
  const std::vector<std::string_view> mset = {"mset", "a", "value", "b", "value"};
  hot_keys_.Sample(GetCommand(CommandId::kMSet), mset, 0);
  const std::vector<std::string_view> ping = {"ping", "a"};
  hot_keys_.Sample(GetCommand(CommandId::kPing), ping, 0);
  Get(std::string(HotKeys::kMaxKeyBytes + 1, 'k'), 0);
  std::string keys;
  for (const HotKey& key : hot_keys_.Top(10, 0)) {
    keys += key.key;
    EXPECT_EQ(key.share, 0.5);
  }
  EXPECT_EQ(keys, "ab");
  hot_keys_.Reset(0);
  EXPECT_TRUE(hot_keys_.Top(10, 0).empty());
}

// By the countdown too, whatever the rhythm of the commands.
TEST_F(HotKeysTest, ARhythmOfTheSamplesLengthHidesNothing) {
  ManualClock clock;
  for (int i = 0; i < 16'000; ++i) {
    const std::string key = i % static_cast<int>(HotKeys::kSampleEvery) == 7 ? "rare" : "usual";
    const std::vector<std::string_view> args = {"get", key};
    hot_keys_.OnCommand(GetCommand(CommandId::kGet), args, &clock);
  }
  const std::vector<HotKey> top = hot_keys_.Top(2, clock.MonotonicMillis());
  ASSERT_EQ(top.size(), 2U);
  EXPECT_EQ(top[0].key, "usual");
  EXPECT_GT(top[1].share, 0.01);
  EXPECT_LT(top[1].share, 0.15);
}

}  // namespace
}  // namespace kvs
