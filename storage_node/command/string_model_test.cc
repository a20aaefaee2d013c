// Long strings against a std::string, in turns of several commands, with commands that read and
// write all of them, expiry, renames, hand-overs, crashes and sweeps in between.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/slowness.h"
#include "common/resp/reply_tree.h"
#include "storage_node/command/command_testbed.h"
#include "storage_node/keys/string_codec.h"
#include "storage_node/types/string_change.h"
#include "storage_node/types/sweeper.h"

namespace kvs {
namespace {

// In a record of the log, beside a chunk: frames, keys, and the metadata of a string.
constexpr uint64_t kRecordOverhead = 400;

class StringTest : public testing::Test {
 protected:
  StringTest() { NewClient(); }
  void TearDown() override {
    client_->Commit();
    EXPECT_EQ(testbed_.CheckBookkeeping(), "");
    client_.reset();
    EXPECT_EQ(testbed_.CheckStoredData(), "");
  }
  void NewClient() { client_ = std::make_unique<CommandClient>(&testbed_, 2); }
  Reply Ask(const std::vector<std::string>& args) {
    Result<Reply> reply = ParseReply(client_->RunRaw(args));
    EXPECT_TRUE(reply.ok()) << args[0];
    return reply.ok() ? *std::move(reply) : Reply();
  }
  uint64_t LogBytes() { return testbed_.store()->pipeline().stats().bytes; }
  // Makes a string that is in chunks, and returns it.
  std::string PutLong(const std::string& key, const std::string& mark) {
    std::string value(100'000, '\0');
    value.replace(90'000, mark.size(), mark);
    Ask({"del", key});
    EXPECT_EQ(Ask({"setrange", key, "90000", mark}).integer,
              static_cast<int64_t>(90'000 + mark.size()));
    EXPECT_EQ(Ask({"setrange", key, "99999", std::string(1, '\0')}).integer, 100'000);
    return value;
  }

  CommandTestbed testbed_;
  std::unique_ptr<CommandClient> client_;
};

TEST_F(StringTest, ABitFarAwayAndThousandOthersAreASmallLog) {
  const uint64_t before = LogBytes();
  EXPECT_EQ(Ask({"setbit", "b", "4294967295", "1"}).integer, 0);
  client_->Commit();
  EXPECT_LT(LogBytes() - before, kStringChunkSize + kRecordOverhead);
  Random random(3);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t start = LogBytes();
    Ask({"setbit", "b", std::to_string(random.Next() % 4294967295), "1"});
    client_->Commit();
    ASSERT_LT(LogBytes() - start, kStringChunkSize + kRecordOverhead);
  }
  EXPECT_EQ(Ask({"strlen", "b"}).integer, 512 << 20);
  const int64_t bits = Ask({"bitcount", "b"}).integer;
  EXPECT_GT(bits, 990);
  EXPECT_LE(bits, 1001);
}

TEST_F(StringTest, ABitThatIsSetAlreadyWritesNothing) {
  PutLong("s", "mark");
  client_->Commit();
  const uint64_t before = LogBytes();
  EXPECT_EQ(Ask({"setbit", "s", "720001", "1"}).integer, 1);
  EXPECT_EQ(Ask({"bitfield", "s", "set", "u8", "#90000", "109"}).elements[0].integer, 109);
  client_->Commit();
  EXPECT_EQ(LogBytes(), before);
}

TEST_F(StringTest, CommandsThatReadAllOfAStringReadItsChunks) {
  const std::string value = PutLong("{t}s", "mark");
  client_->Commit();
  EXPECT_TRUE(Ask({"get", "{t}s"}).text == value);
  EXPECT_TRUE(Ask({"mget", "{t}s"}).elements[0].text == value);
  EXPECT_TRUE(Ask({"mget", "{t}none", "{t}s"}).elements[1].text == value);
  EXPECT_TRUE(Ask({"getrange", "{t}s", "0", "-1"}).text == value);
  EXPECT_TRUE(Ask({"getex", "{t}s", "ex", "1000"}).text == value);
  EXPECT_EQ(Ask({"ttl", "{t}s"}).integer, 1000);
  const std::string payload = Ask({"dump", "{t}s"}).text;
  EXPECT_EQ(Ask({"restore", "{t}r", "0", payload}).text, "OK");
  EXPECT_TRUE(Ask({"get", "{t}r"}).text == value);
  Ask({"set", "{t}short", "mark"});
  EXPECT_EQ(Ask({"lcs", "{t}s", "{t}short"}).text, "mark");
  Ask({"lpush", "{t}l", "s"});
  EXPECT_TRUE(Ask({"sort", "{t}l", "by", "nosort", "get", "{t}*"}).elements[0].text == value);
  EXPECT_EQ(Ask({"bitop", "or", "{t}o", "{t}s"}).integer, 100'000);
  EXPECT_TRUE(Ask({"get", "{t}o"}).text == value);
  EXPECT_GE(Ask({"memory", "usage", "{t}s"}).integer, 100'000);
  EXPECT_TRUE(Ask({"set", "{t}s", "x", "get"}).text == value);
  PutLong("{t}s", "mark");
  EXPECT_TRUE(Ask({"getset", "{t}s", "y"}).text == value);
  PutLong("{t}s", "mark");
  EXPECT_TRUE(Ask({"getdel", "{t}s"}).text == value);
  EXPECT_EQ(Ask({"exists", "{t}s"}).integer, 0);
}

TEST_F(StringTest, AHyperLogLogInChunksIsOne) {
  Ask({"pfadd", "h", "a", "b", "c"});
  // What is behind the runs of a sparse one is no register.
  const std::string value = Ask({"get", "h"}).text;
  EXPECT_EQ(Ask({"setrange", "h", "70000", "x"}).integer, 70'001);
  const Reply count = Ask({"pfcount", "h"});
  EXPECT_NE(count.text.find("Corrupted HLL object"), std::string::npos) << count.text;
  EXPECT_EQ(Ask({"getrange", "h", "0", std::to_string(value.size() - 1)}).text, value);
}

TEST_F(StringTest, WhatABitFieldWouldReachBehindTheLimitIsRefused) {
  Ask({"setbit", "b", "4294967295", "1"});
  const Reply reply = Ask({"bitfield", "b", "set", "u2", "4294967295", "3"});
  EXPECT_NE(reply.text.find("string exceeds maximum allowed size"), std::string::npos);
}

class LongStringModelTest : public StringTest, public testing::WithParamInterface<uint64_t> {
 protected:
  using Value = std::optional<std::string>;

  std::string Key() { return "{t}" + std::to_string(random_.Uniform(3)); }
  uint64_t Offset() {
    return random_.OneIn(3) ? kMaxInlineString - 20 + random_.Uniform(40)
                            : random_.Uniform(12) * kStringChunkSize + random_.Uniform(20);
  }
  static bool BitOf(std::string_view bytes, uint64_t offset) {
    return offset / 8 < bytes.size() && (bytes[offset / 8] >> (7 - offset % 8) & 1) != 0;
  }
  void Step() {
    const std::string key = Key();
    switch (random_.Uniform(14)) {
      case 0: {
        const std::string value(Offset(), random_.OneIn(2) ? '\0' : 'v');
        Ask({"set", key, value});
        values_[key] = value;
        return;
      }
      case 1:
        ASSERT_EQ(Ask({"del", key}).integer, values_[key].has_value() ? 1 : 0);
        values_[key].reset();
        return;
      case 2:
      case 3:
        return SetRange(key);
      case 4:
        return Move(key, Key());
      case 5:
        return CountBits(key);
      case 6:
        return FindBit(key);
      case 7:
        return Disturb();
      case 8:
        client_->Commit();
        return;
      case 9:
        ASSERT_TRUE(Ask({"get", key}).text == values_[key].value_or("")) << key;
        ASSERT_EQ(Ask({"strlen", key}).integer,
                  static_cast<int64_t>(values_[key].value_or("").size()));
        return;
      default:
        return SetBit(key);
    }
  }
  void SetBit(const std::string& key) {
    const uint64_t offset = Offset() * 8 + random_.Uniform(8);
    const bool bit = random_.OneIn(2);
    std::string bytes = values_[key].value_or("");
    ASSERT_EQ(Ask({"setbit", key, std::to_string(offset), bit ? "1" : "0"}).integer,
              BitOf(bytes, offset) ? 1 : 0);
    bytes.resize(std::max<size_t>(bytes.size(), offset / 8 + 1));
    const unsigned mask = 0x80U >> (offset % 8);
    const unsigned old = static_cast<uint8_t>(bytes[offset / 8]);
    bytes[offset / 8] = static_cast<char>(bit ? old | mask : old & ~mask);
    values_[key] = bytes;
  }
  void SetRange(const std::string& key) {
    const uint64_t offset = Offset();
    const std::string part(1 + random_.Uniform(random_.OneIn(4) ? 3 * kStringChunkSize : 9),
                           random_.OneIn(3) ? '\0' : '\xf0');
    std::string bytes = values_[key].value_or("");
    bytes.resize(std::max<size_t>(bytes.size(), offset + part.size()));
    bytes.replace(offset, part.size(), part);
    ASSERT_EQ(Ask({"setrange", key, std::to_string(offset), part}).integer,
              static_cast<int64_t>(bytes.size()));
    values_[key] = bytes;
  }
  void Move(const std::string& from, const std::string& to) {
    if (from == to || !values_[from].has_value()) {
      return;
    }
    values_[to] = values_[from];
    if (random_.OneIn(2)) {
      Ask({"copy", from, to, "replace"});
    } else {
      Ask({"rename", from, to});
      values_[from].reset();
    }
  }
  void CountBits(const std::string& key) {
    const std::string bytes = values_[key].value_or("");
    const uint64_t first = Offset();
    const uint64_t last = first + random_.Uniform(2 * kStringChunkSize);
    const bool in_bits = random_.OneIn(2);
    int64_t count = 0;
    for (uint64_t bit = in_bits ? first : first * 8; bit <= (in_bits ? last : last * 8 + 7);
         ++bit) {
      count += BitOf(bytes, bit) ? 1 : 0;
    }
    ASSERT_EQ(Ask({"bitcount", key, std::to_string(first), std::to_string(last),
                   in_bits ? "bit" : "byte"})
                  .integer,
              count);
  }
  void FindBit(const std::string& key) {
    const std::string bytes = values_[key].value_or("");
    if (bytes.empty()) {
      return;
    }
    const bool wanted = random_.OneIn(2);
    const uint64_t first = std::min<uint64_t>(Offset(), bytes.size() - 1);
    uint64_t at = first * 8;
    while (at < bytes.size() * 8 && BitOf(bytes, at) != wanted) {
      ++at;
    }
    const bool found = at < bytes.size() * 8 || !wanted;
    ASSERT_EQ(Ask({"bitpos", key, wanted ? "1" : "0", std::to_string(first)}).integer,
              found ? static_cast<int64_t>(at) : -1);
  }
  void Disturb() {
    client_->Commit();
    switch (random_.Uniform(4)) {
      case 0:
        client_.reset();
        testbed_.Crash();
        return NewClient();
      case 1:
        client_.reset();
        testbed_.Restart();
        return NewClient();
      case 2:
        for (int i = 0; i < testbed_.store()->engines().instance_count(); ++i) {
          ASSERT_TRUE(testbed_.store()->pipeline().HandOver(i).ok());
        }
        return;
      default: {
        Sweeper sweeper(testbed_.store(), &testbed_.clock());
        ASSERT_TRUE(sweeper.RunSlice(100'000).ok());
      }
    }
  }

  Random random_{GetParam()};
  std::map<std::string, Value> values_;
};

TEST_P(LongStringModelTest, CommandsAnswerAsTheModel) {
  for (int step = 0; step < 1500 / kSlownessFactor && !HasFatalFailure(); ++step) {
    Step();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, LongStringModelTest, testing::Range<uint64_t>(1, 4));

}  // namespace
}  // namespace kvs
