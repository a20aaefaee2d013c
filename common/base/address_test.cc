#include "common/base/address.h"

#include <string>

#include "gtest/gtest.h"

namespace kvs {
namespace {

TEST(AddressTest, WhatIsParsedFormatsBack) {
  for (const std::string text :
       {"127.0.0.1:6379", "node-1.example.org:1", "[::1]:65535", "[fe80::1%eth0]:7000"}) {
    SCOPED_TRACE(text);
    const Result<NodeAddress> address = ParseAddress(text);
    ASSERT_TRUE(address.ok());
    EXPECT_EQ(FormatAddress(*address), text);
  }
  EXPECT_EQ(ParseAddress("[::1]:80")->host, "::1");
}

TEST(AddressTest, OtherTextIsRefused) {
  for (const std::string text :
       {"", ":", "host", "host:", ":80", "host:0", "host:65536", "host:080", "host:-1", "::1:80",
        "[]:80", "[host]:80", "a b:80", "ho\nst:80", "[::1:80", "host:80 "}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(ParseAddress(text).status().code(), Code::kInvalidArgument);
  }
  EXPECT_FALSE(ParseAddress(std::string(kMaxHostSize + 1, 'a') + ":80").ok());
}

}  // namespace
}  // namespace kvs
