#include "storage_node/script/function_library.h"

#include <gtest/gtest.h>

#include <vector>

namespace kvs {
namespace {

constexpr size_t kRoom = size_t{1} << 20;

LibraryPtr Library(const std::string& name, const std::vector<std::string>& functions) {
  auto library = *MakeLibrary("#!lua name=" + name + "\ncode");
  for (const std::string& function : functions) {
    library->functions.emplace_back(function, std::nullopt, 0);
  }
  return library;
}

std::string WhyNot(std::string_view text) {
  const auto made = MakeLibrary(text);
  return made.ok() ? "" : std::string(made.status().message());
}

TEST(FunctionLibraryTest, TheFirstLineNamesIt) {
  const auto library = MakeLibrary("#!LUA  NAME='a_1'\r\nx");

  ASSERT_TRUE(library.ok());
  EXPECT_EQ((*library)->name, "a_1");
  EXPECT_EQ((*library)->code(), "\nx");
}

TEST(FunctionLibraryTest, AWrongFirstLineIsToldAsByRedis) {
  EXPECT_EQ(WhyNot(""), "Missing library metadata");
  EXPECT_EQ(WhyNot("return 1"), "Missing library metadata");
  EXPECT_EQ(WhyNot("#!lua name=a"), "Invalid library metadata");
  EXPECT_EQ(WhyNot("#!lua name='a\n"), "Invalid library metadata");
  EXPECT_EQ(WhyNot("#!lua\n"), "Library name was not given");
  EXPECT_EQ(WhyNot("#!x name=a\n"), "Engine 'x' not found");
  EXPECT_EQ(WhyNot("#! name=a\n"), "Engine '' not found");
  EXPECT_EQ(WhyNot("#!lua name=a b\n"), "Invalid metadata value given: b");
  EXPECT_EQ(WhyNot("#!lua name=a name=b\n"),
            "Invalid metadata value, name argument was given multiple times");
  EXPECT_EQ(WhyNot("#!lua name=a-b\n"), kBadFunctionName);
  EXPECT_EQ(WhyNot("#!lua name=\n"), kBadFunctionName);
}

TEST(FunctionSetTest, FunctionsAreFoundInAnyCase) {
  FunctionSet set;
  ASSERT_TRUE(set.Add(Library("l", {"One", "two"}), kRoom).ok());

  EXPECT_EQ(set.Find("oNE")->function->name, "One");
  EXPECT_FALSE(set.Find("three").has_value());
  EXPECT_EQ(set.FindLibrary("L"), nullptr);
  EXPECT_EQ(set.function_count(), 2U);
}

TEST(FunctionSetTest, TwoLibrariesHaveNoFunctionOfOneName) {
  FunctionSet set;
  ASSERT_TRUE(set.Add(Library("a", {"f"}), kRoom).ok());

  EXPECT_EQ(set.Add(Library("b", {"g", "F"}), kRoom).message(), "Function F already exists");
  EXPECT_EQ(set.libraries().size(), 1U);
  EXPECT_FALSE(set.Find("g").has_value());
}

TEST(FunctionSetTest, ALibraryTakesTheOldOnesPlace) {
  FunctionSet set;
  ASSERT_TRUE(set.Add(Library("a", {"f", "g"}), kRoom).ok());
  const FunctionSet before = set;
  const LibraryPtr next = Library("a", {"g", "h"});
  ASSERT_TRUE(set.Add(next, kRoom).ok());

  EXPECT_FALSE(set.Find("f").has_value());
  EXPECT_EQ(set.Find("g")->library, next);
  EXPECT_TRUE(before.Find("f").has_value());
  EXPECT_TRUE(set.Remove("a"));
  EXPECT_FALSE(set.Remove("a"));
  EXPECT_EQ(set.bytes(), 0U);
  EXPECT_EQ(set.function_count(), 0U);
}

TEST(FunctionSetTest, TextsHaveALimit) {
  FunctionSet set;
  const LibraryPtr library = Library("a", {"f"});
  EXPECT_EQ(set.Add(library, library->bytes() - 1).code(), Code::kTooLarge);
  ASSERT_TRUE(set.Add(library, library->bytes()).ok());
  EXPECT_EQ(set.Add(Library("b", {"g"}), library->bytes()).code(), Code::kTooLarge);
  EXPECT_TRUE(set.Add(Library("a", {"f"}), library->bytes()).ok());
}

}  // namespace
}  // namespace kvs
