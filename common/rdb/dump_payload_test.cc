#include "common/rdb/dump_payload.h"

#include <fstream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/rdb/compact_lists.h"
#include "common/rdb/crc64.h"
#include "common/rdb/stream_nodes.h"

namespace kvs {
namespace {

using Type = RdbValue::Type;
using Strings = std::vector<std::string>;

// What redis-server 7.0.15 answered to DUMP.
std::string Golden(const std::string& name) {
  std::ifstream file("testdata/fuzz/dump_payload/" + name, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  EXPECT_FALSE(bytes.str().empty()) << name;
  return bytes.str();
}

RdbValue Read(const std::string& name) {
  const std::string payload = Golden(name);
  EXPECT_TRUE(CheckDumpFooter(payload)) << name;
  const Result<RdbValue> value = ReadDump(payload, 1 << 20);
  EXPECT_TRUE(value.ok()) << name << ": " << value.status().ToString();
  return value.ok() ? *value : RdbValue();
}

// The payload of an object, with a right footer.
std::string Payload(std::string object, char version = 9) {
  object += std::string{version, '\0'};
  const uint64_t crc = Crc64(object);
  for (int i = 0; i < 8; ++i) {
    object.push_back(static_cast<char>(crc >> (8 * i)));
  }
  return object;
}

std::string Bytes(std::initializer_list<int> bytes) {
  std::string text;
  for (const int byte : bytes) {
    text.push_back(static_cast<char>(byte));
  }
  return text;
}

TEST(Crc64Test, IsThatOfRedis) {
  EXPECT_EQ(Crc64("123456789"), 0xe9c6d914c4b8d9caU);
  EXPECT_EQ(Crc64(""), 0U);
  const std::string text = "one piece after the other, or all at once";
  for (size_t i = 0; i <= text.size(); ++i) {
    EXPECT_EQ(Crc64(text.substr(i), Crc64(text.substr(0, i))), Crc64(text));
  }
}

TEST(DumpPayloadTest, ReadsStringsHoweverTheyAreEncoded) {
  EXPECT_EQ(Read("string_int8").text, "12");
  EXPECT_EQ(Read("string_int16").text, "-1234");
  EXPECT_EQ(Read("string_int32").text, "1234567");
  EXPECT_EQ(Read("string_plain").text, "hello");
  std::string repeated;
  for (int i = 0; i < 40; ++i) {
    repeated += "abc";
  }
  EXPECT_EQ(Read("string_lzf").text, repeated);
}

TEST(DumpPayloadTest, ReadsTheCollectionsOfRedis7) {
  EXPECT_EQ(Read("list_quicklist2").elements,
            (Strings{"a", "1", "-5", "300", "70000", "5000000000", std::string(70, 'x'), ""}));
  EXPECT_EQ(Read("list_nodes").elements, (Strings{"0", "1", "2", "3", "4", "5", "6"}));
  EXPECT_EQ(Read("list_plain_node").elements, (Strings{std::string(20000, 'x')}));
  EXPECT_EQ(Read("set_intset16").elements, (Strings{"-3", "1", "2"}));
  EXPECT_EQ(Read("set_intset64").elements, (Strings{"1", "5000000000"}));
  EXPECT_EQ(Read("set_table").elements.size(), 3U);
  EXPECT_EQ(Read("hash_listpack").elements, (Strings{"a", "1", "b", "two"}));
  EXPECT_EQ(Read("hash_table").elements, (Strings{"a", std::string(70, 'x')}));
  const double infinity = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Read("zset_listpack").scored,
            (std::vector<std::pair<std::string, double>>{{"b", -infinity}, {"a", 1.5}, {"c", 3}}));
  EXPECT_EQ(Read("zset_table").scored.size(), 2U);
}

// What redis-server 7.0.15 has made by XADD, XDEL, XGROUP, XREADGROUP and XCLAIM.
RdbStream GroupedStream() {
  const RdbStreamId first = {1, 1};
  const RdbStreamId second = {1700000000000, 7};
  RdbStream stream = {.entries = {{first, {"f", "v", "g", "12"}},
                                  {second, {"h", std::string(70, 'x'), "i", "j"}},
                                  {{1700000000001, 0}, {"f", "y", "g", "z"}}},
                      .last_id = {1700000000001, 0},
                      .max_deleted_id = {1, 2},
                      .entries_added = 4};
  RdbStreamGroup crew = {.name = "crew", .last_id = second, .entries_read = -1};
  crew.consumers = {{.name = "ann"}, {.name = "bob"}, {.name = "cid"}};
  crew.pending = {{.id = first, .delivered_ms = 1700000000000, .deliveries = 3, .consumer = 0},
                  {.id = second, .deliveries = 1, .consumer = 1}};
  stream.groups = {crew, {.name = "idle", .last_id = second, .entries_read = -1}};
  return stream;
}

// Without the times at which the server was asked.
RdbStream WithoutTimes(RdbStream stream) {
  for (RdbStreamGroup& group : stream.groups) {
    for (RdbStreamConsumer& consumer : group.consumers) {
      EXPECT_GT(consumer.seen_ms, 1700000000000);
      consumer.seen_ms = 0;
      consumer.active_ms = 0;
    }
    for (RdbStreamPending& pending : group.pending) {
      pending.delivered_ms = pending.deliveries == 3 ? pending.delivered_ms : 0;
    }
  }
  return stream;
}

TEST(DumpPayloadTest, ReadsStreamsOfEveryRelease) {
  EXPECT_EQ(Read("stream_lzf").stream.entries.size(), 5U);
  EXPECT_EQ(Read("stream_lzf").stream.entries_added, 7U);

  EXPECT_EQ(Read("stream_groups").type, Type::kStream);
  EXPECT_EQ(WithoutTimes(Read("stream_groups").stream), GroupedStream());
  RdbStream old = GroupedStream();
  old.max_deleted_id = {};
  old.entries_added = 3;
  EXPECT_EQ(WithoutTimes(Read("stream_groups_redis6").stream), old);
  const RdbStream latest = Read("stream_groups_redis72").stream;
  EXPECT_EQ(WithoutTimes(latest), GroupedStream());
  EXPECT_EQ(latest.groups[0].consumers[0].active_ms, latest.groups[0].consumers[0].seen_ms - 5);
}

TEST(DumpPayloadTest, AStreamIsWrittenAsRedis7WritesIt) {
  for (const char* name : {"stream", "stream_groups"}) {
    RdbStream stream = Read(name).stream;
    std::string payload;
    DumpWriter writer(&payload);
    writer.Stream(stream);
    writer.Finish();
    EXPECT_TRUE(CheckDumpFooter(payload));
    const Result<RdbValue> again = ReadDump(payload, 1 << 20);
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(again->stream, stream);
    EXPECT_EQ(payload.substr(payload.size() - 10, 2), Bytes({10, 0}));
  }
  // Without deleted entries, and not compressed, it is the same to the byte.
  std::string payload;
  DumpWriter writer(&payload);
  writer.Stream(Read("stream").stream);
  writer.Finish();
  EXPECT_EQ(payload, Golden("stream"));
}

TEST(DumpPayloadTest, AStreamOfManyEntriesIsReadAgain) {
  RdbStream stream = {.last_id = {UINT64_MAX, UINT64_MAX}, .entries_added = UINT64_MAX};
  for (uint64_t i = 1; i <= 1000; ++i) {
    RdbStreamEntry entry = {.id = {i * i * i * 1'000'003, UINT64_MAX - i}};
    for (uint64_t j = 0; j <= i % 3; ++j) {
      entry.words.push_back("f" + std::to_string(j));
      entry.words.push_back(i % 7 == 0 ? std::string(i * 20, 'x') : std::to_string(i << j * 25));
    }
    stream.entries.push_back(entry);
  }
  std::string payload;
  DumpWriter writer(&payload);
  writer.Stream(stream);
  writer.Finish();
  const Result<RdbValue> again = ReadDump(payload, 1 << 26);
  ASSERT_TRUE(again.ok()) << again.status().ToString();
  EXPECT_EQ(again->stream, stream);
}

// Fields that many entries share take room for each.
TEST(DumpPayloadTest, RepeatedFieldsCountForEachEntry) {
  RdbStream stream = {.last_id = {2000, 0}};
  for (uint64_t i = 1; i <= 100; ++i) {
    stream.entries.push_back({.id = {i, 0}, .words = {std::string(100'000, 'f'), ""}});
  }
  // Redis would end the node earlier, so its head is large and its entries are small.
  StreamNodeWriter nodes;
  for (const RdbStreamEntry& entry : stream.entries) {
    nodes.Add(entry);
  }
  const std::vector<StreamNodeWriter::Node> written = nodes.Take();
  ASSERT_EQ(written.size(), 1U);
  Strings elements;
  ASSERT_TRUE(ReadListpack(written[0].listpack, 100'000, &elements).ok());
  std::vector<RdbStreamEntry> entries;
  size_t room = size_t{1} << 20;
  EXPECT_EQ(ReadStreamNode(written[0].id, elements, &room, &entries).code(), Code::kTooLarge);
  entries.clear();
  room = size_t{1} << 30;
  EXPECT_TRUE(ReadStreamNode(written[0].id, elements, &room, &entries).ok());
  EXPECT_EQ(entries, stream.entries);
}

TEST(DumpPayloadTest, StreamsWhosePartsDisagreeAreRefused) {
  const auto refused = [](const RdbStream& stream) {
    std::string payload;
    DumpWriter writer(&payload);
    writer.Stream(stream);
    writer.Finish();
    return !ReadDump(payload, 1 << 20).ok();
  };
  EXPECT_FALSE(refused(GroupedStream()));
  RdbStream stream = GroupedStream();
  stream.last_id = {5, 0};  // Before the last entry.
  EXPECT_TRUE(refused(stream));
  stream = GroupedStream();
  std::swap(stream.entries[0], stream.entries[1]);
  EXPECT_TRUE(refused(stream));
  stream = GroupedStream();
  stream.entries[0].id = {};
  EXPECT_TRUE(refused(stream));
  stream = GroupedStream();
  stream.entries[1].id = stream.entries[0].id;
  EXPECT_TRUE(refused(stream));
  stream = GroupedStream();
  stream.entries[1].words.clear();
  EXPECT_TRUE(refused(stream));
  stream = GroupedStream();
  stream.groups[1].name = "crew";
  EXPECT_TRUE(refused(stream));
  stream = GroupedStream();
  stream.groups[0].consumers[2].name = "ann";
  EXPECT_TRUE(refused(stream));
  stream = GroupedStream();
  stream.groups[0].pending[1].id = stream.groups[0].pending[0].id;
  EXPECT_TRUE(refused(stream));
  // One that nobody has, and one that two have.
  std::string payload = Golden("stream_groups");
  const size_t bob = payload.find(
      "\x03"
      "bob");
  ASSERT_NE(bob, std::string::npos);
  for (const char* count : {"\0", "\2"}) {
    std::string forged = payload;
    forged[bob + 4 + 8] = *count;
    EXPECT_FALSE(ReadDump(forged, 1 << 20).ok());
  }
}

TEST(DumpPayloadTest, ReadsTheCollectionsOfEarlierReleases) {
  // "a", 5 and -300, each behind the size of the entry before it.
  const std::string ziplist =
      Bytes({20, 0, 0, 0, 15, 0, 0, 0, 3, 0, 0, 1, 'a', 3, 0xf6, 2, 0xc0, 0xd4, 0xfe, 0xff});
  Result<RdbValue> value = ReadDump(Payload(Bytes({10, 20}) + ziplist), 1 << 20);
  ASSERT_TRUE(value.ok()) << value.status().ToString();
  EXPECT_EQ(value->elements, (Strings{"a", "5", "-300"}));
  value = ReadDump(Payload(Bytes({14, 2, 20}) + ziplist + Bytes({20}) + ziplist), 1 << 20);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->elements, (Strings{"a", "5", "-300", "a", "5", "-300"}));

  // {"k": "val"} with two bytes that are not used.
  const std::string zipmap = Bytes({1, 1, 'k', 3, 2, 'v', 'a', 'l', 0, 0, 0xff});
  value = ReadDump(Payload(Bytes({9, 11}) + zipmap), 1 << 20);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->type, Type::kHash);
  EXPECT_EQ(value->elements, (Strings{"k", "val"}));

  // Scores as texts, and one of them infinite.
  value = ReadDump(Payload(Bytes({3, 2, 1, 'a', 3, '1', '.', '5', 1, 'b', 255})), 1 << 20);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->scored[0], (std::pair<std::string, double>{"a", 1.5}));
  EXPECT_EQ(value->scored[1].second, -std::numeric_limits<double>::infinity());
}

TEST(DumpPayloadTest, AListpackHasEntriesOfEverySize) {
  std::string body;
  Strings expected;
  const auto add = [&](const std::string& entry, const std::string& value,
                       const std::string& back) {
    body += entry + back;
    expected.push_back(value);
  };
  add(Bytes({127}), "127", Bytes({1}));
  add(Bytes({0x81, 'x'}), "x", Bytes({2}));
  add(Bytes({0xdf, 0xff}), "-1", Bytes({2}));
  add(Bytes({0xcf, 0xff}), "4095", Bytes({2}));
  add(Bytes({0xf2, 0, 0, 0x80}), "-8388608", Bytes({4}));
  add(Bytes({0xf3, 0xff, 0xff, 0xff, 0x7f}), "2147483647", Bytes({5}));
  add(Bytes({0xf4, 0, 0, 0, 0, 0, 0, 0, 0x80}), "-9223372036854775808", Bytes({9}));
  add(Bytes({0xe0, 200}) + std::string(200, 'y'), std::string(200, 'y'), Bytes({1, 0xca}));
  add(Bytes({0xf0, 0x40, 0x1f, 0, 0}) + std::string(8000, 'z'), std::string(8000, 'z'),
      Bytes({0x3e, 0xc5}));
  const auto size = static_cast<int>(body.size() + 7);
  const std::string listpack = Bytes({size & 0xff, size >> 8, 0, 0, 9, 0}) + body + Bytes({0xff});
  Strings elements;
  ASSERT_EQ(ReadListpack(listpack, 100, &elements).ToString(), "ok");
  EXPECT_EQ(elements, expected);
  elements.clear();
  EXPECT_EQ(ReadListpack(listpack, 5, &elements).code(), Code::kTooLarge);
}

TEST(DumpPayloadTest, AListpackThatIsWrittenIsReadAgain) {
  ListpackWriter writer;
  Strings expected = {"",
                      "0",
                      "127",
                      "128",
                      "-1",
                      "4095",
                      "4096",
                      "-4096",
                      "-4097",
                      "32767",
                      "-32768",
                      "32768",
                      "8388607",
                      "8388608",
                      "-8388608",
                      "2147483647",
                      "-2147483649",
                      "9223372036854775807",
                      "-9223372036854775808",
                      "9223372036854775808",
                      "01",
                      "-0"};
  // Around the sizes at which what stands behind an entry gets longer.
  for (const size_t size : {63u, 64u, 125u, 126u, 127u, 4095u, 4096u, 16376u, 16377u, 16378u,
                            16379u, 2097144u, 2097145u, 2097146u, 2097147u}) {
    expected.emplace_back(size, 'x');
  }
  for (const std::string& text : expected) {
    writer.Text(text);
  }
  Strings elements;
  ASSERT_TRUE(ReadListpack(writer.Take(), 1000, &elements).ok());
  EXPECT_EQ(elements, expected);

  // As redis-server 7.0.15 has it: 16378 bytes, and how long the entry is in three.
  writer.Text(std::string(16378, 'x'));
  const std::string bytes = writer.Take();
  EXPECT_EQ(bytes.substr(bytes.size() - 4), Bytes({0, 0xff, 0xff, 0xff}));
}

TEST(DumpPayloadTest, WhatIsWrittenHasTheseBytesAndIsReadAgain) {
  std::string payload;
  DumpWriter writer(&payload);
  writer.Collection(Type::kHash, 1);
  writer.Element("field");
  writer.Element(std::string(100, 'v'));
  writer.Finish();
  EXPECT_EQ(payload.substr(0, 10), Bytes({4, 1, 5, 'f', 'i', 'e', 'l', 'd', 0x40, 100}));
  EXPECT_EQ(payload.substr(payload.size() - 10, 2), Bytes({9, 0}));
  EXPECT_TRUE(CheckDumpFooter(payload));
  const Result<RdbValue> value = ReadDump(payload, 1 << 20);
  ASSERT_TRUE(value.ok());
  EXPECT_EQ(value->elements, (Strings{"field", std::string(100, 'v')}));
}

TEST(DumpPayloadTest, VersionAndChecksumAreChecked) {
  const std::string object = Bytes({0, 1, 'x'});
  EXPECT_TRUE(CheckDumpFooter(Payload(object, 11)));
  EXPECT_FALSE(CheckDumpFooter(Payload(object, 12)));
  EXPECT_FALSE(CheckDumpFooter(""));
  EXPECT_FALSE(CheckDumpFooter(std::string(10, '\0')));
  std::string payload = Payload(object);
  EXPECT_FALSE(CheckDumpFooter(payload.substr(0, payload.size() - 8) + std::string(8, '\0')));
  for (size_t bit = 0; bit < payload.size() * 8; ++bit) {
    std::string flipped = payload;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(CheckDumpFooter(flipped)) << bit;
  }
}

TEST(DumpPayloadTest, DoublesEmptyCollectionsAndForgedCountsAreRefused) {
  const std::string refused[] = {
      Bytes({2, 2, 1, 'a', 1, 'a'}),                  // A member twice.
      Bytes({4, 2, 1, 'a', 1, 'x', 1, 'a', 1, 'y'}),  // A field twice.
      Bytes({2, 0}),                                  // No member.
      Bytes({1, 0}),
      Bytes({2, 0x80, 0xff, 0xff, 0xff, 0xff, 1, 'a'}),  // More members than bytes.
      Bytes({2, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 'a'}),
      Bytes({0, 0x80, 0xff, 0xff, 0xff, 0xff, 'a'}),
      Bytes({0, 0xc3, 2, 0x81, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}),  // Compressed to a terabyte.
      Bytes({0, 0xc3, 3, 4, 0x20, 5, 0}),                       // A reference before the beginning.
      Bytes({0, 0xc4, 1, 'a'}),                                 // No such encoding.
      Bytes({0, 1, 'a', 'b'}),                                  // Something behind the object.
      Bytes({5, 1, 1, 'a', 0, 0, 0, 0, 0, 0, 0xf8, 0x7f}),      // A score that is no number.
      Bytes({3, 1, 1, 'a', 253}),
      Bytes({18, 1, 3, 1, 'a'}),  // A node of no kind.
      Bytes({42, 1, 'a'}),        // A type of no kind.
  };
  for (const std::string& object : refused) {
    const Result<RdbValue> value = ReadDump(Payload(object), 1 << 20);
    EXPECT_FALSE(value.ok()) << testing::PrintToString(object);
  }
  EXPECT_EQ(ReadDump(Golden("list_plain_node"), 1000).status().code(), Code::kTooLarge);
}

TEST(DumpPayloadTest, EveryPrefixAndEveryFlippedBitIsTakenOrRefusedInPeace) {
  for (const char* name : {"list_quicklist2", "string_lzf", "set_intset64", "hash_listpack",
                           "zset_listpack", "zset_table", "hash_table", "stream", "stream_lzf",
                           "stream_groups", "stream_groups_redis6", "stream_groups_redis72"}) {
    const std::string payload = Golden(name);
    for (size_t size = 0; size < payload.size(); ++size) {
      EXPECT_FALSE(CheckDumpFooter(payload.substr(0, size)));
      // Exactly sized, so that a sanitizer sees a read behind the end.
      const std::string prefix(payload, 0, size);
      (void)ReadDump(prefix, 1 << 20);
    }
    for (size_t bit = 0; bit < payload.size() * 8; ++bit) {
      std::string flipped = payload;
      flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
      (void)ReadDump(flipped, 1 << 20);
    }
  }
}

// What redis-server 7.0.15 answered to FUNCTION DUMP.
TEST(FunctionDumpTest, HasTheBytesOfRedis) {
  const std::string b = "#!lua name=b\nredis.register_function('b1',function() return 5 end)";
  const std::string a = "#!lua name=a\nredis.register_function('a1',function() return 5 end)";
  const std::string golden =
      "\xf5@B" + b + "\xf5@B" + a + std::string("\n\x00\xb4*\x1c\xd8\xb8\xb4\xe9\xa5", 10);
  std::string payload;
  DumpWriter writer = DumpWriter::OfLibraries(&payload);
  writer.Library(b);
  writer.Library(a);
  writer.Finish();

  EXPECT_EQ(payload, golden);
  EXPECT_EQ(*ReadFunctionDump(golden, 1 << 20), (Strings{b, a}));
}

TEST(FunctionDumpTest, OfNothingIsAFooter) {
  const std::string golden("\n\x00]\x9b\\@\x0f\x7f\xa2\xda", 10);
  std::string payload;
  DumpWriter::OfLibraries(&payload).Finish();

  EXPECT_EQ(payload, golden);
  EXPECT_TRUE(ReadFunctionDump(golden, 1 << 20)->empty());
  EXPECT_FALSE(CheckDumpFooter(golden));  // It is no value of a key.
}

TEST(FunctionDumpTest, WhatIsNoneIsRefused) {
  const auto error = [](const std::string& payload) {
    return std::string(ReadFunctionDump(payload, 100).status().message());
  };
  EXPECT_EQ(error(""), "DUMP payload version or checksum are wrong");
  EXPECT_EQ(error(Payload("\xf5\x01x", 99)), "DUMP payload version or checksum are wrong");
  EXPECT_EQ(error(Payload(Bytes({0, 1, 'v'}))), "given type is not a function");
  EXPECT_EQ(error(Payload(Bytes({245, 1, 'v', 244, 0}))), "given type is not a function");
  EXPECT_EQ(error(Payload(Bytes({245, 5, 'v'}))), "Failed loading library payload");
  EXPECT_EQ(error(Payload(Bytes({245}))), "Failed loading library payload");
  EXPECT_EQ(ReadFunctionDump(Payload(Bytes({245, 0x40, 100}) + std::string(100, 'x')), 100)
                .status()
                .code(),
            Code::kTooLarge);
  // Compressed: "x", and then 99 bytes from 1 before.
  EXPECT_EQ(*ReadFunctionDump(Payload(Bytes({245, 0xc3, 5, 0x40, 100, 0, 'x', 0xe0, 90, 0})), 1000),
            (Strings{std::string(100, 'x')}));
}

}  // namespace
}  // namespace kvs
