#include "storage_node/commit/merged_iterator.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/coding.h"
#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/thread.h"
#include "storage_node/engine/memory_engine.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {
namespace {

using Model = std::map<std::string, std::string>;

std::string ElementsOf(uint16_t slot, uint32_t generation, uint64_t version) {
  std::string key;
  AppendKeyPrefix(slot, generation, KeyTag::kElement, &key);
  PutBig64(&key, version);
  return key;
}

EngineRange RangeOf(const std::string& prefix) {
  return {prefix, PrefixEnd(prefix)};
}

// A cache before an engine, with hand-overs whose halves a test takes when it likes.
class Fixture {
 public:
  void Put(uint16_t slot, const std::string& key, const std::string& value) {
    cache.Apply(slot, {false, key, value});
  }
  void Delete(uint16_t slot, const std::string& key) { cache.Apply(slot, {true, key, {}}); }
  void Begin() {
    cache.BeginHandOver(0, &hand_over_);
    RecordCache::Prepare(&hand_over_);
  }
  void End(bool written) {
    if (written) {
      KVS_CHECK(engine.Apply(hand_over_.ops(), ++lsn_).ok());
    }
    cache.EndHandOver(&hand_over_, written);
  }
  void HandOver() {
    Begin();
    End(true);
  }
  std::unique_ptr<MergedIterator> Open(uint16_t slot, const EngineRange& range, size_t first,
                                       size_t max) {
    return std::make_unique<MergedIterator>(MergedIterator::Elements{.cache = &cache,
                                                                     .engine = &engine,
                                                                     .slot = slot,
                                                                     .range = range,
                                                                     .first_window = first,
                                                                     .max_window = max});
  }

  RecordCache cache{
      {.instance_count = 1, .clean_bytes = size_t{256} << 10, .max_clean_value = 400}};
  MemoryEngine engine;

 private:
  RecordCache::HandOver hand_over_;
  uint64_t lsn_ = 0;
};

Model Walk(MergedIterator* it) {
  Model seen;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    EXPECT_TRUE(seen.emplace(it->key(), it->value()).second);
  }
  EXPECT_TRUE(it->status().ok());
  return seen;
}

TEST(MergedIteratorTest, ShowsTheNewerOfBoth) {
  MemoryEngine engine;
  const std::vector<EngineOp> ops = {
      {false, "a", "engine"}, {false, "b", "engine"}, {false, "d", "engine"}};
  ASSERT_TRUE(engine.Apply(ops, 1).ok());
  RecordCache cache({.instance_count = 1});
  cache.Apply(0, {false, "b", "fresh"});
  cache.Apply(0, {false, "c", "fresh"});
  cache.Apply(0, {true, "d", ""});

  MergedIterator it(cache.FreshRange(0, "a", "z"), *engine.NewIterator({.range = {"a", "z"}}));
  std::map<std::string, std::string> seen;
  for (it.SeekToFirst(); it.Valid(); it.Next()) {
    seen.emplace(it.key(), it.value());
  }

  EXPECT_EQ(seen,
            (std::map<std::string, std::string>{{"a", "engine"}, {"b", "fresh"}, {"c", "fresh"}}));
}

TEST(MergedIteratorTest, WhatIsHandedOverBetweenTwoWindowsIsSeenInTheEngine) {
  Fixture f;
  const std::string prefix = ElementsOf(0, 1, 7);
  Model model;
  for (char c = 'a'; c <= 'z'; ++c) {
    model[prefix + c] = std::string(1, c);
    f.Put(0, prefix + c, std::string(1, c));
  }
  const auto it = f.Open(0, RangeOf(prefix), 2, 2);
  Model seen;
  for (it->SeekToFirst(); it->Valid(); it->Next()) {
    seen.emplace(it->key(), it->value());
    if (it->key().back() == 'e') {
      f.HandOver();
      EXPECT_EQ(f.cache.fresh_bytes(0), 0U);
    }
  }
  EXPECT_EQ(seen, model);
}

TEST(MergedIteratorTest, WhatADeletionHidIsNotSeenWhenItIsHandedOverMeanwhile) {
  Fixture f;
  const std::string prefix = ElementsOf(0, 1, 7);
  for (char c = 'a'; c <= 'h'; ++c) {
    f.Put(0, prefix + c, "v");
  }
  f.HandOver();
  for (char c = 'b'; c <= 'h'; ++c) {
    f.Delete(0, prefix + c);
  }
  const auto it = f.Open(0, RangeOf(prefix), 1, 1);
  f.HandOver();
  it->SeekToLast();
  ASSERT_TRUE(it->Valid());
  EXPECT_EQ(it->key(), prefix + 'a');
  it->Prev();
  EXPECT_FALSE(it->Valid());
}

