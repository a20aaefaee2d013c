#include "test_all/harness/cluster.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include "common/base/check.h"
#include "common/base/slowness.h"
#include "common/slot/slot.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

Words Joined(Words words, const Words& more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

}  // namespace

Server::Server(std::string name, uint16_t port, Words arguments, const std::string& dir)
    : name_(std::move(name)),
      port_(port),
      arguments_(std::move(arguments)),
      output_file_(dir + "/" + name_ + ".log") {}

Status Server::Launch() {
  process_.reset();
  KVS_ASSIGN_OR_RETURN(
      process_,
      Process::Start(
          {.argv = arguments_, .output_file = output_file_, .working_dir = {}, .env = env_}));
  return Status::Ok();
}

Status Server::WaitReady(int64_t timeout_ms) {
  const bool ready = WaitUntil(timeout_ms, [this] {
    if (!process_->Running()) {
      return true;
    }
    Result<RespClient> client = RespClient::Connect(port_);
    return client.ok() && client->Do({"ping"}).ok();
  });
  if (!ready || !process_->Running()) {
    return Status::Unavailable(name_ + (ready ? " has ended: " : " does not answer: ") +
                               process_->Output());
  }
  return Status::Ok();
}

Status Server::Start() {
  KVS_RETURN_IF_ERROR(Launch());
  return WaitReady();
}

void Server::Move(uint16_t port, Words arguments) {
  port_ = port;
  arguments_ = std::move(arguments);
}

RespClient Server::Connect() const {
  Result<RespClient> client = RespClient::Connect(port_);
  if (!client.ok()) {
    std::fprintf(stderr, "no connection to port %u: %s\n", port_,
                 client.status().ToString().c_str());
  }
  KVS_CHECK(client.ok());
  return *std::move(client);
}

std::unique_ptr<Server> MakeNode(const TempDir& dir, const std::string& name, const Words& more) {
  const uint16_t port = FreePort();
  Words words = {BinaryPath("kv_node"), "--dir", dir.Join(name), "--port", std::to_string(port)};
  // Two loops on any machine: much of what can go wrong needs a second one.
  words = Joined(words, {"--http-port", "0", "--loglevel", "notice", "--io-threads", "2"});
  return std::make_unique<Server>(name, port, Joined(words, more), dir.path());
}

std::unique_ptr<Server> MakeProxy(const TempDir& dir, const std::string& name, const Words& more) {
  const uint16_t port = FreePort();
  Words words = {BinaryPath("kv_proxy"), "--port", std::to_string(port), "--http-port", "0",
                 "--io-threads",         "2"};
  const auto is_given = [&more](std::string_view option) {
    return std::find(more.begin(), more.end(), option) != more.end();
  };
  // A node that is built to be slow may take its time.
  if (kSlownessFactor > 1 && !is_given("--backend-timeout") && !is_given("--config")) {
    words.insert(words.end(), {"--backend-timeout", std::to_string(kSlownessFactor) + "s"});
  }
  return std::make_unique<Server>(name, port, Joined(words, more), dir.path());
}

std::unique_ptr<Server> MakeRedis(const TempDir& dir, const std::string& name, const Words& more) {
  const uint16_t port = FreePort();
  const Words words = {"redis-server", "--port", std::to_string(port), "--bind", "127.0.0.1",
                       "--save",       "",       "--appendonly",       "no",     "--dir",
                       dir.path()};
  return std::make_unique<Server>(name, port, Joined(words, more), dir.path());
}

Cluster::Cluster(const ClusterOptions& options) {
  std::string servers;
  for (int i = 0; i < options.nodes; ++i) {
    nodes_.push_back(MakeNode(dir_, "node-" + std::to_string(i + 1), options.node_options));
    servers += (i == 0 ? "" : ",") + nodes_.back()->address();
  }
  proxy_ = MakeProxy(dir_, "proxy", Joined({"--servers", servers}, options.proxy_options));
}

Status Cluster::Start() {
  for (const std::unique_ptr<Server>& node : nodes_) {
    KVS_RETURN_IF_ERROR(node->Launch());
  }
  for (const std::unique_ptr<Server>& node : nodes_) {
    KVS_RETURN_IF_ERROR(node->WaitReady());
  }
  KVS_RETURN_IF_ERROR(proxy_->Start());
  return WaitServing() ? Status::Ok() : Status::Unavailable("the proxy does not reach its nodes");
}

size_t Cluster::OwnerOf(std::string_view key) const {
  // The proxy deals out the slots evenly, in the order of its list.
  return static_cast<size_t>(SlotOf(key)) * nodes_.size() / static_cast<size_t>(kSlotCount);
}

std::string Cluster::KeyOn(size_t i, const std::string& prefix) const {
  KVS_CHECK(i < nodes_.size());
  for (int n = 0;; ++n) {
    std::string key = prefix + std::to_string(n);
    if (OwnerOf(key) == i) {
      return key;
    }
  }
}

bool Cluster::Serves(RespClient* client) const {
  for (size_t i = 0; i < nodes_.size(); ++i) {
    const Result<Reply> reply = client->Do({"exists", KeyOn(i, "probe")});
    // An error that asks for a password comes from a proxy that is up.
    if (!reply.ok() || (reply->is_error() && !reply->text.starts_with("NOAUTH"))) {
      return false;
    }
  }
  return true;
}

bool Cluster::WaitServing(int64_t timeout_ms) {
  return WaitUntil(timeout_ms, [this] {
    Result<RespClient> client = RespClient::Connect(proxy_->port());
    return client.ok() && Serves(&*client);
  });
}

bool Cluster::WaitServing(RespClient* client, int64_t timeout_ms) {
  return WaitUntil(timeout_ms, [&] { return Serves(client); });
}

}  // namespace kvs
