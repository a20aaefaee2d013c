#include "config_server/api/config_api.h"

#include <fmt/format.h>

#include <iterator>
#include <map>
#include <utility>

namespace kvs {
namespace {

struct ApiEndpoint {
  std::string_view method;
  std::string_view path;
  // Null: common/http's AddStandardRoutes() serves it.
  void (ConfigApi::*handler)(const HttpRequest&, const HttpResponder&);
  std::string_view auth;
  std::string_view doc;
};

constexpr std::string_view kOpen = "none: whoever reaches the port";

constexpr ApiEndpoint kEndpoints[] = {
    {"GET", "/api/v1/namespaces", &ConfigApi::ListNamespaces, kOpen,
     "Lists the namespaces: `{\"namespaces\": [{name, mode, epoch, shard_count, slot_count}]}`."},
    {"POST", "/api/v1/namespaces", &ConfigApi::CreateNamespace, kOpen,
     "Creates a namespace from `{name, mode, nodes, shards}` and answers 201 with it.  `mode` is "
     "`\"store\"` (default) or `\"cache\"`; `nodes` lists ids or addresses of free nodes, the "
     "master "
     "of one shard each; without it `shards` free nodes are chosen by address.  Slots are spread "
     "evenly."},
    {"GET", "/api/v1/namespaces/{name}", &ConfigApi::GetNamespace, kOpen,
     "Shows a namespace: `{name, mode, epoch, shard_count, slot_count, shards: [{id, slots, "
     "master: "
     "{id, address, online}}]}`."},
    {"DELETE", "/api/v1/namespaces/{name}", &ConfigApi::DeleteNamespace, kOpen,
     "Deletes a namespace and answers `{deleted}`.  Its nodes become free and keep their data "
     "directories."},
    {"GET", "/api/v1/namespaces/{name}/map", &ConfigApi::GetMap, kOpen,
     "Returns the slot map as nodes and proxies get it (doc/formats/slot_map.md)."},
    {"GET", "/api/v1/nodes", &ConfigApi::ListNodes, kOpen,
     "Lists the nodes that ever registered: `{\"nodes\": [{id, address, namespace, "
     "wanted_namespace, online, version, epoch, heartbeat_age_ms, stats}]}`.  `namespace` is empty "
     "for a free node, `heartbeat_age_ms` is null before its first word."},
    {"GET", "/api/v1/proxies", &ConfigApi::ListProxies, kOpen,
     "Lists the proxies that registered lately: `{\"proxies\": [...]}`, fields as of nodes."},
    {"GET", "/healthz", nullptr, kOpen, "Answers 200 `ok` while the process works."},
    {"GET", "/readyz", nullptr, kOpen,
     "Answers 200 `ok` while changes can be made, 503 with the error otherwise."},
    {"GET", "/metrics", nullptr, kOpen, "Returns the metrics in Prometheus's text format."},
};

}  // namespace

void ConfigApi::AddRoutes(HttpServer* server) {
  for (const ApiEndpoint& endpoint : kEndpoints) {
    if (endpoint.handler != nullptr) {
      server->AddRoute(endpoint.method, endpoint.path,
                       [this, handler = endpoint.handler](const HttpRequest& request,
                                                          const HttpResponder& responder) {
                         (this->*handler)(request, responder);
                       });
    }
  }
}

void ConfigApi::ListNamespaces(const HttpRequest& /*request*/, const HttpResponder& responder) {
  Json list = Json::MakeArray();
  for (const auto& [name, map] : backend_->topology().maps()) {
    Json item = Json::MakeObject();
    item.Set("name", name);
    item.Set("mode", ClusterModeName(map->mode()));
    item.Set("epoch", map->epoch());
    item.Set("shard_count", uint64_t{map->shards().size()});
    item.Set("slot_count", map->assigned_slot_count());
    list.Append(std::move(item));
  }
  responder.Send(JsonResponse(Json::MakeObject({{"namespaces", std::move(list)}})));
}

void ConfigApi::CreateNamespace(const HttpRequest& request, const HttpResponder& responder) {
  const Result<Json> json = Json::Parse(request.body);
  if (!json.ok()) {
    return responder.Send(ErrorResponse(json.status()));
  }
  const Result<NamespaceSpec> spec = NamespaceSpec::FromJson(*json);
  if (!spec.ok()) {
    return responder.Send(ErrorResponse(spec.status()));
  }
  backend_->CreateNamespace(*spec, [this, responder, name = spec->name](const Status& status) {
    const SlotMapPtr map = status.ok() ? backend_->topology().FindMap(name) : nullptr;
    if (!status.ok()) {
      return responder.Send(ErrorResponse(status));
    }
    // A deletion that was asked for at the same moment may have been quicker.
    responder.Send(map == nullptr
                       ? ErrorResponse(Status::NotFound("the namespace was deleted meanwhile"))
                       : JsonResponse(Describe(*map), 201));
  });
}

void ConfigApi::GetNamespace(const HttpRequest& request, const HttpResponder& responder) {
  if (const SlotMapPtr map = FindMap(request, responder); map != nullptr) {
    responder.Send(JsonResponse(Describe(*map)));
  }
}

void ConfigApi::DeleteNamespace(const HttpRequest& request, const HttpResponder& responder) {
  const std::string& name = request.Param("name");
  backend_->DeleteNamespace(name, [responder, name = name](const Status& status) {
    responder.Send(status.ok() ? JsonResponse(Json::MakeObject({{"deleted", name}}))
                               : ErrorResponse(status));
  });
}

void ConfigApi::GetMap(const HttpRequest& request, const HttpResponder& responder) {
  if (const SlotMapPtr map = FindMap(request, responder); map != nullptr) {
    responder.Send(JsonResponse(map->ToJson()));
  }
}

void ConfigApi::ListNodes(const HttpRequest& /*request*/, const HttpResponder& responder) {
  responder.Send(JsonResponse(Json::MakeObject({{"nodes", DescribeMembers(ControlKind::kNode)}})));
}

void ConfigApi::ListProxies(const HttpRequest& /*request*/, const HttpResponder& responder) {
  responder.Send(
      JsonResponse(Json::MakeObject({{"proxies", DescribeMembers(ControlKind::kProxy)}})));
}

SlotMapPtr ConfigApi::FindMap(const HttpRequest& request, const HttpResponder& responder) const {
  const std::string& name = request.Param("name");
  SlotMapPtr map = backend_->topology().FindMap(name);
  if (map == nullptr) {
    responder.Send(ErrorResponse(Status::NotFound(fmt::format(
        "there is no namespace '{}'; see /api/v1/namespaces for those that are", name))));
  }
  return map;
}

Json ConfigApi::Describe(const SlotMap& map) const {
  std::map<std::string, bool> online;
  for (const MemberView& member : backend_->Members(ControlKind::kNode)) {
    online[member.registration.id] = member.online;
  }
  Json json = Json::MakeObject();
  json.Set("name", map.name());
  json.Set("mode", ClusterModeName(map.mode()));
  json.Set("epoch", map.epoch());
  json.Set("shard_count", uint64_t{map.shards().size()});
  json.Set("slot_count", map.assigned_slot_count());
  Json shards = Json::MakeArray();
  for (const Shard& shard : map.shards()) {
    Json master = Json::MakeObject();
    master.Set("id", shard.master.id);
    master.Set("address", FormatAddress(shard.master.address));
    master.Set("online", online[shard.master.id]);
    Json slots = Json::MakeArray();
    for (const SlotRange& range : shard.slots) {
      slots.Append(Json::MakeArray({range.first, range.last}));
    }
    Json item = Json::MakeObject();
    item.Set("id", shard.id);
    item.Set("slots", std::move(slots));
    item.Set("master", std::move(master));
    shards.Append(std::move(item));
  }
  json.Set("shards", std::move(shards));
  return json;
}

Json ConfigApi::DescribeMembers(ControlKind kind) const {
  Json list = Json::MakeArray();
  for (const MemberView& member : backend_->Members(kind)) {
    Json item = Json::MakeObject();
    item.Set("id", member.registration.id);
    item.Set("address", FormatAddress(member.registration.address));
    item.Set("namespace", member.namespace_name);
    item.Set("wanted_namespace", member.registration.namespace_name);
    item.Set("online", member.online);
    item.Set("version", member.registration.version);
    item.Set("epoch", member.epoch);
    item.Set("heartbeat_age_ms",
             member.heartbeat_age_ms < 0 ? Json() : Json(member.heartbeat_age_ms));
    item.Set("stats", member.stats);
    list.Append(std::move(item));
  }
  return list;
}

std::string ApiMarkdown() {
  std::string text =
      "Bodies are JSON.  An error is `{code, message, remedy}` with a status from 400 on.\n\n"
      "| Method | Path | Who may | What it does |\n|---|---|---|---|\n";
  for (const ApiEndpoint& endpoint : kEndpoints) {
    fmt::format_to(std::back_inserter(text), "| {} | `{}` | {} | {} |\n", endpoint.method,
                   endpoint.path, endpoint.auth, endpoint.doc);
  }
  return text;
}

}  // namespace kvs