TEST(MergedIteratorTest, AnEngineThatCannotBeOpenedAgainEndsTheWalk) {
  Fixture f;
  const std::string prefix = ElementsOf(0, 1, 7);
  for (char c = 'a'; c <= 'h'; ++c) {
    f.Put(0, prefix + c, "v");
  }
  const auto it = f.Open(0, RangeOf(prefix), 2, 2);
  it->SeekToFirst();
  f.HandOver();
  ASSERT_TRUE(f.engine.Close().ok());
  while (it->Valid()) {
    it->Next();
  }
  EXPECT_EQ(it->status().code(), Code::kUnavailable);
}

TEST(MergedIteratorTest, WhereAllIsKnownTheEngineIsNotAsked) {
  Fixture f;
  const std::string prefix = ElementsOf(0, 1, 7);
  f.cache.NoteEmpty(0, prefix, PrefixEnd(prefix));
  Model model;
  for (char c = 'a'; c <= 'h'; ++c) {
    model[prefix + c] = "v";
    f.Put(0, prefix + c, "v");
  }
  f.HandOver();
  f.Delete(0, prefix + 'd');
  model.erase(prefix + 'd');
  f.HandOver();
  ASSERT_TRUE(f.engine.Close().ok());
  const auto it = f.Open(0, RangeOf(prefix), 2, 3);
  EXPECT_EQ(Walk(it.get()), model);
  it->SeekToLast();
  EXPECT_EQ(it->key(), prefix + 'h');
  it->SeekBefore(prefix + 'e');
  EXPECT_EQ(it->key(), prefix + 'c');
}

TEST(MergedIteratorTest, WhatAWalkHasReadIsKnownToTheNext) {
  for (const bool backward : {false, true}) {
    Fixture f;
    const std::string prefix = ElementsOf(0, 1, 7);
    Model model;
    std::vector<EngineOp> ops;
    for (char c = 'a'; c <= 'h'; ++c) {
      model[prefix + c] = "v";
    }
    for (const auto& [key, value] : model) {
      ops.push_back({false, key, value});
    }
    ASSERT_TRUE(f.engine.Apply(ops, 1).ok());
    f.Put(0, prefix + 'x', "v");
    model[prefix + 'x'] = "v";
    f.Delete(0, prefix + 'c');
    model.erase(prefix + 'c');
    const EngineRange range = {prefix + 'a', prefix + 'y'};
    if (backward) {
      const auto it = f.Open(0, range, 2, 3);
      for (it->SeekToLast(); it->Valid();) {
        it->Prev();
      }
    } else {
      EXPECT_EQ(Walk(f.Open(0, range, 2, 3).get()), model);
    }
    // A walk that ends early, too.
    const std::string other = ElementsOf(0, 1, 8);
    const Model others = {{other + 'a', "1"}, {other + 'b', "2"}, {other + 'c', "3"}};
    ops.clear();
    for (const auto& [key, value] : others) {
      ops.push_back({false, key, value});
    }
    ASSERT_TRUE(f.engine.Apply(ops, 2).ok());
    {
      const auto it = f.Open(0, RangeOf(other), 1, 1);
      backward ? it->SeekToLast() : it->SeekToFirst();
      backward ? it->Prev() : it->Next();
    }
    ASSERT_TRUE(f.engine.Close().ok());
    EXPECT_EQ(Walk(f.Open(0, range, 2, 3).get()), model);
    const auto it = f.Open(0, RangeOf(other), 4, 4);
    if (backward) {
      it->SeekToLast();
      EXPECT_EQ(it->value(), "3");
      it->Prev();
    } else {
      it->SeekToFirst();
      EXPECT_EQ(it->value(), "1");
      it->Next();
    }
    EXPECT_EQ(it->value(), "2");
    backward ? it->Prev() : it->Next();
    EXPECT_FALSE(it->Valid());
    EXPECT_EQ(it->status().code(), Code::kUnavailable);
  }
}

