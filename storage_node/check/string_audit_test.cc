#include "storage_node/check/string_audit.h"

#include <string>

#include "gtest/gtest.h"

#include "storage_node/keys/string_codec.h"

namespace kvs {
namespace {

TEST(StringAuditTest, ChunksWithinTheLengthPass) {
  StringAudit audit;
  EXPECT_EQ(audit.Verdict(1), "");  // Zeros.
  audit.Add(StringChunkName(0), std::string(kStringChunkSize, 'x'));
  audit.Add(StringChunkName(2), "xyz");
  EXPECT_EQ(audit.Verdict(2 * kStringChunkSize + 3), "");
  EXPECT_EQ(audit.Verdict(uint64_t{512} << 20), "");
}

TEST(StringAuditTest, AChunkBehindTheEndIsFound) {
  StringAudit audit;
  audit.Add(StringChunkName(2), "xyz");
  EXPECT_EQ(audit.Verdict(2 * kStringChunkSize + 2),
            "has 16386 bytes, and a chunk with byte 16386");
  EXPECT_NE(audit.Verdict(kStringChunkSize), "");
  StringAudit last;
  last.Add(StringChunkName(UINT32_MAX), "x");
  EXPECT_NE(last.Verdict(uint64_t{512} << 20), "");
}

TEST(StringAuditTest, WhatIsNoChunkIsFound) {
  const std::string name = StringChunkName(7);
  for (const std::string& other :
       {std::string(), name.substr(0, 4), name + "x", "m" + name.substr(1)}) {
    StringAudit audit;
    audit.Add(other, "x");
    EXPECT_EQ(audit.Verdict(1 << 20), "has an element that is no chunk of a string") << other;
  }
  StringAudit empty;
  empty.Add(name, "");
  EXPECT_NE(empty.Verdict(1 << 20), "");
  StringAudit longer;
  longer.Add(name, std::string(kStringChunkSize + 1, 'x'));
  EXPECT_EQ(longer.Verdict(1 << 20), "has a chunk that is longer than chunks are");
}

}  // namespace
}  // namespace kvs
