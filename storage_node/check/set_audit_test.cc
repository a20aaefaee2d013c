#include "storage_node/check/set_audit.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/coding.h"

namespace kvs {
namespace {

constexpr uint8_t kIntset = 0;
constexpr uint8_t kListpack = 1;

std::string Packed(const std::vector<std::string>& members, std::string_view value = {}) {
  std::string packed;
  for (const std::string& member : members) {
    PutLengthPrefixed(&packed, member);
    PutLengthPrefixed(&packed, value);
  }
  return packed;
}

TEST(SetAuditTest, RecordsThatAgreePass) {
  SetAudit audit;
  audit.Add("hashhash17", "");
  audit.Add("hashhash-1", "");
  EXPECT_EQ(audit.Verdict(2, kIntset), "");
  audit.Add("hashhash", "");
  EXPECT_EQ(audit.Verdict(3, kListpack), "");
  EXPECT_EQ(SetAudit().Verdict(0, kIntset), "");
}

TEST(SetAuditTest, RecordsThatDoNotAgreeAreFound) {
  SetAudit audit;
  audit.Add("hashhasha", "");
  EXPECT_EQ(audit.Verdict(2, kListpack), "counts 2 members, and has 1");
  EXPECT_EQ(audit.Verdict(1, kIntset), "is an intset, and has a member that is no integer");
  EXPECT_EQ(audit.Verdict(1, 3), "has an encoding that sets do not have");
  SetAudit valued = audit;
  valued.Add("hashhashb", "x");
  EXPECT_EQ(valued.Verdict(2, kListpack), "has an element that is none of a set");
  SetAudit cut = audit;
  cut.Add("short", "");
  EXPECT_EQ(cut.Verdict(2, kListpack), "has an element that is none of a set");
}

TEST(SetAuditTest, PackedSetsAreReadToo) {
  const std::string packed = Packed({"1", "2", "a"});
  EXPECT_EQ(SetAudit::VerdictOfPacked(packed, 3, kListpack), "");
  EXPECT_NE(SetAudit::VerdictOfPacked(packed, 3, kIntset), "");
  EXPECT_NE(SetAudit::VerdictOfPacked(packed, 2, kListpack), "");
  EXPECT_EQ(SetAudit::VerdictOfPacked(packed.substr(0, packed.size() - 1), 3, kListpack),
            "cannot be unpacked");
  EXPECT_EQ(SetAudit::VerdictOfPacked(Packed({"a", "a"}), 2, kListpack), "has a member twice");
  EXPECT_EQ(SetAudit::VerdictOfPacked(Packed({"a"}, "v"), 1, kListpack),
            "has an element that is none of a set");
}

}  // namespace
}  // namespace kvs
