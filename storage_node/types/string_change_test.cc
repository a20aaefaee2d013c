// Strings in chunks against a std::string, and what of them is stored.

#include "storage_node/types/string_change.h"

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/base/slowness.h"
#include "storage_node/keys/string_codec.h"
#include "storage_node/types/string_reader.h"
#include "storage_node/types/string_store.h"
#include "storage_node/types/sweeper.h"
#include "storage_node/types/types_test_util.h"

namespace kvs {
namespace {

class StringChangeTest : public StoreTest {
 protected:
  Keyspace Begin(const std::string& key) {
    txn_->Begin();
    txn_->Lock(key);
    return {txn_.get(), &expired_};
  }
  void Set(const std::string& key, const std::string& value) {
    Keyspace keyspace = Begin(key);
    Result<KeyEntry> entry = keyspace.FindForWrite(key);
    ASSERT_TRUE(entry.ok());
    keyspace.PutString(&*entry, value, kNoExpiry);
  }
  void Delete(const std::string& key) {
    Keyspace keyspace = Begin(key);
    Result<KeyEntry> entry = keyspace.Find(key);
    ASSERT_TRUE(entry.ok());
    keyspace.Delete(&*entry);
  }
  void Write(const std::string& key, int64_t offset, const std::string& bytes) {
    Keyspace keyspace = Begin(key);
    ASSERT_TRUE(StringStore(&keyspace).SetRange(key, offset, bytes).ok());
  }
  // The whole string; nothing is "(none)".
  std::string Get(const std::string& key) { return Part(key, 0, kMaxStringSize); }
  std::string Part(const std::string& key, uint64_t first, uint64_t count) {
    txn_->Begin();
    Keyspace keyspace(txn_.get(), &expired_);
    const Result<KeyEntry> entry = keyspace.FindString(key);
    EXPECT_TRUE(entry.ok());
    std::string bytes;
    EXPECT_TRUE(StringReader(&keyspace, &*entry).Append(first, count, &bytes).ok());
    return entry->exists() ? bytes : "(none)";
  }
  KeyEntry Find(const std::string& key) {
    Result<KeyEntry> entry = Begin(key).Find(key);
    EXPECT_TRUE(entry.ok());
    return *std::move(entry);
  }
  // The sizes of the chunks in the slot, of whatever version, by their names; committed ones.
  std::vector<std::pair<uint32_t, size_t>> Chunks(uint16_t slot) {
    std::string lower;
    AppendKeyPrefix(slot, store_->slots().generation(slot), KeyTag::kElement, &lower);
    Result<std::unique_ptr<MergedIterator>> it = store_->NewIterator(slot, lower, PrefixEnd(lower));
    std::vector<std::pair<uint32_t, size_t>> chunks;
    for ((*it)->SeekToFirst(); (*it)->Valid(); (*it)->Next()) {
      uint32_t index = 0;
      EXPECT_TRUE(ParseStringChunkName(DecodeKey((*it)->key())->element, &index));
      chunks.emplace_back(index, (*it)->value().size());
    }
    return chunks;
  }
};

using ChunkSizes = std::vector<std::pair<uint32_t, size_t>>;

TEST_F(StringChangeTest, AStringUpToTheLimitStaysInItsRecord) {
  Write("s", 0, std::string(kMaxInlineString, 'x'));
  EXPECT_FALSE(Find("s").is_chunked());
  Write("s", kMaxInlineString - 1, "y");
  EXPECT_FALSE(Find("s").is_chunked());
  Write("s", kMaxInlineString, "z");
  const KeyEntry entry = Find("s");
  EXPECT_TRUE(entry.is_chunked());
  EXPECT_EQ(entry.string_size(), kMaxInlineString + 1);
  EXPECT_EQ(StringEncoding(entry), "raw");
  EXPECT_EQ(Get("s"), std::string(kMaxInlineString - 1, 'x') + "yz");
  Commit();
}

TEST_F(StringChangeTest, ALongStringIsPutIntoChunksByItsFirstChange) {
  std::string value(kMaxInlineString + 10, 'v');
  Set("s", value);
  EXPECT_FALSE(Find("s").is_chunked());
  Write("s", 3, "w");
  value[3] = 'w';
  EXPECT_TRUE(Find("s").is_chunked());
  EXPECT_EQ(Get("s"), value);
  Commit();
  EXPECT_EQ(Chunks(Slot("s")).size(), kMaxInlineString / kStringChunkSize + 1);
  EXPECT_EQ(Get("s"), value);
  Set("s", value);  // Whole again.
  EXPECT_FALSE(Find("s").is_chunked());
  Commit();
}

TEST_F(StringChangeTest, ZerosAreNotStored) {
  const auto far = static_cast<int64_t>(kMaxStringSize - 1);
  Write("s", far, "x");
  Commit();
  const uint32_t last = kMaxStringSize / kStringChunkSize - 1;
  EXPECT_EQ(Chunks(Slot("s")), (ChunkSizes{{last, kStringChunkSize}}));
  EXPECT_EQ(Find("s").string_size(), kMaxStringSize);
  EXPECT_EQ(Part("s", kMaxStringSize - 3, 10), std::string("\0\0x", 3));
  EXPECT_EQ(Part("s", 5, 2), std::string(2, '\0'));
  Write("s", 10 * kStringChunkSize, "abc");
  Commit();
  EXPECT_EQ(Chunks(Slot("s")), (ChunkSizes{{10, 3}, {last, kStringChunkSize}}));
  // Across what is there and what is not.
  EXPECT_EQ(Part("s", 10 * kStringChunkSize - 1, kStringChunkSize).substr(0, 5),
            std::string("\0abc\0", 5));
  const std::string far_part = Part("s", 9 * kStringChunkSize, 20 * kStringChunkSize);
  EXPECT_EQ(far_part.size(), 20 * kStringChunkSize);
  EXPECT_EQ(far_part.find_first_not_of('\0'), kStringChunkSize);
  EXPECT_EQ(far_part.find_last_not_of('\0'), kStringChunkSize + 2);
  Write("s", 10 * kStringChunkSize, std::string(3, '\0'));
  Write("s", far, std::string(1, '\0'));
  Commit();
  EXPECT_EQ(Chunks(Slot("s")), ChunkSizes{});
  EXPECT_EQ(Find("s").string_size(), kMaxStringSize);
  Commit();
}

TEST_F(StringChangeTest, ABitInAnEmptyStringIsASmallRecord) {
  const uint64_t before = store_->pipeline().stats().bytes;
  Write("s", kMaxStringSize - 1, "x");
  Commit();
  EXPECT_LT(store_->pipeline().stats().bytes - before, kStringChunkSize + 300);
}

TEST_F(StringChangeTest, AChangeOfALongStringWritesTheChunksThatItChanges) {
  Set("s", std::string(4 << 20, 'v'));
  Write("s", 0, "w");
  Commit();
  Random random(5);
  for (int i = 0; i < 100; ++i) {
    const uint64_t before = store_->pipeline().stats().bytes;
    Write("s", static_cast<int64_t>(random.Uniform(4 << 20)), "z");
    Commit();
    EXPECT_LT(store_->pipeline().stats().bytes - before, kStringChunkSize + 300);
  }
}

TEST_F(StringChangeTest, WhatIsReadAndNotChangedIsNotWritten) {
  Set("s", std::string(1 << 20, 'v'));
  Write("s", 0, "w");
  Commit();
  Keyspace keyspace = Begin("s");
  Result<StringChange> change = StringChange::Open(&keyspace, "s");
  ASSERT_TRUE(change.ok());
  EXPECT_EQ(*change->Read(kStringChunkSize - 2, 4), "vvvv");
  EXPECT_EQ(*change->Read((1 << 20) - 2, 4), std::string("vv\0\0", 4));
  EXPECT_FALSE(change->changed());
  ASSERT_TRUE(change->Write(9 * kStringChunkSize, "v").ok());
  EXPECT_FALSE(change->changed());
  ASSERT_TRUE(change->Write(9 * kStringChunkSize, "w").ok());
  EXPECT_TRUE(change->changed());
  EXPECT_EQ(*change->Read(9 * kStringChunkSize - 1, 3), "vwv");
  const uint64_t before = store_->pipeline().stats().bytes;
  change->Save();
  Commit();
  EXPECT_LT(store_->pipeline().stats().bytes - before, kStringChunkSize + 300);
}

TEST_F(StringChangeTest, TheSweeperRemovesTheChunksOfWhatIsGone) {
  const std::string value(100'000, 'v');
  for (const char* key : {"{t}a", "{t}b", "{t}stays"}) {
    Set(key, value);
    Write(key, 0, "w");
  }
  Commit();
  const size_t each = 100'000 / kStringChunkSize + 1;
  EXPECT_EQ(Chunks(Slot("{t}")).size(), 3 * each);
  Delete("{t}a");
  Set("{t}b", "short");
  Commit();
  Sweeper sweeper(store_.get(), &clock_);
  while (store_->slots().may_have_dead_versions(Slot("{t}"))) {
    ASSERT_TRUE(sweeper.SweepDeadVersions(Slot("{t}"), 100).ok());
  }
  EXPECT_EQ(Chunks(Slot("{t}")).size(), each);
  EXPECT_EQ(Get("{t}stays"), "w" + value.substr(1));
  EXPECT_EQ(Get("{t}b"), "short");
  Commit();
}

TEST_F(StringChangeTest, ADamagedChunkIsAnError) {
  Write("s", 100'000, "x");
  const KeyEntry entry = Find("s");
  const std::string longer(kStringChunkSize + 1, 'x');
  txn_->Put(entry.slot, StringChunkKey(*txn_, entry, 3), longer);
  Commit();
  Keyspace keyspace = Begin("s");
  std::string bytes;
  const StringReader reader(&keyspace, &entry);
  EXPECT_EQ(reader.Append(3 * kStringChunkSize, 1, &bytes).code(), Code::kCorruption);
  EXPECT_EQ(reader.Append(0, 100'000, &bytes).code(), Code::kCorruption);
  EXPECT_TRUE(reader.Append(4 * kStringChunkSize, 1, &bytes).ok());
  EXPECT_EQ(StringStore(&keyspace).SetRange("s", 3 * kStringChunkSize, "y").status().code(),
            Code::kCorruption);
  Commit();
}

// What a seed does: many commands in turns of several, checked in full now and then.
class StringModelTest : public StringChangeTest, public testing::WithParamInterface<uint64_t> {
 protected:
  std::string Key() {
    return (random_.OneIn(2) ? "{t}" : "k") + std::to_string(random_.Uniform(3));
  }
  // Near the limit and the borders of chunks, mostly.
  uint64_t Offset() {
    switch (random_.Uniform(4)) {
      case 0:
        return random_.Uniform(100);
      case 1:
        return random_.Uniform(24) * kStringChunkSize + random_.Uniform(7);
      case 2:
        return kMaxInlineString - 50 + random_.Uniform(100);
      default:
        return random_.Uniform(200'000);
    }
  }
  std::string Bytes() {
    const size_t size =
        random_.OneIn(8) ? random_.Uniform(5 * kStringChunkSize) : 1 + random_.Uniform(20);
    std::string bytes(size, random_.OneIn(3) ? '\0' : 'a');
    for (int i = 0; i < 3 && size > 0; ++i) {
      bytes[random_.Uniform(size)] = static_cast<char>(random_.Uniform(256));
    }
    return bytes;
  }
  void Step() {
    const std::string key = Key();
    switch (random_.Uniform(16)) {
      case 0: {
        const std::string value = random_.OneIn(2) ? Bytes() : std::string(Offset(), 's');
        Set(key, value);
        model_[key] = value;
        return;
      }
      case 1:
        Delete(key);
        model_.erase(key);
        return;
      case 2:
        return Move(key, Key());
      case 3:
      case 4: {
        const std::string bytes = Bytes();
        Keyspace keyspace = Begin(key);
        model_[key] += bytes;
        ASSERT_EQ(*StringStore(&keyspace).Append(key, bytes), model_[key].size());
        return;
      }
      case 5:
        return Change(key);
      case 6:
      case 7:
        return Look(key);
      case 8:
        return Commit();
      case 9:
        return Disturb();
      default: {
        const uint64_t offset = Offset();
        const std::string bytes = Bytes();
        Write(key, static_cast<int64_t>(offset), bytes);
        Overwrite(key, offset, bytes);
        return;
      }
    }
  }
  void Overwrite(const std::string& key, uint64_t offset, const std::string& bytes) {
    if (bytes.empty()) {
      return;
    }
    std::string& value = model_[key];
    value.resize(std::max(value.size(), offset + bytes.size()));
    value.replace(offset, bytes.size(), bytes);
  }
  // Several reads and writes of one command.
  void Change(const std::string& key) {
    Keyspace keyspace = Begin(key);
    Result<StringChange> change = StringChange::Open(&keyspace, key);
    ASSERT_TRUE(change.ok());
    const std::string before = model_[key];
    for (uint64_t n = random_.Uniform(5); n > 0; --n) {
      const uint64_t offset = Offset();
      const std::string expected =
          offset < model_[key].size() ? model_[key].substr(offset, 9) : std::string();
      ASSERT_EQ(*change->Read(offset, 9), expected + std::string(9 - expected.size(), '\0'));
      const std::string bytes = random_.OneIn(3) && !expected.empty() ? expected : Bytes();
      ASSERT_TRUE(change->Write(offset, bytes).ok());
      Overwrite(key, offset, bytes);
    }
    ASSERT_EQ(change->size(), model_[key].size());
    ASSERT_TRUE(change->changed() || model_[key] == before);
    change->Save();
  }
  void Move(const std::string& from, const std::string& to) {
    if (from == to || !model_.contains(from)) {
      return;
    }
    txn_->Begin();
    const std::string_view keys[] = {from, to};
    txn_->Lock(keys);
    Keyspace keyspace(txn_.get(), &expired_);
    Result<KeyEntry> source = keyspace.Find(from);
    Result<KeyEntry> target = keyspace.Find(to);
    ASSERT_TRUE(source.ok() && target.ok());
    model_[to] = model_[from];
    if (random_.OneIn(2)) {
      ASSERT_TRUE(keyspace.Rename(&*source, &*target).ok());
      model_.erase(from);
    } else {
      ASSERT_TRUE(keyspace.Copy(*source, &*target).ok());
    }
  }
  void Look(const std::string& key) {
    const uint64_t first = Offset();
    const uint64_t count = random_.Uniform(random_.OneIn(2) ? 100 : 100'000);
    const auto found = model_.find(key);
    const std::string whole = found != model_.end() ? found->second : "";
    const std::string expected = first < whole.size() ? whole.substr(first, count) : "";
    ASSERT_TRUE(Part(key, first, count) == (found != model_.end() ? expected : "(none)"))
        << key << " from " << first << ", " << count;
  }
  void Disturb() {
    Commit();
    switch (random_.Uniform(3)) {
      case 0:
        return Open();
      case 1:
        return HandOver();
      default: {
        Sweeper sweeper(store_.get(), &clock_);
        ASSERT_TRUE(sweeper.RunSlice(100'000).ok());
      }
    }
  }
  void CheckAll() {
    Commit();
    for (const char* name : {"{t}", "k"}) {
      for (int n = 0; n < 3; ++n) {
        const std::string key = name + std::to_string(n);
        const auto found = model_.find(key);
        ASSERT_TRUE(Get(key) == (found != model_.end() ? found->second : "(none)")) << key;
      }
    }
    Commit();
  }

  Random random_{GetParam()};
  std::map<std::string, std::string> model_;
};

TEST_P(StringModelTest, StringsAreWhatTheModelSays) {
  for (int step = 0; step < 800 / kSlownessFactor && !HasFatalFailure(); ++step) {
    Step();
    if (step % 100 == 99) {
      ASSERT_NO_FATAL_FAILURE(CheckAll()) << "step " << step;
    }
  }
  Commit();
}

INSTANTIATE_TEST_SUITE_P(Seeds, StringModelTest, testing::Range<uint64_t>(1, 5));

}  // namespace
}  // namespace kvs
