#include "common/acl/acl_user.h"

#include <gtest/gtest.h>

#include "common/acl/acl_rules.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

AclUser User(std::string_view rules) {
  AclUser user = MakeAclUser("u", DefaultChannels::kNone);
  const std::vector<std::string_view> words = Split(rules, ' ');
  const Result<std::vector<std::string>> joined = JoinSelectors(words);
  EXPECT_TRUE(joined.ok());
  for (const std::string& rule : *joined) {
    const Status status = ApplyAclRule(rule, DefaultChannels::kNone, &user);
    EXPECT_TRUE(status.ok()) << rule << ": " << status.ToString();
  }
  return user;
}

// "", or what is refused: "command", "key WORD", "channel WORD".
std::string Ask(const AclUser& user, std::string_view request) {
  const std::vector<std::string_view> args = Split(request, ' ');
  const CommandSpec* const spec = ResolveCommand(args);
  EXPECT_NE(spec, nullptr) << request;
  if (spec == nullptr) {
    return "no command";
  }
  const AclUser::Verdict verdict = user.Check(*spec, args);
  switch (verdict.denial) {
    case AclDenial::kNone:
      return "";
    case AclDenial::kCommand:
      return "command";
    case AclDenial::kKey:
      return "key " + std::string(args[verdict.word]);
    default:
      return "channel " + std::string(args[verdict.word]);
  }
}

TEST(AclUserTest, CommandsAndSubcommandsAreAllowedOneByOne) {
  const AclUser user = User("+get +client|id +@hash -hset +config -config|set ~*");
  EXPECT_EQ(Ask(user, "get k"), "");
  EXPECT_EQ(Ask(user, "GET k"), "");
  EXPECT_EQ(Ask(user, "set k v"), "command");
  EXPECT_EQ(Ask(user, "client id"), "");
  EXPECT_EQ(Ask(user, "CLIENT LIST"), "command");
  EXPECT_EQ(Ask(user, "hget k f"), "");
  EXPECT_EQ(Ask(user, "hset k f v"), "command");
  EXPECT_EQ(Ask(user, "config get x"), "");
  EXPECT_EQ(Ask(user, "config set x y"), "command");
}

TEST(AclUserTest, AFirstArgumentMayBeAllowedAlone) {
  const AclUser user = User("+select|0");
  EXPECT_EQ(Ask(user, "select 0"), "");
  EXPECT_EQ(Ask(user, "select 1"), "command");
  EXPECT_EQ(Ask(User("+select|0 -@all"), "select 0"), "command");
  EXPECT_EQ(Ask(User("+select|0 -@connection"), "select 0"), "command");
}

TEST(AclUserTest, WhatComesBeforeAuthIsAlwaysAllowed) {
  const AclUser user = User("");
  for (const std::string_view request : {"auth x", "hello 3", "quit", "reset"}) {
    EXPECT_EQ(Ask(user, request), "") << request;
  }
  EXPECT_EQ(Ask(user, "ping"), "command");
}

