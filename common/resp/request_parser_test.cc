#include "common/resp/request_parser.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

using Outcome = RequestParser::Outcome;
using testing::ElementsAre;
using Strings = std::vector<std::string>;

Strings Copy(const RequestParser& parser) {
  return {parser.args().begin(), parser.args().end()};
}

// Parses all requests of a stream of which the parser sees `chunk(remaining)` more bytes at a time,
// each time in another place.  An error ends the list with its text.
template <typename Chunk>
std::vector<Strings> ParseStream(std::string_view stream, const RequestLimits& limits,
                                 Chunk chunk) {
  RequestParser parser(limits);
  std::vector<Strings> requests;
  size_t consumed = 0;
  size_t received = 0;
  while (true) {
    // Exactly sized and freed after the call, so that a stale pointer is seen by sanitizers.
    const std::string input(stream.substr(consumed, received - consumed));
    const Outcome outcome = parser.Parse(input);
    if (outcome == Outcome::kNeedMore) {
      EXPECT_GT(parser.size_hint(), input.size());
      if (received == stream.size()) {
        return requests;
      }
      received += chunk(stream.size() - received);
      continue;
    }
    if (outcome == Outcome::kError) {
      requests.push_back({parser.error()});
      return requests;
    }
    if (outcome == Outcome::kRequest) {
      requests.push_back(Copy(parser));
    }
    consumed += parser.frame_size();
    parser.Reset();
  }
}

std::vector<Strings> ParseWhole(std::string_view stream, const RequestLimits& limits = {}) {
  return ParseStream(stream, limits, [](size_t left) { return left; });
}

// Parses in one piece, byte by byte and in random pieces, which must all give the same.
std::vector<Strings> ParseAnyhow(std::string_view stream, const RequestLimits& limits = {}) {
  std::vector<Strings> whole = ParseWhole(stream, limits);
  EXPECT_EQ(ParseStream(stream, limits, [](size_t) { return size_t{1}; }), whole);
  Random random(7);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(ParseStream(stream, limits, [&](size_t left) { return 1 + random.Uniform(left); }),
              whole);
  }
  return whole;
}

TEST(RequestParserTest, RequestsComeOutHoweverTheyAreCut) {
  std::string stream;
  EncodeRequest({"SET", "key", std::string(3000, 'v')}, &stream);
  stream += "PING\r\n";
  EncodeRequest({"", "\r\n*$"}, &stream);
  stream += "\r\n\n*0\r\n*-1\r\nset a \"b c\\x41\"\n*-5\r\n";
  EncodeRequest({"GET", std::string("\0\xff", 2)}, &stream);

  EXPECT_THAT(ParseAnyhow(stream),
              ElementsAre(Strings{"SET", "key", std::string(3000, 'v')}, Strings{"PING"},
                          Strings{"", "\r\n*$"}, Strings{"set", "a", "b cA"},
                          Strings{"GET", std::string("\0\xff", 2)}));
}

TEST(RequestParserTest, ArgumentsPointIntoTheInput) {
  const std::string input = "*2\r\n$3\r\nGET\r\n$1\r\nk\r\nPING\r\n";
  RequestParser parser;
  ASSERT_EQ(parser.Parse(input), Outcome::kRequest);
  EXPECT_EQ(parser.args()[1].data(), input.data() + 17);
  EXPECT_EQ(parser.frame_size(), 20u);
  EXPECT_FALSE(parser.is_inline());
  parser.Reset();
  ASSERT_EQ(parser.Parse(std::string_view(input).substr(20)), Outcome::kRequest);
  EXPECT_TRUE(parser.is_inline());
  EXPECT_EQ(parser.frame_size(), 6u);
}

TEST(RequestParserTest, NothingIsNoRequest) {
  RequestParser parser;
  EXPECT_EQ(parser.Parse(""), Outcome::kNeedMore);
  for (const std::string_view input : {"\r\n", "\n", "   \r\n", "*0\r\n", "*-1\r\n"}) {
    parser.Reset();
    EXPECT_EQ(parser.Parse(input), Outcome::kEmpty);
    EXPECT_EQ(parser.frame_size(), input.size());
  }
}

TEST(RequestParserTest, HintTellsWhatIsSurelyMissing) {
  RequestParser parser;
  EXPECT_EQ(parser.Parse("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$100000\r\nabc"), Outcome::kNeedMore);
  EXPECT_EQ(parser.size_hint(), 20u + 9 + 100000 + 2);
  parser.Reset();
  EXPECT_EQ(parser.Parse("*3\r\n$3\r\nSE"), Outcome::kNeedMore);
  EXPECT_EQ(parser.size_hint(), 13u + 6 + 6);
}

