#include "common/command/command_docs.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/strings.h"
#include "common/command/command_usage.h"
#include "common/resp/reply_tree.h"

namespace kvs {
namespace {

// Answers a line of words, in a protocol.
Reply Ask(std::string_view line, int protocol = 3) {
  const std::vector<std::string_view> args = Split(line, ' ');
  std::string bytes;
  RespWriter writer(protocol, &bytes);
  AnswerCommand(args, &writer);
  Result<Reply> reply = ParseReply(bytes);
  EXPECT_TRUE(reply.ok()) << line << ": " << reply.status().ToString();
  return reply.ok() ? *std::move(reply) : Reply();
}

// What Redis 7.0 answers, and 7.2 too for these rows.
TEST(CommandDocsTest, InfoIsThatOfRedis) {
  const std::pair<std::string, std::string> cases[] = {
      {"get",
       "[\"get\", 2, (set) [readonly, fast], 1, 1, 1, (set) [@read, @string, @fast], (set) [], "
       "(set) [{\"flags\": (set) [RO, access], \"begin_search\": {\"type\": \"index\", \"spec\": "
       "{\"index\": 1}}, \"find_keys\": {\"type\": \"range\", \"spec\": {\"lastkey\": 0, "
       "\"keystep\": 1, \"limit\": 0}}}], (set) []]"},
      {"mset",
       "[\"mset\", -3, (set) [write, denyoom], 1, -1, 2, (set) [@write, @string, @slow], (set) "
       "[\"request_policy:multi_shard\", \"response_policy:all_succeeded\"], (set) [{\"flags\": "
       "(set) [OW, update], \"begin_search\": {\"type\": \"index\", \"spec\": {\"index\": 1}}, "
       "\"find_keys\": {\"type\": \"range\", \"spec\": {\"lastkey\": -1, \"keystep\": 2, "
       "\"limit\": 0}}}], (set) []]"},
      {"rename",
       "[\"rename\", 3, (set) [write], 1, 2, 1, (set) [@keyspace, @write, @slow], (set) [], (set) "
       "[{\"flags\": (set) [RW, access, delete], \"begin_search\": {\"type\": \"index\", \"spec\": "
       "{\"index\": 1}}, \"find_keys\": {\"type\": \"range\", \"spec\": {\"lastkey\": 0, "
       "\"keystep\": 1, \"limit\": 0}}}, {\"flags\": (set) [OW, update], \"begin_search\": "
       "{\"type\": \"index\", \"spec\": {\"index\": 2}}, \"find_keys\": {\"type\": \"range\", "
       "\"spec\": {\"lastkey\": 0, \"keystep\": 1, \"limit\": 0}}}], (set) []]"},
      {"time",
       "[\"time\", 1, (set) [loading, stale, fast], 0, 0, 0, (set) [@fast], (set) "
       "[\"nondeterministic_output\"], (set) [], (set) []]"},
      {"client|list",
       "[\"client|list\", -2, (set) [admin, noscript, loading, stale], 0, 0, 0, (set) [@admin, "
       "@slow, @dangerous, @connection], (set) [\"nondeterministic_output\"], (set) [], (set) []]"},
  };
  for (const auto& [name, text] : cases) {
    const Reply reply = Ask("command info " + name);
    ASSERT_EQ(reply.elements.size(), 1u);
    EXPECT_EQ(reply.elements[0].ToString(), text);
  }
}

TEST(CommandDocsTest, InfoOfContainersHoldsSubcommands) {
  const Reply reply = Ask("COMMAND INFO config nosuch");
  ASSERT_EQ(reply.elements.size(), 2u);
  EXPECT_EQ(reply.elements[0].elements[9].elements.size(), 5u);
  EXPECT_TRUE(reply.elements[1].is_null());
  EXPECT_EQ(Ask("COMMAND INFO nosuch", 2).ToString(), "[null]");
}

TEST(CommandDocsTest, ListCountAndTableAgree) {
  const Reply table = Ask("command");
  EXPECT_EQ(Ask("command count").integer, static_cast<int64_t>(table.elements.size()));
  EXPECT_EQ(Ask("command info").elements.size(), table.elements.size());
  EXPECT_EQ(Ask("command docs").elements.size(), 2 * table.elements.size());
  EXPECT_EQ(Ask("command list").elements.size(), kCommandCount);
  EXPECT_EQ(Ask("command list filterby pattern client|i*").ToString(),
            "[\"client|id\", \"client|info\"]");
  EXPECT_EQ(Ask("command list filterby aclcat nosuch").elements.size(), 0u);
  EXPECT_EQ(Ask("command list filterby module x").elements.size(), 0u);
  EXPECT_EQ(Ask("command list filterby aclcat STRING").elements.size(), 22u);
}

TEST(CommandDocsTest, ErrorsAreTheWordsOfRedis) {
  const std::pair<std::string, std::string> cases[] = {
      {"command list filterby x y", "ERR syntax error"},
      {"command list x", "ERR syntax error"},
      {"command getkeys nosuch a", "ERR Invalid command specified"},
      {"command getkeys ping a", "ERR The command has no key arguments"},
      {"command getkeys config get x", "ERR The command has no key arguments"},
      {"command getkeys get a b", "ERR Invalid number of arguments specified for command"},
  };
  for (const auto& [line, text] : cases) {
    const Reply reply = Ask(line);
    EXPECT_TRUE(reply.is_error());
    EXPECT_EQ(reply.text, text);
  }
  EXPECT_EQ(Ask("command getkeys mset a 1 b 2").ToString(), "[\"a\", \"b\"]");
  EXPECT_EQ(Ask("command getkeys mset a 1 b").ToString(), "[\"a\", \"b\"]");
}

TEST(CommandDocsTest, DocsShowTheArgumentsOfTheUsage) {
  const Reply docs = Ask("command docs expire nosuch", 3);
  ASSERT_EQ(docs.elements.size(), 2u);
  const Reply* arguments = docs.Find("expire")->Find("arguments");
  ASSERT_NE(arguments, nullptr);
  EXPECT_EQ(arguments->elements[0].ToString(),
            "{\"name\": \"key\", \"type\": \"key\", \"display_text\": \"key\", "
            "\"key_spec_index\": 0}");
  EXPECT_EQ(arguments->elements[2].Find("flags")->ToString(), "(set) [optional]");
  EXPECT_EQ(arguments->elements[2].Find("arguments")->elements.size(), 4u);
  const Reply copy = Ask("command docs copy", 3);
  const Reply* of_copy = copy.Find("copy")->Find("arguments");
  EXPECT_EQ(of_copy->elements[0].Find("key_spec_index")->integer, 0);
  EXPECT_EQ(of_copy->elements[1].Find("key_spec_index")->integer, 1);
  EXPECT_EQ(of_copy->elements[2].Find("type")->text, "integer");
  EXPECT_EQ(Ask("command docs quit").Find("quit")->Find("deprecated_since")->text, "7.2.0");
  const Reply client = Ask("command docs client", 2);
  EXPECT_NE(client.Find("client")->Find("subcommands")->Find("client|id"), nullptr);
}

TEST(CommandDocsTest, HelpListsTheSubcommands) {
  const Reply help = Ask("command help");
  EXPECT_EQ(help.elements[0].text,
            "COMMAND <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
  EXPECT_EQ(help.elements[1].text, "COUNT");
  EXPECT_EQ(help.elements[2].text, "    Returns the number of commands.");
}

// Shows a tree in the notation it came from.
std::string Show(const std::vector<CommandArgument>& arguments, std::string_view separator) {
  std::string text;
  for (const CommandArgument& argument : arguments) {
    std::string one = argument.token;
    if (argument.type != "pure-token") {
      const std::string inner =
          argument.children.empty()
              ? argument.name
              : Show(argument.children, argument.type == "oneof" ? " | " : " ");
      const std::string again = argument.repeats_token ? argument.token + " " + inner : inner;
      one += (one.empty() ? "" : " ") + inner + (argument.multiple ? " [" + again + " ...]" : "");
    }
    if (argument.optional) {
      one = "[" + one + "]";
    } else if (argument.type == "oneof") {
      one = "<" + one + ">";
    }
    text += (text.empty() ? "" : separator);
    text += one;
  }
  return text;
}

TEST(CommandUsageTest, EveryUsageReadsAndShowsTheSame) {
  for (const CommandSpec& spec : kCommands) {
    if (!SubcommandsOf(spec).empty()) {
      continue;
    }
    std::string name = ToUpper(spec.name);
    std::replace(name.begin(), name.end(), '|', ' ');
    const Result<std::vector<CommandArgument>> arguments = ParseUsage(spec);
    ASSERT_TRUE(arguments.ok()) << spec.usage;
    const std::string shown = Show(*arguments, " ");
    EXPECT_EQ(name + (shown.empty() ? "" : " ") + shown, spec.usage);
  }
}

TEST(CommandUsageTest, OtherNotationIsRefused) {
  for (const std::string_view usage :
       {"", "SET [key", "SET key]", "SET [NX | ]", "SET <a]", "SET [[[[[[[[[a]]]]]]]]]"}) {
    EXPECT_FALSE(ParseUsage({.name = "set", .usage = usage}).ok()) << usage;
  }
}

TEST(CommandDocsTest, ReferenceNamesEveryCommand) {
  const std::string page = CommandsMarkdown();
  for (const CommandSpec& spec : kCommands) {
    if (spec.route == Route::kByKey) {
      std::string name = ToUpper(spec.name);
      std::replace(name.begin(), name.end(), '|', ' ');
      EXPECT_NE(page.find("`" + name + " "), std::string::npos) << spec.name;
    }
  }
  EXPECT_NE(page.find("| `SET key value [NX \\| XX] [GET]"), std::string::npos);
  EXPECT_NE(page.find("| `CLIENT ID` |"), std::string::npos);
}

}  // namespace
}  // namespace kvs
