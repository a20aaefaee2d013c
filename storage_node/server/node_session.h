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

#include "common/base/unique_fd.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"
#include "common/resp/request_parser.h"
#include "common/service/connection_commands.h"
#include "storage_node/server/slow_turn.h"

namespace kvs {

class IoWorker;

class NodeSession : public IoHandler {
 public:
  NodeSession(IoWorker* worker, UniqueFd fd, std::shared_ptr<ClientInfo> info);
  ~NodeSession() override;

  Status Start();
  void OnReady(bool readable, bool writable) override;

  // Goes on with requests that were left in the input.
  void Resume();
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

  ClientState* client() { return &client_; }
  std::string* output() { return &output_; }
  size_t unsent() const { return output_.size() - sent_; }
  bool has_unsent() const { return unsent() > 0; }
  // Whether replies wait for the watermark.
  bool parked() const { return !gates_.empty(); }
  static bool idle() { return true; }  // Between turns nothing of it is under way.
  bool closed() const { return closed_; }
  bool in_turn() const { return in_turn_; }
  void set_in_turn(bool in_turn) { in_turn_ = in_turn; }
  // Whether it is on the worker's list of parked sessions.
  bool listed() const { return listed_; }
  void set_listed(bool listed) { listed_ = listed; }
  int64_t last_active_ms() const { return last_active_ms_; }
  void Close();

 private:
  struct Gate {
    uint64_t begin;  // Offset in the stream of all output.
    uint64_t lsn;
    std::unique_ptr<SlowTurn> slow;  // May be nullptr.
    int64_t commit_micros;
    int64_t since_micros;
  };

  bool HasRoom() const;
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

  bool stalled_ = false;
  bool starved_ = false;        // Whole requests may wait in the input for room.
  bool resume_posted_ = false;  // Resume() will come because of that.
  bool eof_ = false;            // The client has closed its side.
  bool closing_ = false;        // No more requests; closes when everything is sent.
  bool closed_ = false;
};

}  // namespace kvs
