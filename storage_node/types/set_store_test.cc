// The bytes of sets, as doc/formats/keys.md has them.

#include "storage_node/types/set_store.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "storage_node/types/zset_algebra.h"

namespace kvs {
namespace {

template <size_t N>
std::string Literal(const char (&bytes)[N]) {
  return std::string(bytes, N - 1);
}

class SetStoreTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = testing::TempDir() + "kvs_set_store_" + RandomHex(8);
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
  void Add(const std::vector<std::string_view>& members) {
    ASSERT_TRUE(SetStore(keyspace_.get(), limits_).Add("foo", members).ok());
  }
  std::string Record() {
    const Result<KeyEntry> entry = keyspace_->Find("foo");
    EXPECT_TRUE(entry.ok());
    return entry.ok() ? entry->record : "";
  }

  ManualClock clock_;
  std::string dir_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<Txn> txn_;
  std::vector<std::string> expired_;
  std::unique_ptr<Keyspace> keyspace_;
  TypeLimits limits_;
};

TEST_F(SetStoreTest, APackedSetIsThatOfTheDocument) {
  Add({"7", "bar"});
  EXPECT_EQ(Record(), Literal("\x01\x04\x01\x00\x00\x00\x00\x00\x00\x00\x00"
                              "\x00\x00\x00\x00\x00\x00\x00\x00"
                              "\x02\x00\x00\x00\x00\x00\x00\x00"
                              "\x01"
                              "7\x00\x03"
                              "bar\x00"));
}

TEST_F(SetStoreTest, TheRecordOfAMemberIsThatOfTheDocument) {
  limits_.packed_size = 0;
  Add({"bar"});
  constexpr uint16_t kSlot = 12182;
  const std::string name = Literal(
      "\x48\xa3\x7c\x90\xad\x27\xa6\x59"
      "bar");
  std::string value = "something";
  const Result<KeyEntry> entry = keyspace_->Find("foo");
  ASSERT_TRUE(entry.ok());
  const Status status = txn_->Get(kSlot, ElementKey(kSlot, 1, entry->version, name), &value);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(value, "");
}

}  // namespace
}  // namespace kvs
