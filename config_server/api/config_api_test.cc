#include "config_server/api/config_api.h"

#include <sys/socket.h>

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/net/socket.h"

namespace kvs {
namespace {

using testing::HasSubstr;

constexpr const char* kId = "00000000000000000000000000000000000000a1";

// One node that is online, and changes that take effect at once.
class FakeBackend : public ConfigApiBackend {
 public:
  FakeBackend() {
    KVS_CHECK(Apply(topology_.PlanRegister(
                        {ControlKind::kNode, kId, {"127.0.0.1", 6371}, "", "1.0", "", 0}, {}))
                  .ok());
  }
  const Topology& topology() const override { return topology_; }
  std::vector<MemberView> Members(ControlKind kind) const override {
    MemberView member;
    member.registration = {kind, kId, {"127.0.0.1", 6371}, "", "1.0", "", 0};
    member.namespace_name = topology_.FindNode(kId)->namespace_name;
    member.online = true;
    member.stats.Set("keys", 12);
    return {member};
  }
  void CreateNamespace(const NamespaceSpec& spec, Done done) override {
    done(Apply(topology_.PlanCreate(spec, {kId})));
  }
  void DeleteNamespace(const std::string& name, Done done) override {
    done(Apply(topology_.PlanDelete(name)));
  }

 private:
  Status Apply(const Result<TopologyChange>& change) {
    if (!change.ok()) {
      return change.status();
    }
    topology_.Apply(*change);
    return Status::Ok();
  }
  Topology topology_;
};

class ConfigApiTest : public testing::Test {
 protected:
  ConfigApiTest() {
    Result<UniqueFd> fd = ListenTcp("127.0.0.1", 0, {});
    KVS_CHECK(fd.ok());
    server_ = std::make_unique<HttpServer>(&loop_, *std::move(fd));
    api_.AddRoutes(server_.get());
    KVS_CHECK(server_->Start().ok());
    Result<UniqueFd> client = StartConnect("127.0.0.1", server_->port());
    KVS_CHECK(client.ok());
    client_ = *std::move(client);
    loop_.RunOnce(100);
  }

  // Returns the status code of the answer; its body is in body_.
  int Call(const std::string& method, const std::string& path, const std::string& body = "") {
    const std::string request = method + " " + path + " HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body;
    KVS_CHECK(::send(client_.get(), request.data(), request.size(), 0) > 0);
    std::string answer;
    while (answer.find("\r\n\r\n") == std::string::npos) {
      loop_.RunOnce(100);
      char bytes[16384];
      const ssize_t got = ::recv(client_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
      answer.append(bytes, got > 0 ? static_cast<size_t>(got) : 0);
    }
    const Result<Json> json = Json::Parse(answer.substr(answer.find("\r\n\r\n") + 4));
    body_ = json.ok() ? *json : Json();
    return std::stoi(answer.substr(9, 3));
  }

  EventLoop loop_{"test"};
  FakeBackend backend_;
  ConfigApi api_{&backend_};
  std::unique_ptr<HttpServer> server_;
  UniqueFd client_;
  Json body_;
};

TEST_F(ConfigApiTest, ANamespaceLivesFromPostToDelete) {
  EXPECT_EQ(Call("GET", "/api/v1/namespaces"), 200);
  EXPECT_EQ(body_.ToString(), R"({"namespaces":[]})");

  EXPECT_EQ(Call("POST", "/api/v1/namespaces",
                 R"({"name":"main","mode":"cache","nodes":["127.0.0.1:6371"]})"),
            201);
  const std::string shown =
      R"({"name":"main","mode":"cache","epoch":1,"shard_count":1,"slot_count":16384,"shards":[)"
      R"({"id":"shard-1-1","slots":[[0,16383]],"master":{)"
      R"("id":"00000000000000000000000000000000000000a1","address":"127.0.0.1:6371",)"
      R"("online":true}}]})";
  EXPECT_EQ(body_.ToString(), shown);
  EXPECT_EQ(Call("GET", "/api/v1/namespaces/main"), 200);
  EXPECT_EQ(body_.ToString(), shown);
  EXPECT_EQ(Call("GET", "/api/v1/namespaces"), 200);
  EXPECT_EQ(body_.ToString(),
            R"({"namespaces":[{"name":"main","mode":"cache","epoch":1,"shard_count":1,)"
            R"("slot_count":16384}]})");
  EXPECT_EQ(Call("GET", "/api/v1/namespaces/main/map"), 200);
  EXPECT_TRUE(SlotMap::FromJson(body_).ok());

  EXPECT_EQ(Call("DELETE", "/api/v1/namespaces/main"), 200);
  EXPECT_EQ(body_.ToString(), R"({"deleted":"main"})");
  EXPECT_EQ(Call("GET", "/api/v1/namespaces/main"), 404);
}

TEST_F(ConfigApiTest, NodesAndProxiesAreShown) {
  const std::string fields =
      R"([{"id":"00000000000000000000000000000000000000a1","address":"127.0.0.1:6371",)"
      R"("namespace":"","wanted_namespace":"","online":true,"version":"1.0","epoch":0,)"
      R"("heartbeat_age_ms":null,"stats":{"keys":12}}])";
  EXPECT_EQ(Call("GET", "/api/v1/nodes"), 200);
  EXPECT_EQ(body_.ToString(), R"({"nodes":)" + fields + "}");
  EXPECT_EQ(Call("GET", "/api/v1/proxies"), 200);
  EXPECT_EQ(body_.ToString(), R"({"proxies":)" + fields + "}");
}

TEST_F(ConfigApiTest, EveryErrorHasCodeMessageAndRemedy) {
  ASSERT_EQ(Call("POST", "/api/v1/namespaces", R"({"name":"main","shards":1})"), 201);
  const struct {
    const char* method;
    const char* path;
    const char* body;
    int status;
  } cases[] = {{"POST", "/api/v1/namespaces", "", 400},
               {"POST", "/api/v1/namespaces", "{", 400},
               {"POST", "/api/v1/namespaces", "[]", 400},
               {"POST", "/api/v1/namespaces", R"({"name":"A"})", 400},
               {"POST", "/api/v1/namespaces", R"({"name":"a","x":1})", 400},
               {"POST", "/api/v1/namespaces", R"({"name":"main","shards":1})", 409},
               {"POST", "/api/v1/namespaces", R"({"name":"b","shards":1})", 503},
               {"POST", "/api/v1/namespaces", R"({"name":"b","nodes":["h:1"]})", 404},
               {"GET", "/api/v1/namespaces/none", "", 404},
               {"GET", "/api/v1/namespaces/none/map", "", 404},
               {"DELETE", "/api/v1/namespaces/none", "", 404},
               {"PUT", "/api/v1/namespaces", "", 405},
               {"GET", "/api/v2/namespaces", "", 404}};
  for (const auto& test : cases) {
    EXPECT_EQ(Call(test.method, test.path, test.body), test.status) << test.body;
    for (const char* member : {"code", "message", "remedy"}) {
      const Result<std::string> text = body_.GetString(member);
      EXPECT_TRUE(text.ok() && !text->empty()) << test.path << " " << test.body << " " << member;
    }
  }
}

TEST_F(ConfigApiTest, EveryEndpointIsInTheReference) {
  for (const char* path : {"/api/v1/namespaces`", "/api/v1/namespaces/{name}/map`", "/metrics`"}) {
    EXPECT_THAT(ApiMarkdown(), HasSubstr(path));
  }
}

}  // namespace
}  // namespace kvs
