#include "common/command/migrate_request.h"

#include <initializer_list>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

using Words = std::vector<std::string_view>;

std::string ErrorOf(const Words& words) {
  const Result<MigrateRequest> request = ParseMigrate(words);
  return std::string(request.ok() ? "" : request.status().message());
}

TEST(MigrateRequestTest, EveryOptionIsRead) {
  const Words words = {"migrate", "h",    "7",  "",     "2",    "30",   "copy", "Replace",
                       "AUTH2",   "keys", "pw", "AUTH", "keys", "KEYS", "a",    "keys"};

  const Result<MigrateRequest> request = ParseMigrate(words);

  ASSERT_TRUE(request.ok());
  EXPECT_EQ(request->host, "h");
  EXPECT_EQ(request->port, 7);
  EXPECT_EQ(request->db, 2);
  EXPECT_EQ(request->timeout_ms, 30);
  EXPECT_TRUE(request->copy);
  EXPECT_TRUE(request->replace);
  EXPECT_EQ(request->username, "keys");
  EXPECT_EQ(request->password, "keys");
  EXPECT_EQ(Words(request->keys.begin(), request->keys.end()), (Words{"a", "keys"}));
}

TEST(MigrateRequestTest, OneKeyNeedsNoOption) {
  const Words words = {"migrate", "h", "7", "k", "0", "30"};

  const Result<MigrateRequest> request = ParseMigrate(words);

  ASSERT_TRUE(request.ok());
  EXPECT_FALSE(request->copy || request->replace || request->password.has_value());
  EXPECT_EQ(Words(request->keys.begin(), request->keys.end()), (Words{"k"}));
}

TEST(MigrateRequestTest, OptionsAreJudgedBeforeNumbers) {
  EXPECT_EQ(ErrorOf({"migrate", "h", "7", "k", "x", "y", "nonsense"}), "syntax error");
  EXPECT_EQ(ErrorOf({"migrate", "h", "7", "k", "0", "1", "auth"}), "syntax error");
  EXPECT_EQ(ErrorOf({"migrate", "h", "7", "k", "0", "1", "auth2", "u"}), "syntax error");
  EXPECT_EQ(ErrorOf({"migrate", "h", "7", "k", "x", "y", "keys", "a"}),
            "When using MIGRATE KEYS option, the key argument must be set to the empty string");
  EXPECT_EQ(ErrorOf({"migrate", "h", "7", "k", "x", "1"}),
            "value is not an integer or out of range");
  EXPECT_EQ(ErrorOf({"migrate", "h", "7", "k", "0", "y"}),
            "value is not an integer or out of range");
}

TEST(MigrateRequestTest, TimesAreBounded) {
  const auto read = [](std::string_view timeout) {
    return *ParseMigrate(Words{"migrate", "h", "7", "k", "0", timeout});
  };

  EXPECT_EQ(read("0").timeout_ms, 1000);
  EXPECT_EQ(read("-5").timeout_ms, 1000);
  EXPECT_EQ(read("0").total_ms(), 60'000);
  EXPECT_EQ(read("20000").total_ms(), 200'000);
  EXPECT_EQ(read("9223372036854775807").timeout_ms, 86'400'000);
}

TEST(MigrateRequestTest, WhatIsNoPortIsPortZero) {
  for (const std::string_view port : {"", "x", "0", "-1", "65536", "99999999999999999999"}) {
    EXPECT_EQ(ParseMigrate(Words{"migrate", "h", port, "k", "0", "1"})->port, 0) << port;
  }
  EXPECT_EQ(ParseMigrate(Words{"migrate", "h", "65535x", "k", "0", "1"})->port, 65535);
}

}  // namespace
}  // namespace kvs
