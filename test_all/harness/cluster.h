// Server and Cluster: our programs and redis-server, started for a test on ports of their own.
//
// A Server is a program with a folder and a port that keeps both over restarts.  A Cluster is nodes
// and a proxy in front of them, with the map from the proxy's option `servers`.
//
// Threads: main-only (they start processes).
// Owner:   the test.

#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "test_all/harness/process.h"
#include "test_all/harness/resp_client.h"
#include "test_all/harness/temp_dir.h"

namespace kvs {

using Words = std::vector<std::string>;

class Server {
 public:
  // `arguments` stand behind the program's name at each start.  Files go to dir/name*.
  Server(std::string name, uint16_t port, Words arguments, const std::string& dir);

  // Starts the process and waits until its port answers PING, with whatever reply.
  Status Start();
  // Starts the process alone.
  Status Launch();
  // Waits until the port answers.
  Status WaitReady(int64_t timeout_ms = 15'000);
  // SIGKILL, and gone when it returns.
  void Kill() { process_->Kill(); }
  // SIGTERM; returns the exit code.
  Result<int> Stop() { return process_->Terminate(20'000); }

  // Another port for the next start; the arguments hold the new one.
  void Move(uint16_t port, Words arguments);

  // "NAME=value" of the next starts, beside the suite's own environment.
  void set_env(Words env) { env_ = std::move(env); }

  const std::string& name() const { return name_; }
  uint16_t port() const { return port_; }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }
  Process* process() { return process_.get(); }
  Words* arguments() { return &arguments_; }
  // A fresh connection.  The test ends if there is none.
  RespClient Connect() const;

 private:
  std::string name_;
  uint16_t port_;
  Words arguments_;
  Words env_;
  std::string output_file_;
  std::unique_ptr<Process> process_;
};

// Each makes a Server that is not started.  `more` are further options; the last one of a name
// counts.
std::unique_ptr<Server> MakeNode(const TempDir& dir, const std::string& name,
                                 const Words& more = {});
std::unique_ptr<Server> MakeProxy(const TempDir& dir, const std::string& name,
                                  const Words& more = {});
std::unique_ptr<Server> MakeRedis(const TempDir& dir, const std::string& name,
                                  const Words& more = {});

struct ClusterOptions {
  int nodes = 2;
  Words node_options = {};
  Words proxy_options = {};
};

class Cluster {
 public:
  explicit Cluster(const ClusterOptions& options);
  // Starts everything and waits until the proxy reaches every node.
  Status Start();

  Server* node(size_t i) { return nodes_[i].get(); }
  size_t node_count() const { return nodes_.size(); }
  Server* proxy() { return proxy_.get(); }
  const TempDir& dir() const { return dir_; }
  // The index of the node that serves `key`.
  size_t OwnerOf(std::string_view key) const;
  // Returns the first of "prefix0", "prefix1", ... that node `i` serves.
  std::string KeyOn(size_t i, const std::string& prefix) const;
  // Waits until the proxy gives an answer that is no error for a key of every node.
  bool WaitServing(int64_t timeout_ms = 15'000);
  // As above, over the connection of `client`: each loop of a proxy has links of its own.
  bool WaitServing(RespClient* client, int64_t timeout_ms = 15'000);

 private:
  bool Serves(RespClient* client) const;

  TempDir dir_;
  std::vector<std::unique_ptr<Server>> nodes_;
  std::unique_ptr<Server> proxy_;
};

}  // namespace kvs
