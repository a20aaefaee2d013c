#include "common/acl/acl_rules.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/base/strings.h"

namespace kvs {
namespace {

// Applies rules that spaces separate.  Returns the user as ACL LIST shows it, or why not.
std::string Make(std::string_view rules, DefaultChannels channels = DefaultChannels::kNone) {
  AclUser user = MakeAclUser("u", channels);
  const std::vector<std::string_view> words = Split(rules, ' ');
  const Result<std::vector<std::string>> joined = JoinSelectors(words);
  if (!joined.ok()) {
    return "unmatched " + std::string(joined.status().message());
  }
  for (const std::string& rule : *joined) {
    const Status status = ApplyAclRule(rule, channels, &user);
    if (!status.ok()) {
      return rule + ": " + std::string(status.message());
    }
  }
  return AclUserLine(user);
}

struct Row {
  std::string_view rules;
  std::string_view line;  // Behind "user u ".
};

constexpr std::string_view kHashOfX =
    "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881";

// As redis-server prints them.
constexpr Row kRows[] = {
    {"", "off resetchannels -@all"},
    {"on", "on resetchannels -@all"},
    {"on off", "off resetchannels -@all"},
    {"ON NoPass", "on nopass resetchannels -@all"},
    {"on nopass ~* &* +@all", "on nopass ~* &* +@all"},
    {"allkeys allchannels allcommands", "off ~* &* +@all"},
    {"allcommands nocommands", "off resetchannels -@all"},
    {"+@all -@dangerous", "off resetchannels +@all -@dangerous"},
    {"+@read -get +set", "off resetchannels -@all +@read -get +set"},
    {"+get +set +@all", "off resetchannels +@all"},
    {"+@all -@all +get", "off resetchannels -@all +get"},
    {"+GET +Client|Kill", "off resetchannels -@all +get +client|kill"},
    {"+client|id -client +client -client|kill", "off resetchannels -@all +client -client|kill"},
    {"+client|id +client", "off resetchannels -@all +client"},
    {"+select|0", "off resetchannels -@all +select|0"},
    {"+select|0 +select|1 +select|0", "off resetchannels -@all +select|1 +select|0"},
    {"+select|0 +select", "off resetchannels -@all +select"},
    {"+debug|object", "off resetchannels -@all +debug|object"},
    {"+@STRING", "off resetchannels -@all +@string"},
    {"~a ~b ~a", "off ~a ~b resetchannels -@all"},
    {"%R~a %W~a %R~b %W~c %RW~d %wr~e", "off ~a %R~b %W~c ~d ~e resetchannels -@all"},
    {"~a %R~a %R~b ~*", "off ~* resetchannels -@all"},
    {"%R~*", "off %R~* resetchannels -@all"},
    {"~a resetkeys ~b", "off ~b resetchannels -@all"},
    {"~* resetkeys ~b", "off ~b resetchannels -@all"},
    {"~ &", "off ~ resetchannels & -@all"},
    {"&a &b &a", "off resetchannels &a &b -@all"},
    {"&a &*", "off &* -@all"},
    {"&* resetchannels &b", "off resetchannels &b -@all"},
    {">x",
     "off #2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881 "
     "resetchannels -@all"},
    {">x >x <x", "off resetchannels -@all"},
    {"nopass >x <x", "off resetchannels -@all"},
    {">x resetpass", "off resetchannels -@all"},
    {">x nopass", "off nopass resetchannels -@all"},
    {"sanitize-payload", "off sanitize-payload resetchannels -@all"},
    {"sanitize-payload skip-sanitize-payload", "off skip-sanitize-payload resetchannels -@all"},
    {"on nopass ~* &* +@all (+get) reset", "off sanitize-payload resetchannels -@all"},
    {"(+get ~x) (%R~y +set) allcommands",
     "off resetchannels +@all (~x resetchannels -@all +get) (%R~y resetchannels -@all +set)"},
    {"( +get ~x ) ()",
     "off resetchannels -@all (~x resetchannels -@all +get) (resetchannels -@all)"},
    {"(+get &c) clearselectors", "off resetchannels -@all"},
    {"(+@all ~* &*)", "off resetchannels -@all (~* &* +@all)"},
};

TEST(AclRulesTest, UsersArePrintedAsRedisPrintsThem) {
  for (const Row& row : kRows) {
    EXPECT_EQ(Make(row.rules), "user u " + std::string(row.line)) << row.rules;
  }
}

TEST(AclRulesTest, WhatIsPrintedMakesTheSameUser) {
  for (const Row& row : kRows) {
    EXPECT_EQ(Make(row.line), "user u " + std::string(row.line));
  }
}

// Each rule is kept, in order, unless a later one says all of it anew.
TEST(AclRulesTest, RulesAboutCommandsKeepTheirOrder) {
  EXPECT_EQ(Make("+get -get"), "user u off resetchannels -@all -get");
  EXPECT_EQ(Make("+@read +@write +get +@read"),
            "user u off resetchannels -@all +@write +get +@read");
  EXPECT_EQ(Make("+@admin +config|get -config"), "user u off resetchannels -@all +@admin -config");
  EXPECT_EQ(Make("+@all -get -set -@read +get"), "user u off resetchannels +@all -set -@read +get");
  EXPECT_EQ(Make("+select|0 -@connection"),
            "user u off resetchannels -@all +select|0 -@connection");
}

TEST(AclRulesTest, FaultsAreToldInRedisWords) {
  constexpr std::string_view kUnknown = "Unknown command or category name in ACL";
  constexpr std::string_view kSyntax = "Syntax error";
  constexpr std::string_view kHash =
      "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
      "characters";
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"foo", kSyntax},
      {"+nosuch", kUnknown},
      {"-nosuch", kUnknown},
      {"+@nosuch", kUnknown},
      {"+", kUnknown},
      {"-", kUnknown},
      {"+@", kUnknown},
      {"+get|", kSyntax},
      {"+client|", kSyntax},
      {"+client|nosuch", kUnknown},
      {"+client|id|x", "Allowing first-arg of a subcommand is not supported"},
      {"+select|0|1", kUnknown},
      {"-select|0", kUnknown},
      {"+ALL", kUnknown},
      {"%", kSyntax},
      {"%~a", kSyntax},
      {"%X~a", kSyntax},
      {"%RRW~a", kSyntax},
      {"%RW", kSyntax},
      {"#abc", kHash},
      {"!abc", kHash},
      {"<nopw", "The password you are trying to remove from the user does not exist"},
      {")", kSyntax},
      {"(foo)", kSyntax},
      {"(on)", kSyntax},
      {"(>pw)", kSyntax},
      {"(()", kSyntax},
      {"((+get))", kSyntax},
  };
  for (const auto& [rule, error] : rows) {
    EXPECT_EQ(Make(rule), std::string(rule) + ": " + std::string(error));
  }
  EXPECT_EQ(Make("("), "unmatched (");
  EXPECT_EQ(Make("+get (~a +set"), "unmatched (~a");
  EXPECT_TRUE(Make("~* ~a").starts_with("~a: Adding a pattern after the * pattern"));
  EXPECT_TRUE(Make("~* %R~a").starts_with("%R~a: Adding a pattern after the * pattern"));
  EXPECT_TRUE(Make("&* &a").starts_with("&a: Adding a pattern after the * pattern"));
}

