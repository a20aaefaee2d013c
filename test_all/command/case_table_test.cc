#include "test_all/command/case_table.h"

#include <gtest/gtest.h>

#include <set>

#include "common/base/strings.h"
#include "common/command/command_table.h"
#include "test_all/command/case_runner.h"

namespace kvs {
namespace {

TEST(CaseTableTest, EveryTableIsWellFormed) {
  int tables = 0;
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    const std::string_view name = file.name;
    if (name.ends_with(".txt") && name != "malformed.txt") {
      const Result<std::vector<Case>> cases = ParseCases(name, file.text);
      ASSERT_TRUE(cases.ok()) << cases.status().ToString();
      size_t steps = 0;
      for (const Case& test : *cases) {
        steps += test.steps.size();
      }
      EXPECT_GT(steps, 20U) << name;
      ++tables;
    }
  }
  EXPECT_EQ(tables, 26);
}

TEST(CaseTableTest, ACaseThatDiffersSaysWhyAndSaysSoInItsTitle) {
  for (const Case& test : AllCases()) {
    EXPECT_EQ(test.marked_kvs, !test.differs.empty()) << test.title();
  }
}

TEST(CaseTableTest, TitlesAreUnique) {
  std::set<std::string> titles;
  for (const Case& test : AllCases()) {
    EXPECT_TRUE(titles.insert(test.title()).second) << test.title();
    EXPECT_FALSE(test.steps.empty()) << test.title();
  }
}

TEST(CaseTableTest, EveryRowOfTheCommandTableHasACase) {
  std::set<std::string_view> tested;
  for (const Case& test : AllCases()) {
    for (const CaseStep& step : test.steps) {
      const std::vector<std::string_view> args(step.args.begin(), step.args.end());
      if (const CommandSpec* spec = ResolveCommand(args); spec != nullptr) {
        tested.insert(spec->name);
      }
    }
  }
  for (const CommandSpec& spec : kCommands) {
    // A container alone is an error, and a case of its own.  What a proxy refuses has its cases in
    // the node's own test.
    EXPECT_TRUE(tested.contains(spec.name) || !SubcommandsOf(spec).empty() ||
                spec.route == Route::kRefused)
        << spec.name;
  }
}

// The document has a row "| table | case | why |" for each.
TEST(CaseTableTest, TheDocumentListsExactlyTheCasesThatRedisAnswersDifferently) {
  std::set<std::string> listed;
  for (const std::string_view line : Split(EmbeddedText("differences.md"), '\n')) {
    const std::vector<std::string_view> cells = Split(line, '|');
    if (cells.size() == 5 && TrimSpaces(cells[1]).ends_with(".txt")) {
      EXPECT_FALSE(TrimSpaces(cells[3]).empty()) << line;
      listed.insert(std::string(TrimSpaces(cells[1])) + ": " + std::string(TrimSpaces(cells[2])));
    }
  }
  std::set<std::string> marked;
  for (const Case& test : AllCases()) {
    if (!test.oracle_agrees()) {
      marked.insert(test.title());
    }
  }
  EXPECT_EQ(listed, marked);
}

TEST(CaseTableTest, LinesWithoutAMeaningAreRefused) {
  EXPECT_FALSE(ParseCases("t", "> get k\n:0\n").ok());
  EXPECT_FALSE(ParseCases("t", "= a\nget k\n").ok());
  EXPECT_FALSE(ParseCases("t", "= a\n> get \"k\n:0\n").ok());
  EXPECT_FALSE(ParseCases("t", "= a\n>  \n:0\n").ok());
}

TEST(CaseTableTest, MarksAreRead) {
  const auto cases =
      ParseCases("t", "= a (kvs)\n# differs: why not\n> get k\n~:[0-9]+\n\n= b\n@ 5\n");
  ASSERT_TRUE(cases.ok());
  ASSERT_EQ(cases->size(), 2U);
  EXPECT_EQ((*cases)[0].name, "a");
  EXPECT_EQ((*cases)[0].differs, "why not");
  EXPECT_FALSE((*cases)[0].oracle_agrees());
  EXPECT_TRUE((*cases)[0].steps[0].is_pattern());
  EXPECT_EQ((*cases)[0].steps[0].line, 3);
  EXPECT_TRUE((*cases)[1].lets_time_pass);
}

TEST(CaseTableTest, WhatDependsOnTheNamesOfKeysNeedsAServerOfItsOwn) {
  const auto cases =
      ParseCases("t",
                 "= a\n> pfadd \"\" z\n:1\n\n= b\n> dbsize\n:0\n\n= c\n> get k\n$-1\n\n"
                 "= d\n> sort l by w_*\n*0\n\n= e\n> mget k {k}a\n*2 $-1 $-1\n\n"
                 "= f\n> mget {k}b {k}a\n*2 $-1 $-1\n\n= g\n> sort l get fixed\n*0\n\n"
                 "= h\n> sort l by nosort get #\n*0\n");
  ASSERT_TRUE(cases.ok());
  EXPECT_TRUE((*cases)[0].needs_empty_server());
  EXPECT_TRUE((*cases)[1].needs_empty_server());
  EXPECT_FALSE((*cases)[2].needs_empty_server());
  EXPECT_TRUE((*cases)[3].needs_empty_server());
  EXPECT_TRUE((*cases)[4].needs_empty_server());
  EXPECT_FALSE((*cases)[5].needs_empty_server());
  EXPECT_TRUE((*cases)[6].needs_empty_server());
  EXPECT_FALSE((*cases)[7].needs_empty_server());
}

TEST(CaseRunnerTest, DifferencesAreFound) {
  const auto cases = ParseCases("t", "= a\n> get k\n$1 v\n> client id\n~:[0-9]+\n");
  ASSERT_TRUE(cases.ok());
  const Case& test = cases->front();
  EXPECT_EQ(CompareWithTable(test, {"$1\r\nv\r\n", ":17\r\n"}), "");
  EXPECT_NE(CompareWithTable(test, {"$1\r\nw\r\n", ":17\r\n"}), "");
  EXPECT_NE(CompareWithTable(test, {"$1\r\nv\r\n", "+17\r\n"}), "");
  EXPECT_EQ(CompareServers(test, {"$1\r\nv\r\n", ":17\r\n"}, {"$1\r\nv\r\n", ":18\r\n"}), "");
  EXPECT_NE(CompareServers(test, {"$1\r\nv\r\n", ":17\r\n"}, {"$1\r\nw\r\n", ":17\r\n"}), "");
  EXPECT_NE(CompareServers(test, {"$1\r\nv\r\n", ":17\r\n"}, {"$1\r\nv\r\n", "+17\r\n"}), "");
}

}  // namespace
}  // namespace kvs
