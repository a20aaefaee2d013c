// LCS against the table of lengths as the textbook has it.

#include "storage_node/types/lcs.h"

#include <algorithm>

#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

using Table = std::vector<std::vector<uint64_t>>;

Table Lengths(std::string_view a, std::string_view b) {
  Table table(a.size() + 1, std::vector<uint64_t>(b.size() + 1));
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      table[i][j] = a[i - 1] == b[j - 1] ? table[i - 1][j - 1] + 1
                                         : std::max(table[i - 1][j], table[i][j - 1]);
    }
  }
  return table;
}

// The places of the subsequence that Redis picks, the last pair first: where both ways are as good,
// `b` is shortened.
std::vector<std::pair<size_t, size_t>> Pairs(std::string_view a, std::string_view b,
                                             const Table& table) {
  std::vector<std::pair<size_t, size_t>> pairs;
  size_t i = a.size();
  size_t j = b.size();
  while (i > 0 && j > 0) {
    if (a[i - 1] == b[j - 1]) {
      pairs.emplace_back(--i, --j);
    } else if (table[i - 1][j] > table[i][j - 1]) {
      --i;
    } else {
      --j;
    }
  }
  return pairs;
}

TEST(LcsTest, RandomStringsGetTheAnswersOfTheFullTable) {
  Random random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string strings[2];
    for (std::string& text : strings) {
      const uint64_t letters = 1 + random.Uniform(4);
      for (uint64_t size = random.Uniform(40); size > 0; --size) {
        text.push_back(static_cast<char>('a' + random.Uniform(letters)));
      }
    }
    const auto& [a, b] = strings;
    const Table table = Lengths(a, b);
    const Result<Lcs> lcs = FindLcs(a, b);
    ASSERT_TRUE(lcs.ok());
    ASSERT_EQ(*LcsLength(a, b), table[a.size()][b.size()]) << a << " " << b;
    ASSERT_EQ(lcs->text.size(), table[a.size()][b.size()]);
    std::vector<std::pair<size_t, size_t>> pairs;
    for (const LcsMatch& match : lcs->matches) {
      ASSERT_EQ(match.a_last - match.a_first, match.b_last - match.b_first);
      for (uint64_t k = 0; k < match.length(); ++k) {
        pairs.emplace_back(match.a_last - k, match.b_last - k);
      }
    }
    ASSERT_EQ(pairs, Pairs(a, b, table)) << a << " " << b;
    std::string text;
    for (const auto& [a_index, b_index] : pairs) {
      text.insert(text.begin(), a[a_index]);
    }
    ASSERT_EQ(lcs->text, text);
  }
}

TEST(LcsTest, AMatchEndsWhereEitherStringHasSomethingBetween) {
  const Result<Lcs> lcs = FindLcs("ohmytext", "mynewtext");
  ASSERT_TRUE(lcs.ok());
  EXPECT_EQ(lcs->text, "mytext");
  ASSERT_EQ(lcs->matches.size(), 2U);
  EXPECT_EQ(lcs->matches[0].a_first, 4U);
  EXPECT_EQ(lcs->matches[0].b_last, 8U);
  EXPECT_EQ(lcs->matches[0].length(), 4U);
  EXPECT_EQ(lcs->matches[1].a_first, 2U);
  EXPECT_EQ(lcs->matches[1].b_first, 0U);
}

TEST(LcsTest, TheTableHasALimitWhateverIsAsked) {
  const std::string text(9, 'x');
  EXPECT_EQ(*LcsLength(text, text, 400), 9U);
  EXPECT_TRUE(FindLcs(text, text, 400).ok());
  EXPECT_EQ(LcsLength(text, text, 399).status().code(), Code::kTooLarge);
  EXPECT_EQ(FindLcs(text, text, 399).status().code(), Code::kTooLarge);
  EXPECT_EQ(*LcsLength("", text), 0U);
  EXPECT_EQ(FindLcs(text, "")->text, "");
}

}  // namespace
}  // namespace kvs
