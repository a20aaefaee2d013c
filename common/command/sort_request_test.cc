#include "common/command/sort_request.h"

#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/strings.h"

namespace kvs {
namespace {

// Keeps the words that a request points into.
struct Parsed {
  std::vector<std::string> words;
  Result<SortRequest> request = Status::NotFound();
};

Parsed Parse(const std::string& line, PatternKeys where = PatternKeys::kAnywhere) {
  Parsed parsed;
  EXPECT_TRUE(SplitArguments(line, &parsed.words));
  const std::vector<std::string_view> args(parsed.words.begin(), parsed.words.end());
  const CommandSpec* spec = ResolveCommand(args);
  EXPECT_NE(spec, nullptr) << line;
  parsed.request = ParseSort(*spec, args, where);
  return parsed;
}

std::string ErrorOf(const std::string& line, PatternKeys where = PatternKeys::kAnywhere) {
  const Parsed parsed = Parse(line, where);
  return parsed.request.ok() ? "" : std::string(parsed.request.status().message());
}

bool ReadsOthers(const std::string& line) {
  std::vector<std::string> words;
  EXPECT_TRUE(SplitArguments(line, &words));
  const std::vector<std::string_view> args(words.begin(), words.end());
  return ReadsKeysByPattern(*ResolveCommand(args), args);
}

TEST(SortRequestTest, TheLastOfRepeatedWordsCounts) {
  const Parsed parsed = Parse("sort k desc alpha asc limit 1 2 limit -3 4 store a STORE b");

  ASSERT_TRUE(parsed.request.ok());
  EXPECT_FALSE(parsed.request->descending);
  EXPECT_TRUE(parsed.request->alpha);
  EXPECT_EQ(parsed.request->offset, -3);
  EXPECT_EQ(parsed.request->count, 4);
  EXPECT_EQ(parsed.request->destination, "b");
}

TEST(SortRequestTest, ErrorsAreThoseOfRedis) {
  const std::pair<const char*, const char*> cases[] = {
      {"sort k x", "syntax error"},
      {"sort k by", "syntax error"},
      {"sort k get", "syntax error"},
      {"sort k store", "syntax error"},
      {"sort k limit 1", "syntax error"},
      {"sort_ro k store d", "syntax error"},
      {"sort k limit 1 x", "value is not an integer or out of range"},
      {"sort k limit 1.5 2 x", "value is not an integer or out of range"},
      {"sort k limit 9223372036854775808 1", "value is not an integer or out of range"},
  };
  for (const auto& [line, error] : cases) {
    EXPECT_EQ(ErrorOf(line), error) << line;
  }
}

TEST(SortRequestTest, PatternsNameKeysAndFields) {
  struct Case {
    std::string pattern;
    std::string key;
    std::string field;
  };
  const Case cases[] = {
      {"w_*", "w_7", ""},           {"*", "7", ""},
      {"a*b*c", "a7b*c", ""},       {"h*->f", "h7", "f"},
      {"h*x->f->g", "h7x", "f->g"}, {"h->*", "h->7", ""},
      {"h*->", "h7->", ""},         {std::string("a*\0->f", 6), std::string("a7\0->f", 6), ""},
  };
  for (const Case& c : cases) {
    const SortPattern pattern(c.pattern);
    ASSERT_TRUE(pattern.has_place()) << c.pattern;
    EXPECT_EQ(pattern.KeyFor("7"), c.key);
    EXPECT_EQ(pattern.field(), c.field);
  }
  EXPECT_TRUE(SortPattern("#").is_element());
  EXPECT_FALSE(SortPattern("#*").is_element());
  EXPECT_FALSE(SortPattern("nosort").has_place());
  EXPECT_FALSE(SortPattern(std::string("x\0*", 3)).has_place());
}

TEST(SortRequestTest, OnlyPatternsReadOtherKeys) {
  for (const char* line : {"sort k by w_*", "sort k get w_*", "sort_ro k get # get h*->f"}) {
    EXPECT_TRUE(ReadsOthers(line)) << line;
  }
  for (const char* line : {"sort k", "sort k by nosort get #", "sort k by nosort by w_*",
                           "sort k get fixed", "sort k by w_* x", "get k", "sort k store d"}) {
    EXPECT_FALSE(ReadsOthers(line)) << line;
  }
}

TEST(SortRequestTest, InAClusterPatternsStayInTheSlotOfTheKey) {
  const std::string by =
      "BY option of SORT denied in Cluster mode when keys formed by the pattern may be in "
      "different slots.";
  const std::string get =
      "GET option of SORT denied in Cluster mode when keys formed by the pattern may be in "
      "different slots.";
  const std::pair<const char*, std::string> cases[] = {
      {"sort {t}k by {t}w_*", ""},        {"sort {t}k by x{t}w_*->f get {t}*", ""},
      {"sort t by {t}* get # get t", ""}, {"sort {t}k by nosort", ""},
      {"sort {t}k by w_*", by},           {"sort {t}k by {u}*", by},
      {"sort {t}k by {t*}", by},          {"sort {t}k by *{t}", by},
      {"sort {t}k by {}{t}*", by},        {"sort {t}k by ?{t}*", by},
      {"sort {t}k get fixed", get},       {"sort {t}k get {t}* get *", get},
      {"sort {t}k by * x", by},           {"sort {t}k x by *", "syntax error"},
  };
  for (const auto& [line, error] : cases) {
    EXPECT_EQ(ErrorOf(line, PatternKeys::kInSlotOfKey), error) << line;
    EXPECT_NE(ErrorOf(line), by) << line;
  }
}

TEST(SortRequestTest, TheKeyThatIsStoredUnderIsFoundAmongTheWords) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"sort k", {"k"}},
      {"sort k store d", {"k", "d"}},
      {"sort k STORE c store d", {"k", "d"}},
      {"sort k by store get store limit store store", {"k"}},
      {"sort k by x store d alpha", {"k", "d"}},
      {"sort k store limit store d", {"k", "d"}},
      {"sort k store by store d", {"k", "d"}},
      {"sort k store store store d", {"k", "d"}},
      {"sort k store", {"k"}},
      {"sort_ro k store d", {"k"}},
  };
  for (const auto& [line, expected] : cases) {
    std::vector<std::string> words;
    ASSERT_TRUE(SplitArguments(line, &words));
    const std::vector<std::string_view> args(words.begin(), words.end());
    std::vector<std::string> keys;
    ForEachKey(*ResolveCommand(args), args, [&](std::string_view key) { keys.emplace_back(key); });
    EXPECT_EQ(keys, expected) << line;
  }
}

}  // namespace
}  // namespace kvs
