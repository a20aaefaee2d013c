// Lists against a std::vector, and what their commands read and write of large ones.

#include "storage_node/types/list.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/slowness.h"

namespace kvs {
namespace {

constexpr std::string_view kKey = "l";

class ListTest : public testing::Test {
 protected:
  void SetUp() override {
    limits_.packed_size = 0;
    dir_ = testing::TempDir() + "kvs_list_" + RandomHex(8);
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
  void TearDown() override {
    (void)txn_->Commit().ok();
    txn_.reset();
    store_.reset();
    EXPECT_TRUE(RemoveTree(dir_).ok());
  }

  // Runs `change(list)` as a command does.
  template <typename Change>
  void Apply(Change change) {
    txn_->Begin();
    txn_->Lock(kKey);
    Keyspace keyspace(txn_.get(), &expired_);
    Result<List> list = List::OpenForWrite(&keyspace, kKey, limits_);
    ASSERT_TRUE(list.ok()) << list.status().ToString();
    change(&*list);
    const Status staged = list->Stage();
    ASSERT_TRUE(staged.ok()) << staged.ToString();
    list->Save();
    ASSERT_TRUE(txn_->Commit().ok());
  }
  void Append(uint64_t count) {
    std::vector<std::string> texts;
    for (uint64_t i = 0; i < count; ++i) {
      texts.push_back(std::to_string(next_++));
    }
    const std::vector<std::string_view> elements(texts.begin(), texts.end());
    Apply([&](List* list) { list->Push(elements, ListEnd::kTail); });
    model_.insert(model_.end(), texts.begin(), texts.end());
  }
  void Insert(const std::string& pivot, bool before) {
    const std::string element = std::to_string(next_++);
    Apply([&](List* list) {
      const Result<bool> inserted = list->Insert(pivot, before, element);
      ASSERT_TRUE(inserted.ok() && *inserted);
    });
    const auto at = std::find(model_.begin(), model_.end(), pivot);
    model_.insert(before ? at : at + 1, element);
  }
  ListHeader Header() {
    txn_->Begin();
    txn_->Lock(kKey);
    Keyspace keyspace(txn_.get(), &expired_);
    const Result<List> list = List::OpenForRead(&keyspace, kKey);
    EXPECT_TRUE(list.ok());
    return DecodeListHeader(list->elements().header());
  }
  // Compares all elements, in both directions and by index, and the orders' lengths.
  void Check() {
    txn_->Begin();
    txn_->Lock(kKey);
    Keyspace keyspace(txn_.get(), &expired_);
    const Result<List> list = List::OpenForRead(&keyspace, kKey);
    ASSERT_TRUE(list.ok()) << list.status().ToString();
    ASSERT_EQ(list->count(), model_.size());
    if (model_.empty()) {
      return;
    }
    for (const bool backward : {false, true}) {
      std::vector<std::string> read;
      ASSERT_TRUE(list->ForEach(backward ? model_.size() - 1 : 0, backward,
                                [&](std::string_view order, std::string_view element) {
                                  EXPECT_LE(order.size(), kMaxListOrder);
                                  read.emplace_back(element);
                                  return true;
                                })
                      .ok());
      if (backward) {
        std::reverse(read.begin(), read.end());
      }
      ASSERT_EQ(read, model_);
    }
    for (int i = 0; i < 20; ++i) {
      const uint64_t index = random_.Uniform(model_.size());
      const Result<std::string> element = list->At(index);
      ASSERT_TRUE(element.ok()) << element.status().ToString();
      ASSERT_EQ(*element, model_[index]);
    }
  }

  Random random_{7};
  TypeLimits limits_;
  std::string dir_;
  ManualClock clock_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Txn> txn_;
  std::vector<std::string> expired_;
  std::vector<std::string> model_;
  uint64_t next_ = 0;
};

TEST_F(ListTest, AQueueStaysDense) {
  Append(300);
  for (int i = 0; i < 50; ++i) {
    Append(20);
    Apply([&](List* list) {
      const auto popped = list->Pop(20, ListEnd::kHead);
      ASSERT_TRUE(popped.ok());
      ASSERT_EQ(*popped, std::vector<std::string>(model_.begin(), model_.begin() + 20));
    });
    model_.erase(model_.begin(), model_.begin() + 20);
  }
  Check();
  EXPECT_TRUE(Header().is_dense);
  EXPECT_EQ(Header().root, RankRoot());
}

TEST_F(ListTest, AChangeInTheMiddleOfALargeListMakesAnIndex) {
  Append(20'000 / kSlownessFactor);
  const std::string pivot = model_[model_.size() / 2];
  Insert(pivot, /*before=*/true);
  Check();
  EXPECT_FALSE(Header().is_dense);
  EXPECT_GT(Header().root.levels, 0);
  // It lasts until the list is small.
  Apply([&](List* list) { ASSERT_TRUE(list->Trim(10, 100).ok()); });
  model_ = std::vector<std::string>(model_.begin() + 10, model_.begin() + 110);
  Check();
  EXPECT_EQ(Header().root, RankRoot());
}

// A list that has been trimmed to little is written from scratch, and is dense again.
TEST_F(ListTest, WhatIsLeftOfALongListIsWrittenAnew) {
  Append(2000);
  Insert(model_[700], /*before=*/false);
  Apply([&](List* list) { ASSERT_TRUE(list->Trim(650, 100).ok()); });
  model_ = std::vector<std::string>(model_.begin() + 650, model_.begin() + 750);
  Check();
  EXPECT_TRUE(Header().is_dense);
}

// Every insertion halves the gap, wherever the last one was put: the orders stay short because
// neighbours get new ones.
TEST_F(ListTest, OrdersStayShortHoweverOftenOnePlaceIsMeant) {
  Append(500);
  const std::string pivot = model_[250];
  std::string last = pivot;
  for (int i = 0; i < 3000 / kSlownessFactor; ++i) {
    const bool before = random_.OneIn(2);
    Insert(random_.OneIn(3) ? pivot : last, before);
    last = std::to_string(next_ - 1);
    if (i % 500 == 0) {
      Check();
    }
  }
  Check();
}

TEST_F(ListTest, IsAVector) {
  for (int i = 0; i < 1500 / kSlownessFactor; ++i) {
    const uint64_t size = model_.size();
    switch (random_.Uniform(size > 1500 ? 6 : 9)) {
      case 0: {
        const uint64_t count = 1 + random_.Uniform(4);
        const bool backward = random_.OneIn(2);
        Apply([&](List* list) {
          if (list->exists()) {
            ASSERT_TRUE(list->Pop(count, backward ? ListEnd::kTail : ListEnd::kHead).ok());
          }
        });
        const auto gone = static_cast<std::ptrdiff_t>(std::min<uint64_t>(count, size));
        backward ? model_.erase(model_.end() - gone, model_.end())
                 : model_.erase(model_.begin(), model_.begin() + gone);
        break;
      }
      case 1:
      case 2:
        if (size > 0) {
          Insert(model_[random_.Uniform(size)], random_.OneIn(2));
        }
        break;
      case 3:
      case 4:
        if (size > 0) {
          const std::string element = model_[random_.Uniform(size)];
          Apply([&](List* list) {
            const Result<uint64_t> removed = list->Remove(element, UINT64_MAX, random_.OneIn(2));
            ASSERT_TRUE(removed.ok());
            ASSERT_EQ(*removed, 1U);
          });
          std::erase(model_, element);
        }
        break;
      case 5:
        if (size > 0 && random_.OneIn(6)) {
          const uint64_t first = random_.Uniform(size);
          const uint64_t count = 1 + random_.Uniform(size - first);
          Apply([&](List* list) { ASSERT_TRUE(list->Trim(first, count).ok()); });
          const auto begin = model_.begin() + static_cast<std::ptrdiff_t>(first);
          model_ = std::vector<std::string>(begin, begin + static_cast<std::ptrdiff_t>(count));
        }
        break;
      case 6:
        Append(random_.Uniform(200));
        break;
      default: {
        Append(1);
        const std::string element = std::to_string(next_++);
        Apply([&](List* list) {
          const std::string_view elements[] = {element};
          list->Push(elements, ListEnd::kHead);
        });
        model_.insert(model_.begin(), element);
        break;
      }
    }
    if (i % 20 == 0) {
      Check();
    }
    ASSERT_FALSE(HasFailure()) << "step " << i;
  }
}

}  // namespace
}  // namespace kvs
