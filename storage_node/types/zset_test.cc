// Sorted sets against a std::set, with a rank index of short runs, and of the real size.

#include "storage_node/types/zset.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "storage_node/types/rank_level.h"
#include "storage_node/types/zset_store.h"

namespace kvs {
namespace {

constexpr std::string_view kKey = "z";
// Short enough for several levels of a few hundred members.
constexpr RankIndexShape kShortRuns = {.index_from = 12,
                                       .index_until = 6,
                                       .max_run = 8,
                                       .cut_run = 5,
                                       .min_run = 2,
                                       .max_fan = 4,
                                       .cut_fan = 3,
                                       .min_fan = 2};

class StoreFixture : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "kvs_zset_" + RandomHex(8);
    Open();
  }
  void TearDown() override {
    (void)txn_->Commit().ok();
    txn_.reset();
    store_.reset();
    EXPECT_TRUE(RemoveTree(dir_).ok());
  }
  void Open() {
    txn_.reset();
    store_.reset();
    StoreOptions options;
    options.dir = dir_;
    options.instance_count = 1;
    options.sync_policy = SyncPolicy::kNo;
    options.engines.block_cache_bytes = 8 << 20;
    Result<std::unique_ptr<Store>> store = Store::Open(options, &clock_);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
    txn_ = std::make_unique<Txn>(store_.get());
  }
  void Commit() {
    ASSERT_TRUE(txn_->Commit().ok());
    if (random_.OneIn(3)) {
      ASSERT_TRUE(store_->pipeline().HandOver(0).ok());
    }
  }
  Keyspace Begin() {
    txn_->Begin();
    txn_->Lock(kKey);
    return Keyspace(txn_.get(), &expired_);
  }

  Random random_{1};
  std::string dir_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Txn> txn_;
  std::vector<std::string> expired_;
};

// Of all levels, bottom up: what List() says of it.
Status CheckIndex(const Collection& zset, const RankIndexShape& shape) {
  const RankRoot root = DecodeRankRoot(zset.header());
  const auto fail = [](const std::string& what) { return Status::Corruption(what); };
  KVS_ASSIGN_OR_RETURN(std::vector<RankItem> below, RankLevel(&zset, 0).List("", std::nullopt));
  if (below.size() != zset.count()) {
    return fail("the members are not as many as are counted");
  }
  if (root.levels == 0 ? zset.count() > shape.index_from : zset.count() < shape.index_until) {
    return fail("an index is there, or is not, against the rule");
  }
  for (int level = 1; level <= root.levels; ++level) {
    KVS_ASSIGN_OR_RETURN(std::vector<RankItem> nodes,
                         RankLevel(&zset, level).List("", std::nullopt));
    if (nodes.empty() || !nodes.front().order.empty()) {
      return fail("no first node");
    }
    std::vector<RankItem> wanted = nodes;
    for (RankItem& node : wanted) {
      node.node = {};
    }
    for (const RankItem& child : below) {
      const auto owner = std::prev(
          std::upper_bound(wanted.begin(), wanted.end(), child,
                           [](const RankItem& a, const RankItem& b) { return a.order < b.order; }));
      owner->node.count += child.node.count;
      ++owner->node.children;
    }
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (!(nodes[i].node == wanted[i].node)) {
        return fail("a node of level " + std::to_string(level) + " counts wrong");
      }
      if (nodes[i].node.children > (level == 1 ? shape.max_run : shape.max_fan)) {
        return fail("a run is too long");
      }
    }
    below = std::move(nodes);
  }
  if (root.levels > 0 && (below.size() != root.top_nodes || below.size() > shape.max_fan)) {
    return fail("the top is not as long as the header says");
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<RankItem> above,
                       RankLevel(&zset, root.levels + 1).List("", std::nullopt));
  return above.empty() ? Status::Ok() : fail("a level stands above the top");
}

