#include "common/command/renamed_commands.h"

#include "gtest/gtest.h"

namespace kvs {
namespace {

// Returns the name that a request has in the table, "" if it may not be called so.
std::string Called(const RenamedCommands& renamed, std::string_view name) {
  const std::vector<std::string_view> words = {name, "k"};
  CommandArgs args = words;
  std::vector<std::string_view> scratch;
  if (!renamed.Translate(&args, &scratch)) {
    return "";
  }
  EXPECT_EQ(args.size(), 2u);
  EXPECT_EQ(args[1], "k");
  return std::string(args[0]);
}

std::string Refusal(const std::vector<std::string>& renames) {
  const Result<RenamedCommands> made = RenamedCommands::Make(renames);
  return made.ok() ? "" : std::string(made.status().message());
}

TEST(RenamedCommandsTest, ACommandHasItsNewNameOnly) {
  const auto renamed = RenamedCommands::Make({"FlushAll=Wipe", "keys="});
  ASSERT_TRUE(renamed.ok());
  EXPECT_FALSE(renamed->empty());
  EXPECT_EQ(Called(*renamed, "wIPE"), "flushall");
  EXPECT_EQ(Called(*renamed, "flushALL"), "");
  EXPECT_EQ(Called(*renamed, "KEYS"), "");
  EXPECT_EQ(Called(*renamed, "get"), "get");
  EXPECT_TRUE(RenamedCommands::Make({})->empty());
}

TEST(RenamedCommandsTest, NamesMayBeSwapped) {
  const auto renamed = RenamedCommands::Make({"get=set", "set=get"});
  ASSERT_TRUE(renamed.ok());
  EXPECT_EQ(Called(*renamed, "get"), "set");
  EXPECT_EQ(Called(*renamed, "set"), "get");
}

TEST(RenamedCommandsTest, WhatMakesNoSenseIsRefused) {
  EXPECT_NE(Refusal({"get"}).find("use name=new-name"), std::string::npos);
  EXPECT_NE(Refusal({"nosuch=x"}).find("no such command"), std::string::npos);
  EXPECT_NE(Refusal({"client|id=x"}).find("no such command"), std::string::npos);
  EXPECT_NE(Refusal({"get=set"}).find("taken"), std::string::npos);
  EXPECT_NE(Refusal({"get=x", "set=X"}).find("taken"), std::string::npos);
  EXPECT_NE(Refusal({"get=x", "GET=y"}).find("twice"), std::string::npos);
}

}  // namespace
}  // namespace kvs
