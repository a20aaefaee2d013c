#include "common/control/control_message.h"

#include <sys/stat.h>

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/control/secret_file.h"
#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

using testing::HasSubstr;

constexpr const char* kId = "00000000000000000000000000000000000000a1";

SlotMapPtr MakeMap() {
  SlotMapParts parts;
  parts.name = "main";
  parts.epoch = 7;
  parts.shards.push_back({"shard-1", {kId, {"127.0.0.1", 6371}}, {}, {{0, kSlotCount - 1}}});
  return *SlotMap::Build(parts);
}

// The text is that of doc/protocols/control.md.
TEST(ControlMessageTest, ARegistrationReadsBack) {
  const std::string text =
      R"({"kind":"node","id":"00000000000000000000000000000000000000a1",)"
      R"("address":"127.0.0.1:6371","namespace":"main","version":"1.0.0","map":"main",)"
      R"("epoch":7})";
  const Registration registration{
      ControlKind::kNode, kId, {"127.0.0.1", 6371}, "main", "1.0.0", "main", 7};
  EXPECT_EQ(registration.ToJson().ToString(), text);

  const Result<Registration> read = Registration::FromJson(*Json::Parse(text));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->ToJson().ToString(), text);
}

TEST(ControlMessageTest, RegistrationsOfANewerProgramAreRead) {
  Json json = Registration{ControlKind::kProxy, kId, {"h", 1}, "", "2.0", "", 0}.ToJson();
  json.Set("colour", "green");
  const Result<Registration> read = Registration::FromJson(json);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->kind, ControlKind::kProxy);
}

TEST(ControlMessageTest, BadRegistrationsAreRefused) {
  const Json good = Registration{ControlKind::kNode, kId, {"h", 1}, "", "1", "", 0}.ToJson();
  const std::pair<const char*, Json> changes[] = {
      {"kind", "client"}, {"kind", 1},     {"id", "A1"},         {"id", std::string(40, 'G')},
      {"address", "h:0"}, {"address", ""}, {"namespace", "a/b"}, {"version", std::string(65, 'x')},
      {"epoch", -1},      {"epoch", "1"},  {"epoch", 1},         {"map", "main"}};
  for (const auto& [name, value] : changes) {
    Json bad = good;
    bad.Set(name, value);
    EXPECT_EQ(Registration::FromJson(bad).status().code(), Code::kInvalidArgument)
        << bad.ToString();
  }
  EXPECT_FALSE(Registration::FromJson(Json::MakeArray()).ok());
}

TEST(ControlMessageTest, AHeartbeatReadsBack) {
  Heartbeat heartbeat;
  heartbeat.epoch = 7;
  heartbeat.stats = *Json::Parse(R"({"keys":12})");
  EXPECT_EQ(heartbeat.ToJson().ToString(), R"({"epoch":7,"stats":{"keys":12}})");
  const Result<Heartbeat> read = Heartbeat::FromJson(heartbeat.ToJson());
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->stats, heartbeat.stats);
  EXPECT_FALSE(Heartbeat::FromJson(*Json::Parse(R"({"epoch":7,"stats":[]})")).ok());
  EXPECT_FALSE(Heartbeat::FromJson(*Json::Parse("{}")).ok());
}

TEST(ControlMessageTest, AMapPushReadsBack) {
  const SlotMapPtr map = MakeMap();
  std::string bytes;
  EncodeMapPush(*map, &bytes);
  EXPECT_THAT(bytes, testing::StartsWith(">3\r\n$3\r\nmap\r\n$4\r\nmain\r\n"));

  const Result<ControlPush> push = ParseControlPush(*ParseReply(bytes));
  ASSERT_TRUE(push.ok());
  EXPECT_EQ(push->kind, ControlPush::Kind::kMap);
  EXPECT_EQ(push->map->ToJson(), map->ToJson());
}

TEST(ControlMessageTest, AFreePushReadsBack) {
  std::string bytes;
  EncodeFreePush("main", &bytes);
  EXPECT_EQ(bytes, ">2\r\n$4\r\nfree\r\n$4\r\nmain\r\n");
  const Result<ControlPush> push = ParseControlPush(*ParseReply(bytes));
  ASSERT_TRUE(push.ok());
  EXPECT_EQ(push->kind, ControlPush::Kind::kFree);
  EXPECT_EQ(push->namespace_name, "main");
}

