// Collections against a std::map, packed and not, with restarts, hand-overs and sweeps in between.

#include "storage_node/types/collection.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "storage_node/types/element_hash.h"
#include "storage_node/types/sweeper.h"
#include "storage_node/types/types_test_util.h"

namespace kvs {
namespace {

constexpr CollectionShape kOrdered = {.type = DataType::kZSet, .order = ElementOrder::kBytes};
constexpr CollectionShape kUnordered = {
    .type = DataType::kHash, .order = ElementOrder::kNone, .header_size = 3};

using Model = std::map<std::string, std::string>;
using Elements = std::vector<std::pair<std::string, std::string>>;

class CollectionTest : public StoreTest {
 protected:
  // Runs `body` on the collection as a command that writes.
  template <typename Body>
  void Write(const std::string& key, const CollectionShape& shape, size_t packed_size, Body body) {
    txn_->Begin();
    txn_->Lock(key);
    Keyspace keyspace(txn_.get(), &expired_);
    Result<Collection> collection = Collection::OpenForWrite(&keyspace, key, shape, packed_size);
    ASSERT_TRUE(collection.ok()) << collection.status().ToString();
    body(&*collection);
  }
  template <typename Body>
  void Read(const std::string& key, const CollectionShape& shape, Body body) {
    txn_->Begin();
    Keyspace keyspace(txn_.get(), &expired_);
    Result<Collection> collection = Collection::OpenForRead(&keyspace, key, shape);
    ASSERT_TRUE(collection.ok()) << collection.status().ToString();
    body(*collection);
  }
  void PutAll(const std::string& key, const CollectionShape& shape, size_t packed_size,
              const Model& elements) {
    Write(key, shape, packed_size, [&](Collection* collection) {
      for (const auto& [name, value] : elements) {
        collection->Put(name, value);
        collection->AddToCount(1);
      }
      collection->Save();
    });
    Commit();
  }
  void Delete(const std::string& key) {
    txn_->Begin();
    txn_->Lock(key);
    Keyspace keyspace(txn_.get(), &expired_);
    Result<KeyEntry> entry = keyspace.Find(key);
    ASSERT_TRUE(entry.ok());
    keyspace.Delete(&*entry);
    Commit();
  }
  // The records of elements in the slot, of whatever version, in cache and engine.
  size_t CountElementRecords(uint16_t slot) {
    std::string lower;
    AppendKeyPrefix(slot, store_->slots().generation(slot), KeyTag::kElement, &lower);
    Result<std::unique_ptr<MergedIterator>> it = store_->NewIterator(slot, lower, PrefixEnd(lower));
    size_t count = 0;
    for ((*it)->SeekToFirst(); (*it)->Valid(); (*it)->Next()) {
      ++count;
    }
    return count;
  }
  static Elements Collect(Result<ElementWalk> walk) {
    Elements all;
    EXPECT_TRUE(walk.ok());
    for (; walk->Valid(); walk->Next()) {
      all.emplace_back(walk->name(), walk->value());
    }
    EXPECT_TRUE(walk->status().ok());
    return all;
  }
};

TEST_F(CollectionTest, SmallOnesArePackedAndLargerOnesAreNot) {
  PutAll("small", kOrdered, 100, {{"a", "1"}, {"b", "2"}});
  PutAll("large", kOrdered, 100, {{"a", std::string(60, 'x')}, {"b", std::string(60, 'y')}});
  Read("small", kOrdered, [](const Collection& small) {
    EXPECT_TRUE(small.is_packed());
    EXPECT_EQ(small.count(), 2U);
  });
  EXPECT_EQ(CountElementRecords(Slot("small")), 0U);
  Read("large", kOrdered, [](const Collection& large) {
    EXPECT_FALSE(large.is_packed());
    EXPECT_EQ(large.count(), 2U);
  });
  EXPECT_EQ(CountElementRecords(Slot("large")), 2U);
  Commit();
}

TEST_F(CollectionTest, APackedOneWithoutOrderKeepsTheOrderInWhichElementsCame) {
  Write("h", kUnordered, 1000, [](Collection* hash) {
    for (const char* name : {"zeta", "alpha", "mid"}) {
      hash->Put(name, "v");
      hash->AddToCount(1);
    }
    hash->Put("alpha", "longer than before");
    hash->Save();
  });
  Commit();
  Read("h", kUnordered, [](const Collection& hash) {
    const auto all = Collect(hash.Walk());
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].first, "zeta");
    EXPECT_EQ(all[1].first, "alpha");
    EXPECT_EQ(all[1].second, "longer than before");
    EXPECT_EQ(all[2].first, "mid");
  });
}

