// TxnIterator against a std::map: walks both ways over what is in the turn, in the cache and in the
// engine.

#include "storage_node/commit/txn_iterator.h"

#include <map>
#include <memory>
#include <string>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "storage_node/commit/store.h"
#include "storage_node/commit/txn.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {
namespace {

constexpr std::string_view kUserKey = "key";
constexpr uint64_t kVersion = 1;

class TxnIteratorTest : public testing::TestWithParam<uint64_t> {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "kvs_txn_iterator_" + RandomHex(8);
    StoreOptions options;
    options.dir = dir_;
    options.instance_count = 1;
    options.sync_policy = SyncPolicy::kNo;
    options.engines.block_cache_bytes = 8 << 20;
    Result<std::unique_ptr<Store>> store = Store::Open(options, &clock_);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
    txn_ = std::make_unique<Txn>(store_.get());
    Lock();
  }
  void TearDown() override {
    EXPECT_TRUE(txn_->Commit().ok());
    txn_.reset();
    store_.reset();
    EXPECT_TRUE(RemoveTree(dir_).ok());
  }
  void Lock() {
    txn_->Begin();
    txn_->Lock(kUserKey);
  }
  std::string Key(std::string_view name, uint64_t version = kVersion) const {
    return ElementKey(slot_, store_->slots().generation(slot_), version, name);
  }
  std::string Name() {
    std::string name;
    for (uint64_t i = random_.Uniform(4); i > 0; --i) {
      name += static_cast<char>('a' + random_.Uniform(3));
    }
    return name;
  }
  // Writes also to the versions beside it, which no walk shows.
  void Change() {
    const std::string name = Name();
    if (random_.OneIn(2)) {
      txn_->Delete(slot_, Key(name));
      model_.erase(Key(name));
    } else {
      const std::string value = std::to_string(random_.Uniform(1000));
      txn_->Put(slot_, Key(name), value);
      model_[Key(name)] = value;
    }
    txn_->Put(slot_, Key(name, kVersion - 1), "of another version");
    txn_->Put(slot_, Key(name, kVersion + 1), "of another version");
  }
  void Commit() {
    ASSERT_TRUE(txn_->Commit().ok());
    if (random_.OneIn(3)) {
      ASSERT_TRUE(store_->pipeline().HandOver(0).ok());
    }
    Lock();
  }

  // Walks [lower, upper) with random moves.
  void Walk() {
    std::string lower = Key(Name());
    std::string upper = random_.OneIn(3) ? PrefixEnd(Key("")) : Key(Name());
    if (upper < lower) {
      std::swap(lower, upper);
    }
    const Model part(model_.lower_bound(lower), model_.lower_bound(upper));
    Result<TxnIterator> it = txn_->NewElementIterator(slot_, lower, upper);
    ASSERT_TRUE(it.ok());
    Model::const_iterator at = part.end();
    for (int i = 0; i < 30; ++i) {
      Move(part, &*it, &at);
      ASSERT_TRUE(it->status().ok());
      ASSERT_EQ(it->Valid(), at != part.end());
      if (it->Valid()) {
        ASSERT_EQ(it->key(), at->first);
        ASSERT_EQ(it->value(), at->second);
      }
    }
  }
  using Model = std::map<std::string, std::string>;
  void Move(const Model& part, TxnIterator* it, Model::const_iterator* at) {
    const std::string target = Key(Name());
    const auto before = [&part](Model::const_iterator i) {
      return i == part.begin() ? part.end() : std::prev(i);
    };
    switch (random_.Uniform(*at == part.end() ? 4 : 12)) {
      case 0:
        it->SeekToFirst();
        *at = part.begin();
        return;
      case 1:
        it->SeekToLast();
        *at = before(part.end());
        return;
      case 2:
        it->Seek(target);
        *at = part.lower_bound(target);
        return;
      case 3:
        it->SeekBefore(target);
        *at = before(part.lower_bound(target));
        return;
      case 4:
      case 5:
      case 6:
      case 7:
        it->Next();
        ++*at;
        return;
      default:
        it->Prev();
        *at = before(*at);
        return;
    }
  }

  Random random_{GetParam()};
  std::string dir_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Txn> txn_;
  const uint16_t slot_ = 7;
  Model model_;
};

TEST_P(TxnIteratorTest, WalksBothWaysAsAMap) {
  for (int i = 0; i < 3000 && !HasFatalFailure(); ++i) {
    switch (random_.Uniform(8)) {
      case 0:
        Commit();
        break;
      case 1:
      case 2:
        Walk();
        break;
      default:
        Change();
        break;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, TxnIteratorTest, testing::Range<uint64_t>(1, 7));

}  // namespace
}  // namespace kvs
