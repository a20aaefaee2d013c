#include "storage_node/server/transaction.h"

#include <gtest/gtest.h>

namespace kvs {
namespace {

using Words = std::vector<std::string_view>;

TEST(TransactionTest, OnlyAnOpenOneIsSpoiled) {
  KeyWatches watches;
  Transaction transaction(&watches);
  transaction.Spoil();
  EXPECT_FALSE(transaction.spoiled());
  transaction.Open();
  transaction.Spoil();
  EXPECT_TRUE(transaction.spoiled());
}

TEST(TransactionTest, ACommandThatDoesNotFitSpoilsIt) {
  KeyWatches watches;
  Transaction transaction(&watches);
  transaction.Open();
  EXPECT_TRUE(transaction.Queue(GetCommand(CommandId::kPing), Words{"ping"}, 100));
  EXPECT_FALSE(transaction.spoiled());
  EXPECT_FALSE(transaction.Queue(GetCommand(CommandId::kPing), Words{"ping"}, 100 / 2));
  EXPECT_TRUE(transaction.spoiled());
  EXPECT_EQ(transaction.queue().size(), 1U);
}

TEST(TransactionTest, AWatchEndsWithTheTransaction) {
  KeyWatches watches;
  {
    Transaction transaction(&watches);
    transaction.Watch(1, "a", true);
    transaction.Watch(2, "b", false);
    transaction.Watch(1, "a", false);
    EXPECT_EQ(transaction.watched().size(), 2U);
    EXPECT_EQ(transaction.watched_bytes(), 2U);
    EXPECT_TRUE(transaction.watched().at("a").exists) << "what it was at first";
    EXPECT_FALSE(transaction.changed());
    watches.OnChange(2, "b", KeyChange::kWritten);
    EXPECT_TRUE(transaction.changed());
    transaction.Unwatch();
    EXPECT_FALSE(transaction.changed());
    EXPECT_FALSE(watches.any());
    transaction.Watch(1, "a", true);
  }
  EXPECT_FALSE(watches.any());
}

}  // namespace
}  // namespace kvs
