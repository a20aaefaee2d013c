#include "storage_node/script/script_cache.h"

#include <gtest/gtest.h>

namespace kvs {
namespace {

ScriptPtr Make(std::string_view text) {
  Result<ScriptPtr> script = MakeScript(text);
  EXPECT_TRUE(script.ok()) << script.status().ToString();
  return script.ok() ? *script : nullptr;
}

std::string WhyNot(std::string_view text) {
  return std::string(MakeScript(text).status().message());
}

TEST(ScriptTest, TheFirstLineSaysWhatTheScriptMayDo) {
  EXPECT_EQ(Make("return 1")->sha, "e0e1f9fabfc9d4800c877a703b823ac0578ff8db");
  EXPECT_TRUE(Make("return 1")->allows_cross_slot_keys);
  const ScriptPtr script = Make("#!lua flags=no-writes,allow-oom\nreturn 1");
  EXPECT_TRUE(script->no_writes);
  EXPECT_FALSE(script->allows_cross_slot_keys);
  EXPECT_EQ(script->code(), "\nreturn 1");  // Lines count from the first one.
  EXPECT_TRUE(Make("#!lua flags=allow-cross-slot-keys\n")->allows_cross_slot_keys);
  EXPECT_EQ(WhyNot("#!lua flags=x\n"), "Unexpected flag in script shebang: x");
  EXPECT_EQ(WhyNot("#!lua name=x\n"), "Unknown lua shebang option: name=x");
  EXPECT_EQ(WhyNot("#!py\nx"), "Unexpected engine in script shebang: #!py");
  EXPECT_EQ(WhyNot("#!lua"), "Invalid script shebang");
  EXPECT_EQ(WhyNot("#!\n"), "Unexpected engine in script shebang: #!");
}

TEST(ScriptCacheTest, ScriptsAreFoundByTheirDigestInAnyCase) {
  ScriptCache cache(100'000);
  EXPECT_EQ(cache.Find("e0e1f9fabfc9d4800c877a703b823ac0578ff8db"), nullptr);
  const ScriptPtr script = Make("return 1");
  ASSERT_TRUE(cache.Add(script, true).ok());
  ASSERT_TRUE(cache.Add(Make("return 1"), false).ok());
  EXPECT_EQ(cache.Find("E0E1F9FABFC9D4800C877A703B823AC0578FF8DB"), script);
  EXPECT_EQ(cache.count(), 1U);
  cache.Flush();
  EXPECT_EQ(cache.Find(script->sha), nullptr);
  EXPECT_EQ(cache.bytes(), 0U);
}

TEST(ScriptCacheTest, TheOldestThatWereOnlyEvaluatedGoWhenMemoryIsShort) {
  ScriptCache cache(3000);
  const ScriptPtr loaded = Make("return 'loaded'");
  const ScriptPtr first = Make("return 1");
  ASSERT_TRUE(cache.Add(first, false).ok());
  ASSERT_TRUE(cache.Add(loaded, true).ok());
  ScriptPtr last;
  for (int i = 2; i < 100; ++i) {
    last = Make("return " + std::to_string(i));
    ASSERT_TRUE(cache.Add(last, false).ok());
    EXPECT_LE(cache.bytes(), 3000U);
  }
  EXPECT_EQ(cache.Find(first->sha), nullptr);
  EXPECT_EQ(cache.Find(loaded->sha), loaded);
  EXPECT_EQ(cache.Find(last->sha), last);
}

TEST(ScriptCacheTest, LoadedScriptsAreRefusedAndNotDroppedWhenMemoryIsShort) {
  ScriptCache cache(1000);
  int kept = 0;
  Status status;
  for (int i = 0; i < 10 && status.ok(); ++i) {
    status = cache.Add(Make("return " + std::to_string(i)), true);
    kept += status.ok() ? 1 : 0;
  }
  EXPECT_EQ(status.code(), Code::kTooLarge);
  EXPECT_EQ(cache.count(), static_cast<size_t>(kept));
  EXPECT_TRUE(cache.Add(Make("return 'x'"), false).ok());  // It runs all the same.
}

TEST(ScriptCacheTest, AnEvaluatedScriptThatIsLoadedStays) {
  ScriptCache cache(1000);
  const ScriptPtr script = Make("return 0");
  ASSERT_TRUE(cache.Add(script, false).ok());
  ASSERT_TRUE(cache.Add(Make("return 0"), true).ok());
  for (int i = 1; i < 20; ++i) {
    ASSERT_TRUE(cache.Add(Make("return " + std::to_string(i)), false).ok());
  }
  EXPECT_EQ(cache.Find(script->sha), script);
}

}  // namespace
}  // namespace kvs
