// Every command's replies, from the tables in testdata/, and what a table cannot say.

#include <regex.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/command_testbed.h"
#include "storage_node/command/expire_options.h"
#include "storage_node/types/keyspace.h"
#include "storage_node/types/string_store.h"

namespace kvs {
namespace {

constexpr const char* kTables[] = {"bitmap", "geo",    "hyperloglog", "string", "hash",
                                   "key",    "object", "blocking",    "dump",   "keyspace",
                                   "slots",  "list",   "set",         "stream", "stream_group",
                                   "zset",   "sort",   "waitaof"};

// A reply that begins with '~' is a pattern.
bool Fits(const std::string& reply, const std::string& wanted) {
  if (!wanted.starts_with("~")) {
    return reply == wanted;
  }
  regex_t pattern;
  EXPECT_EQ(regcomp(&pattern, ("^(" + wanted.substr(1) + ")$").c_str(), REG_EXTENDED | REG_NOSUB),
            0)
      << wanted;
  const bool fits = regexec(&pattern, reply.c_str(), 0, nullptr, 0) == 0;
  regfree(&pattern);
  return fits;
}

std::vector<std::string> ReadLines(const std::string& table) {
  std::ifstream file("testdata/" + table + ".txt");
  EXPECT_TRUE(file.is_open()) << table;
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    lines.push_back(line);
  }
  return lines;
}

// Runs all cases of a table but that of the name `skipped`.
void RunTable(const std::string& table, size_t packed_size, std::string_view skipped) {
  CommandTestbed testbed;
  testbed.type_limits().packed_size = packed_size;
  const std::vector<std::string> lines = ReadLines(table);
  std::string name;
  int replies = 0;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (line.starts_with("= ")) {
      ASSERT_EQ(testbed.Run("flushall"), "+OK");
      name = line.substr(2);
    } else if (name == skipped) {
      continue;
    } else if (line.starts_with("@ ")) {
      int64_t millis = 0;
      ASSERT_TRUE(ParseInt64(line.substr(2), &millis));
      testbed.clock().AdvanceMicros(millis * 1000);
    } else if (line.starts_with("> ")) {
      ASSERT_LT(i + 1, lines.size());
      const std::string reply = testbed.Run(line.substr(2));
      EXPECT_TRUE(Fits(reply, lines[i + 1]))
          << table << ".txt:" << i + 2 << ": " << name << ": " << line << "\n"
          << reply << "\n"
          << lines[i + 1];
      ++i;
      ++replies;
    } else {
      EXPECT_TRUE(line.empty() || line.starts_with("#")) << table << ".txt:" << i + 1;
    }
  }
  EXPECT_GT(replies, 10);
  EXPECT_EQ(testbed.CheckBookkeeping(), "");
}

class CommandTableTest : public testing::TestWithParam<const char*> {};

TEST_P(CommandTableTest, RepliesAreThoseOfTheTable) {
  RunTable(GetParam(), kPackedCollectionSize, {});
}

// Of what has an order, which does not depend on how it is kept.
TEST(CommandTest, AListOfRecordsAnswersAsAPackedOne) {
  RunTable("list", 0, {});
}

TEST(CommandTest, AStreamOfRecordsAnswersAsAPackedOne) {
  RunTable("stream", 0, {});
  RunTable("stream_group", 0, {});
}

TEST(CommandTest, ASortedSetOfRecordsAnswersAsAPackedOne) {
  RunTable("zset", 0, "zscan");
}

TEST(CommandTest, CollectionsOfRecordsAreSortedAsPackedOnes) {
  RunTable("sort", 0, {});
}

