// ConnectionCall: one request on its way through the files of connection_commands.h.
//
// Threads: on the stack of AnswerConnectionCommand().
// Owner:   AnswerConnectionCommand().

#pragma once

#include <string_view>

#include "common/service/connection_commands.h"

namespace kvs {

struct ConnectionCall {
  const CommandSpec& spec;
  CommandArgs args;
  ServiceContext* service;
  ClientState* client;
  RespWriter reply;
  bool* muted;  // The reply will be dropped.

  void Fail(std::string_view text) { reply.Error(text); }
};

inline constexpr std::string_view kSyntaxErrorText = "ERR syntax error";
inline constexpr std::string_view kNotAnIntegerText = "ERR value is not an integer or out of range";

// A name or library text may not disturb the lines of CLIENT LIST.
bool IsPrintableName(std::string_view text);

// Words what Redis says to too many arguments of a subcommand.
void FailArgumentCount(ConnectionCall* call);

// ACL, CLIENT, SLOWLOG, LATENCY: the rows whose names begin so; AnswerTracking() those of CLIENT
// that are about tracking.  CLUSTER: those of its group.
void AnswerAcl(CommandId id, ConnectionCall* call);
void AnswerClient(CommandId id, ConnectionCall* call);
void AnswerTracking(CommandId id, ConnectionCall* call);
void AnswerSlowLog(CommandId id, ConnectionCall* call);
void AnswerHotKeys(CommandId id, ConnectionCall* call);
void AnswerLatency(CommandId id, ConnectionCall* call);
void AnswerCluster(CommandId id, ConnectionCall* call);

}  // namespace kvs