// The index alone, on a collection that has elements 's' only.
class RankIndexTest : public StoreFixture, public testing::WithParamInterface<uint64_t> {
 protected:
  std::string SomeOrder() {
    std::string member;
    for (uint64_t i = random_.Uniform(5); i > 0; --i) {
      member += static_cast<char>('a' + random_.Uniform(4));
    }
    return ZSetOrder(static_cast<double>(random_.Uniform(8)), member);
  }
  Result<Collection> OpenForWrite() {
    keyspace_.emplace(Begin());
    return Collection::OpenForWrite(&*keyspace_, kKey, kZSetShape, 0);
  }
  // A change of some members here and there, or of many neighbours.
  std::vector<OrderChange> SomeChanges() {
    std::map<std::string, bool> changes;
    if (random_.OneIn(6)) {
      const std::string from = SomeOrder();
      uint64_t left = random_.Uniform(60);
      for (auto it = model_.lower_bound(from); it != model_.end() && left > 0; ++it, --left) {
        changes[*it] = false;
      }
    }
    const bool grows = random_.OneIn(2);
    for (uint64_t i = 1 + random_.Uniform(random_.OneIn(8) ? 80 : 4); i > 0; --i) {
      const std::string order = SomeOrder();
      if (model_.contains(order) ? !grows || random_.OneIn(4) : grows || random_.OneIn(4)) {
        changes[order] = !model_.contains(order);
      }
    }
    std::vector<OrderChange> list;
    for (const auto& [order, is_added] : changes) {
      list.push_back({order, is_added});
    }
    return list;
  }
  void Change() {
    Result<Collection> zset = OpenForWrite();
    ASSERT_TRUE(zset.ok());
    const std::vector<OrderChange> changes = SomeChanges();
    RankPlan plan;
    if (!zset->is_packed()) {
      Result<RankPlan> planned =
          RankIndex(&*zset, DecodeRankRoot(zset->header()), kShortRuns).Plan(changes);
      ASSERT_TRUE(planned.ok()) << planned.status().ToString();
      plan = *std::move(planned);
    }
    for (const OrderChange& change : changes) {
      const std::string name = "s" + change.order;
      if (change.is_added) {
        zset->Put(name, {});
        model_.insert(change.order);
      } else {
        zset->Remove(name);
        model_.erase(change.order);
      }
      zset->AddToCount(change.is_added ? 1 : -1);
    }
    if (zset->is_packed()) {
      return;  // Nothing was added.
    }
    if (plan.root == RankRoot() && plan.writes.empty() && model_.size() > kShortRuns.index_from) {
      const std::vector<std::string> all(model_.begin(), model_.end());
      plan = RankIndex::Build(all, kShortRuns);
    }
    for (const auto& [name, value] : plan.writes) {
      value.has_value() ? zset->Put(name, *value) : zset->Remove(name);
    }
    zset->set_header(EncodeRankRoot(plan.root));
    zset->Save();
    max_levels_ = std::max(max_levels_, int{plan.root.levels});
  }
  void Check() {
    Result<Collection> zset = OpenForWrite();
    ASSERT_TRUE(zset.ok());
    if (zset->is_packed()) {
      ASSERT_TRUE(model_.empty());
      return;
    }
    const Status status = CheckIndex(*zset, kShortRuns);
    ASSERT_TRUE(status.ok()) << status.ToString();
    const RankIndex index(&*zset, DecodeRankRoot(zset->header()), kShortRuns);
    if (!index.exists()) {
      return;
    }
    for (int i = 0; i < 10; ++i) {
      const std::string order = i == 0 ? "" : i == 1 ? "\xff" : SomeOrder();
      const Result<uint64_t> before = index.CountBefore(order);
      ASSERT_TRUE(before.ok());
      ASSERT_EQ(*before,
                static_cast<uint64_t>(std::distance(model_.begin(), model_.lower_bound(order))));
      const uint64_t rank = random_.Uniform(model_.size());
      const Result<RankIndex::Place> place = index.Find(rank);
      ASSERT_TRUE(place.ok());
      const auto begin = model_.lower_bound(place->order);
      ASSERT_EQ(static_cast<uint64_t>(std::distance(model_.begin(), begin)) + place->skip, rank);
      ASSERT_LT(place->skip, kShortRuns.max_run);
    }
    ASSERT_FALSE(index.Find(model_.size()).ok());
  }

  std::optional<Keyspace> keyspace_;
  std::set<std::string> model_;
  int max_levels_ = 0;
};

TEST_P(RankIndexTest, CountsAsASetWould) {
  random_ = Random(GetParam());
  for (int i = 0; i < 1500; ++i) {
    switch (random_.Uniform(12)) {
      case 0:
        Commit();
        break;
      case 1:
      case 2:
      case 3:
        Check();
        break;
      case 4:
        if (random_.OneIn(10)) {
          Commit();
          Open();
        }
        break;
      default:
        Change();
        break;
    }
    if (HasFatalFailure()) {
      FAIL() << "step " << i;
    }
  }
  EXPECT_GE(max_levels_, 3);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RankIndexTest, testing::Range<uint64_t>(1, 9));

