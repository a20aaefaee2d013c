#include "storage_node/cache/record_cache.h"

#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "common/base/random.h"
#include "common/base/thread.h"
#include "storage_node/engine/memory_engine.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {
namespace {

std::string Show(RecordCache* cache, uint16_t slot, std::string_view key) {
  RecordCache::Ticket ticket;
  std::string value;
  switch (cache->Get(slot, key, &value, &ticket)) {
    case RecordCache::Found::kMiss:
      return "miss";
    case RecordCache::Found::kAbsent:
      return "absent";
    case RecordCache::Found::kValue:
      break;
  }
  return value;
}

void HandOverAll(RecordCache* cache, int instance, bool written = true) {
  RecordCache::HandOver hand_over;
  cache->BeginHandOver(instance, &hand_over);
  RecordCache::Prepare(&hand_over);
  cache->EndHandOver(&hand_over, written);
}

TEST(RecordCacheTest, AChangeIsSeenAtOnceAndStaysAfterItsHandOver) {
  RecordCache cache({.instance_count = 2});
  cache.Apply(5, {false, "key", "first"});
  cache.Apply(5, {false, "key", "second, which is longer"});
  EXPECT_EQ(Show(&cache, 5, "key"), "second, which is longer");
  EXPECT_GT(cache.fresh_bytes(1), 0U);
  EXPECT_EQ(cache.fresh_bytes(0), 0U);

  HandOverAll(&cache, 1);

  EXPECT_EQ(cache.fresh_bytes(1), 0U);
  EXPECT_EQ(Show(&cache, 5, "key"), "second, which is longer");
  EXPECT_EQ(cache.FreshRange(5, "", "").size(), 0U);
  EXPECT_EQ(cache.stats().clean_bytes > 0, true);
}

TEST(RecordCacheTest, AHandOverIsSortedAndHasTheLastValueOfEachKey) {
  RecordCache cache({.instance_count = 1});
  cache.Apply(3, {false, "c", "1"});
  cache.Apply(1, {false, "a", "1"});
  cache.Apply(2, {false, "b", "1"});
  cache.Apply(3, {true, "c", ""});
  cache.Apply(1, {false, "a", "2"});

  RecordCache::HandOver hand_over;
  cache.BeginHandOver(0, &hand_over);
  RecordCache::Prepare(&hand_over);

  ASSERT_EQ(hand_over.ops().size(), 3U);
  EXPECT_EQ(hand_over.ops()[0].key, "a");
  EXPECT_EQ(hand_over.ops()[0].value, "2");
  EXPECT_EQ(hand_over.ops()[1].key, "b");
  EXPECT_EQ(hand_over.ops()[2].key, "c");
  EXPECT_TRUE(hand_over.ops()[2].is_delete);
  cache.EndHandOver(&hand_over, true);
}

TEST(RecordCacheTest, WhatChangesDuringAHandOverIsFreshAfterIt) {
  RecordCache cache({.instance_count = 1});
  cache.Apply(0, {false, "k", "old"});
  RecordCache::HandOver hand_over;
  cache.BeginHandOver(0, &hand_over);
  RecordCache::Prepare(&hand_over);
  cache.Apply(0, {false, "k", "new"});
  EXPECT_EQ(hand_over.ops()[0].value, "old");
  EXPECT_EQ(Show(&cache, 0, "k"), "new");
  cache.EndHandOver(&hand_over, true);

  EXPECT_EQ(Show(&cache, 0, "k"), "new");
  const FreshRun fresh = cache.FreshRange(0, "", "");
  ASSERT_EQ(fresh.size(), 1U);
  EXPECT_EQ(fresh[0].value, "new");
}

TEST(RecordCacheTest, AFailedHandOverIsTakenAgain) {
  RecordCache cache({.instance_count = 1});
  cache.Apply(0, {false, "a", "1"});
  cache.Apply(0, {false, "b", "1"});
  RecordCache::HandOver hand_over;
  cache.BeginHandOver(0, &hand_over);
  RecordCache::Prepare(&hand_over);
  cache.Apply(0, {false, "b", "2"});
  cache.EndHandOver(&hand_over, false);

  cache.BeginHandOver(0, &hand_over);
  RecordCache::Prepare(&hand_over);
  ASSERT_EQ(hand_over.ops().size(), 2U);
  EXPECT_EQ(hand_over.ops()[0].value, "1");
  EXPECT_EQ(hand_over.ops()[1].value, "2");
  cache.EndHandOver(&hand_over, true);
  EXPECT_EQ(cache.fresh_bytes(0), 0U);
}

TEST(RecordCacheTest, WhatTheEngineLostIsFreshAgainUnlessThereIsSomethingNewer) {
  RecordCache cache({.instance_count = 1});
  cache.Apply(1, {false, "clean", "handed over"});
  HandOverAll(&cache, 0);
  cache.Apply(1, {false, "fresh", "newer"});

  cache.Restore(1, {false, "clean", "handed over"});
  cache.Restore(1, {false, "fresh", "older"});
  cache.Restore(1, {true, "deleted", ""});

  EXPECT_EQ(Show(&cache, 1, "clean"), "handed over");
  EXPECT_EQ(Show(&cache, 1, "fresh"), "newer");
  EXPECT_EQ(Show(&cache, 1, "deleted"), "absent");
  EXPECT_EQ(cache.FreshRange(1, "", "").size(), 3U);
  HandOverAll(&cache, 0);
  EXPECT_EQ(cache.fresh_bytes(0), 0U);
}

TEST(RecordCacheTest, AReadThatIsOlderThanAChangeIsNotFilledIn) {
  RecordCache cache({.instance_count = 1, .clean_bytes = size_t{1} << 20});
  RecordCache::Ticket ticket;
  std::string value;
  ASSERT_EQ(cache.Get(0, "k", &value, &ticket), RecordCache::Found::kMiss);
  // Changed, handed over and gone again while the reader looked at the engine.
  cache.Apply(0, {true, "k", ""});
  HandOverAll(&cache, 0);
  ASSERT_EQ(Show(&cache, 0, "k"), "miss");
  cache.Fill(0, "k", "stale", ticket);
  EXPECT_EQ(Show(&cache, 0, "k"), "miss");

  ASSERT_EQ(cache.Get(0, "k", &value, &ticket), RecordCache::Found::kMiss);
  cache.Fill(0, "k", std::nullopt, ticket);
  EXPECT_EQ(Show(&cache, 0, "k"), "absent");
}

TEST(RecordCacheTest, CleanRecordsStayWithinTheirBytesAndFreshOnesAreNeverEvicted) {
  constexpr size_t kBudget = size_t{256} << 10;
  RecordCache cache({.instance_count = 1, .clean_bytes = kBudget});
  const std::string value(100, 'v');
  for (int i = 0; i < 10'000; ++i) {
    cache.Apply(static_cast<uint16_t>(i), {false, "k" + std::to_string(i), value});
  }
  EXPECT_EQ(cache.stats().entries, 10'000U);
  HandOverAll(&cache, 0);
  RecordCacheStats stats = cache.stats();
  EXPECT_LE(stats.clean_bytes, kBudget);
  EXPECT_GT(stats.clean_bytes, kBudget / 2);
  EXPECT_EQ(stats.entries + stats.evicted, 10'000U);

  RecordCache::Ticket ticket;
  std::string found;
  for (int i = 0; i < 10'000; ++i) {
    const auto slot = static_cast<uint16_t>(i);
    const std::string key = "k" + std::to_string(i);
    if (cache.Get(slot, key, &found, &ticket) == RecordCache::Found::kMiss) {
      cache.Fill(slot, key, value, ticket);
    }
  }
  EXPECT_LE(cache.stats().clean_bytes, kBudget);
}

// Slot 0, generation 1.
std::string Element(std::string_view rest) {
  std::string key;
  AppendKeyPrefix(0, 1, KeyTag::kElement, &key);
  return key.append(rest);
}

TEST(RecordCacheTest, ElementsAreReadInPartsFromEitherEnd) {
  RecordCache cache({.instance_count = 1});
  for (const char* rest : {"d", "b", "e", "a", "c"}) {
    cache.Apply(0, {false, Element(rest), rest});
  }
  cache.Apply(0, {true, Element("c"), ""});
  const std::string lower = Element("b");
  const std::string upper = Element("e");
  const auto read = [&](bool from_end, size_t max_count) {
    RecordCache::ElementPart part;
    cache.ReadElements(0,
                       {.lower = lower,
                        .upper = upper,
                        .from_end = from_end,
                        .max_count = max_count,
                        .known_first = false},
                       &part);
    EXPECT_FALSE(part.known);
    std::string seen;
    for (size_t i = 0; i < part.records.size(); ++i) {
      const FreshRecord record = part.records[i];
      seen += std::string(record.key.substr(kKeyPrefixSize)) + (record.value ? "" : "-");
    }
    return seen + (part.more ? "..." : "");
  };

  EXPECT_EQ(read(false, 2), "bc-...");
  EXPECT_EQ(read(true, 2), "c-d...");
  EXPECT_EQ(read(false, 3), "bc-d");
  EXPECT_EQ(read(true, 9), "bc-d");
  cache.Apply(0, {false, Element("b"), std::string(100'000, 'v')});
  EXPECT_EQ(read(false, 9), "b...");  // Large ones come alone.
  HandOverAll(&cache, 0);
  EXPECT_EQ(read(false, 9), "d");  // The large one and the deleted one have gone.
}

// What ReadElements() tells of a range of slot 0: names, "-" behind those that are deleted, and
// where it goes on; nothing if there may be more.
std::optional<std::string> Known(RecordCache* cache, std::string_view from, std::string_view to,
                                 bool from_end = false, size_t max_count = 100) {
  const std::string lower = Element(from);
  const std::string upper = Element(to);
  RecordCache::ElementPart part;
  cache->ReadElements(
      0, {.lower = lower, .upper = upper, .from_end = from_end, .max_count = max_count}, &part);
  if (!part.known) {
    return std::nullopt;
  }
  std::string seen;
  for (size_t i = 0; i < part.records.size(); ++i) {
    const FreshRecord record = part.records[i];
    seen += std::string(record.key.substr(kKeyPrefixSize)) + (record.value ? "" : "-");
  }
  return seen + (part.more ? ">" + part.edge.substr(kKeyPrefixSize) : "");
}

FreshRun RunOf(std::initializer_list<std::string_view> names) {
  FreshRun run;
  for (const std::string_view name : names) {
    run.Add(Element(name), "v");
  }
  return run;
}

TEST(RecordCacheTest, TheGapsOfANewCollectionAreKnown) {
  RecordCache cache({.instance_count = 1});
  cache.NoteEmpty(0, Element("b"), Element("g"));
  EXPECT_EQ(Known(&cache, "b", "g"), "b-");
  EXPECT_EQ(Known(&cache, "c", "g"), "");
  EXPECT_EQ(Known(&cache, "a", "g"), std::nullopt);
  EXPECT_EQ(Show(&cache, 0, Element("c")), "absent");
  EXPECT_EQ(Show(&cache, 0, Element("g")), "miss");
  cache.Apply(0, {false, Element("c"), "v"});
  cache.Apply(0, {false, Element("e"), "v"});
  HandOverAll(&cache, 0);
  EXPECT_EQ(Known(&cache, "b", "g"), "b-ce");
  EXPECT_EQ(Known(&cache, "b", "z"), "b-ce>g");
  EXPECT_EQ(Known(&cache, "b", "g", false, 2), "b-c>e");
  EXPECT_EQ(Known(&cache, "b", "g", true, 1), "e>c" + std::string(1, '\0'));
  EXPECT_EQ(Known(&cache, "d", "f", true), "e");
  EXPECT_EQ(Known(&cache, "d", "z", true), std::nullopt);
  cache.Apply(0, {true, Element("c"), ""});
  EXPECT_EQ(Known(&cache, "b", "g"), "b-c-e");
  HandOverAll(&cache, 0);
  EXPECT_EQ(Known(&cache, "b", "g"), "b-e") << "the deleted one has joined the gaps beside it";
  EXPECT_EQ(Known(&cache, "c", "e"), "");
}

TEST(RecordCacheTest, WhatIsFilledInIsKnownAsFarAsItWent) {
  RecordCache cache({.instance_count = 1});
  const RecordCache::Ticket ticket = cache.TicketOf(0);
  cache.FillElements(0, {.low = Element("b"), .high = Element("f"), .with_high = true},
                     RunOf({"c", "f"}), ticket);
  EXPECT_EQ(Known(&cache, "b", "f"), "b-c");
  EXPECT_EQ(Known(&cache, "b", "z"), "b-cf>f" + std::string(1, '\0'));
  cache.FillElements(0, {.low = Element("f") + '\0', .high = Element("m")}, RunOf({"h"}), ticket);
  EXPECT_EQ(Known(&cache, "b", "m"), "b-cfh");
  EXPECT_EQ(Known(&cache, "e", "z"), "fh>m");
  EXPECT_EQ(Show(&cache, 0, Element("m")), "miss");
  cache.Fill(0, Element("m"), "v", ticket);
  EXPECT_EQ(Known(&cache, "e", "m" + std::string(1, '\0')), "fhm");
  // What is here is newer than what the engine said.
  cache.Apply(0, {true, Element("c"), ""});
  cache.FillElements(0, {.low = Element("a"), .high = Element("d")}, RunOf({"b", "c"}), ticket);
  EXPECT_EQ(Known(&cache, "a", "d"), "a-b-c-");
}

TEST(RecordCacheTest, NothingIsFilledInThatAHandOverMayHaveChanged) {
  RecordCache cache({.instance_count = 1});
  const RecordCache::Ticket ticket = cache.TicketOf(0);
  cache.Apply(0, {true, Element("c"), ""});
  HandOverAll(&cache, 0);
  cache.FillElements(0, {.low = Element("a"), .high = Element("d")}, RunOf({"c"}), ticket);
  EXPECT_EQ(Known(&cache, "a", "d"), std::nullopt);
  EXPECT_EQ(Show(&cache, 0, Element("c")), "miss");
}

TEST(RecordCacheTest, WhatIsEvictedOrTooLargeLeavesItsGapsUnknown) {
  constexpr size_t kBudget = size_t{16} << 10;
  RecordCache cache({.instance_count = 1, .clean_bytes = kBudget, .max_clean_value = 10});
  const RecordCache::Ticket ticket = cache.TicketOf(0);
  FreshRun run = RunOf({"b"});
  run.Add(Element("c"), std::string(11, 'v'));
  run.Add(Element("d"), "v");
  cache.FillElements(0, {.low = Element("a"), .high = Element("f")}, run, ticket);
  EXPECT_EQ(Known(&cache, "a", "f"), "a-b>c");
  EXPECT_EQ(Known(&cache, "d", "f"), "d");
  EXPECT_EQ(Show(&cache, 0, Element("c")), "miss");
  cache.NoteEmpty(0, Element("k"), Element("l"));
  for (int i = 0; i < 1000; ++i) {
    cache.Apply(0, {false, Element("k" + std::to_string(1000 + i)), "v"});
  }
  EXPECT_EQ(Known(&cache, "k", "l", false, 3), "k-k1000k1001>k1002");
  HandOverAll(&cache, 0);
  EXPECT_LE(cache.stats().clean_bytes, kBudget);
  std::string found;
  for (int i = 0; i < 1000; ++i) {
    const std::string name = "k" + std::to_string(1000 + i);
    const std::string shown = Show(&cache, 0, Element(name));
    ASSERT_TRUE(shown == "v" || shown == "miss") << shown;
  }
}

TEST(RecordCacheTest, OnePartitionMayHaveWhatTheOthersDoNotUse) {
  constexpr size_t kBudget = size_t{1} << 20;
  RecordCache cache({.instance_count = 1, .clean_bytes = kBudget});
  for (int i = 0; i < 300; ++i) {
    cache.Apply(0, {false, Element(std::to_string(1000 + i)), "v"});
  }
  HandOverAll(&cache, 0);
  EXPECT_EQ(cache.stats().evicted, 0U);
  EXPECT_GT(cache.stats().clean_bytes, 3 * kBudget / 128);
  // Others take back what is theirs.
  for (uint16_t slot = 1; slot < 128; ++slot) {
    for (int i = 0; i < 100; ++i) {
      const std::string key = std::to_string(slot) + ":" + std::to_string(i);
      std::string value;
      RecordCache::Ticket ticket;
      ASSERT_EQ(cache.Get(slot, key, &value, &ticket), RecordCache::Found::kMiss);
      cache.Fill(slot, key, std::string(20, 'v'), ticket);
    }
  }
  EXPECT_LE(cache.stats().clean_bytes, kBudget + kBudget / 100);
  EXPECT_GT(cache.stats().clean_bytes, kBudget / 2);
  size_t left = 0;
  for (int i = 0; i < 300; ++i) {
    left += Show(&cache, 0, Element(std::to_string(1000 + i))) == "v" ? 1 : 0;
  }
  EXPECT_LT(left, 200U);
}

TEST(RecordCacheTest, DroppedElementsLeaveNoKnownGap) {
  RecordCache cache({.instance_count = 1});
  cache.NoteEmpty(0, Element("a"), Element("c"));
  cache.NoteEmpty(0, Element("c"), Element("e"));
  for (const char* name : {"b", "cx", "d"}) {
    cache.Apply(0, {false, Element(name), "v"});
  }
  HandOverAll(&cache, 0);
  cache.Apply(0, {false, Element("cy"), "v"});
  ASSERT_TRUE(cache.DropFresh(0, Element("c"), Element("e")));
  EXPECT_EQ(Known(&cache, "a", "c"), "a-b");
  EXPECT_EQ(Known(&cache, "cx", "e"), std::nullopt);
  EXPECT_EQ(cache.stats().clean_bytes > 0, true);
  EXPECT_EQ(Show(&cache, 0, Element("d")), "miss");
}

TEST(RecordCacheTest, ATicketChangesWhenRecordsLeaveTheFreshOnes) {
  RecordCache cache({.instance_count = 1});
  cache.Apply(0, {false, Element("a"), "v"});
  const RecordCache::Ticket before = cache.TicketOf(0);
  RecordCache::HandOver hand_over;
  cache.BeginHandOver(0, &hand_over);
  RecordCache::Prepare(&hand_over);
  EXPECT_EQ(cache.TicketOf(0), before);
  cache.EndHandOver(&hand_over, true);
  EXPECT_FALSE(cache.TicketOf(0) == before);
}

TEST(RecordCacheTest, WhatIsARangeOfElements) {
  const std::string prefix = Element("");
  EXPECT_TRUE(RecordCache::IsElementRange(prefix, PrefixEnd(prefix)));
  EXPECT_TRUE(RecordCache::IsElementRange(Element("a"), Element("b")));
  EXPECT_FALSE(RecordCache::IsElementRange(Element("a"), ""));
  EXPECT_FALSE(RecordCache::IsElementRange(GenerationLower(0, 1), PrefixEnd(prefix)));
  EXPECT_FALSE(RecordCache::IsElementRange(prefix, GenerationUpper(0, 1)));
  EXPECT_FALSE(RecordCache::IsElementRange(MetadataKey(0, 1, ""), MetadataKey(0, 1, "z")));
}

TEST(RecordCacheTest, DroppedElementsAreGoneButForThoseOnTheirWay) {
  RecordCache cache({.instance_count = 1});
  for (int i = 1000; i < 2000; ++i) {
    cache.Apply(0, {false, Element(std::to_string(i)), "v"});
  }
  cache.Apply(0, {false, MetadataKey(0, 1, "k"), "v"});
  cache.Apply(128, {false, Element("1500, of another slot"), "v"});
  EXPECT_TRUE(cache.DropFresh(0, Element("1"), Element("19")));
  EXPECT_EQ(Show(&cache, 0, Element("1899")), "miss");
  EXPECT_EQ(Show(&cache, 0, Element("1900")), "v");
  EXPECT_EQ(cache.FreshRange(0, "", "").size(), 101U);
  EXPECT_EQ(cache.FreshRange(128, "", "").size(), 1U);

  RecordCache::HandOver hand_over;
  cache.BeginHandOver(0, &hand_over);
  RecordCache::Prepare(&hand_over);
  cache.Apply(0, {false, Element("1950"), "newer"});
  EXPECT_FALSE(cache.DropFresh(0, Element("1"), Element("2")));
  EXPECT_EQ(Show(&cache, 0, Element("1950")), "miss");
  EXPECT_EQ(Show(&cache, 0, Element("1951")), "v");
  cache.EndHandOver(&hand_over, true);
  EXPECT_EQ(cache.fresh_bytes(0), 0U);
  EXPECT_TRUE(cache.DropFresh(0, "", "~"));
}

TEST(RecordCacheTest, AReplacedRecordOnItsWayIsToldOfAsLongAsItIs) {
  RecordCache cache({.instance_count = 1});
  cache.Apply(0, {false, Element("a"), "old"});
  RecordCache::HandOver hand_over;
  cache.BeginHandOver(0, &hand_over);
  RecordCache::Prepare(&hand_over);
  cache.Apply(0, {false, Element("a"), "new"});
  // The new one goes; the old one is going to be in the engine.
  EXPECT_FALSE(cache.DropFresh(0, Element("a"), Element("b")));
  EXPECT_EQ(Show(&cache, 0, Element("a")), "miss");
  EXPECT_FALSE(cache.DropFresh(0, Element("a"), Element("b")));
  cache.EndHandOver(&hand_over, true);
  EXPECT_TRUE(cache.DropFresh(0, Element("a"), Element("b")));
}

// Any order of changes, reads, fills and hand-overs, some of which fail, against a plain map.
TEST(RecordCacheTest, BehavesAsAMapBeforeAnEngine) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    constexpr int kInstances = 3;
    RecordCache cache(
        {.instance_count = kInstances, .clean_bytes = size_t{64} << 10, .max_clean_value = 300});
    std::vector<std::unique_ptr<MemoryEngine>> engines;
    std::vector<std::unique_ptr<RecordCache::HandOver>> under_way(kInstances);
    for (int i = 0; i < kInstances; ++i) {
      engines.push_back(std::make_unique<MemoryEngine>());
    }
    std::map<std::string, std::string> model;
    uint64_t lsn = 0;
    for (int step = 0; step < 20'000; ++step) {
      const auto slot = static_cast<uint16_t>(random.Uniform(40));
      // Some keys are those of elements by their seventh byte.
      const std::string prefix = static_cast<char>('A' + slot) + std::string("-----");
      const std::string key =
          prefix + (random.OneIn(2) ? "E" : "K") + std::to_string(random.Uniform(30));
      const size_t instance = slot % kInstances;
      switch (random.Uniform(8)) {
        case 0:
          cache.Apply(slot, {true, key, ""});
          model.erase(key);
          break;
        case 1:
        case 2: {
          const std::string value(random.Uniform(random.OneIn(10) ? 600 : 60), 'v');
          cache.Apply(slot, {false, key, value + std::to_string(step)});
          model[key] = value + std::to_string(step);
          break;
        }
        case 3: {
          auto& hand_over = under_way[instance];
          if (hand_over == nullptr) {
            hand_over = std::make_unique<RecordCache::HandOver>();
            cache.BeginHandOver(static_cast<int>(instance), hand_over.get());
            RecordCache::Prepare(hand_over.get());
          } else {
            const bool written = !random.OneIn(3);
            if (written) {
              ASSERT_TRUE(engines[instance]->Apply(hand_over->ops(), ++lsn).ok());
            }
            cache.EndHandOver(hand_over.get(), written);
            hand_over.reset();
          }
          break;
        }
        case 4: {
          const FreshRun fresh = cache.FreshRange(slot, prefix, prefix + "~");
          for (size_t i = 0; i < fresh.size(); ++i) {
            const FreshRecord record = fresh[i];
            ASSERT_TRUE(i == 0 || fresh[i - 1].key < record.key);
            const auto expected = model.find(std::string(record.key));
            ASSERT_EQ(record.value.has_value(), expected != model.end()) << record.key;
            ASSERT_TRUE(!record.value.has_value() || *record.value == expected->second);
          }
          break;
        }
        default: {
          RecordCache::Ticket ticket;
          std::string value;
          auto found = cache.Get(slot, key, &value, &ticket);
          if (found == RecordCache::Found::kMiss) {
            const bool exists = engines[instance]->Get(key, &value).ok();
            found = exists ? RecordCache::Found::kValue : RecordCache::Found::kAbsent;
            cache.Fill(slot, key, exists ? std::optional<std::string_view>(value) : std::nullopt,
                       ticket);
          }
          const auto expected = model.find(key);
          ASSERT_EQ(found == RecordCache::Found::kValue, expected != model.end()) << key;
          if (expected != model.end()) {
            ASSERT_EQ(value, expected->second);
          }
        }
      }
    }
    for (int i = 0; i < kInstances; ++i) {
      if (under_way[static_cast<size_t>(i)] != nullptr) {
        cache.EndHandOver(under_way[static_cast<size_t>(i)].get(), false);
      }
      HandOverAll(&cache, i);
      EXPECT_EQ(cache.fresh_bytes(i), 0U);
    }
    EXPECT_EQ(cache.stats().fresh_bytes, 0U);
  }
}

// Readers fill in and evict while one thread writes and another hands over.  A reader never sees a
// value older than one that it has seen.
TEST(RecordCacheTest, ReadersNeverGoBackInTime) {
  RecordCache cache({.instance_count = 1, .clean_bytes = size_t{16} << 10});
  MemoryEngine engine;
  Mutex apply_mu;
  std::atomic<bool> stop{false};
  constexpr int kKeys = 50;
  std::vector<Thread> threads;
  threads.emplace_back("writer", [&] {
    for (int n = 1; n <= 20'000; ++n) {
      const MutexLock lock(&apply_mu);
      const std::string key = std::to_string(n % kKeys);
      cache.Apply(0, {false, key, std::to_string(n)});
    }
    stop = true;
  });
  threads.emplace_back("hand-over", [&] {
    for (uint64_t lsn = 1; !stop; ++lsn) {
      RecordCache::HandOver hand_over;
      {
        const MutexLock lock(&apply_mu);
        cache.BeginHandOver(0, &hand_over);
      }
      RecordCache::Prepare(&hand_over);
      const bool written = engine.Apply(hand_over.ops(), lsn).ok();
      cache.EndHandOver(&hand_over, written);
    }
  });
  for (int reader = 0; reader < 2; ++reader) {
    threads.emplace_back("reader", [&, reader] {
      std::map<std::string, int> newest;
      Random random(static_cast<uint64_t>(reader));
      while (!stop) {
        const std::string key = std::to_string(random.Uniform(kKeys));
        RecordCache::Ticket ticket;
        std::string value;
        const auto found = cache.Get(0, key, &value, &ticket);
        if (found == RecordCache::Found::kMiss) {
          const Status status = engine.Get(key, &value);
          cache.Fill(0, key, status.ok() ? std::optional<std::string_view>(value) : std::nullopt,
                     ticket);
        }
        const int seen = value.empty() ? 0 : std::stoi(value);
        ASSERT_GE(seen, newest[key]) << key;
        newest[key] = seen;
      }
    });
  }
}

}  // namespace
}  // namespace kvs