// A line of the file is a user: nobody may add another one by a pattern or a name.
TEST(AclRulesTest, WhatIsWrittenCanBeRead) {
  for (const char* rules :
       {"%RW~* %R~a", "%R~* %W~* +get", "~a (~b +get) (%R~* &c)", "+select|0 -@connection"}) {
    AclUser user = MakeAclUser("u", DefaultChannels::kNone);
    for (const std::string_view rule : Split(rules, ' ')) {
      (void)ApplyAclRule(rule, DefaultChannels::kNone, &user).ok();
    }
    const std::string line = AclUserLine(user);
    const Result<std::vector<AclUser>> again = ParseAclFile(line, "file", DefaultChannels::kNone);
    ASSERT_TRUE(again.ok()) << line << ": " << again.status().message();
    EXPECT_EQ(AclUserLine(again->front()), line);
  }
  AclUser user = MakeAclUser("u", DefaultChannels::kNone);
  EXPECT_FALSE(ApplyAclRule("(~a) ~b)", DefaultChannels::kNone, &user).ok());
  EXPECT_FALSE(ApplyAclRule("(~a +select|x) ~y)", DefaultChannels::kNone, &user).ok());
}

TEST(AclRulesTest, NothingCanEndALineOrAWord) {
  AclUser user = MakeAclUser("u", DefaultChannels::kNone);
  for (const std::string_view rule :
       {"~a b", "~a\nuser e", "&a\tb", "+select|0 1", "+select|0\n", "+get ~x", "%R~a b"}) {
    EXPECT_FALSE(ApplyAclRule(rule, DefaultChannels::kNone, &user).ok()) << rule;
  }
  EXPECT_FALSE(ApplyAclRule(std::string_view("~a\0b", 4), DefaultChannels::kNone, &user).ok());
  for (const std::string_view name : {"", "a b", "a\nb", "a\tb"}) {
    EXPECT_FALSE(IsAclUserName(name)) << name;
  }
  EXPECT_FALSE(IsAclUserName(std::string(kMaxAclUserName + 1, 'a')));
  EXPECT_TRUE(IsAclUserName("alice:1"));
}

