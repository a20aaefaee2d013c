// What nodes and proxies say to the config server, and what it says to them.
//
// They dial its control port and speak RESP3: HELLO with the cluster's secret, CONTROL REGISTER
// once, CONTROL HEARTBEAT every second.  It answers, and pushes slot maps on the same connection
// whenever they change.  Members that a reader does not know are ignored, so both sides may learn
// new ones.
//
// Threads: values and pure functions.
// Format:  doc/protocols/control.md

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/address.h"
#include "common/base/status.h"
#include "common/json/json.h"
#include "common/resp/reply_tree.h"
#include "common/slot/slot_map.h"

namespace kvs {

inline constexpr std::string_view kControlUser = "cluster";
inline constexpr int64_t kHeartbeatMillis = 1000;
// Either side closes a link that sends larger messages.  A map has at most 8 MiB.
inline constexpr size_t kMaxControlRequestBytes = 64 * 1024;
inline constexpr size_t kMaxControlReplyBytes = (size_t{8} << 20) + 4096;

enum class ControlKind : uint8_t { kNode, kProxy };
// Returns "node" or "proxy".
std::string_view ControlKindName(ControlKind kind);

// CONTROL REGISTER
struct Registration {
  ControlKind kind = ControlKind::kNode;
  std::string id;              // 40 lower case hexadecimal digits.
  NodeAddress address;         // Where others reach this process.
  std::string namespace_name;  // The only one it may join; empty for any.
  std::string version;         // Of the program.
  std::string map_namespace;   // Of the map it has; empty for none.
  uint64_t epoch = 0;          // Of the map it has; 0 for none.

  Json ToJson() const;
  // Returns kInvalidArgument that names the member that is missing or wrong.
  static Result<Registration> FromJson(const Json& json);
};

struct RegistrationReply {
  std::string namespace_name;  // That it belongs to now; empty while it is free.
  uint64_t epoch = 0;          // Of that namespace; 0 while it is free.

  Json ToJson() const;
  static Result<RegistrationReply> FromJson(const Json& json);
};

// CONTROL HEARTBEAT
struct Heartbeat {
  uint64_t epoch = 0;  // Of the map in force.
  Json stats;          // An object; shown by the API as it is.

  Json ToJson() const;
  static Result<Heartbeat> FromJson(const Json& json);
};

// What the config server sends without being asked.
struct ControlPush {
  enum class Kind : uint8_t { kMap, kFree, kProxies, kUnknown };
  Kind kind = Kind::kUnknown;
  std::string namespace_name;
  SlotMapPtr map;                  // Of kMap.
  std::vector<ShardNode> proxies;  // Of kProxies.
};

// Append the push that publishes a map, or tells that the receiver belongs to `namespace_name` no
// more.
void EncodeMapPush(const SlotMap& map, std::string* out);
void EncodeFreePush(std::string_view namespace_name, std::string* out);
// Appends the push that tells a proxy which proxies of its namespace are online, itself included.
void EncodeProxiesPush(std::string_view namespace_name, const std::vector<ShardNode>& proxies,
                       std::string* out);

// Reads a push.  Kinds that we do not know are kUnknown: a newer server may send them.
//   kInvalidArgument: it has not the form of its kind, or as SlotMap::Parse()
//   kUnsupported: as SlotMap::Parse()
Result<ControlPush> ParseControlPush(const Reply& push);

}  // namespace kvs
