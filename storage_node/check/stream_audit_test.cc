#include "storage_node/check/stream_audit.h"

#include <map>
#include <string>

#include "gtest/gtest.h"

#include "common/base/coding.h"
#include "storage_node/keys/stream_group_codec.h"

namespace kvs {
namespace {

using Elements = std::map<std::string, std::string>;

Elements Good() {
  return {{StreamEntryName({5, 1}), EncodeStreamEntry({"f", "v"})},
          {StreamEntryName({6, 0}), EncodeStreamEntry({"g", "w"})}};
}
const StreamHeader kHeader = {
    .last_id = {7, 0}, .max_deleted_id = {7, 0}, .first_id = {5, 1}, .entries_added = 3};

std::string VerdictOf(const Elements& elements, uint64_t count = 2,
                      const StreamHeader& header = kHeader) {
  StreamAudit audit;
  std::string packed;
  for (const auto& [name, value] : elements) {
    audit.Add(name, value);
    PutLengthPrefixed(&packed, name);
    PutLengthPrefixed(&packed, value);
  }
  std::string verdict = audit.Verdict(count, header);
  EXPECT_EQ(StreamAudit::VerdictOfPacked(packed, count, header), verdict);
  return verdict;
}

TEST(StreamAuditTest, WhatAgreesPasses) {
  EXPECT_EQ(VerdictOf(Good()), "");
  EXPECT_EQ(VerdictOf({}, 0, {.last_id = {7, 0}, .entries_added = 3}), "");
}

TEST(StreamAuditTest, WhatDoesNotFitIsFound) {
  EXPECT_NE(VerdictOf(Good(), 3), "");
  EXPECT_NE(VerdictOf({}, 0), "");
  for (const auto& [name, value] : Good()) {
    Elements elements = Good();
    elements.erase(name);
    EXPECT_NE(VerdictOf(elements), "");
  }
  StreamHeader header = kHeader;
  header.first_id = {5, 0};
  EXPECT_NE(VerdictOf(Good(), 2, header), "");
  header = kHeader;
  header.last_id = {5, 9};
  EXPECT_NE(VerdictOf(Good(), 2, header), "");
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {StreamEntryName({6, 0}), ""}, {"e", EncodeStreamEntry({"f", "v"})}, {"m", "x"}}) {
    Elements elements = Good();
    elements[name] = value;
    EXPECT_NE(VerdictOf(elements, elements.size()), "") << name;
  }
  EXPECT_NE(StreamAudit::VerdictOfPacked("x", 1, kHeader), "");
}

// Two groups: of the first one ann has two entries pending, and bob has none.
Elements WithGroups() {
  Elements elements = Good();
  elements[StreamGroupCountName()] = EncodeStreamGroupCount({.count = 2, .next_number = 4});
  elements[StreamGroupName("crew")] = EncodeStreamGroupState(
      {.number = 1, .pending_count = 2, .consumer_count = 2, .next_consumer = 3});
  elements[StreamGroupName("idle")] = EncodeStreamGroupState({.number = 3});
  elements[StreamConsumerName(1, 1)] = EncodeStreamConsumer({.pending_count = 2, .name = "ann"});
  elements[StreamConsumerName(1, 2)] = EncodeStreamConsumer({.name = "bob"});
  elements[StreamConsumerNameName(1, "ann")] = EncodeStreamConsumerNumber(1);
  elements[StreamConsumerNameName(1, "bob")] = EncodeStreamConsumerNumber(2);
  for (const StreamId id : {StreamId{5, 1}, StreamId{4, 0}}) {  // One has been deleted.
    elements[StreamPendingName(1, id)] = EncodeStreamPending({.consumer = 1, .deliveries = 1});
    elements[StreamConsumerPendingName(1, 1, id)] = "";
  }
  return elements;
}

StreamHeader HeaderWithGroups() {
  StreamHeader header = kHeader;
  header.has_groups = true;
  return header;
}

TEST(StreamAuditTest, GroupsThatAgreePass) {
  EXPECT_EQ(VerdictOf(WithGroups(), 2, HeaderWithGroups()), "");
}

TEST(StreamAuditTest, NoElementOfAGroupMayBeMissing) {
  EXPECT_NE(VerdictOf(WithGroups()), "");
  EXPECT_NE(VerdictOf(Good(), 2, HeaderWithGroups()), "");
  for (const auto& [name, value] : WithGroups()) {
    Elements elements = WithGroups();
    elements.erase(name);
    EXPECT_NE(VerdictOf(elements, 2, HeaderWithGroups()), "") << name;
  }
}

TEST(StreamAuditTest, NoElementOfAGroupMayBeTooMuch) {
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {StreamGroupName("more"), EncodeStreamGroupState({.number = 2})},
           {StreamGroupName("more"), EncodeStreamGroupState({.number = 3})},
           {StreamConsumerName(1, 3), EncodeStreamConsumer({.name = "cid"})},
           {StreamConsumerNameName(1, "cid"), EncodeStreamConsumerNumber(1)},
           {StreamConsumerNameName(1, "cid"), EncodeStreamConsumerNumber(3)},
           {StreamPendingName(1, {6, 0}), EncodeStreamPending({.consumer = 2})},
           {StreamPendingName(2, {6, 0}), EncodeStreamPending({.consumer = 1})},
           {StreamConsumerPendingName(1, 1, {6, 0}), ""},
           {StreamConsumerPendingName(3, 1, {6, 0}), ""},
           {"p", "x"}}) {
    Elements elements = WithGroups();
    elements[name] = value;
    EXPECT_NE(VerdictOf(elements, 2, HeaderWithGroups()), "") << name;
  }
}

TEST(StreamAuditTest, WhatGroupsTellHasToBeSo) {
  for (const auto& [name, value] : std::map<std::string, std::string>{
           {StreamGroupCountName(), EncodeStreamGroupCount({.count = 2, .next_number = 3})},
           {StreamGroupName("crew"),
            EncodeStreamGroupState(
                {.number = 1, .pending_count = 3, .consumer_count = 2, .next_consumer = 3})},
           {StreamConsumerName(1, 1), EncodeStreamConsumer({.pending_count = 1, .name = "ann"})},
           {StreamConsumerName(1, 2), EncodeStreamConsumer({.name = "cid"})},
           {StreamPendingName(1, {5, 1}), EncodeStreamPending({.consumer = 2})}}) {
    Elements elements = WithGroups();
    elements[name] = value;
    EXPECT_NE(VerdictOf(elements, 2, HeaderWithGroups()), "") << name;
  }
}

}  // namespace
}  // namespace kvs
