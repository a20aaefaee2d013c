// Random commands against a model in memory, over crashes, clean stops, expiry and sweeping.
//
// The model is a map from keys to strings with a time of expiry.  After each round all keys are
// compared, and the counts and the expiry index with what is stored.

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/slowness.h"
#include "storage_node/command/command_testbed.h"
#include "storage_node/types/sweeper.h"

namespace kvs {
namespace {

constexpr int kKeyCount = 60;

struct ModelValue {
  std::string text;
  int64_t expire_at_ms = 0;
};

class ModelTest : public testing::TestWithParam<uint64_t> {
 protected:
  std::string RandomKey() { return Key(random_.Uniform(kKeyCount)); }
  // Several keys to a slot, so that they share counts and index.
  static std::string Key(uint64_t n) {
    return "{" + std::to_string(n % 7) + "}" + std::to_string(n);
  }
  std::string RandomValue() { return std::string(random_.Uniform(30), 'v') + "1"; }
  int64_t now_ms() { return testbed_.clock().WallMillis(); }

  ModelValue* Find(const std::string& key) {
    const auto found = model_.find(key);
    if (found == model_.end()) {
      return nullptr;
    }
    if (found->second.expire_at_ms != 0 && found->second.expire_at_ms <= now_ms()) {
      model_.erase(found);
      return nullptr;
    }
    return &found->second;
  }
  static std::string Bulk(const ModelValue* value) {
    return value == nullptr ? "$-1" : "$" + std::to_string(value->text.size()) + " " + value->text;
  }
  void Expect(const std::string& line, const std::string& reply) {
    ASSERT_EQ(client_->Run(line), reply) << line;
  }

  void StringStep(uint64_t choice, const std::string& key);
  void KeyStep(uint64_t choice, const std::string& key);
  void MoveStep(uint64_t choice, const std::string& key);
  void Step();
  void Interrupt();
  void Compare();