TEST_F(CollectionTest, HeaderAndEncodingAreKept) {
  for (const size_t packed_size : {size_t{0}, size_t{1000}}) {
    const std::string key = "h" + std::to_string(packed_size);
    Write(key, kUnordered, packed_size, [](Collection* hash) {
      EXPECT_EQ(hash->header(), std::string(3, '\0'));
      hash->set_header("abc");
      hash->set_encoding(2);
      hash->Put("f", "v");
      hash->AddToCount(1);
      hash->Save();
    });
    Commit();
    Read(key, kUnordered, [](const Collection& hash) {
      EXPECT_EQ(hash.header(), "abc");
      EXPECT_EQ(hash.encoding(), 2);
      EXPECT_TRUE(*hash.Contains("f"));
    });
    Commit();
  }
}

TEST_F(CollectionTest, AnEmptyOneIsNoKeyUnlessItIsKept) {
  PutAll("h", kOrdered, 0, {{"a", "1"}});
  Write("h", kOrdered, 0, [](Collection* c) {
    c->Remove("a");
    c->AddToCount(-1);
    c->Save();
  });
  Write("kept", kOrdered, 0, [](Collection* c) { c->Save(Collection::IfEmpty::kKeep); });
  // Made, unpacked and emptied by one command.
  Write("brief", kOrdered, 0, [](Collection* c) {
    c->Put("a", "1");
    c->AddToCount(1);
    c->Remove("a");
    c->AddToCount(-1);
    c->Save();
  });
  Commit();
  Read("h", kOrdered, [](const Collection& c) { EXPECT_FALSE(c.exists()); });
  Read("brief", kOrdered, [](const Collection& c) { EXPECT_FALSE(c.exists()); });
  Read("kept", kOrdered, [](const Collection& c) { EXPECT_TRUE(c.exists()); });
  Commit();
  EXPECT_EQ(store_->slots().total_keys(), 1U);
}

TEST_F(CollectionTest, AnotherTypeIsRefused) {
  PutAll("h", kOrdered, 0, {{"a", "1"}});
  txn_->Begin();
  txn_->Lock("h");
  Keyspace keyspace(txn_.get(), &expired_);
  EXPECT_EQ(Collection::OpenForRead(&keyspace, "h", kUnordered).status().code(), Code::kWrongType);
  EXPECT_EQ(Collection::OpenForWrite(&keyspace, "h", kUnordered).status().code(), Code::kWrongType);
  EXPECT_EQ(keyspace.FindString("h").status().code(), Code::kWrongType);
  EXPECT_EQ(Collection::OpenForWrite(&keyspace, std::string(kMaxKeySize + 1, 'k'), kOrdered)
                .status()
                .code(),
            Code::kTooLarge);
  Commit();
}

TEST_F(CollectionTest, DamagedMetadataIsAnError) {
  for (const std::string& rest : {std::string("\x05"), std::string("\x01"
                                                                   "a\x09")}) {
    std::string record;
    AppendMetadata({.type = DataType::kZSet, .count = 1, .rest = rest}, &record);
    txn_->Begin();
    txn_->Lock("h");
    const uint16_t slot = Slot("h");
    txn_->Put(slot, MetadataKey(slot, store_->slots().generation(slot), "h"), record);
    Keyspace keyspace(txn_.get(), &expired_);
    EXPECT_EQ(Collection::OpenForRead(&keyspace, "h", kOrdered).status().code(), Code::kCorruption);
  }
  Commit();
}

