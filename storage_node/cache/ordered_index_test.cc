#include "storage_node/cache/ordered_index.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "common/base/random.h"

namespace kvs {
namespace {

struct Record {
  std::string bytes;
  std::string_view key() const { return bytes; }
};
using Index = OrderedIndex<const Record>;
using Model = std::map<std::string, std::unique_ptr<Record>>;

std::string Show(const Index::Cursor& cursor) {
  return cursor.Valid() ? cursor.record()->bytes : "(none)";
}

std::string RandomKey(Random* random, uint64_t range) {
  // Keys of which one begins as the other ends, shorter and longer than what a node has of them.
  std::string key(random->Uniform(3) * 20, 'p');
  key += std::to_string(random->Uniform(range));
  key.append(random->Uniform(3), '\0');
  return key;
}

void ExpectEqual(const Index& index, const Model& model) {
  ASSERT_EQ(index.size(), model.size());
  auto at = index.LowerBound("");
  for (const auto& [key, record] : model) {
    ASSERT_TRUE(at.Valid());
    ASSERT_EQ(at.record(), record.get());
    at.Next();
  }
  ASSERT_FALSE(at.Valid());
  at = index.Before("\xff");
  for (auto it = model.rbegin(); it != model.rend(); ++it) {
    ASSERT_TRUE(at.Valid());
    ASSERT_EQ(at.record(), it->second.get());
    at.Prev();
  }
  ASSERT_FALSE(at.Valid());
}

void ExpectSameBounds(const Index& index, const Model& model, const std::string& key) {
  const auto bound = model.lower_bound(key);
  ASSERT_EQ(Show(index.LowerBound(key)), bound == model.end() ? "(none)" : bound->first);
  ASSERT_EQ(Show(index.Before(key)), bound == model.begin() ? "(none)" : std::prev(bound)->first);
}

TEST(OrderedIndexTest, AnEmptyOneHasNoPlaces) {
  const Index index;
  EXPECT_FALSE(index.LowerBound("").Valid());
  EXPECT_FALSE(index.Before("\xff").Valid());
  EXPECT_TRUE(index.empty());
}

// Phases that mostly grow and that mostly shrink, so that nodes are split, emptied and freed.
TEST(OrderedIndexTest, BehavesAsAMap) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Index index;
    Model model;
    const uint64_t range = seed % 3 == 0 ? 100'000 : 600;
    for (int step = 0; step < 20'000; ++step) {
      const bool grows = step / 4000 % 2 == 0;
      const std::string key = RandomKey(&random, range);
      const auto found = random.OneIn(4) ? model.lower_bound(key) : model.find(key);
      if (found != model.end() && (!grows || random.OneIn(3))) {
        if (random.OneIn(4)) {
          auto twin = std::make_unique<Record>(*found->second);
          index.Replace(found->second.get(), twin.get());
          found->second = std::move(twin);
        } else {
          index.Erase(found->second.get());
          model.erase(found);
        }
      } else if (model.find(key) == model.end() && (grows || random.OneIn(8))) {
        auto record = std::make_unique<Record>(Record{key});
        index.Insert(record.get());
        model.emplace(key, std::move(record));
      }
      ASSERT_NO_FATAL_FAILURE(ExpectSameBounds(index, model, RandomKey(&random, range)));
      ASSERT_NO_FATAL_FAILURE(ExpectSameBounds(index, model, key));
      if (step % 1000 == 0) {
        ASSERT_NO_FATAL_FAILURE(ExpectEqual(index, model));
      }
    }
    while (!model.empty()) {
      const auto last = random.OneIn(2) ? std::prev(model.end()) : model.begin();
      index.Erase(last->second.get());
      model.erase(last);
    }
    ASSERT_NO_FATAL_FAILURE(ExpectEqual(index, model));
  }
}

TEST(OrderedIndexTest, TakesRecordsThatComeInOrder) {
  for (const bool ascending : {true, false}) {
    Index index;
    Model model;
    for (int i = 0; i < 50'000; ++i) {
      const int n = ascending ? 100'000 + i : 900'000 - i;
      auto record = std::make_unique<Record>(Record{std::to_string(n)});
      index.Insert(record.get());
      model.emplace(record->bytes, std::move(record));
    }
    ASSERT_NO_FATAL_FAILURE(ExpectEqual(index, model));
    for (int i = 0; i < 49'000; ++i) {
      index.Erase(model.begin()->second.get());
      model.erase(model.begin());
    }
    ASSERT_NO_FATAL_FAILURE(ExpectEqual(index, model));
  }
}

}  // namespace
}  // namespace kvs
