#include "test_all/random/random_commands.h"

#include <gtest/gtest.h>

#include <set>

#include "common/base/strings.h"
#include "common/command/command_table.h"

namespace kvs {
namespace {

TEST(RandomCommandsTest, TheSameSeedGivesTheSameStream) {
  RandomCommands one(7);
  RandomCommands same(7);
  RandomCommands other(8);
  bool differs = false;
  for (int i = 0; i < 50; ++i) {
    const std::vector<RandomCommand> commands = one.NextPipeline(20, true);
    const std::vector<RandomCommand> again = same.NextPipeline(20, true);
    ASSERT_GE(commands.size(), 20U);
    ASSERT_EQ(commands.size(), again.size());
    for (size_t k = 0; k < commands.size(); ++k) {
      ASSERT_EQ(commands[k].words, again[k].words);
    }
    differs |= other.NextPipeline(20, true)[0].words != commands[0].words;
  }
  EXPECT_TRUE(differs);
}

// A command that joins the table joins the stream, or is named here with the reason.
TEST(RandomCommandsTest, EveryCommandOnKeysAndTheirValuesIsInTheStream) {
  const std::set<std::string_view> left_out = {
      "keys",           "randomkey",
      "scan",  // The order is the server's own.
      "object",
      "object|help",  // Not about a key.
      "migrate",
      "restore-asking",  // Between servers.
      "dump",           "restore",   "object|freq", "object|idletime", "object|refcount", "xgroup",
      "xgroup|help",    "xinfo",     "xinfo|help",  "xinfo|stream",    "xinfo|consumers", "wait",
      "waitaof"};  // See doc/differences.md.
  std::set<std::string> seen;
  RandomCommands stream(1);
  for (int i = 0; i < 2000; ++i) {
    for (const RandomCommand& command : stream.NextPipeline(100, true)) {
      const std::vector<std::string_view> args(command.words.begin(), command.words.end());
      const CommandSpec* spec = ResolveCommand(args);
      if (spec != nullptr) {
        seen.insert(std::string(spec->name));
      }
    }
  }
  for (const CommandSpec& spec : kCommands) {
    const bool wanted = (spec.group == Group::kString || spec.group == Group::kSet ||
                         spec.group == Group::kList || spec.group == Group::kHyperLogLog ||
                         spec.group == Group::kGeo || spec.group == Group::kBitmap ||
                         spec.group == Group::kGeneric || spec.group == Group::kStream ||
                         spec.group == Group::kHash || spec.group == Group::kSortedSet) &&
                        (!spec.Has(Cmd::kBlocking) || spec.group == Group::kStream) &&
                        !left_out.contains(spec.name);
    EXPECT_TRUE(!wanted || seen.contains(std::string(spec.name))) << spec.name;
  }
  EXPECT_TRUE(seen.contains("dbsize") && seen.contains("flushall"));
}

TEST(RandomCommandsTest, AFadingKeyIsNotNamedBeforeItIsGone) {
  RandomCommands stream(3);
  std::map<std::string, uint64_t> fading;
  int faded = 0;
  for (int i = 0; i < 3000; ++i) {
    for (const uint64_t waited_for = stream.FadedBy(); const auto& [key, since] : fading) {
      if (since + RandomCommands::kFadePipelines == stream.pipeline() + 1) {
        EXPECT_GE(waited_for, since);
      }
    }
    for (const RandomCommand& command : stream.NextPipeline(30, true)) {
      for (size_t k = 1; k < command.words.size(); ++k) {
        const auto found = fading.find(command.words[k]);
        ASSERT_TRUE(found == fading.end() || command.words[k].empty() ||
                    found->second + RandomCommands::kFadePipelines <= stream.pipeline())
            << command.words[0] << " " << command.words[k];
      }
      const std::vector<std::string>& words = command.words;
      int64_t life = 0;
      const bool psetex = ToLower(words[0]) == "psetex";
      if (words.size() > 2 && (psetex || words.size() < 6) &&
          ParseInt64(psetex ? words[2] : words.back(), &life) && life > 0 &&
          life <= RandomCommands::kFadeMillis &&
          (psetex || ToLower(words[0]) == "pexpire" || words[words.size() - 2] == "px")) {
        fading[words[1]] = stream.pipeline();
        ++faded;
      }
    }
  }
  EXPECT_GT(faded, 50);
}

TEST(RandomCommandsTest, WithoutLeaveNothingFades) {
  RandomCommands stream(5);
  for (int i = 0; i < 300; ++i) {
    (void)stream.NextPipeline(30, false);
    ASSERT_EQ(stream.FadedBy(), 0U);
  }
}

}  // namespace
}  // namespace kvs
