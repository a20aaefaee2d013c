#include "common/http/http_parser.h"

#include <string>

#include "gtest/gtest.h"

namespace kvs {
namespace {

// Returns "REQUEST method path body" of the first request, "MORE", or "ERROR status".
std::string ParseOne(std::string_view bytes, size_t step = 1 << 20) {
  HttpParser parser;
  size_t begin = 0;
  for (size_t end = 0; end < bytes.size();) {
    end = std::min(bytes.size(), end + step);
    size_t consumed = 0;
    const HttpParser::Outcome outcome = parser.Parse(bytes.substr(begin, end - begin), &consumed);
    begin += consumed;
    if (outcome == HttpParser::Outcome::kError) {
      return "ERROR " + std::to_string(parser.error_status());
    }
    if (outcome == HttpParser::Outcome::kRequest) {
      const HttpRequest request = parser.Take();
      return "REQUEST " + request.method + " " + request.path + " " + request.body;
    }
  }
  return "MORE";
}

std::string Post(const std::string& headers, const std::string& body) {
  return "POST /p HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n" + body;
}

TEST(HttpParserTest, ARequestIsReadHoweverItIsCut) {
  const std::string bytes = Post("Content-Length: 5\r\nX-A: b\r\n", "hello");
  for (size_t step = 1; step <= bytes.size(); ++step) {
    EXPECT_EQ(ParseOne(bytes, step), "REQUEST POST /p hello") << step;
  }
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(ParseOne(bytes.substr(0, size)), "MORE") << size;
  }
}

TEST(HttpParserTest, ChunksAreJoined) {
  EXPECT_EQ(ParseOne(Post("Transfer-Encoding: chunked\r\n",
                          "3\r\nhel\r\n2;ext=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n")),
            "REQUEST POST /p hello");
}

// Boost.Beast aborts when the last chunk, and no other, comes in such pieces.
TEST(HttpParserTest, ChunkedBodiesAreReadHoweverTheyAreCut) {
  for (const char* body : {"0\r\n\r\n", "2\r\nhi\r\n0\r\n\r\n", "0\r\nA: b\r\n\r\n"}) {
    const std::string bytes = Post("Transfer-Encoding: chunked\r\n", body);
    for (size_t step = 1; step <= bytes.size(); ++step) {
      EXPECT_EQ(ParseOne(bytes, step), *body == '2' ? "REQUEST POST /p hi" : "REQUEST POST /p ");
    }
  }
}

TEST(HttpParserTest, TargetIsSplitAndDecoded) {
  HttpParser parser;
  size_t consumed = 0;
  ASSERT_EQ(parser.Parse("GET /a%20b/c?x=1&y=p%2Bq+r&z HTTP/1.1\r\nhOsT: h\r\n\r\n", &consumed),
            HttpParser::Outcome::kRequest);
  const HttpRequest request = parser.Take();

  EXPECT_EQ(request.path, "/a%20b/c");
  EXPECT_EQ(request.query, (HttpFields{{"x", "1"}, {"y", "p+q r"}, {"z", ""}}));
  ASSERT_NE(request.Header("HOST"), nullptr);
  EXPECT_EQ(*request.Header("HOST"), "h");
  EXPECT_EQ(request.Header("none"), nullptr);
  EXPECT_EQ(request.Query("none"), nullptr);
}

TEST(HttpParserTest, OneParserReadsOneRequestAfterTheOther) {
  HttpParser parser;
  std::string bytes = Post("Content-Length: 1\r\n", "a") + Post("Content-Length: 2\r\n", "bc");
  size_t consumed = 0;
  ASSERT_EQ(parser.Parse(bytes, &consumed), HttpParser::Outcome::kRequest);
  EXPECT_EQ(parser.Take().body, "a");
  bytes.erase(0, consumed);
  ASSERT_EQ(parser.Parse(bytes, &consumed), HttpParser::Outcome::kRequest);
  EXPECT_EQ(parser.Take().body, "bc");
  EXPECT_EQ(consumed, bytes.size());
}

TEST(HttpParserTest, WhatTwoParsersCouldReadDifferentlyIsRefused) {
  EXPECT_EQ(ParseOne(Post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
            "ERROR 400");
  EXPECT_EQ(ParseOne(Post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n")),
            "ERROR 400");
  EXPECT_EQ(ParseOne(Post("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")), "ERROR 400");
  EXPECT_EQ(ParseOne(Post("Content-Length: -1\r\n", "")), "ERROR 400");
  EXPECT_EQ(ParseOne(Post("Content-Length: 1x\r\n", "a")), "ERROR 400");
  EXPECT_EQ(ParseOne(Post("Transfer-Encoding: gzip\r\n", "")), "ERROR 501");
  EXPECT_EQ(ParseOne(Post("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n")), "ERROR 501");
  EXPECT_EQ(ParseOne(Post("Host: other\r\n", "")), "ERROR 400");
  EXPECT_EQ(ParseOne("GET / HTTP/1.1\r\n\r\n"), "ERROR 400");
}

TEST(HttpParserTest, WhatIsNoRequestIsRefused) {
  EXPECT_EQ(ParseOne("*1\r\n$4\r\nPING\r\n\r\n\r\n"), "ERROR 400");
  EXPECT_EQ(ParseOne("GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n"), "ERROR 400");
  EXPECT_EQ(ParseOne("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), "ERROR 400");
  EXPECT_EQ(ParseOne("GET /%0 HTTP/1.1\r\nHost: h\r\n\r\n"), "ERROR 400");
  EXPECT_EQ(ParseOne("GET /%00 HTTP/1.1\r\nHost: h\r\n\r\n"), "ERROR 400");
  EXPECT_EQ(ParseOne("GET /?a=%zz HTTP/1.1\r\nHost: h\r\n\r\n"), "ERROR 400");
  EXPECT_EQ(ParseOne("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), "ERROR 505");
}

TEST(HttpParserTest, SizesAreLimited) {
  const std::string long_header = "X: " + std::string(17 * 1024, 'x') + "\r\n";
  EXPECT_EQ(ParseOne(Post(long_header, "")), "ERROR 431");
  EXPECT_EQ(ParseOne("GET /" + std::string(17 * 1024, 'x')), "ERROR 431");
  EXPECT_EQ(ParseOne(Post("Content-Length: 1048577\r\n", "")), "ERROR 413");
  EXPECT_EQ(ParseOne(Post("Content-Length: 1048576\r\n", std::string(1 << 20, 'x'))),
            "REQUEST POST /p " + std::string(1 << 20, 'x'));
  EXPECT_EQ(ParseOne(Post("Transfer-Encoding: chunked\r\n",
                          "100000\r\n" + std::string(1 << 20, 'x') + "\r\n1\r\nx\r\n0\r\n\r\n")),
            "ERROR 413");
  EXPECT_EQ(ParseOne(Post("Transfer-Encoding: chunked\r\n", "1;" + std::string(17 * 1024, 'x'))),
            "ERROR 431");
}

TEST(HttpParserTest, ExpectationIsToldOnce) {
  HttpParser parser;
  const std::string bytes = Post("Expect: 100-continue\r\nContent-Length: 1\r\n", "");
  size_t consumed = 0;
  ASSERT_EQ(parser.Parse(bytes, &consumed), HttpParser::Outcome::kNeedMore);
  EXPECT_TRUE(parser.TakeExpectation());
  EXPECT_FALSE(parser.TakeExpectation());
}

TEST(HttpParserTest, OldVersionsCloseUnlessTheyAskNotTo) {
  HttpParser parser;
  size_t consumed = 0;
  ASSERT_EQ(parser.Parse("GET / HTTP/1.0\r\n\r\n", &consumed), HttpParser::Outcome::kRequest);
  EXPECT_FALSE(parser.Take().keep_alive);
  ASSERT_EQ(parser.Parse("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", &consumed),
            HttpParser::Outcome::kRequest);
  EXPECT_TRUE(parser.Take().keep_alive);
}

}  // namespace
}  // namespace kvs
