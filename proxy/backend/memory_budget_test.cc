#include "proxy/backend/memory_budget.h"

#include "gtest/gtest.h"

namespace kvs {
namespace {

TEST(MemoryBudgetTest, PressureComesBeforeTheLimitAndGoesLater) {
  MemoryBudget budget;
  budget.set_limit(800);
  budget.Add(599);
  EXPECT_FALSE(budget.pressed());
  budget.Add(1);
  EXPECT_TRUE(budget.pressed());
  EXPECT_FALSE(budget.exhausted());
  budget.Add(200);
  EXPECT_TRUE(budget.exhausted());
  budget.Add(-300);
  EXPECT_FALSE(budget.exhausted());
  EXPECT_TRUE(budget.pressed()) << "at five eighths";
  budget.Add(-1);
  EXPECT_FALSE(budget.pressed());
  EXPECT_EQ(budget.used(), 499U);
}

TEST(MemoryBudgetTest, TheSharesOfLoopsAddUpAndGoWithThem) {
  MemoryBudget budget;
  budget.set_limit(100);
  BudgetShare one(&budget);
  {
    BudgetShare two(&budget);
    one.Update(60);
    two.Update(70);
    two.Update(50);
    EXPECT_EQ(budget.used(), 110U);
    EXPECT_TRUE(budget.exhausted());
  }
  EXPECT_EQ(budget.used(), 60U);
  EXPECT_TRUE(one.IsOff(70, 10));
  EXPECT_TRUE(one.IsOff(50, 10));
  EXPECT_FALSE(one.IsOff(51, 10));
  one.Update(0);
  EXPECT_EQ(budget.used(), 0U);
  EXPECT_FALSE(budget.pressed());
}

}  // namespace
}  // namespace kvs
