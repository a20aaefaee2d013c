#include "config_server/meta/meta_store.h"

#include <leveldb/db.h>

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "config_server/meta/leveldb_meta_store.h"
#include "config_server/meta/memory_meta_store.h"

namespace kvs {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

// Every property holds for every store.
class MetaStoreTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "kvs_meta_" + RandomHex(8);
    Open();
  }
  void TearDown() override {
    store_.reset();
    ASSERT_TRUE(RemoveTree(path_).ok());
  }
  bool durable() const { return GetParam(); }
  void Open() {
    if (!durable()) {
      store_ = std::make_unique<MemoryMetaStore>();
      return;
    }
    Result<std::unique_ptr<LevelDbMetaStore>> store = LevelDbMetaStore::Open(path_);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = *std::move(store);
  }
  void Put(const std::string& key, const std::string& value) {
    ASSERT_TRUE(store_->Commit({{}, {{key, value}}, {}}).ok());
  }

  std::string path_;
  std::unique_ptr<MetaStore> store_;
};

INSTANTIATE_TEST_SUITE_P(, MetaStoreTest, testing::Bool(), [](const auto& param) {
  return std::string(param.param ? "LevelDb" : "Memory");
});

// What only a store on a disk has.
class LevelDbMetaStoreTest : public MetaStoreTest {};
INSTANTIATE_TEST_SUITE_P(, LevelDbMetaStoreTest, testing::Values(true));

TEST_P(MetaStoreTest, AFreshStoreIsEmpty) {
  EXPECT_EQ(store_->Get("a").status().code(), Code::kNotFound);
  EXPECT_TRUE(store_->List("")->empty());
}

TEST_P(MetaStoreTest, ListReturnsAPrefixInOrder) {
  Put("b/2", "y");
  Put("b/1", "x");
  Put("b", "z");
  Put("c/1", "w");
  Put("a/9", "v");
  EXPECT_THAT(*store_->List("b/"), ElementsAre(Pair("b/1", "x"), Pair("b/2", "y")));
  EXPECT_EQ(store_->List("")->size(), 5U);
}

TEST_P(MetaStoreTest, ATransactionChangesAllOrNothing) {
  Put("a", "1");
  Put("b", "1");
  const Status aborted =
      store_->Commit({{{"a", "1"}, {"b", "2"}}, {{"a", "9"}, {"new", "9"}}, {"b"}});
  EXPECT_EQ(aborted.code(), Code::kAborted);
  EXPECT_THAT(std::string(aborted.message()), HasSubstr("'b'"));
  EXPECT_THAT(*store_->List(""), ElementsAre(Pair("a", "1"), Pair("b", "1")));

  ASSERT_TRUE(store_->Commit({{{"a", "1"}, {"b", "1"}}, {{"a", "9"}, {"new", "9"}}, {"b"}}).ok());
  EXPECT_THAT(*store_->List(""), ElementsAre(Pair("a", "9"), Pair("new", "9")));
}

TEST_P(MetaStoreTest, AbsenceCanBeCompared) {
  const MetaTransaction create{{{"a", std::nullopt}}, {{"a", "1"}}, {}};
  EXPECT_TRUE(store_->Commit(create).ok());
  EXPECT_EQ(store_->Commit(create).code(), Code::kAborted);
  EXPECT_EQ(store_->Commit({{{"none", ""}}, {}, {}}).code(), Code::kAborted);
}

TEST_P(MetaStoreTest, BadTransactionsAreRefused) {
  for (const MetaTransaction& bad :
       {MetaTransaction{{}, {{"", "v"}}, {}},
        MetaTransaction{{}, {{std::string(kMaxMetaKeySize + 1, 'k'), "v"}}, {}},
        MetaTransaction{{}, {{"a", "1"}, {"a", "2"}}, {}}, MetaTransaction{{}, {{"a", "1"}}, {"a"}},
        MetaTransaction{{}, {{"a", std::string(kMaxMetaValueSize + 1, 'v')}}, {}}}) {
    EXPECT_EQ(store_->Commit(bad).code(), Code::kInvalidArgument);
  }
  EXPECT_TRUE(store_->List("")->empty());
}

TEST_P(LevelDbMetaStoreTest, RecordsSurviveAReopen) {
  Put("a", std::string("\0\xff", 2));
  store_.reset();
  Open();
  EXPECT_EQ(*store_->Get("a"), std::string("\0\xff", 2));
}

TEST_P(LevelDbMetaStoreTest, ASecondOpenIsRefused) {
  const Status second = LevelDbMetaStore::Open(path_).status();
  EXPECT_EQ(second.code(), Code::kBusy) << second.ToString();
}

TEST_P(LevelDbMetaStoreTest, ANewerFormatIsRefused) {
  store_.reset();
  leveldb::DB* db = nullptr;
  ASSERT_TRUE(leveldb::DB::Open({}, path_, &db).ok());
  std::string version;
  EXPECT_TRUE(db->Get({}, {"\0format", 7}, &version).ok());
  EXPECT_EQ(version, "1");
  EXPECT_TRUE(db->Put({}, {"\0format", 7}, "2").ok());
  delete db;
  EXPECT_EQ(LevelDbMetaStore::Open(path_).status().code(), Code::kUnsupported);
}

}  // namespace
}  // namespace kvs