TEST(RequestParserTest, ErrorsAreTheWordsOfRedis) {
  const std::string long_line(70'000, '1');
  const std::pair<std::string, std::string> cases[] = {
      {long_line, "too big inline request"},
      {"*" + long_line, "too big mbulk count string"},
      {"*1\r\n$" + long_line, "too big bulk count string"},
      {"*x\r\n", "invalid multibulk length"},
      {"*\r\n", "invalid multibulk length"},
      {"*+1\r\n", "invalid multibulk length"},
      {"*01\r\n", "invalid multibulk length"},
      {"* 1\r\n", "invalid multibulk length"},
      {"*1048577\r\n", "invalid multibulk length"},
      {"*9223372036854775808\r\n", "invalid multibulk length"},
      {"*1\r\nfoo\r\n", "expected '$', got 'f'"},
      {"*2\r\n$1\r\nx\r\n:1\r\n", "expected '$', got ':'"},
      {"*1\r\n$x\r\n", "invalid bulk length"},
      {"*1\r\n$-1\r\n", "invalid bulk length"},
      {"*1\r\n$\r\n", "invalid bulk length"},
      {"*1\r\n$007\r\n", "invalid bulk length"},
      {"*1\r\n$536870913\r\n", "invalid bulk length"},
      {"*1\r\n$9223372036854775807\r\n", "invalid bulk length"},
      {"set \"a\r\n", "unbalanced quotes in request"},
      {"set 'a'b\n", "unbalanced quotes in request"},
  };
  for (const auto& [input, error] : cases) {
    SCOPED_TRACE(input.substr(0, 40));
    EXPECT_THAT(ParseWhole(input), ElementsAre(Strings{"Protocol error: " + error}));
    if (input.size() < 100) {
      EXPECT_THAT(ParseAnyhow(input), ElementsAre(Strings{"Protocol error: " + error}));
    }
  }
}

TEST(RequestParserTest, LongLinesAreFoundOutInPiecesToo) {
  const std::string line(70'000, '1');
  const auto kilobyte = [](size_t left) { return std::min<size_t>(left, 1000); };
  EXPECT_THAT(ParseStream("*" + line, {}, kilobyte),
              ElementsAre(Strings{"Protocol error: too big mbulk count string"}));
  EXPECT_THAT(ParseStream("*1\r\n$" + line, {}, kilobyte),
              ElementsAre(Strings{"Protocol error: too big bulk count string"}));
  EXPECT_THAT(ParseStream(line, {}, kilobyte),
              ElementsAre(Strings{"Protocol error: too big inline request"}));
}

// Redis would take a long line that ends within one read; we judge it by its length alone.
TEST(RequestParserTest, LimitsDoNotDependOnTheCut) {
  const RequestLimits limits = {.max_inline_bytes = 8};
  EXPECT_THAT(ParseAnyhow("12345678\n", limits), ElementsAre(Strings{"12345678"}));
  EXPECT_THAT(ParseAnyhow("123456789\n", limits),
              ElementsAre(Strings{"Protocol error: too big inline request"}));
}

TEST(RequestParserTest, BeforeAuthLittleIsAllowed) {
  const RequestLimits limits = {.authenticated = false};
  EXPECT_THAT(ParseAnyhow("*11\r\n", limits),
              ElementsAre(Strings{"Protocol error: unauthenticated multibulk length"}));
  EXPECT_THAT(ParseAnyhow("*1\r\n$16385\r\n", limits),
              ElementsAre(Strings{"Protocol error: unauthenticated bulk length"}));
  std::string most;
  EncodeRequest({"AUTH", std::string(16384, 'p')}, &most);
  EXPECT_EQ(ParseWhole(most, limits).at(0).size(), 2u);

  RequestParser parser(limits);
  parser.set_authenticated(true);
  EXPECT_EQ(parser.Parse("*11\r\n"), Outcome::kNeedMore);
}

TEST(RequestParserTest, ARequestIsBoundedAsAWhole) {
  const RequestLimits limits = {.max_args = 3, .max_request_bytes = 29};
  EXPECT_THAT(ParseAnyhow("*2\r\n$3\r\nGET\r\n$10\r\n0123456789\r\n", limits),
              ElementsAre(Strings{"Protocol error: too big request"}));
  EXPECT_EQ(ParseAnyhow("*2\r\n$3\r\nGET\r\n$9\r\n012345678\r\n", limits).at(0).size(), 2u);
  EXPECT_THAT(ParseAnyhow("*4\r\n", limits),
              ElementsAre(Strings{"Protocol error: invalid multibulk length"}));
}

// A count is a promise, not a reason to allocate.
TEST(RequestParserTest, ManyArgumentsArriveAndAreForgotten) {
  std::string request;
  const std::vector<std::string_view> args(100'000, "x");
  EncodeRequest(args, &request);
  RequestParser parser;
  for (size_t size = 1; size < request.size(); size += 5000) {
    ASSERT_EQ(parser.Parse(std::string_view(request).substr(0, size)), Outcome::kNeedMore);
  }
  ASSERT_EQ(parser.Parse(request), Outcome::kRequest);
  EXPECT_EQ(parser.args().size(), args.size());
  parser.Reset();
  EXPECT_EQ(parser.Parse("*1\r\n$4\r\nPING\r\n"), Outcome::kRequest);
  EXPECT_EQ(parser.args().size(), 1u);
}

}  // namespace
}  // namespace kvs