TEST(ControlMessageTest, BadPushesAreRefusedAndUnknownOnesAreNot) {
  const auto parse = [](const std::string& bytes) { return ParseControlPush(*ParseReply(bytes)); };
  EXPECT_FALSE(parse("*1\r\n$4\r\nfree\r\n").ok());
  EXPECT_FALSE(parse(">1\r\n$4\r\nfree\r\n").ok());
  EXPECT_FALSE(parse(">1\r\n:1\r\n").ok());
  EXPECT_FALSE(parse(">3\r\n$3\r\nmap\r\n$4\r\nmain\r\n$2\r\n{}\r\n").ok());
  const Result<ControlPush> unknown = parse(">1\r\n$3\r\nnew\r\n");
  ASSERT_TRUE(unknown.ok());
  EXPECT_EQ(unknown->kind, ControlPush::Kind::kUnknown);

  std::string bytes;
  EncodeMapPush(*MakeMap(), &bytes);
  bytes.replace(bytes.find("$4\r\nmain"), 8, "$4\r\nmein");
  EXPECT_FALSE(parse(bytes).ok());
}

TEST(ControlMessageTest, TheProxiesOfANamespaceTravelAsAList) {
  const ShardNode a{std::string(kNodeIdSize, 'a'), {"10.0.0.1", 7400}};
  const ShardNode b{std::string(kNodeIdSize, 'b'), {"::1", 7401}};
  std::string bytes;
  EncodeProxiesPush("main", {a, b}, &bytes);

  const Result<ControlPush> push = ParseControlPush(*ParseReply(bytes));
  ASSERT_TRUE(push.ok()) << push.status().ToString();
  EXPECT_EQ(push->kind, ControlPush::Kind::kProxies);
  EXPECT_EQ(push->namespace_name, "main");
  EXPECT_EQ(push->proxies, (std::vector<ShardNode>{a, b}));
  EXPECT_EQ(bytes,
            ">3\r\n$7\r\nproxies\r\n$4\r\nmain\r\n$162\r\n"
            "{\"proxies\":[{\"id\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\",\"address\":"
            "\"10.0.0.1:7400\"},{\"id\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\",\"address\":"
            "\"[::1]:7401\"}]}\r\n");

  const auto parse = [](const std::string& payload) {
    std::string text;
    RespWriter writer(3, &text);
    writer.Push(3);
    writer.Bulk("proxies");
    writer.Bulk("main");
    writer.Bulk(payload);
    return ParseControlPush(*ParseReply(text)).ok();
  };
  EXPECT_FALSE(parse("{}"));
  EXPECT_FALSE(parse(R"({"proxies":[]})"));
  EXPECT_FALSE(parse(R"({"proxies":[1]})"));
  EXPECT_FALSE(parse(R"({"proxies":[{"id":"a","address":"h:1"}]})"));
  EXPECT_FALSE(parse(R"({"proxies":[{"id":")" + a.id + R"(","address":"h"}]})"));
  EXPECT_TRUE(parse(R"({"proxies":[{"id":")" + a.id + R"(","address":"h:1","new":2}]})"));
}

TEST(SecretFileTest, OnlyTheOwnersFileIsRead) {
  const std::string path = testing::TempDir() + "kvs_secret_" + RandomHex(8);
  const Status missing = ReadSecretFile(path).status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("make one"));

  ASSERT_TRUE(WriteFileAtomic(path, "0123456789abcdef\n", 0600).ok());
  const Result<std::string> secret = ReadSecretFile(path);
  ASSERT_TRUE(secret.ok()) << secret.status().ToString();
  EXPECT_EQ(*secret, "0123456789abcdef");

  for (const mode_t mode : {0640U, 0604U, 0620U}) {
    ASSERT_EQ(::chmod(path.c_str(), mode), 0);
    const Status open = ReadSecretFile(path).status();
    EXPECT_EQ(open.code(), Code::kNoPermission);
    EXPECT_THAT(std::string(open.message()), HasSubstr("chmod 600"));
  }
  for (const std::string& content : {std::string(15, 'x'), std::string(1025, 'x'),
                                     std::string("0123456789 abcdef"), std::string()}) {
    ASSERT_TRUE(WriteFileAtomic(path, content, 0600).ok());
    EXPECT_EQ(ReadSecretFile(path).status().code(), Code::kInvalidArgument) << content;
  }
  ASSERT_TRUE(RemoveFile(path).ok());
}

}  // namespace
}  // namespace kvs
