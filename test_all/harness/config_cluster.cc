#include "test_all/harness/config_cluster.h"

#include "common/base/check.h"
#include "common/base/file.h"
#include "common/base/random.h"
#include "common/slot/slot.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int kSecretBytes = 32;

}  // namespace

ConfigCluster::ConfigCluster(int nodes)
    : secret_(RandomHex(kSecretBytes)), config_http_port_(FreePort()) {
  KVS_CHECK(WriteFileAtomic(secret_file(), secret_ + "\n", 0600).ok());
  const uint16_t port = FreePort();
  config_ = std::make_unique<Server>(
      "config", port,
      Words{BinaryPath("kv_config"), "--dir", dir_.Join("config"), "--port", std::to_string(port),
            "--http-port", std::to_string(config_http_port_), "--cluster-secret-file",
            secret_file()},
      dir_.path());
  for (int i = 0; i < nodes; ++i) {
    nodes_.push_back(MakeNode(dir_, "node-" + std::to_string(i + 1), JoinOptions(secret_file())));
  }
  Words options = JoinOptions(secret_file());
  options.insert(options.end(), {"--map-cache-file", dir_.Join("proxy.map.json"), "--proxy-id-file",
                                 dir_.Join("proxy.id")});
  proxy_ = MakeProxy(dir_, "proxy", std::move(options));
}

Words ConfigCluster::JoinOptions(const std::string& secret_file) const {
  return {"--config-servers", config_->address(), "--cluster-secret-file", secret_file};
}

Status ConfigCluster::StartFree() {
  KVS_RETURN_IF_ERROR(config_->Start());
  for (const std::unique_ptr<Server>& node : nodes_) {
    KVS_RETURN_IF_ERROR(node->Launch());
  }
  KVS_RETURN_IF_ERROR(proxy_->Start());
  for (const std::unique_ptr<Server>& node : nodes_) {
    KVS_RETURN_IF_ERROR(node->WaitReady());
  }
  return WaitOnline() ? Status::Ok() : Status::Unavailable("not everybody registers");
}

Result<HttpAnswer> ConfigCluster::CreateNamespace() const {
  Json addresses = Json::MakeArray();
  for (const std::unique_ptr<Server>& node : nodes_) {
    addresses.Append(node->address());
  }
  const Json body =
      Json::MakeObject({{"name", kNamespace}, {"mode", "store"}, {"nodes", std::move(addresses)}});
  return Call("POST", "/api/v1/namespaces", body.ToString());
}

Status ConfigCluster::Start() {
  KVS_RETURN_IF_ERROR(StartFree());
  KVS_ASSIGN_OR_RETURN(const HttpAnswer answer, CreateNamespace());
  if (answer.status != 201) {
    return Status::Unavailable("no namespace: " + answer.body);
  }
  return WaitServing() ? Status::Ok() : Status::Unavailable("the proxy does not serve");
}

Result<HttpAnswer> ConfigCluster::Call(const std::string& method, const std::string& path,
                                       const std::string& body) const {
  return CallHttp(config_http_port_, method, path, body);
}

void ConfigCluster::MoveNode(size_t i) {
  const uint16_t port = FreePort();
  Words arguments = *nodes_[i]->arguments();
  arguments.insert(arguments.end(), {"--port", std::to_string(port)});  // The last one counts.
  nodes_[i]->Move(port, std::move(arguments));
}

uint64_t ConfigCluster::Epoch() const {
  const Result<HttpAnswer> answer = Call("GET", std::string("/api/v1/namespaces/") + kNamespace);
  const Result<uint64_t> epoch = answer.ok() ? answer->json.GetUint("epoch", 0) : answer.status();
  return epoch.ok() ? *epoch : 0;
}

size_t ConfigCluster::OnlineCount(const std::string& list) const {
  const Result<HttpAnswer> answer = Call("GET", "/api/v1/" + list);
  if (!answer.ok()) {
    return 0;
  }
  const auto members = answer->json.GetArray(list);
  size_t count = 0;
  for (size_t i = 0; members.ok() && i < (*members)->size(); ++i) {
    const Result<bool> online = (**members)[i].GetBool("online");
    count += online.ok() && *online ? 1 : 0;
  }
  return count;
}

bool ConfigCluster::WaitOnline(int64_t timeout_ms) const {
  return WaitUntil(timeout_ms, [this] {
    return OnlineCount("nodes") == nodes_.size() && OnlineCount("proxies") == 1;
  });
}

std::string ConfigCluster::KeyOn(size_t i, const std::string& prefix) const {
  KVS_CHECK(i < nodes_.size());
  for (int n = 0;; ++n) {
    std::string key = prefix + std::to_string(n);
    // Slots are spread evenly, in the order in which the nodes were named.
    const size_t slot = static_cast<size_t>(SlotOf(key));
    if (slot * nodes_.size() / static_cast<size_t>(kSlotCount) == i) {
      return key;
    }
  }
}

bool ConfigCluster::Serves(RespClient* client) const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Result<Reply> reply = client->Do({"exists", KeyOn(i, "probe")});
    if (!reply.ok() || reply->is_error()) {
      return false;
    }
  }
  return true;
}

bool ConfigCluster::WaitServing(RespClient* client, int64_t timeout_ms) const {
  return WaitUntil(timeout_ms, [&] {
    if (client != nullptr) {
      return Serves(client);
    }
    Result<RespClient> fresh = RespClient::Connect(proxy_->port());
    return fresh.ok() && Serves(&*fresh);
  });
}

}  // namespace kvs
