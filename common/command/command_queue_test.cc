#include "common/command/command_queue.h"

#include <gtest/gtest.h>

namespace kvs {
namespace {

using Words = std::vector<std::string_view>;

std::string Told(const CommandQueue& queue) {
  std::string told;
  queue.ForEach([&told](const CommandSpec& spec, CommandArgs args) {
    told += std::string(spec.name) + ":";
    for (const std::string_view arg : args) {
      told += std::string(arg) + ",";
    }
    told += ";";
  });
  return told;
}

TEST(CommandQueueTest, CommandsComeBackAsTheyCame) {
  CommandQueue queue;
  EXPECT_TRUE(
      queue.Add(GetCommand(CommandId::kSet), Words{"SET", "a", std::string_view("\0", 1)}, 1000));
  EXPECT_TRUE(queue.Add(GetCommand(CommandId::kGet), Words{"get", ""}, 1000));
  EXPECT_TRUE(queue.Add(GetCommand(CommandId::kPing), Words{"ping"}, 1000));
  EXPECT_EQ(Told(queue), std::string("set:SET,a,\0,;get:get,,;ping:ping,;", 34));
  EXPECT_EQ(queue.size(), 3U);
  EXPECT_TRUE(queue.Any([](const CommandSpec& spec) { return spec.is_write(); }));
  EXPECT_FALSE(queue.Any([](const CommandSpec& spec) { return spec.Has(Cmd::kAdmin); }));
  queue.Clear();
  EXPECT_EQ(Told(queue), "");
}

TEST(CommandQueueTest, ThereIsALimitOnBytesAndOnCommands) {
  CommandQueue queue;
  const std::string large(600, 'x');
  EXPECT_TRUE(queue.Add(GetCommand(CommandId::kEcho), Words{"echo", large}, 1000));
  EXPECT_FALSE(queue.Add(GetCommand(CommandId::kEcho), Words{"echo", large}, 1000));
  EXPECT_EQ(queue.size(), 1U);

  CommandQueue of_many;
  while (of_many.Add(GetCommand(CommandId::kGet), Words{"get", ""}, 10'000)) {
    ASSERT_LT(of_many.size(), 1000U);
  }
  EXPECT_GT(of_many.size(), 100U);
}

TEST(CommandQueueTest, ARefusedExecSaysThatTheTransactionIsGone) {
  EXPECT_EQ(RefusalOf("get", "ERR x"), "ERR x");
  EXPECT_EQ(RefusalOf("EXEC", "ERR x"), "EXECABORT Transaction discarded because of: x");
  EXPECT_EQ(RefusalOf("exec", "NOAUTH x"), "EXECABORT Transaction discarded because of: NOAUTH x");
}

}  // namespace
}  // namespace kvs
