#include "storage_node/engine/pread_env.h"

#include <memory>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"

namespace kvs {
namespace {

class PreadEnvTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "kvs_pread_" + RandomHex(8);
    ASSERT_TRUE(WriteFileAtomic(path_, "0123456789").ok());
  }
  void TearDown() override { EXPECT_TRUE(RemoveFile(path_).ok()); }

  std::unique_ptr<leveldb::RandomAccessFile> Open() {
    leveldb::RandomAccessFile* file = nullptr;
    EXPECT_TRUE(PreadEnv::Default()->NewRandomAccessFile(path_, &file).ok());
    return std::unique_ptr<leveldb::RandomAccessFile>(file);
  }

  std::string path_;
};

TEST_F(PreadEnvTest, ReadsWhatIsAskedForAndLessAtTheEnd) {
  const auto file = Open();
  char scratch[16];
  leveldb::Slice got;
  ASSERT_TRUE(file->Read(2, 3, &got, scratch).ok());
  EXPECT_EQ(got.ToString(), "234");
  ASSERT_TRUE(file->Read(8, 10, &got, scratch).ok());
  EXPECT_EQ(got.ToString(), "89");
  ASSERT_TRUE(file->Read(20, 1, &got, scratch).ok());
  EXPECT_EQ(got.ToString(), "");
}

TEST_F(PreadEnvTest, AFileThatIsGoneCanStillBeRead) {
  const auto file = Open();
  const std::string content = *ReadFile(path_);
  ASSERT_TRUE(RemoveFile(path_).ok());
  char scratch[16];
  leveldb::Slice got;
  EXPECT_TRUE(file->Read(0, 10, &got, scratch).ok());
  EXPECT_EQ(got.ToString(), content);
  ASSERT_TRUE(WriteFileAtomic(path_, content).ok());
}

TEST_F(PreadEnvTest, WhatIsMissingIsNotFound) {
  leveldb::RandomAccessFile* file = nullptr;
  EXPECT_TRUE(PreadEnv::Default()->NewRandomAccessFile(path_ + "x", &file).IsNotFound());
  EXPECT_EQ(file, nullptr);
}

}  // namespace
}  // namespace kvs