TEST(AclUserTest, KeysNeedTheRightsThatTheirUseNeeds) {
  const AclUser user = User("+@all ~a* %R~r* %W~w*");
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"get a", ""},
      {"get r", ""},
      {"get w", "key w"},
      {"get b", "key b"},
      {"set w v", ""},
      {"set r v", "key r"},
      {"set w v get", "key w"},
      {"set w v ex 10 GET", "key w"},
      {"getset w v", "key w"},
      {"getdel w", "key w"},
      {"incr w", "key w"},
      {"exists w", ""},
      {"type r", ""},
      {"copy r w", ""},
      {"copy w r", "key w"},
      {"copy r r2", "key r2"},
      {"rename a b", "key b"},
      {"bitfield r get u8 0", ""},
      {"bitfield r set u8 0 1", "key r"},
      {"bitfield r get u8 0 INCRBY u8 0 1", "key r"},
      {"bitop and w r a", ""},
      {"bitop and w r w", "key w"},
      {"mset a 1 b 2", "key b"},
      {"mget a r b", "key b"},
      {"del a b", "key b"},
      {"sort a store w", ""},
      {"sort a store r", "key r"},
      {"sort a limit 0 1 by nosort store r", "key r"},
      {"sort a store w store r", "key r"},
      {"sort b", "key b"},
      {"sort_ro b", "key b"},
      {"georadius r 0 0 1 m", ""},
      {"georadius r 0 0 1 m store b", "key b"},
      {"georadius r 0 0 1 m storedist r", "key r"},
      {"georadius r 0 0 1 m STORE w", ""},
      {"georadiusbymember r m 1 m store b", "key b"},
      {"geosearchstore w r frommember m byradius 1 m", ""},
      {"geosearchstore r w frommember m byradius 1 m", "key r"},
      {"zunionstore w 2 r b", "key b"},
      {"zunionstore w 2 r a", ""},
      {"zunion 2 r b", "key b"},
      {"sinterstore r a", "key r"},
      {"sintercard 2 r b", "key b"},
      {"xread count 1 streams r b 0 0", "key b"},
      {"xread block 0 streams r a 0 0", ""},
      {"xreadgroup group g c streams a b > >", "key b"},
      {"xreadgroup group g c count 1 noack streams r >", ""},
      {"xreadgroup group g c count 1 noack streams w >", "key w"},
      {"xadd w * f v", ""},
      {"xgroup create b g $", "key b"},
      {"xinfo stream b", "key b"},
      {"object encoding b", "key b"},
      {"memory usage b", "key b"},
      {"blpop a b 0", "key b"},
      {"brpoplpush a b 0", "key b"},
      {"blmove a b left right 0", "key b"},
      {"blmpop 0 2 a b left", "key b"},
      {"lmpop 1 b left", "key b"},
      {"bzmpop 0 1 b min", "key b"},
      {"lmove a r left left", "key r"},
      {"eval x 1 b", "key b"},
      {"eval x 2 a b", "key b"},
      {"evalsha x 1 b", "key b"},
      {"eval_ro x 1 b", "key b"},
      {"pfmerge a b", "key b"},
      {"pfcount a b", "key b"},
      {"watch b", "key b"},
      {"restore b 0 x", "key b"},
      {"dump b", "key b"},
      {"touch a b", "key b"},
      {"lcs a b", "key b"},
      {"smove a b m", "key b"},
      {"keys *", ""},
      {"scan 0", ""},
      {"randomkey", ""},
  };
  for (const auto& [request, expected] : rows) {
    EXPECT_EQ(Ask(user, request), expected) << request;
  }
}

// Nothing that names keys may do without a right for one of them.
TEST(AclUserTest, EveryCommandWithKeysIsRefusedWithoutKeys) {
  const AclUser user = User("+@all");
  for (const CommandSpec& spec : kCommands) {
    if (!spec.has_keys() || !SubcommandsOf(spec).empty()) {
      continue;
    }
    std::vector<std::string_view> args = Split(spec.name, '|');
    const size_t size = static_cast<size_t>(spec.arity < 0 ? -spec.arity : spec.arity);
    while (args.size() < size) {
      args.emplace_back("1");
    }
    if (IdOf(spec) == CommandId::kXRead) {
      args = {"xread", "streams", "1", "1"};
    } else if (IdOf(spec) == CommandId::kXReadGroup) {
      args = {"xreadgroup", "group", "g", "c", "streams", "1", ">"};
    }
    if (!spec.Has(Cmd::kNoMandatoryKeys)) {
      EXPECT_EQ(user.Check(spec, args).denial, AclDenial::kKey) << spec.name;
    }
  }
}

