// ConfigCluster: a config server, nodes and a proxy, with the map from the config server.
//
// Where a Cluster has its map from an option, this one has the namespace "main" that a test makes
// over HTTP, so that tests can look at what joins, leaves and survives.
//
// Threads: main-only, but for Call(), which is thread-safe.
// Owner:   the test.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "test_all/harness/cluster.h"
#include "test_all/harness/http_call.h"

namespace kvs {

class ConfigCluster {
 public:
  static constexpr const char* kNamespace = "main";

  explicit ConfigCluster(int nodes = 2);

  // Starts everything and waits until all have registered; there is no namespace yet.
  Status StartFree();
  // As above, then creates the namespace, node 0 with the lowest slots, and waits until the proxy
  // serves.
  Status Start();
  // Creates the namespace over all nodes.
  Result<HttpAnswer> CreateNamespace() const;

  Server* config() { return config_.get(); }
  Server* node(size_t i) { return nodes_[i].get(); }
  Server* proxy() { return proxy_.get(); }
  size_t node_count() const { return nodes_.size(); }
  const TempDir& dir() const { return dir_; }
  const std::string& secret() const { return secret_; }
  std::string secret_file() const { return dir_.Join("cluster-secret"); }
  uint16_t config_port() const { return config_->port(); }
  uint16_t config_http_port() const { return config_http_port_; }

  // Calls the config server's HTTP port.
  Result<HttpAnswer> Call(const std::string& method, const std::string& path,
                          const std::string& body = "") const;
  // The options that make a node or proxy dial the config server.
  Words JoinOptions(const std::string& secret_file) const;
  // Gives a node that does not run another port.
  void MoveNode(size_t i);

  // The epoch of the namespace's map; 0 if the server does not say.
  uint64_t Epoch() const;
  // Returns how many nodes, or proxies, the config server has a link to now; `list` is "nodes" or
  // "proxies".
  size_t OnlineCount(const std::string& list) const;
  // Waits until all nodes and the proxy are online.
  bool WaitOnline(int64_t timeout_ms = 15'000) const;
  // Returns the first of "prefix0", "prefix1", ... that node `i` serves.
  std::string KeyOn(size_t i, const std::string& prefix) const;
  // Waits until the proxy answers for a key of every node; over the connection of `client` if one
  // is given, as each loop of a proxy has links of its own.
  bool WaitServing(RespClient* client = nullptr, int64_t timeout_ms = 15'000) const;

 private:
  bool Serves(RespClient* client) const;

  TempDir dir_;
  std::string secret_;
  uint16_t config_http_port_;
  std::unique_ptr<Server> config_;
  std::vector<std::unique_ptr<Server>> nodes_;
  std::unique_ptr<Server> proxy_;
};

}  // namespace kvs
