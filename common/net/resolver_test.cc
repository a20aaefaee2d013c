#include "common/net/resolver.h"

#include <atomic>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kvs {
namespace {

using testing::ElementsAre;

TEST(ResolverTest, AnswersComeInTheLoopAndInOrder) {
  EventLoop loop("test");
  std::atomic<int> lookups{0};
  Resolver resolver(&loop, [&](const std::string& host) -> Result<std::vector<std::string>> {
    ++lookups;
    if (host == "unknown") {
      return Status::InvalidArgument("cannot resolve host 'unknown'");
    }
    return std::vector<std::string>{host + ".1", host + ".2"};
  });
  std::vector<std::string> answers;
  for (const char* host : {"a", "unknown", "b"}) {
    resolver.Resolve(host, [&](const Result<std::vector<std::string>>& addresses) {
      loop.AssertInLoop();
      answers.push_back(addresses.ok() ? addresses->back() : "error");
    });
  }
  EXPECT_TRUE(answers.empty());
  for (int i = 0; i < 1000 && answers.size() < 3; ++i) {
    loop.RunOnce(100);
  }
  EXPECT_THAT(answers, ElementsAre("a.2", "error", "b.2"));
  EXPECT_EQ(lookups, 3);
}

TEST(ResolverTest, AnAnswerToNobodyIsDropped) {
  EventLoop loop("test");
  bool answered = false;
  std::atomic<bool> asked{false};
  {
    Resolver resolver(&loop, [&](const std::string&) -> Result<std::vector<std::string>> {
      asked = true;
      asked.notify_all();
      return std::vector<std::string>{"10.0.0.1"};
    });
    resolver.Resolve("a", [&](const auto&) { answered = true; });
    asked.wait(false);
  }
  loop.RunOnce(0);
  EXPECT_FALSE(answered);
}

TEST(ResolverTest, AddressesAreKnownFromNames) {
  EXPECT_TRUE(IsNumericHost("127.0.0.1"));
  EXPECT_TRUE(IsNumericHost("::1"));
  EXPECT_FALSE(IsNumericHost("localhost"));
  EXPECT_FALSE(IsNumericHost("1.2.3"));
}

}  // namespace
}  // namespace kvs