TEST_F(CollectionTest, TheSweeperRemovesTheElementsOfDeletedOnes) {
  Model elements;
  for (int i = 0; i < 300; ++i) {
    elements["e" + std::to_string(i)] = "v";
  }
  const uint16_t slot = Slot("{t}");
  PutAll("{t}a", kOrdered, 0, elements);
  PutAll("{t}b", kUnordered, 0, elements);
  PutAll("{t}stays", kOrdered, 0, elements);
  HandOver();
  Sweeper sweeper(store_.get(), &clock_);
  while (store_->slots().may_have_dead_versions(slot)) {
    ASSERT_EQ(*sweeper.SweepDeadVersions(slot, 100), 0U);
  }
  Delete("{t}a");
  ASSERT_TRUE(store_->slots().may_have_dead_versions(slot));
  Delete("{t}b");
  EXPECT_EQ(CountElementRecords(slot), 900U);
  EXPECT_EQ(*sweeper.SweepDeadVersions(slot, 100), 100U);
  EXPECT_TRUE(store_->slots().may_have_dead_versions(slot));
  Open();  // A crash in the middle.
  Sweeper again(store_.get(), &clock_);
  while (store_->slots().may_have_dead_versions(slot)) {
    ASSERT_TRUE(again.SweepDeadVersions(slot, 100).ok());
  }
  EXPECT_EQ(CountElementRecords(slot), 300U);
  std::string lower;
  AppendKeyPrefix(slot, 1, KeyTag::kDeadVersion, &lower);
  Result<std::unique_ptr<MergedIterator>> it = store_->NewIterator(slot, lower, PrefixEnd(lower));
  (*it)->SeekToFirst();
  EXPECT_FALSE((*it)->Valid());
  Read("{t}stays", kOrdered,
       [&](const Collection& c) { EXPECT_EQ(Collect(c.Walk()).size(), elements.size()); });
  Commit();
}

TEST_F(CollectionTest, WhatIsReplacedDiesWithItsElements) {
  const uint16_t slot = Slot("k");
  PutAll("k", kOrdered, 0, {{"a", "1"}, {"b", "2"}});
  txn_->Begin();
  txn_->Lock("k");
  Keyspace keyspace(txn_.get(), &expired_);
  Result<KeyEntry> entry = keyspace.Find("k");
  ASSERT_TRUE(entry.ok());
  keyspace.PutString(&*entry, "now a string", kNoExpiry);
  Commit();
  Sweeper sweeper(store_.get(), &clock_);
  EXPECT_EQ(CountElementRecords(slot), 2U);
  ASSERT_TRUE(sweeper.SweepDeadVersions(slot, 100).ok());
  EXPECT_EQ(CountElementRecords(slot), 0U);
}

