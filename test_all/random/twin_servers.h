// TwinServers: a node and a redis-server that get the same commands, and the comparison of both.
//
// The node is stopped, killed, and killed with commands in flight; redis-server stays and is what
// the node must still be afterwards.  A difference is a text that tells the commands and replies
// which led there; an empty text is none.
//
// Threads: main-only (it starts processes).
// Owner:   the test.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "test_all/harness/cluster.h"
#include "test_all/random/random_commands.h"

namespace kvs {

class TwinServers {
 public:
  explicit TwinServers(std::vector<std::string> keys);

  // Starts both, empty.
  Status Start();
  // Options of the node's next start.
  void set_node_options(const Words& options);

  // Sends `commands` to both over connections of `protocol` and compares the replies.
  std::string Run(int protocol, const std::vector<RandomCommand>& commands);
  // Compares all keys: that they are there, their values and times, and the counts.
  // REQUIRES: no key expires meanwhile
  std::string CompareAll();

  // Each ends the node, has `kv_node --check` look at what it left, and starts it again.
  std::string StopNode();
  std::string KillNode();
  // Kills the node when it has acknowledged at least `least` of `commands`.  It must come back with
  // what the first of them made, all that were acknowledged and none after a lost one; redis-server
  // gets those, too.
  std::string KillNodeInFlight(int protocol, const std::vector<RandomCommand>& commands,
                               size_t least);

  // How many commands in flight were applied, and how many acknowledged, in all such kills.
  int64_t applied_in_flight() const { return applied_in_flight_; }
  int64_t acknowledged_in_flight() const { return acknowledged_in_flight_; }

 private:
  struct Past {
    std::vector<std::string> words;
    std::string reply;
  };
  using Frames = std::vector<std::string>;

  Status OpenClients(Server* server, RespClient* clients);
  // What the end of the node was like is told by `how`.
  std::string CheckAndStart(const std::string& how);
  // Brings redis-server to where a node is that died with `commands` in flight.
  std::string FollowNode(int protocol, const std::vector<RandomCommand>& commands,
                         const Frames& acknowledged);
  // The replies to the questions about all keys.
  Result<Frames> Describe(RespClient* client) const;
  std::string CompareDescriptions(const Frames& redis, const Frames& node) const;
  std::string Difference(const RandomCommand& command, const std::string& redis,
                         const std::string& node) const;
  void Remember(const RandomCommand& command, const std::string& reply);
  // The last commands that name one of `words`.
  std::string History(const std::vector<std::string>& words) const;

  const std::vector<std::string> keys_;
  std::vector<RandomCommand> questions_;
  TempDir dir_;
  std::unique_ptr<Server> node_;
  std::unique_ptr<Server> redis_;
  Words node_arguments_;
  RespClient node_clients_[2];  // RESP2 and RESP3.
  RespClient redis_clients_[2];
  std::deque<Past> past_;
  int64_t applied_in_flight_ = 0;
  int64_t acknowledged_in_flight_ = 0;
};

// Whether two replies to a command are equal in the sense of `match`.
bool RepliesMatch(ReplyMatch match, const std::string& one, const std::string& other);

}  // namespace kvs
