#include "common/resp/resp_writer.h"

#include <limits>
#include <string>

#include "gtest/gtest.h"

#include "common/resp/error_text.h"
#include "common/resp/reply_tree.h"

namespace kvs {
namespace {

// Returns what `write` appends in a protocol.
template <typename Write>
std::string Written(int protocol, Write write) {
  std::string out;
  RespWriter writer(protocol, &out);
  write(writer);
  return out;
}

TEST(RespWriterTest, EachValueInBothProtocols) {
  const struct {
    std::string resp2;
    std::string resp3;
    void (*write)(RespWriter&);
  } cases[] = {
      {"+OK\r\n", "+OK\r\n", [](RespWriter& w) { w.Ok(); }},
      {"+PONG\r\n", "+PONG\r\n", [](RespWriter& w) { w.Simple("PONG"); }},
      {"-ERR a  b\r\n", "-ERR a  b\r\n", [](RespWriter& w) { w.Error("ERR a\r\nb"); }},
      {":9\r\n", ":9\r\n", [](RespWriter& w) { w.Integer(9); }},
      {":10\r\n", ":10\r\n", [](RespWriter& w) { w.Integer(10); }},
      {":-1\r\n", ":-1\r\n", [](RespWriter& w) { w.Integer(-1); }},
      {":-9223372036854775808\r\n", ":-9223372036854775808\r\n",
       [](RespWriter& w) { w.Integer(std::numeric_limits<int64_t>::min()); }},
      {"$3\r\na\r\n\r\n", "$3\r\na\r\n\r\n", [](RespWriter& w) { w.Bulk("a\r\n"); }},
      {"$0\r\n\r\n", "$0\r\n\r\n", [](RespWriter& w) { w.Bulk(""); }},
      {"$4\r\nabcd\r\n", "$4\r\nabcd\r\n",
       [](RespWriter& w) {
         w.BeginBulk(4);
         w.out()->append("ab").append("cd");
         w.EndBulk();
       }},
      {"$-1\r\n", "_\r\n", [](RespWriter& w) { w.Null(); }},
      {"*-1\r\n", "_\r\n", [](RespWriter& w) { w.NullArray(); }},
      {"*12\r\n", "*12\r\n", [](RespWriter& w) { w.Array(12); }},
      {"*4\r\n", "%2\r\n", [](RespWriter& w) { w.Map(2); }},
      {"*2\r\n", "~2\r\n", [](RespWriter& w) { w.Set(2); }},
      {"*2\r\n", ">2\r\n", [](RespWriter& w) { w.Push(2); }},
      {"$3\r\n0.1\r\n", ",0.1\r\n", [](RespWriter& w) { w.Double(0.1); }},
      {"$4\r\n-inf\r\n", ",-inf\r\n",
       [](RespWriter& w) { w.Double(-std::numeric_limits<double>::infinity()); }},
      {":1\r\n", "#t\r\n", [](RespWriter& w) { w.Boolean(true); }},
      {":0\r\n", "#f\r\n", [](RespWriter& w) { w.Boolean(false); }},
      {"$2\r\n12\r\n", "(12\r\n", [](RespWriter& w) { w.BigNumber("12"); }},
      {"$2\r\nab\r\n", "=6\r\ntxt:ab\r\n", [](RespWriter& w) { w.Verbatim("txt", "ab"); }},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(Written(2, c.write), c.resp2);
    EXPECT_EQ(Written(3, c.write), c.resp3);
  }
}

TEST(RespWriterTest, RequestsAreArraysOfBulkStrings) {
  std::string out;
  EncodeRequest({"SET", "k", ""}, &out);
  EXPECT_EQ(out, "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
}

TEST(ErrorTextTest, CodesGetRedissPrefixes) {
  EXPECT_EQ(ErrorText(Status::WrongType()),
            "WRONGTYPE Operation against a key holding the wrong kind of value");
  EXPECT_EQ(ErrorText(Status::CrossSlot()),
            "CROSSSLOT Keys in request don't hash to the same slot");
  EXPECT_EQ(ErrorText(Status::InvalidArgument("syntax error")), "ERR syntax error");
  EXPECT_EQ(ErrorText(Status::Unavailable("slot 5 has no owner")),
            "CLUSTERDOWN slot 5 has no owner");
  EXPECT_EQ(ErrorText(Status::Misconf("log full\nuse more")), "MISCONF log full use more");
  EXPECT_EQ(ErrorText(Status(Code::kUnauthenticated, "")), "NOAUTH Authentication required.");
}

TEST(ErrorTextTest, EveryCodeIsAReply) {
  for (int i = 1; i < kCodeCount; ++i) {
    const Code code = static_cast<Code>(i);
    if (code == Code::kIncomplete) {
      continue;
    }
    SCOPED_TRACE(CodeName(code));
    const std::string reply =
        Written(2, [code](RespWriter& w) { w.Error(Status(code, "x\r\ny")); });
    EXPECT_TRUE(reply.ends_with(" x  y\r\n")) << reply;
    EXPECT_TRUE(ParseReply(reply)->is_error());
    EXPECT_GT(ErrorText(Status(code, "")).size(), ErrorPrefix(code).size() + 1);
  }
}

}  // namespace
}  // namespace kvs
