#include "common/net/name_book.h"

#include <map>
#include <set>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"

namespace kvs {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Addresses = std::vector<std::string>;

TEST(NameBookTest, NamesAreLookedUpOnceAndThenAfterEachInterval) {
  NameBook book(5000);
  book.Use({"a", "10.0.0.1", "::1", "b", "a"});
  EXPECT_FALSE(book.complete());
  EXPECT_THAT(book.TakeDue(0), ElementsAre("a", "b"));
  EXPECT_THAT(book.TakeDue(100'000), IsEmpty()) << "both are under way";
  EXPECT_TRUE(book.OnAnswer("a", Addresses{"10.0.0.7", "10.0.0.8"}));
  EXPECT_FALSE(book.complete());
  EXPECT_FALSE(book.OnAnswer("b", Status::Unavailable("no server")));
  EXPECT_TRUE(book.complete());
  EXPECT_EQ(book.AddressOf("a"), "10.0.0.7");
  EXPECT_EQ(book.AddressOf("b"), "b");
  EXPECT_EQ(book.AddressOf("10.0.0.1"), "10.0.0.1");
  EXPECT_THAT(book.TakeDue(999), IsEmpty());
  EXPECT_THAT(book.TakeDue(1000), ElementsAre("b")) << "it is still without an address";
  EXPECT_THAT(book.TakeDue(4999), IsEmpty());
  EXPECT_THAT(book.TakeDue(5000), ElementsAre("a"));
}

TEST(NameBookTest, AnAddressStaysAsLongAsItsNameHasIt) {
  NameBook book(0);
  book.Use({"a"});
  ASSERT_TRUE(book.OnAnswer("a", Addresses{"10.0.0.1", "10.0.0.2"}));
  EXPECT_FALSE(book.OnAnswer("a", Addresses{"10.0.0.2", "10.0.0.1"}));
  EXPECT_FALSE(book.OnAnswer("a", Status::Unavailable("no server")));
  EXPECT_FALSE(book.OnAnswer("a", Addresses{}));
  EXPECT_EQ(book.AddressOf("a"), "10.0.0.1");
  EXPECT_TRUE(book.OnAnswer("a", Addresses{"10.0.0.3", "10.0.0.2"}));
  EXPECT_EQ(book.AddressOf("a"), "10.0.0.3");
  EXPECT_THAT(book.TakeDue(1'000'000), IsEmpty()) << "an interval of 0 is none";
}

TEST(NameBookTest, AFailureAsksAtOnceAndTriesTheNextAddress) {
  NameBook book(0);
  book.Use({"a", "b"});
  ASSERT_THAT(book.TakeDue(0), ElementsAre("a", "b"));
  book.OnAnswer("a", Addresses{"10.0.0.1", "10.0.0.2"});
  book.OnAnswer("b", Addresses{"10.0.0.9"});
  EXPECT_FALSE(book.OnFailure("10.0.0.77", 2000)) << "nobody's";
  EXPECT_TRUE(book.OnFailure("10.0.0.1", 2000));
  EXPECT_EQ(book.AddressOf("a"), "10.0.0.2");
  EXPECT_THAT(book.TakeDue(2000), ElementsAre("a"));
  EXPECT_FALSE(book.OnFailure("10.0.0.2", 2999)) << "too early for another change";
  EXPECT_TRUE(book.OnFailure("10.0.0.2", 3000));
  EXPECT_EQ(book.AddressOf("a"), "10.0.0.1");
  EXPECT_FALSE(book.OnFailure("10.0.0.9", 5000)) << "it is the only one";
  EXPECT_THAT(book.TakeDue(5000), ElementsAre("b"));
}

TEST(NameBookTest, NamesOutOfUseAreForgottenAndOthersKept) {
  NameBook book(0);
  book.Use({"a", "b"});
  book.OnAnswer("a", Addresses{"10.0.0.1"});
  book.Use({"a"});
  EXPECT_FALSE(book.OnAnswer("b", Addresses{"10.0.0.2"}));
  EXPECT_EQ(book.AddressOf("b"), "b");
  EXPECT_EQ(book.AddressOf("a"), "10.0.0.1");
}

// Whatever fails and answers: no name is asked about twice within the gap or while it is under way,
// and an address that is shown is one of the last that were found.
TEST(NameBookTest, RatesHoldForAnySchedule) {
  const uint64_t seed = Random::FromKernel().Next();
  SCOPED_TRACE("seed " + std::to_string(seed));
  Random random(seed);
  const Addresses names = {"a", "b", "c"};
  for (int round = 0; round < 200; ++round) {
    NameBook book(static_cast<int64_t>(random.Uniform(3)) * 2500);
    book.Use(names);
    std::map<std::string, int64_t> asked;
    std::map<std::string, std::set<std::string>> found;
    std::set<std::string> under_way;
    for (int64_t now = 0; now < 20'000; now += static_cast<int64_t>(random.Uniform(400))) {
      for (const std::string& name : book.TakeDue(now)) {
        ASSERT_TRUE(under_way.insert(name).second);
        ASSERT_TRUE(!asked.contains(name) || now - asked[name] >= NameBook::kMinGapMs);
        asked[name] = now;
      }
      const std::string name = names[random.Uniform(names.size())];
      if (random.OneIn(2) && under_way.erase(name) > 0) {
        Addresses answer;
        for (uint64_t n = random.Uniform(4); n > 0; --n) {
          answer.push_back("10.0.0." + std::to_string(random.Uniform(9)));
        }
        book.OnAnswer(name, answer);
        if (!answer.empty()) {
          found[name] = {answer.begin(), answer.end()};
        }
      } else {
        book.OnFailure(book.AddressOf(name), now);
      }
      for (const std::string& each : names) {
        const std::string address = book.AddressOf(each);
        ASSERT_TRUE(found[each].empty() ? address == each : found[each].contains(address));
      }
    }
  }
}

}  // namespace
}  // namespace kvs
