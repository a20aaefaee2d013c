// Sorted sets joined with sets, which the node's tables of commands on sorted sets do not have.

#include "storage_node/types/zset_algebra.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "storage_node/types/zset_store.h"

namespace kvs {
namespace {

using Members = std::vector<std::pair<std::string, double>>;

class ZSetAlgebraTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "kvs_zset_algebra_" + RandomHex(8);
    StoreOptions options;
    options.dir = dir_;
    options.instance_count = 1;
    options.sync_policy = SyncPolicy::kNo;
    options.engines.block_cache_bytes = 8 << 20;
    Result<std::unique_ptr<Store>> store = Store::Open(options, &clock_);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
    txn_ = std::make_unique<Txn>(store_.get());
    keyspace_ = std::make_unique<Keyspace>(txn_.get(), &expired_);
    txn_->Begin();
    txn_->LockAll();
  }
  void TearDown() override {
    EXPECT_TRUE(txn_->Commit().ok());
    txn_.reset();
    store_.reset();
    EXPECT_TRUE(RemoveTree(dir_).ok());
  }
  void PutSet(const std::string& key, const std::vector<std::string>& members) {
    constexpr CollectionShape kShape = {.type = DataType::kSet, .order = ElementOrder::kNone};
    Result<Collection> set = Collection::OpenForWrite(keyspace_.get(), key, kShape, packed_size_);
    ASSERT_TRUE(set.ok());
    for (const std::string& member : members) {
      set->Put(member, {});
      set->AddToCount(1);
    }
    set->Save();
  }
  void PutZSet(const std::string& key, std::vector<ScoredMember> members) {
    const TypeLimits limits = {.packed_size = packed_size_};
    ASSERT_TRUE(ZSetStore(keyspace_.get(), limits).Replace(key, std::move(members)).ok());
  }
  std::vector<ScoredInput> Open(const std::vector<std::string>& keys) {
    std::vector<ScoredInput> inputs;
    for (const std::string& key : keys) {
      Result<ScoredInput> input = ScoredInput::Open(keyspace_.get(), key);
      EXPECT_TRUE(input.ok());
      inputs.push_back(*std::move(input));
    }
    return inputs;
  }
  static Members Of(const Result<std::vector<ScoredMember>>& result) {
    Members members;
    EXPECT_TRUE(result.ok());
    for (const ScoredMember& member : *result) {
      members.emplace_back(member.member, member.score);
    }
    return members;
  }

  size_t packed_size_ = 1024;
  std::string dir_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Txn> txn_;
  std::unique_ptr<Keyspace> keyspace_;
  std::vector<std::string> expired_;
};

TEST_F(ZSetAlgebraTest, MembersOfSetsHaveTheScoreOne) {
  for (const size_t packed_size : {size_t{1024}, size_t{0}}) {
    packed_size_ = packed_size;
    const std::string tag = std::to_string(packed_size);
    PutSet("set" + tag, {"a", "b", "c"});
    PutZSet("zset" + tag, {{"b", 10}, {"c", -20}, {"d", 30}});
    std::vector<ScoredInput> inputs = Open({"zset" + tag, "set" + tag});
    EXPECT_EQ(Of(Union(inputs, Aggregate::kSum)),
              (Members{{"c", -19}, {"a", 1}, {"b", 11}, {"d", 30}}));
    EXPECT_EQ(Of(Intersection(inputs, Aggregate::kMax)), (Members{{"c", 1}, {"b", 10}}));
    EXPECT_EQ(Of(Difference(inputs)), (Members{{"d", 30}}));
    EXPECT_EQ(*CountIntersection(inputs, 10), 2U);
    EXPECT_EQ(*CountIntersection(inputs, 1), 1U);
    inputs[1].set_weight(3);
    EXPECT_EQ(Of(Intersection(inputs, Aggregate::kMin)), (Members{{"c", -20}, {"b", 3}}));
    inputs = Open({"set" + tag, "zset" + tag, "none"});
    EXPECT_EQ(Of(Difference(inputs)), (Members{{"a", 1}}));
    EXPECT_EQ(Of(Intersection(inputs, Aggregate::kSum)), Members());
  }
}

TEST_F(ZSetAlgebraTest, AnotherTypeIsRefused) {
  Result<KeyEntry> entry = keyspace_->Find("s");
  keyspace_->PutString(&*entry, "a string", kNoExpiry);
  EXPECT_EQ(ScoredInput::Open(keyspace_.get(), "s").status().code(), Code::kWrongType);
}

}  // namespace
}  // namespace kvs
