// Dispatcher: from one request of a session to its reply: names and rights, slots, locks, the
// handler, and what has to be counted; transactions as well.
//
// Threads: loop-owned.
// Owner:   IoWorker.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/net/event_loop.h"
#include "common/service/connection_commands.h"
#include "storage_node/command/command_context.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/command/scan_cursors.h"
#include "storage_node/commit/txn.h"
#include "storage_node/pubsub/pubsub_hub.h"
#include "storage_node/script/function_interpreter.h"
#include "storage_node/script/function_registry.h"
#include "storage_node/script/interpreter.h"
#include "storage_node/script/running_scripts.h"
#include "storage_node/script/script_cache.h"
#include "storage_node/server/blocked_clients.h"
#include "storage_node/server/migrate_job.h"
#include "storage_node/server/node_metrics.h"
#include "storage_node/server/node_options.h"
#include "storage_node/server/node_topology.h"
#include "storage_node/server/script_job.h"
#include "storage_node/server/transaction.h"
#include "storage_node/types/sweeper_thread.h"

namespace kvs {

class NodeSession;

// Commands on all keys (FLUSHALL, SCAN, ...) look at what is committed: inside of others they need
// every stripe.
inline bool IsOnAllKeys(const CommandSpec& spec) {
  return HandlerOf(IdOf(spec)) != nullptr && !spec.has_keys();
}
// EVAL, FCALL and their like, SCRIPT and FUNCTION; SCRIPT HELP and FUNCTION HELP are not.
inline bool IsScriptCommand(const CommandSpec& spec) {
  return spec.group == Group::kScripting && spec.route != Route::kProxy;
}

// FUNCTION LOAD and its like: those who hold kFunctionsLock.
inline bool ChangesFunctions(const CommandSpec& spec) {
  return spec.group == Group::kScripting && spec.is_write();
}

// What the dispatcher asks of the loop's owner.
class DispatcherHost {
 public:
  virtual ~DispatcherHost() = default;
  // Calls session->Resume() when a storage instance may have room, or is there again.
  virtual void ResumeLater(NodeSession* session) = 0;
  virtual void ResumeAfterPause(NodeSession* session) = 0;
  // A command may have begun or ended the session's monitoring.
  virtual void UpdateMonitor(NodeSession* session) = 0;
  // Begins or ends a subscription, unless that is so already.
  virtual void Subscribe(NodeSession* session, ChannelKind kind, std::string_view name) = 0;
  virtual void Unsubscribe(NodeSession* session, ChannelKind kind, std::string_view name) = 0;
  virtual void EndSubscriptions(NodeSession* session) = 0;
  // The session's command waits, for `timeout_ms` at most unless that is 0.
  virtual void OnBlocked(NodeSession* session, WaitTicket ticket, int64_t timeout_ms) = 0;
  // Has OfferAgain() called in a moment.
  virtual void OfferLater() = 0;
  // Where the replies of commands that wait are taken to.
  virtual UnblockHost* unblock_host() = 0;
};

class Dispatcher {
 public:
  struct Parts {
    Store* store;
    ScanCursors* scan_cursors;
    SweeperThread* sweeper;
    BlockedClients* blocked;
    MetricCells* metrics;
    PubSubHub* pubsub;
    TrackingHub* tracking;
    ScriptCache* scripts;
    FunctionRegistry* functions;
    RunningScripts* running_scripts;
    ScriptJobs* script_jobs;  // Null: it runs those jobs itself.
    MigrateJobs* migrations;
    ServiceContext* service;
    EventLoop* loop;
    Txn* txn;
    DispatcherHost* host;
  };
  // All of it outlives the dispatcher.
  Dispatcher(const Parts& parts, NodeOptionsPtr options, NodeTopologyPtr topology);

  void SetOptions(NodeOptionsPtr options);
  void SetTopology(NodeTopologyPtr topology) { topology_ = std::move(topology); }
  // Whether the node owns slots that it does not own there.
  bool LosesSlots(const NodeTopology& topology) const {
    return (topology_->owned & ~topology.owned).any();
  }

