// SCAN's promise: a key that is there from the first call to the last is shown at least once.

#include <atomic>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/thread.h"
#include "common/resp/reply_tree.h"
#include "storage_node/command/command_testbed.h"
#include "storage_node/command/scan_cursors.h"

namespace kvs {
namespace {

struct ScanReply {
  std::string cursor;
  std::vector<std::string> keys;
};

ScanReply ScanOnce(CommandClient* client, const std::string& cursor,
                   std::vector<std::string> options) {
  std::vector<std::string> args = {"scan", cursor};
  args.insert(args.end(), options.begin(), options.end());
  const Result<Reply> reply = ParseReply(client->RunRaw(args));
  client->Commit();
  EXPECT_TRUE(reply.ok() && reply->elements.size() == 2);
  ScanReply result{.cursor = reply->elements[0].text, .keys = {}};
  for (const Reply& key : reply->elements[1].elements) {
    result.keys.push_back(key.text);
  }
  return result;
}

// Scans from beginning to end and returns how often each key was shown.
std::map<std::string, int> ScanAll(CommandClient* client, const std::vector<std::string>& options,
                                   int* calls) {
  std::map<std::string, int> shown;
  std::string cursor = "0";
  *calls = 0;
  do {
    const ScanReply reply = ScanOnce(client, cursor, options);
    for (const std::string& key : reply.keys) {
      ++shown[key];
    }
    cursor = reply.cursor;
    ++*calls;
  } while (cursor != "0" && *calls < 100'000);
  return shown;
}

std::set<std::string> Fill(CommandTestbed* testbed, int slots, int keys_each) {
  std::set<std::string> all;
  CommandClient client(testbed, 2);
  for (int slot = 0; slot < slots; ++slot) {
    for (int i = 0; i < keys_each; ++i) {
      const std::string key = "{" + std::to_string(slot) + "}" + std::to_string(i);
      EXPECT_EQ(client.Run("set " + key + " v"), "+OK");
      all.insert(key);
    }
  }
  return all;
}

TEST(ScanTest, WithoutChangesEveryKeyIsShownOnceWhateverTheCount) {
  CommandTestbed testbed;
  const std::set<std::string> all = Fill(&testbed, 20, 7);
  CommandClient client(&testbed, 2);
  for (const int count : {1, 2, 3, 7, 10, 139, 140, 1000}) {
    int calls = 0;
    const std::map<std::string, int> shown =
        ScanAll(&client, {"count", std::to_string(count)}, &calls);
    EXPECT_EQ(shown.size(), all.size()) << count;
    for (const auto& [key, times] : shown) {
      EXPECT_EQ(times, 1) << key << " with count " << count;
    }
    EXPECT_EQ(calls, (140 + count - 1) / count) << count;
  }
}

TEST(ScanTest, CountBoundsTheWorkAlsoWhenNothingMatches) {
  CommandTestbed testbed;
  (void)Fill(&testbed, 3, 100);
  CommandClient client(&testbed, 2);
  int calls = 0;
  EXPECT_TRUE(ScanAll(&client, {"count", "10", "match", "nothing"}, &calls).empty());
  EXPECT_EQ(calls, 30);
  EXPECT_EQ(ScanAll(&client, {"count", "10", "match", "*}7"}, &calls).size(), 3U);
}

TEST(ScanTest, AHugeCountIsServedInSeveralCalls) {
  CommandTestbed testbed;
  const std::set<std::string> all = Fill(&testbed, 5000, 1);
  CommandClient client(&testbed, 2);
  int calls = 0;
  EXPECT_EQ(ScanAll(&client, {"count", "9223372036854775807"}, &calls).size(), all.size());
  EXPECT_GT(calls, 1);
  EXPECT_LT(calls, 5);
}

TEST(ScanTest, LargeRecordsEndACallEarly) {
  CommandTestbed testbed;
  CommandClient client(&testbed, 2);
  for (int i = 0; i < 10; ++i) {
    ASSERT_EQ(client.RunRaw({"set", "{x}" + std::to_string(i), std::string(4 << 20, 'x')}),
              "+OK\r\n");
    client.Commit();
  }
  int calls = 0;
  EXPECT_EQ(ScanAll(&client, {"count", "1000"}, &calls).size(), 10U);
  EXPECT_GE(calls, 3);
}

TEST(ScanTest, ARestartShowsKeysAgainButMissesNone) {
  CommandTestbed testbed;
  const std::set<std::string> all = Fill(&testbed, 2, 50);
  std::set<std::string> shown;
  std::string cursor = "0";
  int calls = 0;
  do {
    if (calls == 3 || calls == 8) {
      testbed.Crash();
    }
    CommandClient client(&testbed, 2);
    const ScanReply reply = ScanOnce(&client, cursor, {"count", "10"});
    shown.insert(reply.keys.begin(), reply.keys.end());
    cursor = reply.cursor;
  } while (cursor != "0" && ++calls < 1000);
  EXPECT_EQ(shown, all);
  EXPECT_GT(calls, 10);
}

TEST(ScanTest, AFlushInBetweenEndsTheScan) {
  CommandTestbed testbed;
  (void)Fill(&testbed, 1, 50);
  CommandClient client(&testbed, 2);
  const ScanReply first = ScanOnce(&client, "0", {});
  ASSERT_NE(first.cursor, "0");
  ASSERT_EQ(client.Run("flushall"), "+OK");
  EXPECT_EQ(ScanOnce(&client, first.cursor, {}).cursor, "0");
}

// Two threads add and delete keys all around while a third one scans.
TEST(ScanTest, KeysThatStayAreShownWhileOthersComeAndGo) {
  CommandTestbed testbed;
  const std::set<std::string> stable = Fill(&testbed, 10, 40);
  std::atomic<bool> stop{false};
  std::vector<Thread> threads;
  for (uint64_t t = 0; t < 2; ++t) {
    threads.emplace_back("churn", [&testbed, &stop, t] {
      Random random(t + 1);
      CommandClient client(&testbed, 2);
      while (!stop.load()) {
        const std::string key = "{" + std::to_string(random.Uniform(12)) + "}" +
                                std::to_string(random.Uniform(100)) + "churn";
        (void)client.Run((random.OneIn(2) ? "del " : "append ") + key + (" v"));
        client.Commit();
      }
    });
  }
  CommandClient client(&testbed, 2);
  for (int round = 0; round < 20; ++round) {
    int calls = 0;
    const std::map<std::string, int> shown = ScanAll(&client, {"count", "7"}, &calls);
    for (const std::string& key : stable) {
      ASSERT_TRUE(shown.contains(key)) << key;
    }
  }
  stop.store(true);
  threads.clear();
  EXPECT_EQ(testbed.CheckBookkeeping(), "");
}

TEST(ScanCursorsTest, ACursorStandsForItsPositionAndIsBelowTheEnd) {
  ScanCursors cursors(100);
  const uint64_t first = cursors.After(7, "a");
  const uint64_t second = cursors.After(16383, std::string("b\0c", 3));
  EXPECT_EQ(first, (uint64_t{7} << 32) | 100);
  EXPECT_LT(second, ScanCursors::kCursorEnd);
  EXPECT_EQ(cursors.Find(first).slot, 7);
  EXPECT_EQ(cursors.Find(first).after, "a");
  EXPECT_EQ(cursors.Find(second).slot, 16383);
  EXPECT_EQ(cursors.Find(second).after, std::string("b\0c", 3));
  EXPECT_EQ(cursors.Find(0).after, std::nullopt);
}

TEST(ScanCursorsTest, AnUnknownTokenStandsForTheBeginningOfItsSlot) {
  ScanCursors cursors(100);
  const uint64_t known = cursors.After(7, "a");
  for (const uint64_t cursor :
       {known + 1, known - 1, ScanCursors::AtSlot(7), ScanCursors::AtSlot(8) | 100}) {
    EXPECT_EQ(cursors.Find(cursor).slot, static_cast<uint16_t>(cursor >> 32));
    EXPECT_FALSE(cursors.Find(cursor).after.has_value()) << cursor;
  }
}

TEST(ScanCursorsTest, TheOldestPositionsAreDropped) {
  ScanCursors cursors(1);
  std::vector<uint64_t> given;
  for (size_t i = 0; i < ScanCursors::kMaxPositions + 10; ++i) {
    given.push_back(cursors.After(3, std::to_string(i)));
  }
  EXPECT_FALSE(cursors.Find(given[9]).after.has_value());
  EXPECT_EQ(cursors.Find(given[10]).after, "10");
  EXPECT_EQ(cursors.Find(given.back()).after, std::to_string(given.size() - 1));
}

TEST(ScanCursorsTest, LongKeysAreBoundedByTheirBytes) {
  ScanCursors cursors(1);
  const std::string key(65'536, 'k');
  const uint64_t first = cursors.After(3, key);
  for (size_t i = 0; i < ScanCursors::kMaxKeyBytes / key.size(); ++i) {
    (void)cursors.After(3, key);
  }
  EXPECT_FALSE(cursors.Find(first).after.has_value());
}

TEST(ScanCursorsTest, TokensWrapAroundWithoutBecomingZero) {
  ScanCursors cursors(0xffff'fffe);
  std::vector<uint64_t> given;
  for (int i = 0; i < 5; ++i) {
    given.push_back(cursors.After(0, std::to_string(i)));
    EXPECT_NE(given.back(), 0U);
  }
  for (size_t i = 0; i < given.size(); ++i) {
    EXPECT_EQ(cursors.Find(given[i]).after, std::to_string(i));
  }
}

}  // namespace
}  // namespace kvs
