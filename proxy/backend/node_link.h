// NodeLink: one connection of a loop to one node, shared by all sessions of the loop.
//
// Requests leave in the order of Send() and replies come back in that order, so a queue of who
// asked is all the bookkeeping there is.  What a loop turn sends leaves in one write at the turn's
// end.
//
// A request that gets no answer in time is given up: its sender hears an error, and a late reply is
// swallowed, because the place in the queue stays.  While nothing at all comes from the node the
// link refuses further requests at once, so that a stopped node costs each client one wait and not
// one for each request; and after a longer silence it is broken off.  After a failure the link
// waits with growing, jittered pauses before it dials again, and refuses until the node has
// answered its greeting: that is the one request which finds out whether the node is back.  A write
// whose fate is unknown is never sent again.
//
// A reply that is too large to be kept costs its sender an error and is swallowed as it comes: the
// link, and with it everybody else's requests, goes on.
//
// Threads: loop-owned.
// Owner:   LinkPool; a sender must stay alive until its reply or failure came.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/address.h"
#include "common/base/random.h"
#include "common/base/status.h"
#include "common/base/unique_fd.h"
#include "common/net/buffer.h"
#include "common/net/event_loop.h"
#include "common/resp/reply_scanner.h"
#include "proxy/backend/memory_budget.h"

namespace kvs {

// One complete reply, inside the link's input.  Valid during OnReply() only; Share() keeps it.
class ReplyFrame {
 public:
  ReplyFrame(const ReadBuffer* buffer, size_t size) : buffer_(buffer), size_(size) {}
  std::string_view view() const { return buffer_->unread().substr(0, size_); }
  char type() const { return view()[0]; }
  Slice Share() const { return buffer_->Share(0, size_); }

 private:
  const ReadBuffer* buffer_;
  size_t size_;
};

// How long a request waited before the node could turn to it, in microseconds of the loop's turns.
struct LinkWait {
  int64_t queue = 0;  // From Send() until the socket had taken all of it.
  int64_t link = 0;   // From there until the reply before its own had come.
};

class NodeLink;

// Who sent a request.  Gets exactly one of the two calls for each Send() that returned OK.
class ReplySink {
 public:
  virtual ~ReplySink() = default;
  // Of the request whose reply or failure came last: the link notes it before each of the calls.
  const LinkWait& link_wait() const { return link_wait_; }
  void set_link_wait(const LinkWait& wait) { link_wait_ = wait; }
  virtual void OnReply(uint32_t tag, const ReplyFrame& frame) = 0;
  // kTimeout: it may have been executed; kUnavailable: `sent` tells whether it may have been;
  // kTooLarge: it has been executed, and its reply is dropped
  virtual void OnFailure(uint32_t tag, const Status& status, bool sent) = 0;

 private:
  LinkWait link_wait_;
};

// Who hears what a node says unasked, on a link of its own.  None of the calls may end the link.
class LinkListener {
 public:
  virtual ~LinkListener() = default;
  virtual void OnPush(NodeLink* link, const ReplyFrame& frame) = 0;
  // A reply that belongs to no Send(): the answer to what Tell() sent, if that is no push.
  virtual void OnUnasked(NodeLink* link, const ReplyFrame& frame) = 0;
  // The connection has failed.
  virtual void OnBreak(NodeLink* link, const Status& status) = 0;
};

struct LinkOptions {
  std::string password;  // For nodes that want AUTH; empty for none.
  int64_t connect_timeout_ms = 1000;
  int64_t request_timeout_ms = 1000;
  int keepalive_seconds = 10;  // After so much silence the kernel probes the node; 0 never.
  size_t max_in_flight = 65536;
  size_t max_output_bytes = size_t{64} << 20;
  size_t max_reply_bytes = size_t{1} << 30;  // A larger reply is dropped.
  const MemoryBudget* budget = nullptr;      // When it is exhausted, only small ones are kept.
};

struct LinkStats {
  uint64_t requests = 0;
  uint64_t failures = 0;
  uint64_t timeouts = 0;
  uint64_t connects = 0;
  uint64_t dropped_replies = 0;
};

class NodeLink : public IoHandler {
 public:
  NodeLink(EventLoop* loop, NodeAddress address, const LinkOptions* options);
  ~NodeLink() override;

  // Queues one request, a complete RESP array.  `tag` comes back with the reply.
  //   kUnavailable: the node cannot be reached; kBusy: too much is in flight
  Status Send(std::string_view request, ReplySink* sink, uint32_t tag);
  // As above; a large request is referenced instead of copied.
  Status Send(const Slice& request, ReplySink* sink, uint32_t tag);
  // As above, of `count` requests one behind the other, with nothing between them: all are queued
  // or none.  Their tags are 0 to count - 1.
  Status SendBlock(std::string_view requests, uint32_t count, ReplySink* sink);

