// CLUSTER, READONLY, READWRITE and ASKING: what a process tells about its cluster.
//
// Who has asked how the slots are shared is a client that asks each master and adds up the answers;
// the session is told, because a proxy that shows itself as one of several has to count its part.

#include <fmt/format.h>

#include "common/base/check.h"
#include "common/command/command_docs.h"
#include "common/service/connection_call.h"
#include "common/slot/slot.h"

namespace kvs {
namespace {

constexpr std::string_view kUseAdmin =
    "ERR use kv_admin: slots and nodes are the config server's business";

void FailUnknownNode(ConnectionCall* call) {
  call->Fail(fmt::format("ERR Unknown node {}", call->args[2]));
}

void AnswerReplicas(const ClusterView& view, ConnectionCall* call) {
  const Shard* shard = view.FindByNode(call->args[2]);
  if (shard == nullptr) {
    return FailUnknownNode(call);
  }
  if (shard->master.id != call->args[2]) {
    return call->Fail("ERR The specified node is not a master");
  }
  const std::vector<std::string> lines = view.SlaveLines(*shard);
  call->reply.Array(lines.size());
  for (const std::string& line : lines) {
    call->reply.Bulk(line);
  }
}

void CountFailureReports(const ClusterView& view, ConnectionCall* call) {
  if (view.FindByNode(call->args[2]) == nullptr) {
    return FailUnknownNode(call);
  }
  call->reply.Integer(0);
}

void AnswerView(CommandId id, const ClusterView& view, ConnectionCall* call) {
  switch (id) {
    case CommandId::kClusterSlots:
      return view.WriteSlots(&call->reply);
    case CommandId::kClusterShards:
      return view.WriteShards(&call->reply);
    case CommandId::kClusterNodes:
      return call->reply.Verbatim("txt", view.NodesText());
    case CommandId::kClusterInfo:
      return call->reply.Verbatim("txt", view.InfoText());
    case CommandId::kClusterMyId:
      return call->reply.Bulk(view.myself());
    case CommandId::kClusterMyShardId:
      return call->reply.Bulk(ClusterView::ShardId(*view.FindByNode(view.myself())));
    case CommandId::kClusterReplicas:
    case CommandId::kClusterSlaves:
      return AnswerReplicas(view, call);
    case CommandId::kClusterCountFailureReports:
      return CountFailureReports(view, call);
    default:
      return call->Fail(kUseAdmin);
  }
}

}  // namespace

void AnswerCluster(CommandId id, ConnectionCall* call) {
  KVS_CHECK(call->service->cluster != nullptr);
  switch (id) {
    case CommandId::kClusterSlots:
    case CommandId::kClusterShards:
    case CommandId::kClusterNodes:
    case CommandId::kReadOnly:
      call->client->knows_topology = true;
      break;
    default:
      break;
  }
  switch (id) {
    case CommandId::kAsking:
    case CommandId::kReadOnly:
    case CommandId::kReadWrite:
      return call->reply.Ok();
    case CommandId::kClusterHelp:
      return WriteHelp(GetCommand(CommandId::kCluster), &call->reply);
    case CommandId::kClusterKeySlot:
      return call->reply.Integer(SlotOf(call->args[2]));
    case CommandId::kClusterLinks:
      return call->reply.Array(0);
    default:
      return AnswerView(id, call->service->cluster->For(call->client->info->local_address), call);
  }
}

}  // namespace kvs
