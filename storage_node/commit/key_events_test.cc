#include "storage_node/commit/key_events.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace kvs {
namespace {

TEST(KeyEventsTest, LettersAreShownInTheOrderOfRedis) {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},       {"AKEmn", "AnKEm"}, {"KEA", "AKE"},
      {"gxE", "gxE"}, {"elK", "leK"},     {"dtexzhslg$", "A"},
      {"mEK", "KEm"}, {"KKgg", "gK"},     {"nK", "nK"},
  };
  for (const auto& [given, shown] : cases) {
    std::string letters = given;
    EXPECT_TRUE(NormalizeKeyEventKinds(&letters).ok()) << given;
    EXPECT_EQ(letters, shown) << given;
  }
}

TEST(KeyEventsTest, OtherLettersAreRefused) {
  for (const char* letters : {"q", "K q", "KE?", "a"}) {
    EXPECT_EQ(ParseKeyEventKinds(letters).status().message(),
              "Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
  }
}

}  // namespace
}  // namespace kvs