  // Queues a request whose answer is a push.  REQUIRES: there is a listener
  //   as Send()
  enum class Urgency : uint8_t { kUsual, kAlways };  // However much is queued.
  Status Tell(std::string_view request, Urgency urgency = Urgency::kUsual);
  // Before anything is sent.  It outlives the link, or is taken away again with nullptr.
  void set_listener(LinkListener* listener) { listener_ = listener; }

  // Sends what is queued; at the end of a loop turn.
  void Flush();
  // Gives up what waits for too long; called every few milliseconds.
  void CheckDeadlines();
  // As if the connection had failed.
  void Fail(const Status& status) { Break(status); }
  // Fails everything in flight and closes.
  void Close(const Status& status);

  void OnReady(bool readable, bool writable) override;

  const NodeAddress& address() const { return address_; }
  const std::string& name() const { return name_; }
  // The name for those who may outlive the link.
  const std::shared_ptr<const std::string>& shared_name() const { return shared_name_; }
  bool needs_flush() const { return state_ == State::kReady && !output_.empty() && !blocked_; }
  bool connected() const { return state_ == State::kReady; }
  // Requests may be answered so much later: for commands that block.
  void set_patience_ms(int64_t patience_ms) { patience_ms_ = patience_ms; }
  static constexpr int64_t kForever = INT64_MAX;
  // What the node calls this connection; 0: it has not said.
  int64_t peer_id() const { return peer_id_; }
  size_t in_flight() const { return in_flight_.size(); }
  // Connections that failed or broke since the last reply.
  int failures_in_row() const { return failures_in_row_; }
  const LinkStats& stats() const { return stats_; }
  const Status& last_error() const { return last_error_; }

 private:
  enum class State : uint8_t { kIdle, kConnecting, kReady, kWaiting };
  struct Waiting {
    int64_t sent_ms() const { return sent_micros / 1000; }

    ReplySink* sink;  // Null: given up, or our own greeting.
    uint32_t tag;
    uint32_t queued_micros;  // Until it was written; kUnwritten before.
    int64_t sent_micros;
    uint64_t end;  // Bytes queued since the connection began, up to and with its own.
  };
  static constexpr uint32_t kUnwritten = UINT32_MAX;

  // Whether a request may be queued without a further look.
  bool open() const {
    return state_ == State::kReady && failures_in_row_ == 0 && !silent_ &&
           in_flight_.size() < options_->max_in_flight &&
           output_.size() < options_->max_output_bytes;
  }
  Status Admit();
  void Enqueue(ReplySink* sink, uint32_t tag, size_t bytes);
  // Notes which requests the socket has taken.
  void NoteWritten();
  // `first`: nobody is before it.
  LinkWait WaitOf(const Waiting& waiting, bool first) const;
  void Dial();
  void OnConnected();
  void SendHandshake();
  void ReadReplies();
  void PrefetchSink() const;
  // Drops what has come of a reply that is too large.
  void SwallowIfTooLarge();
  // Its sender hears of it at once.
  void FailTooLarge(size_t limit, bool exhausted);
  void OnHandshakeReply(std::string_view reply);
  void Break(const Status& status, bool quiet = false);
  Status Unavailable() const;

  EventLoop* const loop_;
  const NodeAddress address_;
  const std::shared_ptr<const std::string> shared_name_;
  const std::string& name_;
  const LinkOptions* const options_;
  LinkListener* listener_ = nullptr;
  Random random_;

  State state_ = State::kIdle;
  UniqueFd fd_;
  IoWatch* watch_ = nullptr;
  bool blocked_ = false;  // The socket is full; writable will tell.
  int64_t patience_ms_ = 0;
  int64_t peer_id_ = 0;
  bool silent_ = false;  // Requests have timed out, and nothing has come since.
  int64_t dialled_ms_ = 0;
  int64_t retry_at_ms_ = 0;
  int failures_in_row_ = 0;
  int64_t last_heard_ms_ = 0;  // When the node last gave us bytes, or room for ours.
  Status last_error_;

  OutputQueue output_;
  ReadBuffer input_;
  ReplyScanner scanner_{ReplyLimits{.max_bytes = SIZE_MAX}};  // The option says what is kept.
  bool swallowing_ = false;  // The reply at the front of the input is being dropped.
  std::deque<Waiting> in_flight_;
  bool greeting_ = false;          // The first in flight is our own greeting.
  size_t unwritten_ = 0;           // So many at the end of in_flight_ are not written yet.
  uint64_t queued_bytes_ = 0;      // Of requests, since the connection began.
  int64_t last_reply_micros_ = 0;  // When the node last got rid of what was first in flight.
  LinkStats stats_;
};

}  // namespace kvs
