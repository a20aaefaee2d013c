#include "common/slot/slot_map.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"

#include "common/base/file.h"

namespace kvs {
namespace {

ShardNode Node(int number) {
  std::string id(kNodeIdSize, '0');
  const std::string digits = std::to_string(number);
  id.replace(id.size() - digits.size(), digits.size(), digits);
  return {.id = id, .address = {.host = "127.0.0.1", .port = static_cast<uint16_t>(7500 + number)}};
}

// Two shards with one slave, 384 slots without owner: the example of the document.
SlotMapParts Sample() {
  Shard first = {.id = "shard-1", .master = Node(1), .slaves = {}, .slots = {{0, 8191}}};
  Shard second = {
      .id = "shard-2", .master = Node(2), .slaves = {Node(3)}, .slots = {{8192, 15999}}};
  second.master.address.host = "::1";
  second.slaves[0].address.host = "node-3.example";
  return {.name = "main", .mode = ClusterMode::kStore, .epoch = 7, .shards = {first, second}};
}

// The worked example of doc/formats/slot_map.md.  If this fails you changed the format: raise
// kSlotMapVersion and update the document.
TEST(SlotMapTest, TextIsThatOfTheDocument) {
  const Result<std::string> page = ReadFile("../../doc/formats/slot_map.md");
  ASSERT_TRUE(page.ok());
  const size_t start = page->find("```json\n") + 8;
  const std::string example = page->substr(start, page->find("```", start) - start);

  const Result<SlotMapPtr> parsed = SlotMap::Parse(example);

  ASSERT_TRUE(parsed.ok()) << parsed.status().ToString();
  EXPECT_EQ((*SlotMap::Build(Sample()))->ToJson().ToPrettyString(), example);
  EXPECT_EQ((*parsed)->ToJson().ToPrettyString(), example);
}

TEST(SlotMapTest, EverySlotIsFoundWithItsShard) {
  const SlotMapPtr map = *SlotMap::Build(Sample());
  EXPECT_EQ(map->Find(0)->id, "shard-1");
  EXPECT_EQ(map->Find(8191)->id, "shard-1");
  EXPECT_EQ(map->Find(8192)->id, "shard-2");
  EXPECT_EQ(map->Find(16000), nullptr);
  EXPECT_EQ(map->shard_index(15999), 1);
  EXPECT_EQ(map->shard_index(16383), -1);
  EXPECT_EQ(map->assigned_slot_count(), 16000);
  EXPECT_EQ(map->epoch(), 7u);
  EXPECT_EQ(map->FindByNode(Node(3).id)->id, "shard-2");
  EXPECT_EQ(map->FindByNode(Node(4).id), nullptr);
}

TEST(SlotMapTest, RangesAreSortedAndJoined) {
  SlotMapParts parts = Sample();
  parts.shards[0].slots = {{100, 199}, {300, 300}, {0, 99}};
  const SlotMapPtr map = *SlotMap::Build(parts);
  const std::vector<SlotRange> expected = {{0, 199}, {300, 300}};
  EXPECT_EQ(map->shards()[0].slots, expected);
}

// Each change makes the sample illegal and is named in the error.
TEST(SlotMapTest, BrokenMapsAreRefused) {
  const struct {
    std::string error;
    void (*change)(SlotMapParts*);
  } cases[] = {
      {"slot 8191 is claimed by shard shard-1 and by shard-2",
       [](SlotMapParts* p) {
         p->shards[1].slots = {{8191, 8191}};
       }},
      {"slot 5 is claimed by shard shard-1 and by shard-1",
       [](SlotMapParts* p) {
         p->shards[0].slots = {{0, 5}, {5, 6}};
       }},
      {"shard shard-1: slots 0 to 16384 are no range in [0, 16383]",
       [](SlotMapParts* p) {
         p->shards[0].slots = {{0, 16384}};
       }},
      {"shard shard-1: slots -1 to 0 are no range in [0, 16383]",
       [](SlotMapParts* p) {
         p->shards[0].slots = {{-1, 0}};
       }},
      {"shard shard-1: slots 2 to 1 are no range in [0, 16383]",
       [](SlotMapParts* p) {
         p->shards[0].slots = {{2, 1}};
       }},
      {"shard shard-1 is named twice", [](SlotMapParts* p) { p->shards[1].id = "shard-1"; }},
      {"shard id \"\" is not a name", [](SlotMapParts* p) { p->shards[0].id = ""; }},
      {"shard shard-2: node 0000000000000000000000000000000000000001 is named twice",
       [](SlotMapParts* p) { p->shards[1].slaves[0].id = p->shards[0].master.id; }},
      {"shard shard-2: address 127.0.0.1:7501 is named twice",
       [](SlotMapParts* p) { p->shards[1].master.address = p->shards[0].master.address; }},
      {"shard shard-1: node id \"abc\" is not 40 lower case hexadecimal digits",
       [](SlotMapParts* p) { p->shards[0].master.id = "abc"; }},
      {"shard shard-1: address \"127.0.0.1:0\" is not host:port or [ipv6]:port",
       [](SlotMapParts* p) { p->shards[0].master.address.port = 0; }},
      {"namespace \"a b\" is not a name", [](SlotMapParts* p) { p->name = "a b"; }},
      {"epochs start at 1", [](SlotMapParts* p) { p->epoch = 0; }},
      {"more than 4096 shards", [](SlotMapParts* p) { p->shards.resize(kMaxShards + 1); }},
      {"shard shard-1 has more than 64 slaves",
       [](SlotMapParts* p) { p->shards[0].slaves.resize(kMaxSlavesPerShard + 1); }},
  };
  for (const auto& c : cases) {
    SlotMapParts parts = Sample();
    c.change(&parts);
    const Result<SlotMapPtr> map = SlotMap::Build(std::move(parts));
    EXPECT_EQ(map.status().code(), Code::kInvalidArgument);
    EXPECT_EQ(map.status().message(), c.error);
  }
}

// Returns the status of the sample's document with `from` replaced.
Status ParseChanged(const std::string& from, const std::string& to) {
  std::string text = (*SlotMap::Build(Sample()))->ToJson().ToString();
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  return SlotMap::Parse(text).status();
}

TEST(SlotMapTest, BrokenDocumentsAreRefused) {
  EXPECT_EQ(ParseChanged("\"version\":1", "\"version\":2").code(), Code::kUnsupported);
  const std::pair<std::string, std::string> changes[] = {
      {"\"version\":1,", ""},
      {"\"epoch\":7", "\"epoch\":-7"},
      {"\"epoch\":7", "\"epoch\":\"7\""},
      {"\"epoch\":7", "\"epoch\":7,\"extra\":1"},
      {"\"mode\":\"store\"", "\"mode\":\"disk\""},
      {"[0,8191]", "[0]"},
      {"[0,8191]", "[0,8191.5]"},
      {"[0,8191]", "[0,4294967296]"},
      {"[0,8191]", "0"},
      {"127.0.0.1:7501", "127.0.0.1"},
      {"\"slaves\":[],", ""},
      {"\"id\":\"shard-1\"", "\"id\":\"shard-1\",\"zone\":\"a\""},
  };
  for (const auto& [from, to] : changes) {
    EXPECT_EQ(ParseChanged(from, to).code(), Code::kInvalidArgument) << from << " -> " << to;
  }
}

TEST(SlotMapTest, SpreadSlotsCoversAllEvenly) {
  for (const size_t count : {1u, 2u, 3u, 7u, 1000u, 4096u}) {
    SCOPED_TRACE(count);
    const std::vector<SlotRange> ranges = SpreadSlots(count);
    ASSERT_EQ(ranges.size(), count);
    int next = 0;
    for (const SlotRange& range : ranges) {
      EXPECT_EQ(range.first, next);
      const size_t size = static_cast<size_t>(range.last) - range.first + 1;
      EXPECT_TRUE(size == kSlotCount / count || size == kSlotCount / count + 1);
      next = range.last + 1;
    }
    EXPECT_EQ(next, kSlotCount);
  }
}

}  // namespace
}  // namespace kvs
