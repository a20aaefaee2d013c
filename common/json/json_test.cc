#include "common/json/json.h"

#include <cmath>
#include <limits>
#include <string>

#include "gtest/gtest.h"

namespace kvs {
namespace {

TEST(JsonTest, ParsedTextPrintsBack) {
  const std::string text =
      R"({"b":[1,-2,3.5,true,false,null,[],{}],"a":"x\"\\\n\u0001é","u":18446744073709551615})";
  const Result<Json> json = Json::Parse(text);
  ASSERT_TRUE(json.ok()) << json.status().ToString();
  EXPECT_EQ(json->ToString(), text);
  EXPECT_EQ(*Json::Parse(json->ToPrettyString()), *json);
}

TEST(JsonTest, PrettyTextIsIndented) {
  Json json;
  json.Set("name", "n").Set("list", Json::MakeArray({1, 2})).Set("none", Json::MakeArray());
  EXPECT_EQ(json.ToPrettyString(),
            "{\n  \"name\": \"n\",\n  \"list\": [\n    1,\n    2\n  ],\n  \"none\": []\n}\n");
}

TEST(JsonTest, OtherTextIsRefused) {
  for (const std::string text : {"",
                                 " ",
                                 "{",
                                 "[1,]",
                                 "{\"a\"}",
                                 "nul",
                                 "1 2",
                                 "'a'",
                                 "\"\\x\"",
                                 "\"\xff\"",
                                 "\"a\nb\"",
                                 "\"\\ud800\"",
                                 "\"\\ude00\"",
                                 "1e-999",
                                 "01",
                                 "NaN",
                                 "1e999",
                                 "{\"a\":1,\"a\":2}",
                                 "[1] //",
                                 "\"abc"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(Json::Parse(text).status().code(), Code::kInvalidArgument);
  }
}

TEST(JsonTest, DepthAndSizeHaveLimits) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(Json::Parse(nested(64)).ok());
  EXPECT_EQ(Json::Parse(nested(65)).status().message(), "json, at byte 64: nested deeper than 64");
  EXPECT_FALSE(Json::Parse(std::string(1'000'000, '[')).ok());
  EXPECT_TRUE(Json::Parse("12345", {.max_bytes = 5}).ok());
  EXPECT_EQ(Json::Parse("123456", {.max_bytes = 5}).status().code(), Code::kTooLarge);
}

TEST(JsonTest, GettersReturnTheMember) {
  const Json json = *Json::Parse(R"({"i":-1,"u":18446744073709551615,"d":2,"b":true,"s":"t",
                                     "a":[1],"o":{"x":1},"n":null})");
  EXPECT_EQ(*json.GetInt("i"), -1);
  EXPECT_EQ(*json.GetUint("u"), std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(*json.GetDouble("d"), 2.0);
  EXPECT_TRUE(*json.GetBool("b"));
  EXPECT_EQ(*json.GetString("s"), "t");
  EXPECT_EQ((*json.GetArray("a"))->size(), 1u);
  EXPECT_EQ(*(*json.GetObject("o"))->GetInt("x"), 1);
  EXPECT_EQ(*json.GetInt("n", 7), 7);
  EXPECT_EQ(*json.GetString("missing", "fallback"), "fallback");
  EXPECT_EQ(*json.GetUint("i2", 3), 3u);
}

TEST(JsonTest, ErrorsNameTheFieldAndTheRemedy) {
  const Json json = *Json::Parse(R"({"i":"x","f":1.5,"n":-1})");
  EXPECT_EQ(json.GetInt("i").status().message(),
            "field \"i\": value is a string, give an integer in [-2^63, 2^63)");
  EXPECT_EQ(json.GetInt("i", 3).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(json.GetString("m").status().message(), "field \"m\" is missing");
  EXPECT_FALSE(json.GetInt("f").ok());
  EXPECT_FALSE(json.GetUint("n").ok());
  EXPECT_EQ(Json(1).GetInt("x").status().message(), "value is a number, give an object");
  EXPECT_EQ(json.CheckFields({"i", "n"}).message(), "unknown field \"f\"; there are i, n");
  EXPECT_TRUE(json.CheckFields({"i", "n", "f"}).ok());
}

TEST(JsonTest, SetReplacesInPlace) {
  Json json;
  json.Set("a", 1).Set("b", 2).Set("a", 3);
  EXPECT_EQ(json.ToString(), R"({"a":3,"b":2})");
  Json list;
  list.Append("x").Append(uint64_t{1} << 63);
  EXPECT_EQ(list.ToString(), R"(["x",9223372036854775808])");
}

TEST(JsonTest, WhatIsPrintedIsAlwaysJson) {
  Json json;
  json.Append(std::string("\xff\xc0\x80\xed\xa0\x80 ok"));
  json.Append(std::nan("")).Append(std::numeric_limits<double>::infinity()).Append(3.0);
  const Result<Json> parsed = Json::Parse(json.ToString());
  ASSERT_TRUE(parsed.ok()) << json.ToString();
  EXPECT_EQ(json.ToString().find('\xff'), std::string::npos);
  const Json::Array& elements = **parsed->AsArray();
  EXPECT_TRUE(elements[1].is_null() && elements[2].is_null());
  EXPECT_EQ(elements[3], Json(3.0));
}

}  // namespace
}  // namespace kvs
