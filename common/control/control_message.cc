#include "common/control/control_message.h"

#include <utility>

#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

constexpr size_t kMaxVersionSize = 64;

Status CheckNamespace(const std::string& name, std::string_view member = "namespace") {
  if (!name.empty() && !IsValidName(name)) {
    return Status::InvalidArgument("'" + std::string(member) + "' is not the name of a namespace");
  }
  return Status::Ok();
}

}  // namespace

std::string_view ControlKindName(ControlKind kind) {
  return kind == ControlKind::kNode ? "node" : "proxy";
}

Json Registration::ToJson() const {
  Json json = Json::MakeObject();
  json.Set("kind", ControlKindName(kind));
  json.Set("id", id);
  json.Set("address", FormatAddress(address));
  json.Set("namespace", namespace_name);
  json.Set("version", version);
  json.Set("map", map_namespace);
  json.Set("epoch", epoch);
  return json;
}

Result<Registration> Registration::FromJson(const Json& json) {
  Registration registration;
  KVS_ASSIGN_OR_RETURN(const std::string kind, json.GetString("kind"));
  if (kind != "node" && kind != "proxy") {
    return Status::InvalidArgument("'kind' is neither 'node' nor 'proxy'");
  }
  registration.kind = kind == "node" ? ControlKind::kNode : ControlKind::kProxy;
  KVS_ASSIGN_OR_RETURN(registration.id, json.GetString("id"));
  if (!IsValidNodeId(registration.id)) {
    return Status::InvalidArgument("'id' is not 40 lower case hexadecimal digits");
  }
  KVS_ASSIGN_OR_RETURN(const std::string address, json.GetString("address"));
  KVS_ASSIGN_OR_RETURN(registration.address, ParseAddress(address));
  KVS_ASSIGN_OR_RETURN(registration.namespace_name, json.GetString("namespace", ""));
  KVS_RETURN_IF_ERROR(CheckNamespace(registration.namespace_name));
  KVS_ASSIGN_OR_RETURN(registration.version, json.GetString("version", ""));
  if (registration.version.size() > kMaxVersionSize) {
    return Status::InvalidArgument("'version' is longer than 64 bytes");
  }
  KVS_ASSIGN_OR_RETURN(registration.map_namespace, json.GetString("map", ""));
  KVS_RETURN_IF_ERROR(CheckNamespace(registration.map_namespace, "map"));
  KVS_ASSIGN_OR_RETURN(registration.epoch, json.GetUint("epoch", 0));
  if (registration.map_namespace.empty() != (registration.epoch == 0)) {
    return Status::InvalidArgument("'map' and 'epoch' belong together");
  }
  return registration;
}

Json RegistrationReply::ToJson() const {
  Json json = Json::MakeObject();
  json.Set("ok", true);
  json.Set("namespace", namespace_name);
  json.Set("epoch", epoch);
  return json;
}

Result<RegistrationReply> RegistrationReply::FromJson(const Json& json) {
  RegistrationReply reply;
  KVS_ASSIGN_OR_RETURN(const bool ok, json.GetBool("ok"));
  if (!ok) {
    return Status::InvalidArgument("the registration was refused");
  }
  KVS_ASSIGN_OR_RETURN(reply.namespace_name, json.GetString("namespace"));
  KVS_RETURN_IF_ERROR(CheckNamespace(reply.namespace_name));
  KVS_ASSIGN_OR_RETURN(reply.epoch, json.GetUint("epoch"));
  return reply;
}

Json Heartbeat::ToJson() const {
  Json json = Json::MakeObject();
  json.Set("epoch", epoch);
  json.Set("stats", stats.is_object() ? stats : Json::MakeObject());
  return json;
}

Result<Heartbeat> Heartbeat::FromJson(const Json& json) {
  Heartbeat heartbeat;
  KVS_ASSIGN_OR_RETURN(heartbeat.epoch, json.GetUint("epoch"));
  heartbeat.stats = Json::MakeObject();
  if (const Json* stats = json.Find("stats"); stats != nullptr) {
    if (!stats->is_object()) {
      return Status::InvalidArgument("'stats' is not an object");
    }
    heartbeat.stats = *stats;
  }
  return heartbeat;
}

void EncodeMapPush(const SlotMap& map, std::string* out) {
  RespWriter writer(3, out);
  writer.Push(3);
  writer.Bulk("map");
  writer.Bulk(map.name());
  writer.Bulk(map.ToJson().ToString());
}

void EncodeFreePush(std::string_view namespace_name, std::string* out) {
  RespWriter writer(3, out);
  writer.Push(2);
  writer.Bulk("free");
  writer.Bulk(namespace_name);
}

void EncodeProxiesPush(std::string_view namespace_name, const std::vector<ShardNode>& proxies,
                       std::string* out) {
  Json list = Json::MakeArray();
  for (const ShardNode& proxy : proxies) {
    list.Append(Json::MakeObject({{"id", proxy.id}, {"address", FormatAddress(proxy.address)}}));
  }
  RespWriter writer(3, out);
  writer.Push(3);
  writer.Bulk("proxies");
  writer.Bulk(namespace_name);
  writer.Bulk(Json::MakeObject({{"proxies", std::move(list)}}).ToString());
}

namespace {

Result<std::vector<ShardNode>> ParseProxies(std::string_view text) {
  KVS_ASSIGN_OR_RETURN(const Json json, Json::Parse(text));
  KVS_ASSIGN_OR_RETURN(const Json::Array* list, json.GetArray("proxies"));
  if (list->empty() || list->size() > kMaxShards) {
    return Status::InvalidArgument("'proxies' is empty or too long");
  }
  std::vector<ShardNode> proxies;
  for (const Json& element : *list) {
    ShardNode proxy;
    KVS_ASSIGN_OR_RETURN(proxy.id, element.GetString("id"));
    if (!IsValidNodeId(proxy.id)) {
      return Status::InvalidArgument("'id' is not 40 lower case hexadecimal digits");
    }
    KVS_ASSIGN_OR_RETURN(const std::string address, element.GetString("address"));
    KVS_ASSIGN_OR_RETURN(proxy.address, ParseAddress(address));
    proxies.push_back(std::move(proxy));
  }
  return proxies;
}

}  // namespace

Result<ControlPush> ParseControlPush(const Reply& push) {
  if (push.type != Reply::Type::kPush || push.elements.empty() || !push.elements[0].is_string()) {
    return Status::InvalidArgument("a push begins with its kind");
  }
  ControlPush result;
  const std::string& kind = push.elements[0].text;
  const size_t wanted = kind == "map" || kind == "proxies" ? 3 : kind == "free" ? 2 : 0;
  if (wanted == 0) {
    return result;
  }
  if (push.elements.size() != wanted || !push.elements[1].is_string()) {
    return Status::InvalidArgument("the push '" + kind + "' has other elements");
  }
  result.namespace_name = push.elements[1].text;
  if (kind == "free") {
    result.kind = ControlPush::Kind::kFree;
    return result;
  }
  if (kind == "proxies") {
    result.kind = ControlPush::Kind::kProxies;
    KVS_ASSIGN_OR_RETURN(result.proxies, ParseProxies(push.elements[2].text));
    return result;
  }
  result.kind = ControlPush::Kind::kMap;
  KVS_ASSIGN_OR_RETURN(result.map, SlotMap::Parse(push.elements[2].text));
  if (result.map->name() != result.namespace_name) {
    return Status::InvalidArgument("the map is that of another namespace than the push says");
  }
  return result;
}

}  // namespace kvs