TEST(AclUserTest, ChannelsMatchByPatternsAndPatternsLiterally) {
  const AclUser user = User("+@all &c* &exact");
  const std::pair<std::string_view, std::string_view> rows[] = {
      {"publish c1 x", ""},
      {"publish d x", "channel d"},
      {"spublish d x", "channel d"},
      {"spublish exact x", ""},
      {"subscribe c1 exact d", "channel d"},
      {"ssubscribe d", "channel d"},
      {"psubscribe c*", ""},
      {"psubscribe c1", "channel c1"},
      {"psubscribe *", "channel *"},
      {"unsubscribe d", ""},
      {"punsubscribe *", ""},
      {"pubsub channels *", ""},
      {"pubsub numsub d", ""},
  };
  for (const auto& [request, expected] : rows) {
    EXPECT_EQ(Ask(user, request), expected) << request;
  }
  EXPECT_TRUE(user.MaySubscribe("c1", false));
  EXPECT_FALSE(user.MaySubscribe("c1", true));
}

TEST(AclUserTest, OneSelectorHasToAllowAllOfACommand) {
  const AclUser user = User("+get ~a (+set ~b) (+publish &c)");
  EXPECT_EQ(Ask(user, "get a"), "");
  EXPECT_EQ(Ask(user, "set b v"), "");
  EXPECT_EQ(Ask(user, "publish c x"), "");
  EXPECT_EQ(Ask(user, "get b"), "key b");
  EXPECT_EQ(Ask(user, "set a v"), "key a");
  EXPECT_EQ(Ask(user, "incr a"), "command");
  EXPECT_EQ(Ask(user, "publish d x"), "channel d");
  EXPECT_EQ(Ask(User("+mget ~a (+mget ~b)"), "mget a b"), "key b");
}

TEST(AclUserTest, ToReadEveryKeyIsARightOfASelectorThatAllowsTheCommand) {
  const auto may = [](std::string_view rules) {
    const std::vector<std::string_view> args = {"sort", "a", "by", "w_*"};
    return User(rules).MayReadEveryKey(GetCommand(CommandId::kSort), args);
  };
  EXPECT_TRUE(may("+sort ~*"));
  EXPECT_TRUE(may("+sort %R~*"));
  EXPECT_FALSE(may("+sort %W~*"));
  EXPECT_FALSE(may("+sort ~a ~?*"));
  EXPECT_FALSE(may("+sort ~a (+get ~*)"));
  EXPECT_TRUE(may("+sort ~a (+sort ~*)"));
}

TEST(AclUserTest, WhoIsOffIsNobody) {
  EXPECT_TRUE(User("on nopass").Accepts("anything"));
  EXPECT_FALSE(User("off nopass").Accepts("anything"));
  EXPECT_TRUE(User("on >a >b").Accepts("b"));
  EXPECT_FALSE(User("on >a >b").Accepts("c"));
  EXPECT_FALSE(User("on").Accepts(""));
  EXPECT_FALSE(User("off >a").Accepts("a"));
}

TEST(AclUserTest, OnlyWhoMayDoEverythingIsUnrestricted) {
  EXPECT_TRUE(MakeDefaultAclUser().unrestricted());
  EXPECT_TRUE(User("+@all ~* &*").unrestricted());
  EXPECT_FALSE(User("+@all ~*").unrestricted());
  EXPECT_FALSE(User("+@all &*").unrestricted());
  EXPECT_FALSE(User("+@all -get ~* &*").unrestricted());
  EXPECT_FALSE(User("(+@all ~* &*)").unrestricted());
  EXPECT_TRUE(User("+@all %R~* %W~* &*").unrestricted());
}

TEST(AclUserTest, ANumberOfArgumentsThatDoesNotFitIsJudgedByTheName) {
  const AclUser user = User("+get ~a");
  const std::vector<std::string_view> args = {"get"};
  EXPECT_TRUE(user.Check(GetCommand(CommandId::kGet), args).allowed());
  const std::vector<std::string_view> eval = {"eval"};
  EXPECT_EQ(user.Check(GetCommand(CommandId::kEval), eval).denial, AclDenial::kCommand);
}

}  // namespace
}  // namespace kvs
