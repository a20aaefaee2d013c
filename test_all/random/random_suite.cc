// Random commands to a node and to redis-server side by side, over stops and kills of the node.
//
// The environment gives what a person who looks for rare mistakes wants to choose:
//   KVS_SEED               the seed of a run that is to be repeated
//   KVS_RANDOM_OPERATIONS  how many commands; 5000000 is the count that a release is held against

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "common/base/random.h"
#include "common/base/strings.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"
#include "test_all/random/random_commands.h"
#include "test_all/random/twin_servers.h"

namespace kvs {
namespace {

// How long after a pipeline its fading keys are gone: with the 10 ms that a node may be late.
constexpr int64_t kGoneMillis = RandomCommands::kFadeMillis + 10;
constexpr size_t kInFlight = 2000;
constexpr int64_t kOperationsPerRestart = 50'000;

int64_t FromEnvironment(const char* name, int64_t otherwise) {
  const char* const text = std::getenv(name);
  int64_t value = 0;
  return text != nullptr && ParseInt64(text, &value) && value > 0 ? value : otherwise;
}

// Caches and files from tiny to usual, so that reads come from each layer, and flushes, rotations
// and hand-overs happen all the time.
Words RandomNodeOptions(Random* random) {
  const auto pick = [random](std::vector<std::string> choices) {
    return choices[random->Uniform(choices.size())];
  };
  return {"--record-cache-size",   pick({"0", "64kb", "256mb"}),
          "--binlog-sync",         pick({"no", "everysec", "everysec", "always"}),
          "--write-buffer-size",   pick({"64kb", "4mb"}),
          "--write-behind-size",   pick({"1mb", "64mb"}),
          "--io-threads",          pick({"1", "2", "4"}),
          "--binlog-max-replay",   pick({"4mb", "256mb"}),
          "--binlog-segment-size", "1mb"};
}

class RandomTest : public testing::Test {
 protected:
  int Protocol() { return 2 + static_cast<int>(random_.Uniform(2)); }
  size_t Depth() { return random_.OneIn(3) ? 1 : 1 + random_.Uniform(64); }
  std::string RunPipeline();
  // Until no key is about to expire, and then what both servers hold.
  std::string Settle();
  std::string Restart();

  const uint64_t seed_ = static_cast<uint64_t>(
      FromEnvironment("KVS_SEED", static_cast<int64_t>(Random::FromKernel().Next() >> 1)));
  Random random_{seed_};
  RandomCommands commands_{seed_};
  TwinServers twins_{RandomCommands::Keys()};
  int64_t finished_ms_[RandomCommands::kFadePipelines * 2] = {};  // By pipeline, in turns.
  int64_t operations_ = 0;
  int restarts_ = 0;
};

std::string RandomTest::RunPipeline() {
  if (const uint64_t faded = commands_.FadedBy(); faded > 0) {
    const int64_t gone_ms = finished_ms_[faded % std::size(finished_ms_)] + kGoneMillis;
    (void)WaitUntil(10 * kGoneMillis, [gone_ms] { return NowMillis() > gone_ms; });
  }
  const std::vector<RandomCommand> pipeline = commands_.NextPipeline(Depth(), true);
  std::string difference = twins_.Run(Protocol(), pipeline);
  finished_ms_[commands_.pipeline() % std::size(finished_ms_)] = NowMillis();
  operations_ += static_cast<int64_t>(pipeline.size());
  return difference;
}

std::string RandomTest::Settle() {
  const int64_t gone_ms = NowMillis() + kGoneMillis;
  (void)WaitUntil(10 * kGoneMillis, [gone_ms] { return NowMillis() > gone_ms; });
  commands_.ForgetFading();
  return twins_.CompareAll();
}

std::string RandomTest::Restart() {
  if (std::string difference = Settle(); !difference.empty()) {
    return "before a restart: " + difference;
  }
  twins_.set_node_options(RandomNodeOptions(&random_));
  std::string difference;
  switch (restarts_++ % 3) {
    case 0:
      difference = twins_.StopNode();
      break;
    case 1:
      difference = twins_.KillNode();
      break;
    default:
      difference = twins_.KillNodeInFlight(Protocol(), commands_.NextPipeline(kInFlight, false),
                                           1 + random_.Uniform(kInFlight / 2));
      break;
  }
  if (difference.empty()) {
    difference = twins_.CompareAll();
  }
  return difference.empty() ? difference : "after a restart: " + difference;
}

TEST_F(RandomTest, ANodeIsWhatRedisIsWhateverHappensToIt) {
  const int64_t wanted = FromEnvironment("KVS_RANDOM_OPERATIONS", Loops(300'000, 20'000));
  const int64_t restarts = std::max<int64_t>(wanted / kOperationsPerRestart, 3);
  std::printf("seed %llu, %lld operations, %lld restarts\n", static_cast<unsigned long long>(seed_),
              static_cast<long long>(wanted), static_cast<long long>(restarts));
  twins_.set_node_options(RandomNodeOptions(&random_));
  ASSERT_EQ(twins_.Start().ToString(), "ok");
  std::string difference;
  while (difference.empty() && (operations_ < wanted || restarts_ < restarts)) {
    const bool is_due = operations_ >= (restarts_ + 1) * wanted / (restarts + 1);
    difference = is_due ? Restart() : RunPipeline();
  }
  if (difference.empty()) {
    difference = Settle();
  }
  std::printf(
      "%lld operations, %d restarts; of the commands in flight %lld were acknowledged and "
      "%lld applied\n",
      static_cast<long long>(operations_), restarts_,
      static_cast<long long>(twins_.acknowledged_in_flight()),
      static_cast<long long>(twins_.applied_in_flight()));
  ASSERT_EQ(difference, "") << "seed " << seed_ << ", operation " << operations_ << ", pipeline "
                            << commands_.pipeline() << ", restart " << restarts_;
}

}  // namespace
}  // namespace kvs