// Not in the table: after it Redis 7.0 would take any number for one that is out of range.
TEST(CommandTest, SortRefusesNumbersThatNoDoubleHolds) {
  CommandTestbed testbed;
  const std::string error = "-ERR One or more scores can't be converted into double";
  for (const char* number : {"1e400", "-1e400", "1e-320", "1e-400"}) {
    ASSERT_EQ(testbed.Run(std::vector<std::string>{"rpush", number, "1", number}), ":2");
    EXPECT_EQ(testbed.Run(std::vector<std::string>{"sort", number}), error);
    EXPECT_EQ(
        testbed.Run(std::vector<std::string>{"sort", number, "by", "nosort", "limit", "0", "1"}),
        "*1 $1 1");
  }
  EXPECT_EQ(testbed.Run("rpush l 2 1"), ":2");
  EXPECT_EQ(testbed.Run("sort l"), "*2 $1 1 $1 2");
}

TEST(CommandTest, SortInAClusterReadsKeysOfItsSlotAlone) {
  CommandTestbed testbed;
  testbed.set_in_cluster(true);
  ASSERT_EQ(testbed.Run("rpush {t}l 2 1"), ":2");
  ASSERT_EQ(testbed.Run("mset {t}w_1 b {t}w_2 a"), "+OK");
  EXPECT_EQ(testbed.Run("sort {t}l by {t}w_* alpha get # get {t}w_*"), "*4 $1 2 $1 a $1 1 $1 b");
  EXPECT_EQ(testbed.Run("sort {t}l by nosort"), "*2 $1 2 $1 1");
  EXPECT_EQ(
      testbed.Run("sort_ro {t}l by w_*"),
      "-ERR BY option of SORT denied in Cluster mode when keys formed by the pattern may be in "
      "different slots.");
  EXPECT_EQ(
      testbed.Run("sort {t}l get w_*"),
      "-ERR GET option of SORT denied in Cluster mode when keys formed by the pattern may be in "
      "different slots.");
}

TEST(CommandTest, SortBoundsHowManyKeysItLooksAt) {
  CommandTestbed testbed;
  testbed.set_max_pattern_keys(8);
  ASSERT_EQ(testbed.Run("rpush l 4 3 2 1"), ":4");
  EXPECT_EQ(testbed.Run("sort l by w_* get w_* get # get fixed limit 0 1"), "*3 $-1 $1 1 $-1");
  EXPECT_TRUE(testbed.Run("sort l by w_* get w_*").starts_with("*4 "));
  EXPECT_TRUE(testbed.Run("sort l by w_* get w_* get v_*")
                  .starts_with("-ERR BY and GET name too many keys"));
  EXPECT_TRUE(testbed.Run("sort l by w_* get w_* get v_* store d")
                  .starts_with("-ERR BY and GET name too many keys"));
  EXPECT_EQ(testbed.Run("exists d"), ":0");
}

INSTANTIATE_TEST_SUITE_P(Tables, CommandTableTest, testing::ValuesIn(kTables),
                         [](const auto& table) { return std::string(table.param); });

TEST(CommandHandlersTest, EveryRowOfTheNodeHasAHandlerAndACase) {
  std::set<std::string> tested;
  for (const char* table : kTables) {
    for (const std::string& line : ReadLines(table)) {
      std::vector<std::string> words;
      if (!line.starts_with("> ") || !SplitArguments(line.substr(2), &words)) {
        continue;
      }
      const std::vector<std::string_view> args(words.begin(), words.end());
      if (const CommandSpec* spec = ResolveCommand(args); spec != nullptr) {
        tested.insert(std::string(spec->name));
      }
    }
  }
  int handlers = 0;
  for (const CommandSpec& spec : kCommands) {
    if (HandlerOf(IdOf(spec)) != nullptr) {
      ++handlers;
      EXPECT_TRUE(tested.contains(std::string(spec.name))) << spec.name;
    }
  }
  EXPECT_EQ(static_cast<size_t>(handlers), tested.size());
  EXPECT_EQ(HandlerOf(CommandId::kPing), nullptr);
  EXPECT_EQ(HandlerOf(CommandId::kConfig), nullptr);
}