TEST_F(CollectionTest, APositionOutlivesChanges) {
  Model elements;
  for (int i = 0; i < 1000; ++i) {
    elements["field" + std::to_string(i)] = "v";
  }
  PutAll("h", kUnordered, 0, elements);
  std::vector<std::string> seen;
  uint64_t position = 0;
  for (bool more = true; more;) {
    Read("h", kUnordered, [&](const Collection& hash) {
      Result<ElementWalk> walk = hash.WalkFrom(position);
      ASSERT_TRUE(walk.ok());
      for (int i = 0; i < 10 && walk->Valid(); ++i, walk->Next()) {
        EXPECT_EQ(walk->position(), ElementHash(walk->name()) >> 16);
        seen.emplace_back(walk->name());
      }
      more = walk->Valid();
      position = more ? walk->position() : 0;
    });
    // Others come and go meanwhile.
    Write("h", kUnordered, 0, [&](Collection* hash) {
      const std::string other = "other" + std::to_string(seen.size());
      hash->Put(other, "v");
      hash->Remove("other" + std::to_string(seen.size() - 20));
      hash->Save();
    });
    Commit();
  }
  std::erase_if(seen, [](const std::string& name) { return name.starts_with("other"); });
  std::sort(seen.begin(), seen.end());
  EXPECT_TRUE(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
  EXPECT_EQ(seen.size(), elements.size());
}

// What a seed does: many commands in turns of several, checked in full now and then.
class CollectionModelTest : public CollectionTest, public testing::WithParamInterface<uint64_t> {
 protected:
  void Step() {
    const std::string key = "key" + std::to_string(random_.Uniform(4));
    const CollectionShape& shape = key < "key2" ? kOrdered : kUnordered;
    const size_t packed_size = random_.Uniform(3) * 100;
    Model& model = models_[key];
    const uint64_t kind = random_.Uniform(100);
    if (kind < 80) {
      Write(key, shape, packed_size, [&](Collection* c) { Change(c, &model); });
    } else if (kind < 84) {
      Write(key, shape, packed_size, [&](Collection* c) {
        c->Clear();
        model.clear();
        Change(c, &model);
      });
    } else if (kind < 86) {
      Commit();
      Delete(key);
      model.clear();
    } else if (kind < 92) {
      Commit();
    } else if (kind < 94) {
      Commit();
      HandOver();
    } else if (kind < 95) {
      Commit();
      Open();
    } else if (kind < 97) {
      Commit();
      Sweeper sweeper(store_.get(), &clock_);
      ASSERT_TRUE(sweeper.SweepDeadVersions(Slot(key), 1 + random_.Uniform(50)).ok());
    } else {
      Read(key, shape, [&](const Collection& c) { Check(c, shape, model); });
    }
  }
  void Change(Collection* c, Model* model) {
    for (uint64_t i = random_.Uniform(12); i > 0; --i) {
      const std::string name = Word(1 + random_.Uniform(3));
      std::string value;
      ASSERT_EQ(*c->Get(name, &value), model->contains(name));
      if (model->contains(name)) {
        ASSERT_EQ(value, (*model)[name]);
      }
      if (random_.Uniform(2) == 0) {
        c->AddToCount(model->contains(name) ? 0 : 1);
        (*model)[name] = std::string(random_.Uniform(20), 'v');
        c->Put(name, (*model)[name]);
      } else {
        c->AddToCount(-static_cast<int64_t>(model->erase(name)));
        c->Remove(name);
      }
    }
    c->Save();
  }
  void Check(const Collection& c, const CollectionShape& shape, const Model& model) {
    ASSERT_EQ(c.exists(), !model.empty());
    ASSERT_EQ(c.count(), model.size());
    auto all = Collect(c.Walk());
    if (shape.order == ElementOrder::kNone) {
      std::sort(all.begin(), all.end());
    } else {
      std::string lower = Word(random_.Uniform(3));
      std::string upper = lower + Word(random_.Uniform(3));
      const auto part = Collect(c.WalkRange(lower, upper));
      const auto end = upper.empty() ? model.end() : model.lower_bound(upper);
      Elements wanted(model.lower_bound(lower), end);
      ASSERT_EQ(part, wanted);
      std::reverse(wanted.begin(), wanted.end());
      ASSERT_EQ(Collect(c.WalkRangeBackward(lower, upper)), wanted);
      CheckSeeks(c, model);
    }
    ASSERT_EQ(all, Elements(model.begin(), model.end()));
  }

  void CheckSeeks(const Collection& c, const Model& model) {
    if (c.is_packed()) {
      return;
    }
    const std::string lower = Word(1);
    Result<ElementWalk> forward = c.WalkRange(lower, {});
    Result<ElementWalk> backward = c.WalkRangeBackward(lower, {});
    ASSERT_TRUE(forward.ok() && backward.ok());
    for (int i = 0; i < 5; ++i) {
      const std::string name = Word(random_.Uniform(4));
      forward->Seek(name);
      backward->SeekBefore(name);
      const auto after = model.lower_bound(std::max(lower, name));
      ASSERT_EQ(forward->Valid(), after != model.end());
      if (forward->Valid()) {
        ASSERT_EQ(forward->name(), after->first);
      }
      const bool has_before = after != model.lower_bound(lower);
      ASSERT_EQ(backward->Valid(), has_before);
      if (has_before) {
        ASSERT_EQ(backward->name(), std::prev(after)->first);
        ASSERT_EQ(backward->value(), std::prev(after)->second);
      }
    }
  }

  std::string Word(uint64_t size) {
    std::string word;
    for (; size > 0; --size) {
      word += static_cast<char>('a' + random_.Uniform(3));
    }
    return word;
  }

  Random random_{GetParam()};
  std::map<std::string, Model> models_;
};

TEST_P(CollectionModelTest, IsAMap) {
  for (int i = 0; i < 3000; ++i) {
    Step();
    if (HasFatalFailure()) {
      FAIL() << "step " << i;
    }
  }
  Commit();
}

INSTANTIATE_TEST_SUITE_P(Seeds, CollectionModelTest, testing::Range<uint64_t>(1, 9));

}  // namespace
}  // namespace kvs