TEST(MergedIteratorTest, WhatIsTooLargeForTheCacheIsReadFromTheEngineAgain) {
  Fixture f;
  const std::string prefix = ElementsOf(0, 1, 7);
  const std::string large(20'000, 'v');
  const Model model = {
      {prefix + 'a', "v"}, {prefix + 'b', large}, {prefix + 'c', "v"}, {prefix + 'd', large}};
  std::vector<EngineOp> ops;
  for (const auto& [key, value] : model) {
    ops.push_back({false, key, value});
  }
  ASSERT_TRUE(f.engine.Apply(ops, 1).ok());
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(Walk(f.Open(0, RangeOf(prefix), 2, 3).get()), model);
    const auto it = f.Open(0, {prefix + 'b', prefix + 'd'}, 2, 3);
    it->SeekToLast();
    EXPECT_EQ(it->key(), prefix + 'c');
    it->Prev();
    EXPECT_EQ(it->key(), prefix + 'b');
  }
}

TEST(MergedIteratorTest, LongRunsOfDeletionsAreReadOnce) {
  Fixture f;
  const std::string prefix = ElementsOf(0, 1, 7);
  for (int i = 10'000; i < 20'000; ++i) {
    f.Delete(0, prefix + std::to_string(i));
  }
  f.Put(0, prefix + "1", "first");
  f.Put(0, prefix + "2", "last");
  const auto it = f.Open(0, RangeOf(prefix), 1, 64);
  it->SeekToFirst();
  it->Next();
  ASSERT_TRUE(it->Valid());
  EXPECT_EQ(it->value(), "last");
  it->Prev();
  ASSERT_TRUE(it->Valid());
  EXPECT_EQ(it->value(), "first");
  std::string first;
  std::string last;
  ASSERT_TRUE(it->FindBounds(&first, &last));
  EXPECT_EQ(first, prefix + "1");
  EXPECT_EQ(last, prefix + "2");
}

// Walks over one collection at a time, in steps of every kind, while others change and hand-overs
// begin, fail and end, against a map.
class RandomWalks {
 public:
  explicit RandomWalks(uint64_t seed) : random_(seed) {
    for (uint64_t version = 1; version <= 2; ++version) {
      const std::string prefix = ElementsOf(0, 1, version);
      f_.cache.NoteEmpty(0, prefix, PrefixEnd(prefix));
    }
  }
  ~RandomWalks() {
    if (under_way_) {
      f_.End(false);
    }
  }

  void Round() {
    for (uint64_t n = random_.Uniform(60); n > 0; --n) {
      Disturb("");
    }
    const uint16_t slot = RandomSlot();
    const std::string prefix = RandomPrefix(slot);
    EngineRange range = RangeOf(random_.OneIn(8) ? prefix.substr(0, kKeyPrefixSize) : prefix);
    if (random_.OneIn(3)) {
      range.lower = RandomKey(prefix);
    }
    if (random_.OneIn(3)) {
      range.upper = std::max(range.lower, RandomKey(prefix));
    }
    Model expected(model_.lower_bound(range.lower), model_.lower_bound(range.upper));
    const auto it = Open(slot, range);
    for (int step = 0; step < 60; ++step) {
      Disturb(prefix.substr(0, kKeyPrefixSize));
      ASSERT_NO_FATAL_FAILURE(Step(it.get(), expected, prefix)) << "step " << step;
    }
  }

 private:
  // Two slots of one partition.
  uint16_t RandomSlot() { return random_.OneIn(3) ? 128 : 0; }
  std::string RandomPrefix(uint16_t slot) {
    return ElementsOf(slot, static_cast<uint32_t>(1 + random_.Uniform(2)), 1 + random_.Uniform(3));
  }
  std::string RandomKey(const std::string& prefix) {
    return prefix + std::string(random_.Uniform(2) * 30, 'p') + std::to_string(random_.Uniform(40));
  }
  std::unique_ptr<MergedIterator> Open(uint16_t slot, const EngineRange& range) {
    if (random_.OneIn(4) && range.lower < range.upper) {
      FreshRun fresh = f_.cache.FreshRange(slot, range.lower, range.upper);
      return std::make_unique<MergedIterator>(std::move(fresh),
                                              *f_.engine.NewIterator({.range = range}));
    }
    return f_.Open(slot, range, 1 + random_.Uniform(4), 4 + random_.Uniform(8));
  }

  // One change or half a hand-over; nothing changes that begins with `locked`.
  void Disturb(const std::string& locked) {
    const uint16_t slot = RandomSlot();
    const std::string key = RandomKey(RandomPrefix(slot));
    switch (random_.Uniform(6)) {
      case 0:
        if (under_way_) {
          f_.End(!random_.OneIn(4));
        } else {
          f_.Begin();
        }
        under_way_ = !under_way_;
        return;
      case 1:
      case 2:
        if (locked.empty() || !key.starts_with(locked)) {
          f_.Delete(slot, key);
          model_.erase(key);
        }
        return;
      default:
        if (locked.empty() || !key.starts_with(locked)) {
          std::string value(random_.Uniform(random_.OneIn(20) ? 600 : 80), 'v');
          value += std::to_string(++count_);
          f_.Put(slot, key, value);
          model_[key] = value;
        }
    }
  }