TEST(CommandTest, RepliesInResp3UseItsNull) {
  CommandTestbed testbed;
  CommandClient client(&testbed, 3);
  EXPECT_EQ(client.Run("get k"), "_");
  EXPECT_EQ(client.Run("mget k"), "*1 _");
  EXPECT_EQ(client.Run("set k v xx"), "_");
  EXPECT_EQ(client.Run("set k 1"), "+OK");
  EXPECT_EQ(client.Run("incrbyfloat k 0.5"), "$3 1.5");
}

TEST(CommandTest, KeysOfASlotAreLiveOursAndNotMoreThanAskedFor) {
  CommandTestbed testbed;
  ASSERT_EQ(testbed.Run("mset {t}a 1 {t}b 2 {t}c 3 {t}d 4"), "+OK");
  ASSERT_EQ(testbed.Run("pexpire {t}b 10"), ":1");
  testbed.clock().AdvanceMicros(11'000);
  const std::string slot = std::to_string(SlotOf("t"));

  EXPECT_EQ(testbed.Run("cluster countkeysinslot " + slot), ":3");
  EXPECT_EQ(testbed.Run("cluster getkeysinslot " + slot + " 2"), "*2 $4 {t}a $4 {t}c");
  EXPECT_EQ(testbed.Run("cluster getkeysinslot " + slot + " 100"), "*3 $4 {t}a $4 {t}c $4 {t}d");

  testbed.owned_slots().reset(static_cast<size_t>(SlotOf("t")));
  EXPECT_EQ(testbed.Run("cluster countkeysinslot " + slot), ":0");
  EXPECT_EQ(testbed.Run("cluster getkeysinslot " + slot + " 2"), "*0");
}

TEST(CommandTest, AKeyOfAnotherTypeIsRefusedReplacedOrSkipped) {
  CommandTestbed testbed;
  CommandClient client(&testbed, 2);
  testbed.type_limits().packed_size = 0;
  const auto put_hash = [&client] {
    client.Run("del h");
    ASSERT_EQ(client.Run("hset h a 1 b 2"), ":2");
  };
  put_hash();
  const std::string wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
  for (const char* line : {"get h", "append h x", "setrange h 0 x", "getrange h 0 1", "strlen h",
                           "incr h", "incrbyfloat h 1", "getset h x", "getdel h", "getex h",
                           "set h x get", "decrby h 1", "getex h ex 0", "substr h 0 1"}) {
    EXPECT_EQ(client.Run(line), wrong) << line;
  }
  EXPECT_EQ(client.Run("lcs h x"), "-ERR The specified keys must contain string values");
  EXPECT_EQ(client.Run("lcs x h bogus"), "-ERR The specified keys must contain string values");
  EXPECT_EQ(client.Run("type h"), "+hash");
  EXPECT_EQ(client.Run("mget h"), "*1 $-1");
  EXPECT_EQ(client.Run("exists h"), ":1");
  EXPECT_EQ(client.Run("setnx h x"), ":0");
  EXPECT_EQ(client.Run("scan 0 type hash"), "*2 $1 0 *1 $1 h");
  EXPECT_EQ(client.Run("scan 0 type string"), "*2 $1 0 *0");
  // The time of expiry changes, the rest of the record does not.
  EXPECT_EQ(client.Run("expire h 100"), ":1");
  EXPECT_EQ(client.Run("ttl h"), ":100");
  EXPECT_EQ(client.Run("type h"), "+hash");
  EXPECT_EQ(client.Run("hmget h a b"), "*2 $1 1 $1 2");

  EXPECT_EQ(client.Run("set h v"), "+OK");
  EXPECT_EQ(client.Run("type h"), "+string");
  EXPECT_EQ(client.Run("ttl h"), ":-1");
  put_hash();
  EXPECT_EQ(client.Run("mset h 1"), "+OK");
  EXPECT_EQ(client.Run("get h"), "$1 1");
  client.Commit();
  EXPECT_EQ(testbed.CheckBookkeeping(), "");
}

TEST(CommandTest, ACollectionIsRenamedAndCopiedWithItsElements) {
  for (const size_t packed_size : {size_t{0}, size_t{1024}}) {
    CommandTestbed testbed;
    testbed.type_limits().packed_size = packed_size;
    ASSERT_EQ(testbed.Run("hset {t}a f 1 g 2"), ":2");
    ASSERT_EQ(testbed.Run("pexpire {t}a 5000"), ":1");
    // In the slot and out of it; what was there before goes.
    ASSERT_EQ(testbed.Run("hset {t}b old 1"), ":1");
    EXPECT_EQ(testbed.Run("rename {t}a {t}b"), "+OK");
    EXPECT_EQ(testbed.Run("copy {t}b c"), ":1");
    EXPECT_EQ(testbed.Run("rename {t}b d"), "+OK");
    EXPECT_EQ(testbed.Run("hset c f 3 h 4"), ":1");
    for (const std::string key : {"c", "d"}) {
      EXPECT_EQ(testbed.Run({"pttl", key}), ":5000");
      EXPECT_EQ(testbed.Run({"hget", key, "g"}), "$1 2");
      EXPECT_EQ(testbed.Run({"hget", key, "old"}), "$-1");
    }
    EXPECT_EQ(testbed.Run("hget c f"), "$1 3");
    EXPECT_EQ(testbed.Run("hget d f"), "$1 1");
    EXPECT_EQ(testbed.Run("hlen c"), ":3");
    EXPECT_EQ(testbed.Run("hlen d"), ":2");
    EXPECT_EQ(testbed.Run("exists {t}a {t}b"), ":0");
    EXPECT_EQ(testbed.CheckBookkeeping(), "");
  }
}

TEST(CommandTest, AKeyMayHave65536BytesAndNotOneMore) {
  CommandTestbed testbed;
  const std::string longest(kMaxKeySize, 'k');
  const std::string too_long = longest + "k";
  EXPECT_EQ(testbed.Run({"set", longest, "v"}), "+OK");
  EXPECT_EQ(testbed.Run({"get", longest}), "$1 v");

  const std::string refused = "-ERR key is longer than 65536 bytes";
  for (const std::vector<std::string>& request :
       std::vector<std::vector<std::string>>{{"set", too_long, "v"},
                                             {"setnx", too_long, "v"},
                                             {"setex", too_long, "10", "v"},
                                             {"psetex", too_long, "10", "v"},
                                             {"getset", too_long, "v"},
                                             {"append", too_long, "v"},
                                             {"setrange", too_long, "1", "v"},
                                             {"incr", too_long},
                                             {"incrbyfloat", too_long, "1"},
                                             {"mset", "a", "1", too_long, "v", "b", "2"},
                                             {"msetnx", "a", "1", too_long, "v"},
                                             {"rename", longest, too_long},
                                             {"renamenx", longest, too_long},
                                             {"copy", longest, too_long, "replace"}}) {
    EXPECT_EQ(testbed.Run(request), refused) << request[0];
  }
  EXPECT_EQ(testbed.Run({"get", too_long}), "$-1");
  EXPECT_EQ(testbed.Run({"del", too_long}), ":0");
  EXPECT_EQ(testbed.Run("exists a b"), ":0");
  EXPECT_EQ(testbed.Run("dbsize"), ":1");
}

TEST(CommandTest, NothingMakesAStringLongerThanTheLimit) {
  CommandTestbed testbed;
  Txn txn(testbed.store());
  std::vector<std::string> expired;
  Keyspace keyspace(&txn, &expired);
  StringStore strings(&keyspace, 10);
  txn.Begin();
  txn.Lock("k");
  EXPECT_EQ(*strings.SetRange("k", 9, "x"), 10U);
  for (const Status& status :
       {strings.Append("k", "x").status(), strings.SetRange("k", 10, "x").status(),
        strings.SetRange("k", INT64_MAX, "x").status()}) {
    EXPECT_EQ(status.code(), Code::kTooLarge);
    EXPECT_EQ(status.message(), "string exceeds maximum allowed size (proto-max-bulk-len)");
  }
  EXPECT_EQ(*strings.Append("k", ""), 10U);
  ASSERT_TRUE(txn.Commit().ok());
  EXPECT_EQ(testbed.Run("strlen k"), ":10");
}

TEST(CommandTest, CommandsOfATurnSeeEachOtherBeforeItIsCommitted) {
  CommandTestbed testbed;
  CommandClient client(&testbed, 2);
  EXPECT_EQ(client.Run("set k 1"), "+OK");
  EXPECT_EQ(client.Run("incr k"), ":2");
  EXPECT_TRUE(client.txn().depends_on_turn());
  EXPECT_EQ(client.Run("expire k 100"), ":1");
  EXPECT_EQ(client.Run("expire k 200"), ":1");
  EXPECT_EQ(client.Run("del k"), ":1");
  EXPECT_EQ(client.Run("set k 3 ex 10"), "+OK");
  EXPECT_EQ(client.Run("keys *"), "*1 $1 k");
  EXPECT_FALSE(client.txn().has_writes());
  EXPECT_EQ(client.txn().observed_lsn(), testbed.store()->pipeline().appended_lsn());
  EXPECT_EQ(client.Run("set other 1"), "+OK");
  EXPECT_EQ(client.Run("dbsize"), ":2");
  EXPECT_EQ(client.Run("set third 1"), "+OK");
  EXPECT_EQ(client.Run("flushall"), "+OK");
  EXPECT_FALSE(client.txn().depends_on_turn());
  EXPECT_EQ(client.txn().observed_lsn(), testbed.store()->pipeline().appended_lsn());
  EXPECT_EQ(client.Run("exists k other third"), ":0");
  EXPECT_EQ(testbed.CheckBookkeeping(), "");
}

TEST(CommandTest, WhoeverFindsAKeyExpiredDeletesItThroughTheLog) {
  CommandTestbed testbed;
  for (const char* line :
       {"get k", "exists k", "ttl k", "expire k 5", "mget k k2", "set k v xx", "getex k",
        "touch k k", "del k", "incr k", "setnx k v", "rename k x", "copy k x", "lcs k x",
        "substr k 0 1", "object encoding k", "memory usage k"}) {
    ASSERT_EQ(testbed.Run("set k 1 px 100"), "+OK");
    testbed.clock().AdvanceMicros(100'000);
    const uint64_t before = testbed.store()->pipeline().appended_lsn();
    (void)testbed.Run(line);
    EXPECT_EQ(testbed.store()->pipeline().appended_lsn(), before + 1) << line;
    EXPECT_EQ(testbed.store()->slots().total_expires(), 0U) << line;
    EXPECT_EQ(testbed.CheckBookkeeping(), "") << line;
    ASSERT_NE(testbed.Run("del k"), "") << line;
  }
}

TEST(CommandTest, ReadsAndRefusedWritesLeaveNothingInTheLog) {
  CommandTestbed testbed;
  ASSERT_EQ(testbed.Run("set k v ex 100"), "+OK");
  const uint64_t before = testbed.store()->pipeline().appended_lsn();
  for (const char* line : {"get k",          "mget k x",       "exists k",
                           "ttl k",          "keys *",         "scan 0",
                           "dbsize",         "randomkey",      "type k",
                           "strlen k",       "getrange k 0 1", "incr k",
                           "set k v nx",     "setnx k v",      "msetnx k 1 x 2",
                           "del x",          "getdel x",       "persist x",
                           "expire k 10 nx", "getex k",        "setrange x 0 \"\"",
                           "set k v bogus",  "flushall bogus", "rename k k",
                           "rename x k",     "renamenx k k",   "copy k k",
                           "copy x k",       "lcs k x",        "object encoding k",
                           "memory usage k", "debug sleep 0"}) {
    (void)testbed.Run(line);
    EXPECT_EQ(testbed.store()->pipeline().appended_lsn(), before) << line;
  }
}

TEST(CommandTest, LookupsAreCounted) {
  struct Case {
    const char* line;
    int64_t hits;
    int64_t misses;
  };
  CommandTestbed testbed;
  ASSERT_EQ(testbed.Run("set k 1"), "+OK");
  for (const Case& test : std::vector<Case>{{"get k", 1, 0},
                                            {"get x", 0, 1},
                                            {"mget k x k", 2, 1},
                                            {"exists k x", 1, 1},
                                            {"touch x", 0, 1},
                                            {"strlen k", 1, 0},
                                            {"getrange x 0 1", 0, 1},
                                            {"ttl k", 1, 0},
                                            {"type x", 0, 1},
                                            {"getex k", 1, 0},
                                            {"object encoding k", 1, 0},
                                            {"object idletime x", 0, 1},
                                            {"memory usage k", 0, 0},
                                            {"lcs k x", 1, 1},
                                            {"substr k 0 1", 1, 0},
                                            {"copy k k2", 1, 0},
                                            {"rename k2 k3", 0, 0},
                                            {"set k 1", 0, 0}}) {
    (void)testbed.Run(test.line);
    EXPECT_EQ(testbed.hits(), test.hits) << test.line;
    EXPECT_EQ(testbed.misses(), test.misses) << test.line;
  }
}

TEST(CommandTest, ARenamedKeyTakesItsExpiryAlongAndLeavesNoneBehind) {
  CommandTestbed testbed;
  const SlotTable& slots = testbed.store()->slots();
  const auto a_slot = static_cast<uint16_t>(SlotOf("a"));
  const auto b_slot = static_cast<uint16_t>(SlotOf("b"));
  ASSERT_NE(a_slot, b_slot);
  ASSERT_EQ(testbed.Run("set a 1 px 5000"), "+OK");
  ASSERT_EQ(testbed.Run("set b 2 px 100"), "+OK");
  const uint64_t before = testbed.store()->pipeline().appended_lsn();
  EXPECT_EQ(testbed.Run("rename a b"), "+OK");
  EXPECT_EQ(testbed.store()->pipeline().appended_lsn(), before + 1);  // One record: all or nothing.
  EXPECT_EQ(slots.key_count(a_slot), 0U);
  EXPECT_EQ(slots.expire_count(a_slot), 0U);
  EXPECT_EQ(slots.key_count(b_slot), 1U);
  EXPECT_EQ(slots.expire_count(b_slot), 1U);
  EXPECT_EQ(testbed.CheckBookkeeping(), "");
  testbed.clock().AdvanceMicros(100'000);
  EXPECT_EQ(testbed.Run("pttl b"), ":4900");
  testbed.Crash();
  EXPECT_EQ(testbed.Run("get b"), "$1 1");
  EXPECT_EQ(testbed.Run("get a"), "$-1");

  EXPECT_EQ(testbed.Run("copy b a"), ":1");
  EXPECT_EQ(testbed.Run("set c 3"), "+OK");
  EXPECT_EQ(testbed.Run("rename c b"), "+OK");
  EXPECT_EQ(testbed.store()->slots().expire_count(b_slot), 0U);
  EXPECT_EQ(testbed.store()->slots().expire_count(a_slot), 1U);
  EXPECT_EQ(testbed.CheckBookkeeping(), "");
}

TEST(CommandTest, AnExpiredTargetIsReplacedAndNotDeletedAfterwards) {
  CommandTestbed testbed;
  for (const char* line : {"rename a b", "renamenx a b", "copy a b"}) {
    ASSERT_EQ(testbed.Run("set a 1"), "+OK");
    ASSERT_EQ(testbed.Run("set b 2 px 100"), "+OK");
    testbed.clock().AdvanceMicros(100'000);
    EXPECT_NE(testbed.Run(line), ":0") << line;
    EXPECT_EQ(testbed.Run("get b"), "$1 1") << line;
    EXPECT_EQ(testbed.CheckBookkeeping(), "") << line;
    ASSERT_EQ(testbed.Run("flushall"), "+OK");
  }
}

TEST(CommandTest, MemoryUsageCountsTheRecordsOfAKey) {
  CommandTestbed testbed;
  ASSERT_EQ(testbed.Run("set k v"), "+OK");
  const uint16_t slot = static_cast<uint16_t>(SlotOf("k"));
  const size_t metadata = MetadataKey(slot, 1, "k").size() + kStringHeaderSize + 1;
  EXPECT_EQ(testbed.Run("memory usage k"), ":" + std::to_string(metadata));
  ASSERT_EQ(testbed.Run("pexpire k 1000"), ":1");
  const size_t index = ExpiryKey(slot, 1, 1, "k").size();
  EXPECT_EQ(testbed.Run("memory usage k"), ":" + std::to_string(metadata + index));
}

TEST(CommandTest, DebugWorksWhereItIsAllowed) {
  CommandTestbed testbed;
  EXPECT_TRUE(testbed.Run("debug set-active-expire 0").starts_with("-ERR DEBUG command not"));
  EXPECT_TRUE(testbed.sweeper().active_expire());
  testbed.set_debug_allowed(true);
  EXPECT_EQ(testbed.Run("debug set-active-expire 0"), "+OK");
  EXPECT_FALSE(testbed.sweeper().active_expire());
  EXPECT_EQ(testbed.Run("DEBUG SET-ACTIVE-EXPIRE 1"), "+OK");
  EXPECT_TRUE(testbed.sweeper().active_expire());
  EXPECT_EQ(testbed.Run("debug set-active-expire x"),
            "-ERR value is not an integer or out of range");

  EXPECT_EQ(testbed.Run("debug object k"), "-ERR no such key");
  ASSERT_EQ(testbed.Run("set k 12"), "+OK");
  EXPECT_EQ(testbed.Run("debug object k"),
            "+Value at:0x0 refcount:1 encoding:int serializedlength:" +
                std::to_string(kStringHeaderSize + 2) + " lru:0 lru_seconds_idle:0");
  testbed.owned_slots().reset(static_cast<size_t>(SlotOf("k")));
  EXPECT_EQ(testbed.Run("debug object k"), "-ERR no such key");

  EXPECT_TRUE(testbed.Run("debug help").starts_with("*9 +DEBUG <subcommand>"));
  EXPECT_EQ(testbed.Run("debug object"),
            "-ERR unknown subcommand or wrong number of arguments for 'object'. Try DEBUG HELP.");
  EXPECT_EQ(testbed.Run("debug nosuch"),
            "-ERR unknown subcommand or wrong number of arguments for 'nosuch'. Try DEBUG HELP.");
}

TEST(CommandTest, DebugSleepHoldsNoLocksAndHasALimit) {
  CommandTestbed testbed;
  testbed.set_debug_allowed(true);
  CommandClient client(&testbed, 2);
  EXPECT_EQ(client.Run("set k v"), "+OK");
  EXPECT_EQ(client.Run("debug sleep 3601"),
            "-ERR value is out of range, must be between 0 and 3600");
  EXPECT_EQ(client.Run("debug sleep -1"), "-ERR value is out of range, must be between 0 and 3600");
  EXPECT_EQ(client.Run("debug sleep inf"),
            "-ERR value is out of range, must be between 0 and 3600");
  EXPECT_EQ(client.Run("debug sleep nan"), "-ERR value is not a valid float");
  EXPECT_TRUE(client.txn().holds_locks());
  EXPECT_EQ(client.Run("debug sleep 0"), "+OK");
  EXPECT_FALSE(client.txn().holds_locks());
  EXPECT_FALSE(client.txn().has_writes());
}

TEST(CommandTest, OnlyOwnedSlotsAreCountedShownAndFlushed) {
  CommandTestbed testbed;
  ASSERT_EQ(testbed.Run("mset {a}1 x {a}2 x {b}1 x"), "+OK");
  const auto b_slot = static_cast<size_t>(SlotOf("{b}1"));
  testbed.owned_slots().reset(b_slot);
  EXPECT_EQ(testbed.Run("dbsize"), ":2");
  EXPECT_EQ(testbed.Run("keys *"), "*2 $4 {a}1 $4 {a}2");
  EXPECT_EQ(testbed.Run("keys {b}1"), "*0");
  EXPECT_EQ(testbed.Run("scan 0"), "*2 $1 0 *2 $4 {a}1 $4 {a}2");
  for (int i = 0; i < 20; ++i) {
    EXPECT_NE(testbed.Run("randomkey"), "$4 {b}1");
  }
  EXPECT_EQ(testbed.Run("flushall"), "+OK");
  testbed.owned_slots().set();
  EXPECT_EQ(testbed.Run("keys *"), "*1 $4 {b}1");
}

TEST(CommandTest, RandomKeyShowsEveryKeyOfAFewAndManyOfALargeSlot) {
  CommandTestbed testbed;
  std::set<std::string> all;
  for (int i = 0; i < 40; ++i) {
    const std::string key = "key:" + std::to_string(i);
    all.insert("$" + std::to_string(key.size()) + " " + key);
    ASSERT_EQ(testbed.Run({"set", key, "v"}), "+OK");
  }
  std::set<std::string> seen;
  for (int i = 0; i < 2000; ++i) {
    seen.insert(testbed.Run("randomkey"));
  }
  EXPECT_EQ(seen, all);

  ASSERT_EQ(testbed.Run("flushall"), "+OK");
  CommandClient client(&testbed, 2);
  for (int i = 0; i < 5000; ++i) {
    ASSERT_EQ(client.Run("set {big}" + std::to_string(100'000 + i) + " v"), "+OK");
  }
  client.Commit();
  seen.clear();
  for (int i = 0; i < 1000; ++i) {
    seen.insert(testbed.Run("randomkey"));
  }
  EXPECT_GT(seen.size(), 400U);
  EXPECT_FALSE(seen.contains("$-1"));
}

TEST(CommandTest, RandomKeyFindsTheOneThatIsAliveAmongManyExpired) {
  CommandTestbed testbed;
  CommandClient client(&testbed, 2);
  for (int i = 0; i < 600; ++i) {
    ASSERT_EQ(client.Run("set {x}" + std::to_string(i) + " v px 10"), "+OK");
  }
  ASSERT_EQ(client.Run("set {x}zz v"), "+OK");
  client.Commit();
  testbed.clock().AdvanceMicros(10'000);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(client.Run("randomkey"), "$5 {x}zz");
  }
  EXPECT_EQ(client.Run("dbsize"), ":1");
}

TEST(StringRangeTest, ExtremeOffsetsAreClampedWithoutOverflow) {
  const auto part = [](std::string_view value, int64_t start, int64_t end) {
    const StringPart range = StringRange(value.size(), start, end);
    return value.substr(range.first, range.count);
  };
  EXPECT_EQ(part("abc", INT64_MIN, INT64_MAX), "abc");
  EXPECT_EQ(part("abc", INT64_MAX, INT64_MIN), "");
  EXPECT_EQ(part("abc", INT64_MIN, INT64_MIN), "a");
  EXPECT_EQ(part("", 0, -1), "");
  EXPECT_EQ(part("", INT64_MIN, INT64_MAX), "");
}

TEST(ExpireOptionsTest, TheLatestTimeIsTheLastThatFits) {
  EXPECT_EQ(*ParseExpiry("set", "9223372036854775706", TimeUnit::kMillis, 101), INT64_MAX);
  EXPECT_FALSE(ParseExpiry("set", "9223372036854775707", TimeUnit::kMillis, 101).ok());
  EXPECT_EQ(*ParseDeadline("expire", "-1", TimeUnit::kSeconds, 500), -500);
}

}  // namespace
}  // namespace kvs
