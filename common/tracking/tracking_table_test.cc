#include "common/tracking/tracking_table.h"

#include <algorithm>

#include "gtest/gtest.h"

namespace kvs {
namespace {

using Clients = TrackingTable::Clients;

TEST(TrackingTableTest, RemembersReadersUntilTheKeyIsTaken) {
  TrackingTable table;
  table.Add(7, "k");
  table.Add(3, "k");
  table.Add(7, "k");
  table.Add(7, "other");
  EXPECT_EQ(table.keys(), 2u);
  EXPECT_EQ(table.readers(), 3u);
  EXPECT_EQ(table.Take("k"), (Clients{3, 7}));
  EXPECT_EQ(table.Take("k"), Clients());
  EXPECT_EQ(table.keys(), 1u);
  EXPECT_EQ(table.readers(), 1u);
  table.Clear();
  EXPECT_EQ(table.keys(), 0u);
  EXPECT_EQ(table.readers(), 0u);
}

TEST(TrackingTableTest, GivesUpKeysWhenThereAreTooMany) {
  TrackingTable table;
  for (int i = 0; i < 100; ++i) {
    table.Add(1, "key:" + std::to_string(i));
    EXPECT_EQ(table.Shrink(10).size(), i < 10 ? 0u : 1u);
  }
  EXPECT_EQ(table.keys(), 10u);
  EXPECT_EQ(table.Shrink(0).size(), 10u);
}

TEST(TrackingTableTest, GivesUpKeysWhenTheyAreTooLongOrHaveTooManyReaders) {
  TrackingTable table;
  table.Add(1, std::string(1 << 20, 'x'));
  const std::vector<TrackingTable::Entry> long_keys = table.Shrink(10);
  ASSERT_EQ(long_keys.size(), 1u);
  EXPECT_EQ(long_keys[0].clients, Clients{1});

  for (uint64_t client = 1; client <= 641; ++client) {
    table.Add(client, "popular");
  }
  const std::vector<TrackingTable::Entry> popular = table.Shrink(10);
  ASSERT_EQ(popular.size(), 1u);
  EXPECT_EQ(popular[0].key, "popular");
  EXPECT_EQ(popular[0].clients.size(), 641u);
  EXPECT_EQ(table.readers(), 0u);
}

}  // namespace
}  // namespace kvs
