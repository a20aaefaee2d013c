// The checker must find every class of loss, so each is planted here.

#include "test_all/check/ledger.h"

#include <gtest/gtest.h>

namespace kvs {
namespace {

std::string Tokens(std::initializer_list<uint64_t> numbers) {
  std::string text;
  for (const uint64_t number : numbers) {
    text += LedgerToken(number);
  }
  return text;
}

// Sends `sent` writes and acknowledges those of `acknowledged`.
Ledger Make(LedgerKind kind, uint64_t sent, std::initializer_list<uint64_t> acknowledged) {
  Ledger ledger;
  std::vector<Ledger::Write> writes;
  for (uint64_t i = 0; i < sent; ++i) {
    writes.push_back(ledger.Send("k", kind));
  }
  for (const uint64_t number : acknowledged) {
    ledger.Acknowledge(writes[number - 1]);
  }
  return ledger;
}

TEST(LedgerTest, ASetMayBeAnyWriteFromTheLastAcknowledgedOn) {
  const Ledger ledger = Make(LedgerKind::kSet, 5, {1, 3});
  EXPECT_EQ(ledger.Check("k", LedgerToken(3)), "");
  EXPECT_EQ(ledger.Check("k", LedgerToken(5)), "");
  EXPECT_EQ(ledger.Check("k", LedgerToken(2)), "lost: write 3 behind 2 in k");
  EXPECT_EQ(ledger.Check("k", LedgerToken(6)), "phantom: value \"00000006\" in k");
  EXPECT_EQ(ledger.Check("k", "3"), "phantom: value \"3\" in k");
  EXPECT_EQ(ledger.Check("k", std::nullopt), "lost: k is missing");
}

TEST(LedgerTest, AnAppendedValueHoldsEveryAcknowledgedWriteOnceInOrder) {
  const Ledger ledger = Make(LedgerKind::kAppend, 5, {1, 2, 4});
  EXPECT_EQ(ledger.Check("k", Tokens({1, 2, 4})), "");
  EXPECT_EQ(ledger.Check("k", Tokens({1, 2, 3, 4, 5})), "");
  EXPECT_EQ(ledger.Check("k", Tokens({1, 4})), "lost: write 2 in k");
  EXPECT_EQ(ledger.Check("k", Tokens({1, 2, 2, 4})), "duplicate: write 2 after 2 in k");
  EXPECT_EQ(ledger.Check("k", Tokens({2, 1, 4})), "duplicate: write 1 after 2 in k");
  EXPECT_EQ(ledger.Check("k", Tokens({1, 2, 4, 6})), "phantom: bytes at 24 in k");
  EXPECT_EQ(ledger.Check("k", Tokens({1, 2, 4}) + "0"), "phantom: bytes at 24 in k");
}

TEST(LedgerTest, ACountLiesBetweenAcknowledgedAndSent) {
  const Ledger ledger = Make(LedgerKind::kCount, 5, {1, 2, 3});
  EXPECT_EQ(ledger.Check("k", "3"), "");
  EXPECT_EQ(ledger.Check("k", "5"), "");
  EXPECT_EQ(ledger.Check("k", "2"), "lost: 2 increments of 3 in k");
  EXPECT_EQ(ledger.Check("k", "6"), "duplicate: 6 increments of 5 in k");
  EXPECT_EQ(ledger.Check("k", "x"), "phantom: value \"x\" in k");
}

TEST(LedgerTest, AKeyWithoutAnAcknowledgedWriteMayBeMissing) {
  const Ledger ledger = Make(LedgerKind::kSet, 2, {});
  EXPECT_EQ(ledger.Check("k", std::nullopt), "");
  EXPECT_EQ(ledger.Check("other", std::nullopt), "");
  EXPECT_EQ(ledger.Check("other", "x"), "phantom: nobody wrote other");
}

TEST(LedgerTest, WhatWasSeenOnceMayNotGoAwayLater) {
  Ledger set = Make(LedgerKind::kSet, 5, {1});
  set.Adopt("k", LedgerToken(4));
  EXPECT_EQ(set.Check("k", LedgerToken(3)), "lost: write 4 behind 3 in k");

  Ledger append = Make(LedgerKind::kAppend, 5, {1});
  append.Adopt("k", Tokens({1, 3}));
  EXPECT_EQ(append.Check("k", Tokens({1})), "lost: write 3 in k");

  Ledger count = Make(LedgerKind::kCount, 5, {1});
  count.Adopt("k", "3");
  EXPECT_EQ(count.Check("k", "2"), "lost: 2 increments of 3 in k");
  EXPECT_EQ(count.Check("k", "4"), "duplicate: 4 increments of 3 in k");
  count.Acknowledge(count.Send("k", LedgerKind::kCount));
  EXPECT_EQ(count.Check("k", "4"), "");
}

}  // namespace
}  // namespace kvs
