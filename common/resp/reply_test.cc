// Scanner, tree and converter: what one accepts the others can read.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/resp/reply_scanner.h"
#include "common/resp/reply_tree.h"
#include "common/resp/resp_convert.h"

namespace kvs {
namespace {

using Outcome = ReplyScanner::Outcome;

// One of each type and nesting that matters.
const std::vector<std::string>& Samples() {
  static const std::vector<std::string> samples = {
      "+OK\r\n",
      "+\r\n",
      "+PONG\r\n",
      "-ERR something is wrong\r\n",
      ":0\r\n",
      ":7\r\n",
      ":-9223372036854775808\r\n",
      "$0\r\n\r\n",
      "$5\r\nhello\r\n",
      "$12\r\n*1\r\n$-1\r\n\r\n+\r\n",
      "$-1\r\n",
      "*-1\r\n",
      "*0\r\n",
      "*3\r\n$1\r\na\r\n:1\r\n$-1\r\n",
      "*2\r\n*2\r\n:1\r\n:2\r\n*1\r\n*0\r\n",
      "_\r\n",
      "#t\r\n",
      "#f\r\n",
      ",1.5\r\n",
      ",inf\r\n",
      ",-inf\r\n",
      ",nan\r\n",
      ",1e+20\r\n",
      "(3492890328409238509324850943850943825024385\r\n",
      "!10\r\nERR a\r\nb c\r\n",
      "=8\r\ntxt:some\r\n",
      "%2\r\n+a\r\n:1\r\n+b\r\n%0\r\n",
      "~3\r\n:1\r\n_\r\n#t\r\n",
      ">3\r\n+message\r\n$1\r\nc\r\n$1\r\nm\r\n",
      "|1\r\n+ttl\r\n:10\r\n$1\r\nv\r\n",
      "*2\r\n|1\r\n+k\r\n*1\r\n:1\r\n:5\r\n|0\r\n:6\r\n",
      "|1\r\n|1\r\n:1\r\n:2\r\n:3\r\n:4\r\n*0\r\n",
  };
  return samples;
}

// Scans in pieces that end at the given sizes, each in fresh memory.
Outcome ScanInPieces(ReplyScanner* scanner, std::string_view bytes,
                     const std::vector<size_t>& ends) {
  Outcome outcome = Outcome::kNeedMore;
  for (const size_t end : ends) {
    const std::string piece(bytes.substr(0, end));
    outcome = scanner->Scan(piece);
    if (outcome != Outcome::kNeedMore) {
      break;
    }
    EXPECT_GT(scanner->size_hint(), end);
  }
  return outcome;
}

TEST(ReplyScannerTest, EndIsFoundHoweverTheReplyIsCut) {
  Random random(3);
  for (const std::string& sample : Samples()) {
    SCOPED_TRACE(sample);
    const std::string bytes = sample + "+next\r\n";
    std::vector<std::vector<size_t>> cuts(12);
    for (size_t end = 0; end <= bytes.size(); ++end) {
      cuts[0].push_back(end);
      for (size_t i = 1; i < 10; ++i) {
        if (random.OneIn(i + 1)) {
          cuts[i].push_back(end);
        }
      }
    }
    for (std::vector<size_t>& ends : cuts) {
      ends.push_back(bytes.size());
      ReplyScanner scanner;
      ASSERT_EQ(ScanInPieces(&scanner, bytes, ends), Outcome::kReply);
      EXPECT_EQ(scanner.frame_size(), sample.size());
      EXPECT_EQ(scanner.type(), sample[0]);
    }
  }
}

TEST(ReplyScannerTest, NoPrefixIsAReply) {
  for (const std::string& sample : Samples()) {
    for (size_t size = 0; size < sample.size(); ++size) {
      const std::string_view prefix = std::string_view(sample).substr(0, size);
      ReplyScanner scanner;
      EXPECT_EQ(scanner.Scan(prefix), Outcome::kNeedMore) << prefix;
      EXPECT_FALSE(ParseReply(prefix).ok());
    }
  }
}

TEST(ReplyScannerTest, BrokenRepliesAreRefused) {
  for (const std::string bytes : {"x\r\n",
                                  "OK\r\n",
                                  "\r\n",
                                  ":\r\n",
                                  ":1.5\r\n",
                                  ":99999999999999999999\r\n",
                                  "$x\r\n",
                                  "$-2\r\n",
                                  "$1\r\nab\r\n",
                                  "$1\r\na\r\r",
                                  "$?\r\n",
                                  "*?\r\n",
                                  "*-2\r\n",
                                  "%-1\r\n",
                                  "~-1\r\n",
                                  "!-1\r\n",
                                  "=-1\r\n",
                                  "=3\r\nabc\r\n",
                                  "=5\r\nabcde\r\n",
                                  "_x\r\n",
                                  "#x\r\n",
                                  "#\r\n",
                                  ",x\r\n",
                                  ",\r\n",
                                  "(1x\r\n",
                                  "(\r\n",
                                  "+a\rb\r\n",
                                  "*1\r\n>0\r\n",
                                  "*1\r\nx\r\n",
                                  ":00000000000000000000000000000001\r\n",
                                  "$0000000000000000000000000",
                                  "*281474976710657\r\n"}) {
    SCOPED_TRACE(bytes);
    ReplyScanner scanner;
    EXPECT_EQ(scanner.Scan(bytes), Outcome::kError);
    EXPECT_NE(scanner.error(), nullptr);
    EXPECT_FALSE(ParseReply(bytes).ok());
  }
}

TEST(ReplyScannerTest, AMillionLevelsAreRefused) {
  std::string deep;
  for (int i = 0; i < 1'000'000; ++i) {
    deep += "*1\r\n";
  }
  ReplyScanner scanner;
  EXPECT_EQ(scanner.Scan(deep), Outcome::kError);
  EXPECT_STREQ(scanner.error(), "nested too deep");
  EXPECT_FALSE(ParseReply(deep).ok());
}

TEST(ReplyScannerTest, DepthOfTheLimitIsAccepted) {
  std::string nested;
  for (int i = 0; i < kMaxReplyDepth; ++i) {
    nested += "*1\r\n";
  }
  ReplyScanner scanner;
  EXPECT_EQ(scanner.Scan(nested + "_\r\n"), Outcome::kReply);
  EXPECT_TRUE(ParseReply(nested + "_\r\n").ok());
  ReplyScanner flat({.max_depth = 1});
  EXPECT_EQ(flat.Scan("*1\r\n*0\r\n"), Outcome::kReply);
  flat.Reset();
  EXPECT_EQ(flat.Scan("*1\r\n*1\r\n"), Outcome::kError);
}

TEST(ReplyScannerTest, ElementsAndBytesAreBounded) {
  ReplyScanner few({.max_elements = 3});
  EXPECT_EQ(few.Scan("*3\r\n:1\r\n:2\r\n:3\r\n"), Outcome::kReply);
  few.Reset();
  EXPECT_EQ(few.Scan("*4\r\n"), Outcome::kError);
  few.Reset();
  EXPECT_EQ(few.Scan("*2\r\n:1\r\n*2\r\n"), Outcome::kError);
  ReplyScanner small({.max_bytes = 10});
  EXPECT_EQ(small.Scan("$4\r\nabcd\r\n"), Outcome::kReply);
  small.Reset();
  EXPECT_EQ(small.Scan("$5\r\n"), Outcome::kError);
  small.Reset();
  EXPECT_EQ(small.Scan("+0123456789"), Outcome::kError);
}

TEST(ReplyScannerTest, HintTellsWhatIsSurelyMissing) {
  ReplyScanner scanner;
  EXPECT_EQ(scanner.Scan("*2\r\n:1\r\n$100\r\nab"), Outcome::kNeedMore);
  EXPECT_EQ(scanner.size_hint(), 8u + 6 + 100 + 2);
}

// Scans `bytes` in pieces of `piece` bytes and forgets whatever it may.  Returns the types of the
// replies.
std::string ScanAndForget(const std::string& bytes, size_t piece, size_t* most_kept) {
  std::string ends;
  ReplyScanner scanner;
  std::string kept;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    kept += bytes.substr(at, piece);
    *most_kept = std::max(*most_kept, kept.size());
    while (!kept.empty()) {
      const Outcome outcome = scanner.Scan(kept);
      if (outcome == Outcome::kNeedMore) {
        kept.erase(0, scanner.Forget(kept));
        break;
      }
      if (outcome == Outcome::kError) {
        return ends + " and then: " + scanner.error();
      }
      ends += scanner.type();
      kept.erase(0, scanner.frame_size());
      scanner.Reset();
    }
  }
  EXPECT_EQ(kept, "");
  return ends;
}

TEST(ReplyScannerTest, TheEndOfAReplyIsFoundWithoutKeepingIt) {
  const std::string value(1000, 'v');
  const std::string bulk = "$1000\r\n" + value + "\r\n";
  const std::string bytes =
      bulk + "+OK\r\n*3\r\n" + bulk + "*2\r\n:1\r\n" + bulk + "_\r\n:7\r\n" + bulk + "-ERR no\r\n";
  for (const size_t piece : {1U, 2U, 3U, 7U, 64U, 500U, 1009U, 5000U}) {
    size_t most_kept = 0;
    EXPECT_EQ(ScanAndForget(bytes, piece, &most_kept), "$+*:$-") << piece;
    EXPECT_LE(most_kept, piece + 16) << piece;
  }
}

TEST(ReplyTreeTest, TreeHoldsWhatTheBytesSay) {
  const std::pair<std::string, std::string> cases[] = {
      {"+OK\r\n", "OK"},
      {"-ERR x\r\n", "(error) \"ERR x\""},
      {":-5\r\n", "-5"},
      {"$3\r\na\nb\r\n", "\"a\\nb\""},
      {"$-1\r\n", "null"},
      {"*-1\r\n", "null"},
      {",2.5\r\n", "(double) 2.5"},
      {"#t\r\n", "true"},
      {"(12345678901234567890\r\n", "12345678901234567890"},
      {"=7\r\nmkd:abc\r\n", "\"abc\""},
      {"%1\r\n+k\r\n*2\r\n:1\r\n_\r\n", "{k: [1, null]}"},
      {"~1\r\n:1\r\n", "(set) [1]"},
      {">1\r\n+x\r\n", "(push) [x]"},
      {"*2\r\n|1\r\n+k\r\n*1\r\n:1\r\n:5\r\n|0\r\n:6\r\n", "[5, 6]"},
      {"!5\r\nERR \n\r\n", "(error) \"ERR \\n\""},
  };
  for (const auto& [bytes, text] : cases) {
    const Result<Reply> reply = ParseReply(bytes);
    ASSERT_TRUE(reply.ok()) << bytes;
    EXPECT_EQ(reply->ToString(), text);
  }
  EXPECT_TRUE(std::isnan(ParseReply(",nan\r\n")->number));
  EXPECT_EQ(ParseReply(",-inf\r\n")->number, -std::numeric_limits<double>::infinity());
  EXPECT_TRUE(ParseReply("+OK\r\n")->is_ok());
}

TEST(ReplyTreeTest, MapsAreSearchedInBothProtocols) {
  for (const std::string bytes :
       {"%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n", "*4\r\n+a\r\n:1\r\n$1\r\nb\r\n:2\r\n"}) {
    const Reply reply = *ParseReply(bytes);
    ASSERT_NE(reply.Find("b"), nullptr);
    EXPECT_EQ(reply.Find("b")->integer, 2);
    EXPECT_EQ(reply.Find("c"), nullptr);
  }
}

TEST(ReplyTreeTest, BytesBehindTheReplyAreRefused) {
  EXPECT_FALSE(ParseReply("+OK\r\n+OK\r\n").ok());
  EXPECT_FALSE(ParseReply("").ok());
}

TEST(RespConvertTest, Resp2ClientsGetWhatRedisWrites) {
  const std::pair<std::string, std::string> cases[] = {
      {"_\r\n", "$-1\r\n"},
      {"#t\r\n", ":1\r\n"},
      {"#f\r\n", ":0\r\n"},
      {",1.5\r\n", "$3\r\n1.5\r\n"},
      {",-inf\r\n", "$4\r\n-inf\r\n"},
      {"(123\r\n", "$3\r\n123\r\n"},
      {"=8\r\ntxt:some\r\n", "$4\r\nsome\r\n"},
      {"!10\r\nERR a\r\nb c\r\n", "-ERR a  b c\r\n"},
      {"%1\r\n+a\r\n,1\r\n", "*2\r\n+a\r\n$1\r\n1\r\n"},
      {"~2\r\n:1\r\n_\r\n", "*2\r\n:1\r\n$-1\r\n"},
      {">1\r\n+x\r\n", "*1\r\n+x\r\n"},
      {"|1\r\n+ttl\r\n%1\r\n:1\r\n:2\r\n$1\r\nv\r\n", "$1\r\nv\r\n"},
      {"*2\r\n|1\r\n+k\r\n*1\r\n:1\r\n:5\r\n$1\r\na\r\n", "*2\r\n:5\r\n$1\r\na\r\n"},
      {"*1\r\n%1\r\n~0\r\n*1\r\n#t\r\n", "*1\r\n*2\r\n*0\r\n*1\r\n:1\r\n"},
  };
  for (const auto& [resp3, resp2] : cases) {
    std::string converted;
    ConvertReply3To2(resp3, Resp2Form::kPlain, &converted);
    EXPECT_EQ(converted, resp2);
    EXPECT_TRUE(NeedsConversion(resp3)) << resp3;
    EXPECT_FALSE(NeedsConversion(converted)) << converted;
  }
}

TEST(RespConvertTest, NullIsAnArrayWhereTheCommandSaysSo) {
  std::string converted;
  ConvertReply3To2("_\r\n", Resp2Form::kNullArray, &converted);
  EXPECT_EQ(converted, "*-1\r\n");
  converted.clear();
  ConvertReply3To2("*2\r\n_\r\n*0\r\n", Resp2Form::kNullArray, &converted);
  EXPECT_EQ(converted, "*2\r\n*-1\r\n*0\r\n");
}

TEST(RespConvertTest, PairsAreFlatWhereTheCommandSaysSo) {
  const std::pair<std::string, std::string> cases[] = {
      {"*2\r\n*2\r\n$1\r\na\r\n,1.5\r\n*2\r\n$1\r\nb\r\n_\r\n",
       "*4\r\n$1\r\na\r\n$3\r\n1.5\r\n$1\r\nb\r\n$-1\r\n"},
      {"*1\r\n*2\r\n*2\r\n:1\r\n:2\r\n~1\r\n:3\r\n", "*2\r\n*2\r\n:1\r\n:2\r\n*1\r\n:3\r\n"},
      {"*0\r\n", "*0\r\n"},
      {"_\r\n", "$-1\r\n"},
      {"$1\r\na\r\n", "$1\r\na\r\n"},
      {"*2\r\n$1\r\na\r\n$1\r\nb\r\n", "*2\r\n$1\r\na\r\n$1\r\nb\r\n"},
      // Not all of them are pairs.
      {"*2\r\n*2\r\n:1\r\n:2\r\n*1\r\n:3\r\n", "*2\r\n*2\r\n:1\r\n:2\r\n*1\r\n:3\r\n"},
  };
  for (const auto& [resp3, resp2] : cases) {
    std::string converted;
    ConvertReply3To2(resp3, Resp2Form::kFlatPairs, &converted);
    EXPECT_EQ(converted, resp2);
  }
}

TEST(RespConvertTest, AMapIsAnArrayOfPairsWhereTheCommandSaysSo) {
  const std::pair<std::string, std::string> cases[] = {
      {"%2\r\n$1\r\na\r\n*1\r\n_\r\n$1\r\nb\r\n,1.5\r\n",
       "*2\r\n*2\r\n$1\r\na\r\n*1\r\n*-1\r\n*2\r\n$1\r\nb\r\n$3\r\n1.5\r\n"},
      // Those within are like all others.
      {"%1\r\n:1\r\n%1\r\n:2\r\n:3\r\n", "*1\r\n*2\r\n:1\r\n*2\r\n:2\r\n:3\r\n"},
      {"%0\r\n", "*0\r\n"},
      {"_\r\n", "*-1\r\n"},
      {"-ERR x\r\n", "-ERR x\r\n"},
  };
  for (const auto& [resp3, resp2] : cases) {
    std::string converted;
    ConvertReply3To2(resp3, Resp2Form::kMapAsPairs, &converted);
    EXPECT_EQ(converted, resp2);
  }
}

TEST(RespConvertTest, ANullAtTheEndIsThatOfAnArrayWhereTheCommandSaysSo) {
  const std::pair<std::string, std::string> cases[] = {
      {"*3\r\n:0\r\n_\r\n_\r\n", "*3\r\n:0\r\n$-1\r\n*-1\r\n"},
      {"*2\r\n_\r\n*0\r\n", "*2\r\n$-1\r\n*0\r\n"},
  };
  for (const auto& [resp3, resp2] : cases) {
    std::string converted;
    ConvertReply3To2(resp3, Resp2Form::kLastNullArray, &converted);
    EXPECT_EQ(converted, resp2);
  }
}

TEST(RespConvertTest, TheFormMayDependOnTheRequest) {
  EXPECT_EQ(FormFor(Resp2Form::kNullArrayWithOption, true), Resp2Form::kNullArray);
  EXPECT_EQ(FormFor(Resp2Form::kNullArrayWithOption, false), Resp2Form::kPlain);
  EXPECT_EQ(FormFor(Resp2Form::kNullArrayOutside, false), Resp2Form::kNullArray);
  EXPECT_EQ(FormFor(Resp2Form::kNullArrayOutside, true, /*in_transaction=*/true),
            Resp2Form::kPlain);
  EXPECT_EQ(FormFor(Resp2Form::kMapAsPairs, true), Resp2Form::kMapAsPairs);
}

TEST(RespConvertTest, Resp2RepliesStayAsTheyAre) {
  for (const std::string& sample : Samples()) {
    if (!NeedsConversion(sample)) {
      std::string converted;
      ConvertReply3To2(sample, Resp2Form::kPlain, &converted);
      EXPECT_EQ(converted, sample);
    }
  }
  EXPECT_FALSE(NeedsConversion("*2\r\n$2\r\n_\r\r\n:1\r\n"));
}

}  // namespace
}  // namespace kvs
