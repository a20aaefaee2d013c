#include "common/command/command_sample.h"

#include "gtest/gtest.h"

namespace kvs {
namespace {

using Words = std::vector<std::string>;

TEST(CommandSampleTest, KeepsWhatARequestBeginsWith) {
  CommandSample sample;
  EXPECT_EQ(sample.spec(), nullptr);
  {
    const std::string value(100, 'v');
    const std::vector<std::string_view> args = {"set", "", value};
    sample.Take(GetCommand(CommandId::kSet), args);
  }
  EXPECT_EQ(sample.spec(), &GetCommand(CommandId::kSet));
  EXPECT_EQ(sample.Arguments(), (Words{"set", "", std::string(64, 'v') + "... (36 more bytes)"}));
  const std::vector<std::string_view> more = {"mget", "a", "b", "c", "d", "e"};
  sample.Take(GetCommand(CommandId::kMGet), more);
  EXPECT_EQ(sample.Arguments(), (Words{"mget", "a", "b", "c", "... (2 more arguments)"}));
  sample.Clear();
  EXPECT_EQ(sample.spec(), nullptr);
}

TEST(CommandSampleTest, ANoteAboutArgumentsTakesThePlaceOfOne) {
  const std::vector<std::string_view> args = {"a", "bcd", "e"};
  EXPECT_EQ(TrimArguments(args, 3, 2), (Words{"a", "bc... (1 more bytes)", "e"}));
  EXPECT_EQ(TrimArguments(args, 2, 9), (Words{"a", "... (2 more arguments)"}));
}

}  // namespace
}  // namespace kvs