  // Moves both and compares.
  void Step(MergedIterator* it, const Model& expected, const std::string& prefix) {
    auto at = it->Valid() ? expected.find(std::string(it->key())) : expected.end();
    const std::string target = RandomKey(prefix);
    switch (random_.Uniform(it->Valid() ? 16 : 6)) {
      case 0:
        it->SeekToFirst();
        at = expected.begin();
        break;
      case 1:
        it->SeekToLast();
        at = expected.empty() ? expected.end() : std::prev(expected.end());
        break;
      case 2:
        it->Seek(target);
        at = expected.lower_bound(target);
        break;
      case 3:
        it->SeekBefore(target);
        at = Before(expected, expected.lower_bound(target));
        break;
      case 4: {
        const uint64_t count = random_.Uniform(30);
        it->SeekToNth(count);
        at = count < expected.size() ? std::next(expected.begin(), static_cast<int64_t>(count))
                                     : expected.end();
        break;
      }
      case 5:
        ASSERT_EQ(it->CountAll(), expected.size());
        it->SeekToFirst();
        at = expected.begin();
        break;
      case 6:
        ASSERT_NE(at, expected.end());
        forward_ = !forward_;
        [[fallthrough]];
      default:
        ASSERT_NE(at, expected.end());
        if (forward_) {
          it->Next();
          ++at;
        } else {
          it->Prev();
          at = Before(expected, at);
        }
    }
    ASSERT_EQ(it->Valid(), at != expected.end());
    if (it->Valid()) {
      ASSERT_EQ(it->key(), at->first);
      ASSERT_EQ(it->value(), at->second);
    }
    ASSERT_TRUE(it->status().ok());
  }
  static Model::const_iterator Before(const Model& model, Model::const_iterator at) {
    return at == model.begin() ? model.end() : std::prev(at);
  }

  Random random_;
  Fixture f_;
  Model model_;
  bool under_way_ = false;
  bool forward_ = true;
  int count_ = 0;
};

TEST(MergedIteratorTest, WalksAsAMapWhateverIsHandedOver) {
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    RandomWalks walks(seed);
    for (int round = 0; round < 150; ++round) {
      ASSERT_NO_FATAL_FAILURE(walks.Round()) << "round " << round;
    }
  }
}

// Whoever holds a collection's lock sees exactly what it has, while hand-overs come and go and
// another collection changes.
TEST(MergedIteratorTest, HandOversBesideALockedCollectionNeitherHideNorDouble) {
  Fixture f;
  Mutex apply_mu;
  Mutex stripe;
  Model model;
  std::atomic<bool> stop{false};
  std::atomic<int> walks{0};
  const std::string prefix = ElementsOf(0, 1, 1);
  const std::string other = ElementsOf(0, 1, 2);
  std::vector<Thread> threads;
  threads.emplace_back("hand-over", [&] {
    while (!stop) {
      {
        const MutexLock lock(&apply_mu);
        f.Begin();
      }
      f.End(true);
    }
  });
  threads.emplace_back("writer", [&] {
    Random random(1);
    for (int n = 0; !stop; ++n) {
      const std::string element = std::to_string(random.Uniform(300));
      const MutexLock lock(&stripe);
      const MutexLock apply_lock(&apply_mu);
      f.Put(0, other + element, "v");
      if (random.OneIn(3)) {
        f.Delete(0, prefix + element);
        model.erase(prefix + element);
      } else {
        f.Put(0, prefix + element, std::to_string(n));
        model[prefix + element] = std::to_string(n);
      }
    }
  });
  for (uint64_t reader = 0; reader < 2; ++reader) {
    threads.emplace_back("reader", [&, reader] {
      Random random(reader);
      while (walks.fetch_add(1) < 600) {
        const MutexLock lock(&stripe);
        const auto it = f.Open(0, RangeOf(prefix), 1 + random.Uniform(8), 8);
        KVS_CHECK(Walk(it.get()) == model);
        auto expected = model.rbegin();
        for (it->SeekToLast(); it->Valid(); it->Prev()) {
          KVS_CHECK(expected != model.rend() && it->key() == expected->first &&
                    it->value() == expected->second);
          ++expected;
        }
        KVS_CHECK(expected == model.rend());
      }
      stop = true;
    });
  }
}

}  // namespace
}  // namespace kvs