  enum class Outcome : uint8_t {
    kDone,     // A reply was written (or the session is closing).
    kHeld,     // Not executed: the storage instance is busy, or clients pause.  Resume() will come.
    kBlocked,  // It waits for its keys, and is done but for its reply, which comes by itself.
  };
  Outcome Execute(NodeSession* session, CommandArgs args);
  // The turn's record is in the log, or is not: takes the replies of commands that had waited, and
  // were served in this turn, to their sessions.
  void OnCommit(const Status& status, uint64_t lsn);
  // Runs a script that a loop has left to the worker, and takes its reply to that loop.
  void RunJob(const ScriptJob& job);
  // Whether the worker's script is to wait no longer for keys that somebody else holds for long.
  bool ScriptGivesUp() const;
  // Offers the keys again that could not be locked because of a script.
  void OfferAgain();
  // Returns an empty text if this node serves all keys of the request.
  std::string CheckSlots(const CommandSpec& spec, CommandArgs args) const;
  // Runs the commands that wait for the key, which has changed without a command.
  void OfferKey(const std::string& key);

 private:
  void RefuseUnknown(NodeSession* session, CommandArgs args, std::string_view error);
  void WriteRefusal(NodeSession* session, std::string_view name, std::string_view error);
  // Whether the command has to wait; the session is then on a list for Resume().
  bool Hold(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  bool MustPause(NodeSession* session, const CommandSpec& spec) const;
  bool MustStall(NodeSession* session, const CommandSpec& spec, CommandArgs args) const;
  bool Refuse(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  bool AllowsDebug(NodeSession* session) const;
  bool AnyStalled(const CommandSpec& spec, CommandArgs args) const;
  void AnswerHere(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  Outcome RunHandler(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  // Runs the handler and counts.  What it does not like, or waits for, is left to the caller.
  struct Invocation {
    const CommandSpec& spec;
    CommandArgs args;
    int protocol = 2;
    bool debug_allowed = false;
    bool has_waited = false;
    bool in_script = false;
    std::vector<std::string> expired_keys = {};
    std::optional<WaitWish> wait = {};
  };
  Status Invoke(Invocation* call, std::string* out);
  // Makes messages of the events that the last command has noted, to be sent when the turn's record
  // is in the log.
  void TakeKeyEvents(bool keep);
  // `session` may be nullptr: nobody waits for it.
  void DeleteExpired(NodeSession* session, const std::vector<std::string>& keys);
  // Returns false if a script holds one of them.
  bool LockKeys(const CommandSpec& spec, CommandArgs args);
  // Remembers for the client, if it tracks, that it is about to read the keys.
  void TrackReads(const ClientState& client, const CommandSpec& spec, CommandArgs args) {
    if (TracksReads(client, spec)) [[unlikely]] {
      TrackReads(client.info->id, spec, args);
    }
  }
  void TrackReads(uint64_t client_id, const CommandSpec& spec, CommandArgs args);
  // The reply that was written last is all that the command says.
  void Finish(NodeSession* session, const CommandSpec& spec, CommandArgs args, int64_t start,
              bool failed);
  void Show(NodeSession* session, const CommandSpec& spec, CommandArgs args);

  // Somebody's script holds the keys: kHeld, or kDone with an error if that takes long.
  Outcome GiveWay(NodeSession* session, const CommandSpec& spec);

  // How many milliseconds the session waits for others' scripts.
  int64_t PatienceOf(NodeSession* session) const;
  bool IsBusyFor(NodeSession* session) const;

  // In dispatch_script.cc.
  class ScriptRun;
  struct ScriptCall {
    const CommandSpec* spec = nullptr;
    ScriptPtr script = nullptr;   // Null: it is not known, or
    FoundFunction function = {};  // it is a function.
    CommandArgs keys = {};
    CommandArgs args = {};
    int protocol = 2;
    bool in_transaction = false;
    uint64_t tracks_for = 0;    // The client that what the script reads is remembered for; 0: none.
    AclUserPtr user = nullptr;  // Null: may do everything.
    std::shared_ptr<ClientInfo> client = nullptr;

    // REQUIRES: one of them is known
    const Runnable& runnable() const {
      return function.function != nullptr ? static_cast<const Runnable&>(*function.function)
                                          : *script;
    }
    bool is_known() const { return script != nullptr || function.function != nullptr; }
  };
  enum class ScriptEnd : uint8_t {
    kReplied,
    kFailed,   // The reply is an error.
    kTooSlow,  // Nothing is left of it.
    kGaveUp,   // Another script holds its keys.
  };
  Outcome RunScriptCommand(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  Outcome LeaveToWorker(NodeSession* session, const ScriptCall& call, CommandArgs args);
  // Reads the words of EVAL, FCALL and their like.
  Status ReadCall(CommandArgs args, ScriptCall* call);
  Status ReadEval(CommandArgs args, ScriptCall* call);
  Status MakeKnown(std::string_view text, bool loaded, ScriptPtr* script);
  Interpreter* interpreter();
  bool LockForScript(const ScriptCall& call);
  ScriptEnd RunScript(const ScriptCall& call, int64_t deadline_micros, std::string* reply,
                      std::vector<std::string>* expired_keys);
  // As a part of a transaction.  Returns whether the reply is an error.
  bool RunScriptInside(NodeSession* session, const CommandSpec& spec, CommandArgs args,
                       std::string* out, std::vector<std::string>* expired_keys);
  // A call of the session's, for its user.
  ScriptCall CallOf(NodeSession* session, const CommandSpec& spec) const;
  std::string WhyNotInScript(const ScriptCall& call, CommandArgs* args, const CommandSpec** spec);
  void RunForScript(const ScriptCall& script, const CommandSpec& spec, CommandArgs args,
                    int protocol, std::string* reply, std::set<std::string>* expired_keys);
  // SCRIPT and FUNCTION.  Writes the reply and returns whether it is an error.
  bool AnswerScript(const CommandSpec& spec, CommandArgs args, int protocol, std::string* out);
  void AnswerKill(ScriptKind kind, RespWriter* reply);
  Interpreter::End Interpret(const ScriptCall& call, ScriptHost* host, std::string* reply);
  std::string_view BusyError() const;

  // In dispatch_function.cc.
  Status ReadFCall(CommandArgs args, ScriptCall* call);
  // Reads the count of keys, and what follows it.  `no_number`: what is said if it is none.
  Status ReadKeys(CommandArgs args, std::string_view no_number, ScriptCall* call) const;
  // How long the code of a library may run that begins now.
  int64_t LoadingEnd(int64_t at_most_micros) const;
  // The libraries as this turn sees them.
  const FunctionSetPtr& FunctionsNow();
  FunctionInterpreter* function_interpreter();
  Interpreter::End RunFunction(const ScriptCall& call, ScriptHost* host, std::string* reply);
  void AnswerFunction(const CommandSpec& spec, CommandArgs args, RespWriter* reply);
  // Those that change the libraries.  REQUIRES: kFunctionsLock is held
  Status ChangeFunctions(const CommandSpec& spec, CommandArgs args, RespWriter* reply);
  Status LoadFunctions(CommandArgs args, RespWriter* reply);
  Status RestoreFunctions(CommandArgs args);
  Status FlushFunctions();
  void PutLibrary(const FunctionLibrary& library);
  // The turn goes on with these libraries, and the node when it is in the log.
  void ReplaceFunctions(FunctionSet set);
  void SettleFunctions(bool written);
  void WriteFunctionStats(RespWriter* reply);

  // In dispatch_migrate.cc.
  Outcome RunMigrate(NodeSession* session, const CommandSpec& spec, CommandArgs args);

  // In dispatch_blocked.cc.
  // Leaves the command to whoever has something for it.
  void Block(NodeSession* session, const Invocation& call);
  // Runs the commands that wait for the keys that the last command has changed.
  void ServeBlocked();
  // Runs those that wait for the keys that are to be offered.
  void ServeOffers();
  // Offers the key to those who wait for it.
  void Offer(const std::string& key);
  enum class Offered : uint8_t {
    kTaken,    // The command is done.
    kLeft,     // It waits for something else.
    kNothing,  // There is nothing (more) under the key.
  };
  Offered RunBlocked(const std::string& key, WaitTicket ticket, const BlockedCommand& command);
  void PutBack(WaitTicket ticket, const BlockedCommand& command);

  // In dispatch_transaction.cc.
  void Queue(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  // Returns kHeld if it has to run again.
  Outcome RunTransactionCommand(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  Status Watch(NodeSession* session, CommandArgs args);
  Status Exec(NodeSession* session, std::vector<std::string>* expired_keys);
  std::string WhyNotExec(const Transaction& transaction) const;
  bool LockTransaction(const Transaction& transaction);
  Result<bool> WatchedHasChanged(const Transaction& transaction,
                                 std::vector<std::string>* expired_keys);
  // Runs one command of a transaction, whose keys are locked, and appends its reply to `*out`.
  void RunInside(NodeSession* session, const CommandSpec& spec, CommandArgs args, std::string* out,
                 std::vector<std::string>* expired_keys);

  // In dispatch_pubsub.cc.
  void RunPubSubCommand(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  // Sends the messages of to_publish_.
  void PublishAll();
  // The same, unless OnCommit() does.
  void PublishUnlessWritten() {
    if (!txn_->has_writes()) {
      PublishAll();
    }
  }
  // Keeps it until then, unless nobody would hear it.
  void PublishLater(Message message);
  // Writes the reply of one that neither begins nor ends subscriptions; PUBLISH adds to
  // to_publish_.
  void AnswerPubSub(const CommandSpec& spec, CommandArgs args, RespWriter* reply);
  void Subscribe(NodeSession* session, const CommandSpec& spec, CommandArgs args);
  void Unsubscribe(NodeSession* session, const CommandSpec& spec, CommandArgs args);

  Store* const store_;
  ScanCursors* const scan_cursors_;
  SweeperThread* const sweeper_;
  MetricCells* const metrics_;
  PubSubHub* const pubsub_;
  TrackingHub* const tracking_;
  ScriptCache* const scripts_;
  FunctionRegistry* const functions_;
  RunningScripts* const running_scripts_;
  ScriptJobs* const script_jobs_;
  MigrateJobs* const migrations_;
  ServiceContext* const service_;
  EventLoop* const loop_;
  Txn* const txn_;
  BlockedClients* const blocked_;
  DispatcherHost* const host_;
  NodeOptionsPtr options_;
  TypeLimits type_limits_;
  NodeTopologyPtr topology_;
  // What commands that had waited get when the turn is in the log.
  struct Served {
    UnblockHost* host;
    WaitTicket ticket;
    Unblocked unblocked;
    int protocol;
  };
  std::vector<Served> served_;
  std::unique_ptr<Interpreter> interpreter_;
  std::unique_ptr<FunctionInterpreter> function_interpreter_;
  uint64_t function_version_ = 0;
  FunctionSetPtr function_set_;                // Of that version.
  FunctionSetPtr pending_functions_;           // What this turn makes of them, or nullptr.
  std::shared_ptr<ClientInfo> script_client_;  // Whom the commands of scripts are answered as.
  std::vector<std::string> to_offer_;
  std::vector<std::string> to_offer_again_;
  size_t to_publish_bytes_ = 0;
  int64_t script_deadline_micros_ =
      INT64_MAX;                 // Of scripts and libraries in the transaction that runs.
  int64_t slow_load_turn_ = -1;  // When the turn began that has loaded a library for long.
  Status commit_failure_;        // Of the transaction that runs, or has run.
  std::vector<std::string_view> script_renamed_;  // As renamed_, of a command of a script.
  std::vector<Message> to_publish_;               // When the turn's record is in the log.
  std::vector<std::string_view> lock_keys_;       // Scratch.
  std::vector<std::string_view> renamed_;         // The same, of a request with another name.
};

}  // namespace kvs