  CommandTestbed testbed_;
  std::unique_ptr<CommandClient> client_;
  std::map<std::string, ModelValue> model_;
  Random random_{1};
};

void ModelTest::StringStep(uint64_t choice, const std::string& key) {
  ModelValue* old = Find(key);
  const std::string value = RandomValue();
  const int64_t ttl = static_cast<int64_t>(random_.Uniform(400)) + 1;
  const std::string size = std::to_string((old == nullptr ? 0 : old->text.size()) + value.size());
  switch (choice) {
    case 0:
      Expect("set " + key + " " + value, "+OK");
      model_[key] = {value, 0};
      return;
    case 1:
      Expect("psetex " + key + " " + std::to_string(ttl) + " " + value, "+OK");
      model_[key] = {value, now_ms() + ttl};
      return;
    case 2:
      Expect("set " + key + " " + value + " keepttl get", Bulk(old));
      model_[key] = {value, old == nullptr ? 0 : old->expire_at_ms};
      return;
    case 3:
      Expect("append " + key + " " + value, ":" + size);
      model_[key].text += value;
      return;
    case 4:
      Expect("getdel " + key, Bulk(old));
      model_.erase(key);
      return;
    case 5:
      Expect("set " + key + " " + value + " nx px " + std::to_string(ttl),
             old == nullptr ? "+OK" : "$-1");
      if (old == nullptr) {
        model_[key] = {value, now_ms() + ttl};
      }
      return;
    case 6:
      Expect("getex " + key + " px " + std::to_string(ttl), Bulk(old));
      if (old != nullptr) {
        old->expire_at_ms = now_ms() + ttl;
      }
      return;
    default:
      Expect("set " + key + " " + value + " pxat 5", "+OK");
      model_.erase(key);
      return;
  }
}

void ModelTest::KeyStep(uint64_t choice, const std::string& key) {
  ModelValue* old = Find(key);
  const std::string other = RandomKey();
  const int64_t ttl = static_cast<int64_t>(random_.Uniform(400)) - 20;
  switch (choice) {
    case 0: {
      const int found = (old != nullptr ? 1 : 0) + (other != key && Find(other) != nullptr ? 1 : 0);
      Expect("del " + key + " " + other, ":" + std::to_string(found));
      model_.erase(key);
      model_.erase(other);
      return;
    }
    case 1:
      Expect("pexpire " + key + " " + std::to_string(ttl), old == nullptr ? ":0" : ":1");
      if (old != nullptr && ttl <= 0) {
        model_.erase(key);
      } else if (old != nullptr) {
        old->expire_at_ms = now_ms() + ttl;
      }
      return;
    case 2:
      Expect("persist " + key, old != nullptr && old->expire_at_ms != 0 ? ":1" : ":0");
      if (old != nullptr) {
        old->expire_at_ms = 0;
      }
      return;
    case 3:
      Expect("mset " + key + " 1 " + other + " 2 " + key + " 3", "+OK");
      model_[key] = {"3", 0};
      model_[other] = {other == key ? "3" : "2", 0};
      return;
    case 4: {
      const bool free = old == nullptr && Find(other) == nullptr;
      Expect("msetnx " + key + " 1 " + other + " 2", free ? ":1" : ":0");
      if (free) {
        model_[key] = {"1", 0};
        model_[other] = {"2", 0};
      }
      return;
    }
    default:
      Expect("get " + key, Bulk(old));
      return;
  }
}

// Both keys may be the same, and may be in different slots.
void ModelTest::MoveStep(uint64_t choice, const std::string& key) {
  const std::string other = RandomKey();
  const bool taken = Find(other) != nullptr;
  const ModelValue* old = Find(key);
  const std::string keys = key + " " + other;
  const bool is_rename = choice < 2;
  const bool moves = old != nullptr && key != other && (!taken || choice % 2 == 0);
  if (is_rename && old == nullptr) {
    return Expect((choice == 0 ? "rename " : "renamenx ") + keys, "-ERR no such key");
  }
  switch (choice) {
    case 0:
      Expect("rename " + keys, "+OK");
      break;
    case 1:
      Expect("renamenx " + keys, moves ? ":1" : ":0");
      break;
    default: {
      const std::string replace = choice == 2 ? " replace" : "";
      Expect("copy " + keys + replace, key == other
                                           ? "-ERR source and destination objects are the same"
                                           : (moves ? ":1" : ":0"));
    }
  }
  if (moves) {
    model_[other] = *old;
  }
  if (moves && is_rename) {
    model_.erase(key);
  }
}

void ModelTest::Step() {
  if (random_.OneIn(10)) {
    client_->Commit();
  }
  if (random_.OneIn(20)) {
    testbed_.clock().AdvanceMicros(static_cast<int64_t>(random_.Uniform(50)) * 1000);
  }
  if (random_.OneIn(200)) {
    Expect(random_.OneIn(2) ? "flushall" : "flushdb", "+OK");
    model_.clear();
    return;
  }
  if (random_.OneIn(2)) {
    StringStep(random_.Uniform(8), RandomKey());
  } else if (random_.OneIn(3)) {
    MoveStep(random_.Uniform(4), RandomKey());
  } else {
    KeyStep(random_.Uniform(6), RandomKey());
  }
}

// What the committed state must survive.
void ModelTest::Interrupt() {
  client_.reset();
  switch (random_.Uniform(4)) {
    case 0:
      testbed_.Crash();
      break;
    case 1:
      testbed_.Restart();  // NOLINT(bugprone-branch-clone): it is not the same.
      break;
    default: {
      Sweeper sweeper(testbed_.store(), &testbed_.clock());
      for (int i = 0; i < 10; ++i) {
        ASSERT_TRUE(sweeper.RunSlice(1'000'000).ok());
      }
      for (uint16_t slot = 0; slot < kNodeSlotCount; ++slot) {
        ASSERT_GT(testbed_.store()->slots().due_ms(slot), now_ms());
        ASSERT_TRUE(testbed_.store()->slots().dead_generations(slot).empty());
      }
    }
  }
  client_ = std::make_unique<CommandClient>(&testbed_, 2);
}

void ModelTest::Compare() {
  client_->Commit();
  ASSERT_EQ(testbed_.CheckBookkeeping(), "");
  for (uint64_t n = 0; n < kKeyCount; ++n) {
    const ModelValue* value = Find(Key(n));
    Expect("get " + Key(n), Bulk(value));
    const std::string ttl =
        value == nullptr
            ? ":-2"
            : (value->expire_at_ms == 0 ? ":-1"
                                        : ":" + std::to_string(value->expire_at_ms - now_ms()));
    Expect("pttl " + Key(n), ttl);
  }
  Expect("dbsize", ":" + std::to_string(model_.size()));
  EXPECT_EQ(testbed_.store()->slots().total_keys(), model_.size());
}

TEST_P(ModelTest, CommandsAnswerAsTheModelAndCountsStayExact) {
  random_ = Random(GetParam());
  client_ = std::make_unique<CommandClient>(&testbed_, 2);
  for (int round = 0; round < 24 / kSlownessFactor && !HasFatalFailure(); ++round) {
    for (int i = 0; i < 120 && !HasFatalFailure(); ++i) {
      Step();
    }
    Interrupt();
    Compare();
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest, testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace kvs