TEST(AclRulesTest, EverythingHasALimit) {
  AclUser user = MakeAclUser("u", DefaultChannels::kNone);
  const auto count = [&user](std::string_view prefix, std::string_view end) {
    size_t i = 0;
    while (i < 20000 && ApplyAclRule(std::string(prefix) + std::to_string(i) + std::string(end),
                                     DefaultChannels::kNone, &user)
                            .ok()) {
      ++i;
    }
    return i;
  };
  EXPECT_EQ(count("~", ""), kMaxAclPatterns);
  EXPECT_EQ(count("&", ""), kMaxAclPatterns);
  EXPECT_EQ(count(">", ""), kMaxAclPasswords);
  EXPECT_EQ(count("+select|", ""), kMaxAclFirstArgs);
  EXPECT_EQ(count("(~", ")"), kMaxAclSelectors - 1);
  EXPECT_FALSE(
      ApplyAclRule("~" + std::string(kMaxAclRuleBytes, 'a'), DefaultChannels::kNone, &user).ok());
}

TEST(AclRulesTest, ChannelsMayBeAllowedAtFirst) {
  EXPECT_EQ(Make("on", DefaultChannels::kAll), "user u on &* -@all");
  EXPECT_EQ(Make("resetchannels reset", DefaultChannels::kAll),
            "user u off sanitize-payload &* -@all");
  EXPECT_EQ(Make("(+get)", DefaultChannels::kAll), "user u off &* -@all (&* -@all +get)");
}

TEST(AclRulesTest, PasswordsAreKeptAsHashes) {
  AclUser user = MakeAclUser("u", DefaultChannels::kNone);
  ASSERT_TRUE(ApplyAclRule(">x", DefaultChannels::kNone, &user).ok());
  EXPECT_EQ(user.passwords, std::vector<std::string>{std::string(kHashOfX)});
}

Result<std::vector<AclUser>> ReadFileText(std::string_view text) {
  return ParseAclFile(text, "f", DefaultChannels::kNone);
}

TEST(AclRulesTest, AFileIsReadLineByLine) {
  const auto users = ReadFileText(
      "\nuser a on nopass   +@all \r\n\n\tuser b (+get ~x) ( +set )\nuser default off");
  ASSERT_TRUE(users.ok()) << users.status().ToString();
  ASSERT_EQ(users->size(), 3U);
  EXPECT_EQ(AclUserLine((*users)[0]), "user a on nopass resetchannels +@all");
  EXPECT_EQ(AclUserLine((*users)[1]),
            "user b off resetchannels -@all (~x resetchannels -@all +get) (resetchannels -@all "
            "+set)");
  EXPECT_EQ(AclUserLine((*users)[2]), "user default off resetchannels -@all");
}

TEST(AclRulesTest, FaultsOfAFileAreToldWithTheirLines) {
  constexpr std::string_view kEnd =
      "WARNING: ACL errors detected, no change to the previously active ACL rules was performed";
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"user a on\nfoo bar\n", "f:2 should start with user keyword followed by the username. "},
      {"# no comments\n", "f:1 should start with user keyword followed by the username. "},
      {"user\n", "f:1 should start with user keyword followed by the username. "},
      {"user a on +@all +nosuch\nuser b +x\n",
       "f:1: Error in applying operation '+nosuch': Unknown command or category name in ACL. "
       "f:2: Error in applying operation '+x': Unknown command or category name in ACL. "},
      {"user a on\nuser a off\n", "WARNING: Duplicate user 'a' found on line 2. "},
      {"user a b c\n", "f:1: Syntax error. "},
      {"user a (+get ~x\n", "f:1: Unmatched parenthesis in selector definition."},
  };
  for (const auto& [text, error] : rows) {
    const auto users = ReadFileText(text);
    ASSERT_FALSE(users.ok()) << text;
    EXPECT_EQ(users.status().message(), std::string(error) + std::string(kEnd)) << text;
  }
}

}  // namespace
}  // namespace kvs
