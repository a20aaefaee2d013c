#include "common/command/compatibility.h"

#include <algorithm>
#include <string>

#include "gtest/gtest.h"

#include "common/command/command_table.h"

namespace kvs {
namespace {

TEST(CompatibilityTest, EveryCommandOfRedisIsThereOrItIsSaidWhyNot) {
  for (const std::string_view name : RedisCommandNames()) {
    EXPECT_NE(FindCommand(name) != nullptr, !WhyMissing(name).empty())
        << name << " is missing without a reason, or there is a reason left for it";
  }
}

TEST(CompatibilityTest, EveryCommandOfTheTableIsRedissOrOurs) {
  const auto names = RedisCommandNames();
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  for (const CommandSpec& spec : kCommands) {
    const bool ours = spec.name.starts_with("hotkeys") || spec.name == "slowlog|stages" ||
                      spec.name == "client|maint_notifications";
    const bool container = !SubcommandsOf(spec).empty();
    EXPECT_TRUE(ours || container || std::binary_search(names.begin(), names.end(), spec.name))
        << spec.name;
  }
}

TEST(CompatibilityTest, ThePageHasARowForEach) {
  const std::string page = CompatibilityMarkdown();
  EXPECT_NE(page.find("| `GET` | yes | yes | by key |\n"), std::string::npos);
  EXPECT_NE(page.find("| `SYNC` | no | no | Redis's replication stream"), std::string::npos);
  EXPECT_NE(page.find("| `CLIENT ID` | yes | yes | the proxy answers |\n"), std::string::npos);
}

}  // namespace
}  // namespace kvs
