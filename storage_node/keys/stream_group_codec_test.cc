#include "storage_node/keys/stream_group_codec.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

const std::string kOne("\0\0\0\0\0\0\0\x01", 8);
const std::string kTwo("\0\0\0\0\0\0\0\x02", 8);

TEST(StreamGroupCodecTest, BytesAreThoseOfTheDocument) {
  const std::string id = std::string("\x00\x00\x01\x8b\xcf\xe5\x68\x00", 8) + kTwo;
  EXPECT_EQ(StreamGroupName("crew"), "gcrew");
  EXPECT_EQ(EncodeStreamGroupState({.number = 1,
                                    .last_id = {0x18bcfe56800, 2},
                                    .entries_read = 5,
                                    .pending_count = 1,
                                    .consumer_count = 2,
                                    .next_consumer = 3}),
            std::string("\x01\0\0\0\0\0\0\0", 8) +
                std::string("\x00\x68\xe5\xcf\x8b\x01\x00\x00\x02\0\0\0\0\0\0\0", 16) +
                std::string("\x05\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0", 16) +
                std::string("\x02\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0", 16));
  EXPECT_EQ(StreamConsumerNameName(1, "ann"), "m" + kOne + "ann");
  EXPECT_EQ(StreamConsumerName(1, 2), "c" + kOne + kTwo);
  EXPECT_EQ(EncodeStreamConsumer({.seen_ms = 0x18bcfe56800, .pending_count = 1, .name = "ann"}),
            std::string("\x00\x68\xe5\xcf\x8b\x01\x00\x00", 8) + std::string(8, '\xff') +
                std::string("\x01\0\0\0\0\0\0\0", 8) + "ann");
  EXPECT_EQ(StreamPendingName(1, {0x18bcfe56800, 2}), "p" + kOne + id);
  EXPECT_EQ(EncodeStreamPending({.consumer = 2, .delivered_ms = 0x18bcfe56800, .deliveries = 3}),
            std::string("\x02\x00\x68\xe5\xcf\x8b\x01\x00\x00\x03", 10));
  EXPECT_EQ(StreamConsumerPendingName(1, 2, {0x18bcfe56800, 2}), "q" + kOne + kTwo + id);
  EXPECT_EQ(StreamGroupCountName(), "n");
  EXPECT_EQ(EncodeStreamGroupCount({.count = 1, .next_number = 2}),
            std::string("\x01\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0", 16));
}

TEST(StreamGroupCodecTest, NamesComeBack) {
  const std::vector<std::string> names = {StreamGroupCountName(),
                                          StreamGroupName("g"),
                                          StreamGroupName(""),
                                          StreamConsumerNameName(7, ""),
                                          StreamConsumerNameName(7, "x"),
                                          StreamConsumerName(7, 8),
                                          StreamPendingName(7, {1, 2}),
                                          StreamConsumerPendingName(7, 8, {1, 2})};
  for (const std::string& name : names) {
    const Result<StreamGroupElement> element = DecodeStreamGroupElement(name);
    ASSERT_TRUE(element.ok()) << name;
    EXPECT_EQ(element->tag, name[0]);
    EXPECT_EQ(element->group, name[0] == 'n' || name[0] == 'g' ? 0u : 7u);
    EXPECT_EQ(element->consumer, name[0] == 'c' || name[0] == 'q' ? 8u : 0u);
    EXPECT_EQ(element->id, (name[0] == 'p' || name[0] == 'q' ? StreamId{1, 2} : StreamId{}));
  }
  for (const std::string& name : std::vector<std::string>{
           "", "nx", "m123", "c", "p" + kOne, "q" + kOne + kTwo, "x", StreamEntryName({1, 2})}) {
    EXPECT_FALSE(DecodeStreamGroupElement(name).ok()) << name;
  }
}

template <typename Decode>
void ExpectNoPrefixIsOne(const std::string& value, size_t fixed_size, Decode decode) {
  EXPECT_TRUE(decode(value).ok());
  for (size_t size = 0; size < fixed_size; ++size) {
    EXPECT_FALSE(decode(std::string_view(value).substr(0, size)).ok()) << size;
  }
}

TEST(StreamGroupCodecTest, ADamagedValueIsRefused) {
  const std::string count = EncodeStreamGroupCount({.count = 1, .next_number = 9});
  ExpectNoPrefixIsOne(count, count.size(), DecodeStreamGroupCount);
  EXPECT_FALSE(DecodeStreamGroupCount(count + "x").ok());
  const StreamGroupState state = {.number = 4, .last_id = {5, 6}, .pending_count = 7};
  const std::string group = EncodeStreamGroupState(state);
  ExpectNoPrefixIsOne(group, group.size(), DecodeStreamGroupState);
  EXPECT_EQ(*DecodeStreamGroupState(group), state);
  EXPECT_FALSE(DecodeStreamGroupState(group + "x").ok());
  const StreamConsumer consumer = {
      .seen_ms = -5, .active_ms = 6, .pending_count = 7, .name = "long enough"};
  const std::string bytes = EncodeStreamConsumer(consumer);
  ExpectNoPrefixIsOne(bytes, bytes.size() - consumer.name.size(), DecodeStreamConsumer);
  EXPECT_EQ(*DecodeStreamConsumer(bytes), consumer);
  const StreamPending entry = {.consumer = 300, .delivered_ms = -1, .deliveries = UINT64_MAX};
  const std::string pending = EncodeStreamPending(entry);
  ExpectNoPrefixIsOne(pending, pending.size(), DecodeStreamPending);
  EXPECT_EQ(*DecodeStreamPending(pending), entry);
  EXPECT_FALSE(DecodeStreamPending(pending + "x").ok());
  EXPECT_EQ(*DecodeStreamConsumerNumber(EncodeStreamConsumerNumber(3)), 3u);
  EXPECT_FALSE(DecodeStreamConsumerNumber("x").ok());
}

}  // namespace
}  // namespace kvs
