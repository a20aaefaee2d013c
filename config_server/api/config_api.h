// ConfigApi: the config server's HTTP interface for operators and tools.
//
// One row per endpoint says method, path, handler, who may call it and what it does; the rows make
// the routes and doc/reference/api.md.
//
// Threads: loop-owned.
// Owner:   ConfigServer; outlives the HttpServer that it adds its routes to.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/control/control_message.h"
#include "common/http/http_server.h"
#include "config_server/topology/topology.h"

namespace kvs {

// A node or proxy as the API shows it.
struct MemberView {
  Registration registration;
  std::string namespace_name;  // Empty: free.
  bool online = false;
  uint64_t epoch = 0;             // Of the map in force there, by its last word.
  int64_t heartbeat_age_ms = -1;  // Since its last word; -1: none since we started.
  Json stats = Json::MakeObject();
};

// What the API is about.  ConfigServer implements it.
class ConfigApiBackend {
 public:
  using Done = std::function<void(const Status& status)>;

  virtual ~ConfigApiBackend() = default;
  virtual const Topology& topology() const = 0;
  // Returns all nodes, or all proxies, in the order of their addresses.
  virtual std::vector<MemberView> Members(ControlKind kind) const = 0;
  // Call `done` on the loop once the change is durable, or has failed.
  virtual void CreateNamespace(const NamespaceSpec& spec, Done done) = 0;
  virtual void DeleteNamespace(const std::string& name, Done done) = 0;
};

class ConfigApi {
 public:
  explicit ConfigApi(ConfigApiBackend* backend) : backend_(backend) {}

  // REQUIRES: before server->Start()
  void AddRoutes(HttpServer* server);

  // The handlers of the rows.
  void ListNamespaces(const HttpRequest& request, const HttpResponder& responder);
  void CreateNamespace(const HttpRequest& request, const HttpResponder& responder);
  void GetNamespace(const HttpRequest& request, const HttpResponder& responder);
  void DeleteNamespace(const HttpRequest& request, const HttpResponder& responder);
  void GetMap(const HttpRequest& request, const HttpResponder& responder);
  void ListNodes(const HttpRequest& request, const HttpResponder& responder);
  void ListProxies(const HttpRequest& request, const HttpResponder& responder);

 private:
  Json Describe(const SlotMap& map) const;
  Json DescribeMembers(ControlKind kind) const;
  // Returns the map that the request's path names, or answers 404 and returns nullptr.
  SlotMapPtr FindMap(const HttpRequest& request, const HttpResponder& responder) const;

  ConfigApiBackend* const backend_;
};

// Returns the endpoints as Markdown, for doc/reference/api.md.
std::string ApiMarkdown();

}  // namespace kvs
