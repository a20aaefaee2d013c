// ControlClient: the link of a node or proxy to the config server.
//
// It dials the servers in turn until one takes the registration, beats once a second, and hands on
// each map that is newer than the one in force.  When the link breaks it dials again, with growing,
// jittered pauses; until then the last map holds: service never depends on this link.
//
// Threads: loop-owned.
// Owner:   the program's main loop; the callbacks must not destroy it.
// Format:  doc/protocols/control.md

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/base/address.h"
#include "common/base/random.h"
#include "common/base/unique_fd.h"
#include "common/control/control_message.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"
#include "common/net/resolver.h"
#include "common/resp/reply_scanner.h"
#include "common/slot/slot_map.h"

namespace kvs {

struct ControlClientOptions {
  std::vector<NodeAddress> servers;  // Control ports; names are looked up at each attempt, and
                                     // each address of a name is tried.
  std::string secret;
  ControlKind kind = ControlKind::kNode;
  std::string id;              // 40 lower case hexadecimal digits.
  NodeAddress address;         // Where others reach this process.
  std::string namespace_name;  // The only one to join; empty for any.
  std::string version;
  // The map that was kept over a restart, if there is one: its namespace and epoch.
  std::string known_namespace;
  uint64_t known_epoch = 0;

  // A map is in force from now on.  Never the same epoch of a namespace twice, never a lower one.
  std::function<void(SlotMapPtr map)> on_map;
  // This process belongs to `namespace_name` no more.  May be empty.
  std::function<void(const std::string& namespace_name)> on_free;
  // These proxies of the namespace are online, this one included.  May be empty.
  std::function<void(const std::vector<ShardNode>& proxies)> on_proxies;
  // Returns an object of figures for operators.  May be empty.
  std::function<Json()> stats;

  NameLookup lookup = &ResolveHost;
  int64_t min_pause_ms = 100;
  int64_t max_pause_ms = 3000;
  int64_t deadline_ms = 3000;  // For a connection and for each reply.
};

struct ControlStatus {
  bool connected = false;  // Registered, and the last heartbeat was answered in time.
  std::string server;      // Connected to, or tried last.
  std::string last_error;  // Of the last attempt or link that failed; empty if none did.
  int64_t since_ms = 0;    // Monotonic time of the last change of `connected`.
  uint64_t attempts = 0;   // Connections tried.
  std::string namespace_name;
  uint64_t epoch = 0;  // Of the map in force; 0 for none.
};

class ControlClient : public IoHandler {
 public:
  // REQUIRES: `options.servers` is not empty and `options.on_map` is set
  ControlClient(EventLoop* loop, ControlClientOptions options);
  // May wait for a name lookup that is under way.
  ~ControlClient() override;

  void Start();
  void Stop();
  const ControlStatus& status() const { return status_; }
  void OnReady(bool readable, bool writable) override;

 private:
  enum class State : uint8_t {
    kStopped,
    kPausing,
    kResolving,
    kConnecting,
    kGreeting,
    kRegistering,
    kRegistered,
  };

  void Attempt();
  void OnAddresses(const Result<std::vector<std::string>>& addresses);
  void Connect();
  // The address does not answer: tries the next one of the server, or fails.
  void OnNoConnection(const Status& status);
  void OnConnected();
  void SendRegistration();
  void SendHeartbeat();
  void Send(std::initializer_list<std::string_view> request);
  void Flush();
  void ProcessInput();
  Status OnReply(const Reply& reply);
  Status OnRegistered(const Reply& reply);
  void OnPush(const Reply& reply);
  void OnMap(SlotMapPtr map);
  void Fail(const Status& status);
  void CloseLink();
  void SetConnected(bool connected);

  EventLoop* const loop_;
  const ControlClientOptions options_;
  const ReplyLimits limits_{
      .max_depth = 8, .max_elements = 1024, .max_bytes = kMaxControlReplyBytes};
  Random random_;
  State state_ = State::kStopped;
  ControlStatus status_;
  size_t next_server_ = 0;
  std::vector<std::string> addresses_;  // Of that server, still to be tried; the next one last.
  int64_t pause_ms_ = 0;

  UniqueFd fd_;
  IoWatch* watch_ = nullptr;
  ReadBuffer input_;
  ReplyScanner scanner_;
  OutputQueue output_;
  bool awaiting_reply_ = false;
  TimerId deadline_ = kNoTimer;
  TimerId pause_ = kNoTimer;
  TimerId heartbeat_ = kNoTimer;
  Resolver resolver_;
};

}  // namespace kvs