class ZSetTest : public StoreFixture {
 protected:
  void Fill(int count) {
    Keyspace keyspace = Begin();
    std::vector<std::string> names;
    std::vector<ScoredName> pairs;
    for (int i = 0; i < count; ++i) {
      names.push_back("member" + std::to_string(i));
    }
    for (int i = 0; i < count; ++i) {
      pairs.push_back({static_cast<double>(i / 2), names[static_cast<size_t>(i)]});
    }
    const Result<ZAddCount> added = ZSetStore(&keyspace, limits_).Add(kKey, {}, pairs);
    ASSERT_TRUE(added.ok()) << added.status().ToString();
    ASSERT_EQ(added->added, count);
    Commit();
  }
  TypeLimits limits_;
};

TEST_F(ZSetTest, AnIndexComesWithTheMembersAndGoesWithThem) {
  for (const size_t packed_size : {size_t{0}, size_t{1024}, size_t{65536}}) {
    limits_.packed_size = packed_size;
    Fill(20'000);
    Keyspace keyspace = Begin();
    {
      const Result<ZSet> zset = ZSet::OpenForRead(&keyspace, kKey);
      ASSERT_TRUE(zset.ok());
      const Status status = CheckIndex(zset->elements(), {});
      ASSERT_TRUE(status.ok()) << status.ToString();
      EXPECT_EQ(*zset->CountBefore("s" + ZSetOrder(5000, "")), 10'000U);
      EXPECT_EQ(*zset->Count(WholeOrder()), 20'000U);
    }
    const auto cut_to = [&](uint64_t count) {
      return *ZSetStore(&keyspace, limits_)
                  .RemoveRange(kKey, [&](const ZSet& zset) -> Result<ZSelection> {
                    return ZSelection{WholeOrder(), false, 50, zset.count() - count};
                  });
    };
    EXPECT_EQ(cut_to(300), 19'700);
    EXPECT_EQ(cut_to(100), 200);
    const Result<ZSet> zset = ZSet::OpenForRead(&keyspace, kKey);
    EXPECT_EQ(DecodeRankRoot(zset->elements().header()), RankRoot());
    ASSERT_TRUE(CheckIndex(zset->elements(), {}).ok());
    ASSERT_TRUE(ZSetStore(&keyspace, limits_).Replace(kKey, {}).ok());
    EXPECT_FALSE(ZSet::OpenForRead(&keyspace, kKey)->exists());
    Commit();
  }
}

TEST_F(ZSetTest, AnIndexThatDoesNotFitIsAnError) {
  limits_.packed_size = 0;
  Fill(1000);
  Keyspace keyspace = Begin();
  Result<Collection> elements = Collection::OpenForWrite(&keyspace, kKey, kZSetShape, 0);
  ASSERT_TRUE(elements.ok());
  const std::string first = RankLevelPrefix(1);
  elements->Put(first, EncodeRankNode({.count = 1, .children = 1}));
  elements->Save();
  const Result<ZSet> zset = ZSet::OpenForRead(&keyspace, kKey);
  ASSERT_TRUE(zset.ok());
  EXPECT_FALSE(zset->Collect({.range = WholeOrder(), .skip = 999}).ok());
  elements->Put(first, "");
  elements->Save();
  EXPECT_EQ(zset->CountBefore("s" + ZSetOrder(400, "")).status().code(), Code::kCorruption);
  EXPECT_EQ(ZSetStore(&keyspace, limits_)
                .Remove(kKey, std::vector<std::string_view>{"member0"})
                .status()
                .code(),
            Code::kCorruption);
  Commit();
}

TEST_F(ZSetTest, ReplacingEndsTheTimeOfExpiryAndAnyOtherType) {
  Keyspace keyspace = Begin();
  Result<KeyEntry> entry = keyspace.Find(kKey);
  keyspace.PutString(&*entry, "a string", 5'000'000'000'000);
  ASSERT_TRUE(ZSetStore(&keyspace, limits_).Replace(kKey, {{"a", 1}, {"b", 2}}).ok());
  entry = keyspace.Find(kKey);
  EXPECT_EQ(entry->type, DataType::kZSet);
  EXPECT_EQ(entry->expire_at_ms, kNoExpiry);
  EXPECT_EQ(entry->count, 2U);
  Commit();
  EXPECT_EQ(store_->slots().total_keys(), 1U);
}

}  // namespace
}  // namespace kvs
