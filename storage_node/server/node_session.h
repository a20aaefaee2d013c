// NodeSession: one client connection of a node, from bytes to bytes.
//
// Requests are executed as they are parsed and their replies gather in the output; what may be sent
// is bounded by gates.  A gate says: the output from this byte on waits until the watermark reaches
// this LSN.  Replies of a turn that could not be committed are replaced by errors before they
// leave.
//
// Threads: loop-owned.
// Owner:   IoWorker.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>

#include "common/base/build_info.h"
#include "common/base/unique_fd.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"
#include "common/pubsub/subscriptions.h"
#include "common/resp/request_parser.h"
#include "common/service/connection_commands.h"
#include "storage_node/server/blocked_clients.h"
#include "storage_node/server/slow_turn.h"
#include "storage_node/server/transaction.h"

namespace kvs {

class IoWorker;

class NodeSession : public IoHandler, public Subscriber {
 public:
  NodeSession(IoWorker* worker, UniqueFd fd, std::shared_ptr<ClientInfo> info);
  ~NodeSession() override;

  Status Start();
  void OnReady(bool readable, bool writable) override;

  // Goes on with requests that were left in the input.
  void Resume();
  // The command that was executed last waits for its keys, and all that follows with it.
  void BeginWait(WaitTicket ticket, int64_t timeout_ms);
  // Its reply is there.
  void EndWait(const Unblocked& unblocked);
  bool blocked() const { return wait_ticket_ != 0; }
  WaitTicket wait_ticket() const { return wait_ticket_; }
  // Settles what this turn has produced: the replies wait for `lsn`, or for nothing if it is 0.
  // Before, `commit_micros` have passed until the turn was in the log.
  void FinishTurn(uint64_t lsn, int64_t commit_micros);
  // Replaces the replies of this turn by errors: what they tell did not happen.
  void FailTurn(const Status& status);
  // Sends what the watermark allows.  The session may be closed by it.
  void Flush();

  // The commands of this turn have changed or seen what the turn's record holds.
  void DependOnTurn() { depends_on_turn_ = true; }
  bool depends_on_turn() const { return depends_on_turn_; }
  void Observe(uint64_t lsn) { observed_lsn_ = std::max(observed_lsn_, lsn); }

  // Around each command: keeps the reply that was written in between, or drops it if the client
  // wants none.
  void BeginReply();
  void EndReply();
  // Instead of EndReply(): the command is going to run again.
  void AbandonReply();
  bool* muted() { return &muted_; }
  // Where the reply of this command begins in output(); moves when a part of the turn is committed.
  size_t reply_start() const;
  // The command is done; its reply may still wait for the turn or for the log.
  void NoteTimes(const CommandSpec& spec, CommandArgs args, const StageTimes& times, bool waits);
  // Adds what MONITOR shows.
  void AppendMonitored(std::string_view lines);

  // What the client has subscribed to.  IoWorker changes it.
  const Subscriptions* subscriptions() const { return subscriptions_.get(); }
  Subscriptions* OpenSubscriptions();
  // Tells CLIENT LIST, and forgets what is empty.
  void NoteSubscriptions();
  // Keeps a message for the end of the turn.
  void OnMessage(const Delivery& delivery) override;
  // The same of what the client, or another that redirects to it, has read.
  void OnInvalidation(const InvalidationOrder& order);
  // Adds the messages that came, behind the replies of the turn that has ended.  They depend on no
  // commit.
  void AppendMessages();

  // Since when the request that comes next has been held; 0: it has not.
  int64_t held_since_ms() const { return held_since_ms_; }
  // Whether others share the connection.
  bool is_proxy() const { return client_.info->name() == kProxyClientName; }

  // What is known since MULTI or WATCH; nullptr: nothing.
  Transaction* transaction() { return transaction_.get(); }
  bool in_multi() const { return transaction_ != nullptr && transaction_->open(); }
  Transaction* OpenTransaction(KeyWatches* watches);
  void EndTransaction();
  // A request was refused: a transaction that is open will be, too.
  void SpoilTransaction();
  // Tells CLIENT LIST.
  void NoteTransaction();

  ClientState* client() { return &client_; }
  std::string* output() { return &output_; }
  size_t unsent() const { return output_.size() - sent_; }
  bool has_unsent() const { return unsent() > 0; }
  // Whether replies wait for the watermark.
  bool parked() const { return !gates_.empty(); }
  // Between turns nothing of it is under way, unless it waits for keys.
  bool idle() const { return !blocked(); }
  bool closed() const { return closed_; }
  bool in_turn() const { return in_turn_; }
  void set_in_turn(bool in_turn) { in_turn_ = in_turn; }
  // Whether it is on the worker's list of parked sessions.
  bool listed() const { return listed_; }
  void set_listed(bool listed) { listed_ = listed; }
  int64_t last_active_ms() const { return last_active_ms_; }
  void Close();

 private:
  // Keeps the text of a message for the end of the turn.
  void KeepMessage(std::string_view text);
  struct Gate {
    uint64_t begin;  // Offset in the stream of all output.
    uint64_t lsn;
    std::unique_ptr<SlowTurn> slow;  // May be nullptr.
    int64_t commit_micros;
    int64_t since_micros;
  };

  bool HasRoom() const;
  // What comes while a command waits is kept for later.
  void ReadAhead();
  void NoteActivity();
  void ProcessInput();
  void OnProtocolError();
  void UpdateInterest();
  size_t SendableEnd();
  void OpenGate(const Gate& gate);
  void DropSent();

  IoWorker* const worker_;
  UniqueFd fd_;
  IoWatch* watch_ = nullptr;
  ClientState client_;
  std::unique_ptr<Transaction> transaction_;
  std::unique_ptr<Subscriptions> subscriptions_;
  std::string messages_;    // That came in this turn.
  bool overflown_ = false;  // There were more than may wait.
  ReadBuffer input_;
  RequestParser parser_;
  int64_t last_active_ms_ = 0;

  std::string output_;
  size_t sent_ = 0;             // Of output_.
  uint64_t output_offset_ = 0;  // Stream offset of output_[0].
  std::deque<Gate> gates_;
  bool listed_ = false;

  // This turn.
  size_t turn_start_ = 0;  // Where its replies begin in output_.
  size_t turn_replies_ = 0;
  bool depends_on_turn_ = false;
  uint64_t observed_lsn_ = 0;
  bool in_turn_ = false;  // On the worker's list.
  SlowTurn slow_;

  // This command.
  size_t reply_start_ = 0;
  size_t reply_turn_start_ = 0;
  bool muted_ = false;  // Its reply is to be dropped.

  WaitTicket wait_ticket_ = 0;  // Of the command that waits for its keys.
  TimerId wait_timer_ = kNoTimer;
  bool stalled_ = false;
  int64_t held_since_ms_ = 0;
  bool starved_ = false;        // Whole requests may wait in the input for room.
  bool resume_posted_ = false;  // Resume() will come because of that.
  bool eof_ = false;            // The client has closed its side.
  bool closing_ = false;        // No more requests; closes when everything is sent.
  bool closed_ = false;
};

}  // namespace kvs
