// MIGRATE: left to the threads that may wait for another server.

#include <utility>

#include "common/command/migrate_request.h"
#include "storage_node/server/dispatcher.h"
#include "storage_node/server/job_ticket.h"
#include "storage_node/server/node_session.h"

namespace kvs {

Dispatcher::Outcome Dispatcher::RunMigrate(NodeSession* session, const CommandSpec& spec,
                                           CommandArgs args) {
  const int64_t start = loop_->clock()->MonotonicMicros();
  txn_->Begin();
  const Result<MigrateRequest> request = ParseMigrate(args);
  Status status = request.status();
  if (request.ok()) {
    MigrateJob job{.host = host_->unblock_host(),
                   .ticket = NewJobTicket(),
                   .args = {args.begin(), args.end()},
                   .protocol = session->client()->protocol,
                   .client_id = session->client()->info->id};
    const WaitTicket ticket = job.ticket;
    if (migrations_->Submit(std::move(job))) {
      session->AbandonReply();
      host_->OnBlocked(session, ticket, request->timeout_ms);
      return Outcome::kBlocked;
    }
    status = Status::Busy("too many MIGRATE commands wait already, retry later");
  }
  RespWriter(session->client()->protocol, session->output()).Error(status);
  metrics_->CountError(status.code());
  Finish(session, spec, args, start, /*failed=*/true);
  return Outcome::kDone;
}

}  // namespace kvs
