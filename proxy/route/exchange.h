// Exchange: one request of a client, from its sending to its reply.
//
// A request goes to one node as it is, or in parts to several whose replies are merged: elements in
// the order of the keys, sums, "all OK", lists one behind the other, or what is computed of whole
// keys (KeyJoin).  A part that fails makes its keys' elements errors, or the whole reply where the
// type has no room for that: never nil, never OK, never an undercount.
//
// Threads: loop-owned.
// Owner:   ExchangePool; borrowed by a session until it has written the reply, and by links until
//          every part has answered, whichever is later.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/command/command_sample.h"
#include "common/net/buffer.h"
#include "common/resp/reply_tree.h"
#include "proxy/backend/node_link.h"
#include "proxy/route/key_join.h"

namespace kvs {

class Exchange;

// What a client hears when a slot has no settled owner for too long; with the code TRYAGAIN.
inline constexpr std::string_view kSlotChangesOwner = "the slot is changing its owner, try again";

// When a request went from one stage to the next, in microseconds of the loop's turns.
struct RequestTimes {
  int64_t arrived = 0;   // Its last bytes were read.
  int64_t parsed = 0;    // It was taken out of the input.
  int64_t routed = 0;    // It was handed to the router, for the first time.
  int64_t answered = 0;  // The last reply that it waited for had come.
};

// Of a transaction: one command's place in the reply of EXEC.
struct TransactionStep {
  Resp2Form form = Resp2Form::kPlain;  // Of what the node says, or
  std::string local;                   // not empty: what the proxy has said itself.
};

// The session that waits for an exchange.
class ExchangeOwner {
 public:
  virtual ~ExchangeOwner() = default;
  // A reply, or a part of one, of so many bytes has come.  Returns whether there is room for it.
  virtual bool Admit(size_t bytes) = 0;
  // A part has been executed, or may have been.  So many bytes of its reply wait for the other
  // parts; they count until OnDone().
  virtual void OnPart(Exchange* exchange, uint32_t part, size_t bytes) = 0;
  // Returns where the reply may be written at once, or nullptr if earlier replies are still due.
  virtual OutputQueue* DirectOutput(const Exchange* exchange) = 0;
  // Returns the link of the session's own to this node, which is made if need be.
  virtual NodeLink* OwnLink(const NodeAddress& address) = 0;
  // A node refused the request, or a part of it, with MOVED or HELD; `error` is the line without
  // '-'.  Returns whether the owner sees to it that the exchange goes on.
  virtual bool OnRefused(Exchange* exchange, uint32_t part, std::string_view error) = 0;
  // The exchange is done: its reply is in DirectOutput(), or waits in the exchange.
  virtual void OnDone(Exchange* exchange, bool written) = 0;
};

// What one node was asked and has answered, of a request in parts.
struct ExchangePart {
  std::shared_ptr<const std::string> node;  // Its name: the link may be gone by then.
  uint32_t key_count = 0;
  std::string request;  // Kept where nodes may refuse it.
  uint64_t generation = 0;
  Slice reply;          // Empty if it failed,
  bool ok = false;      // or said "OK", which kAllOk need not keep.
  std::string failure;  // An error line without '-' and line end.
};

class ExchangePool;

class Exchange final : public ReplySink {
 public:
  enum class Shape : uint8_t {
    kForward,  // One node's reply, as it is.
    kGather,   // Arrays: an element for each key, in the order of the request's keys.
    kSum,
    kAllOk,
    kConcat,
    kMax,
    kUnion,    // Strings, each once.
    kMinEach,  // Integers: the smallest of each place.
    kAnyOk,
    kSame,
    kLongest,
    kSumPairs,     // Names and numbers: the numbers of each place are added.
    kJoin,         // What KeyJoin makes of the keys, a part each.
    kAnyOf,        // One of the replies that are not null, by chance.
    kScan,         // One node's reply with the cursor rewritten.
    kTransaction,  // The reply of EXEC, which comes behind those of what it executes.
  };

  void OnReply(uint32_t tag, const ReplyFrame& frame) override;
  void OnFailure(uint32_t tag, const Status& status, bool sent) override;

  // The exchange is done without asking anybody; `reply` is complete and in the client's protocol.
  void Answer(std::string reply);
  void Fail(const Status& status);
  // The session is gone: nobody waits for the reply.
  void Orphan();

  bool done() const { return done_; }
  // Appends the reply of a done exchange.
  void WriteTo(OutputQueue* output);
  // Bytes that the waiting reply holds.
  size_t held_bytes() const { return text_.size() + (plain_ ? 0 : reply_.size + body_.size()); }
  // Bytes of its parts, which OnPart() has told of.
  size_t part_bytes() const { return part_bytes_; }
  // The session's notes; New() says that all is now.
  RequestTimes* times() { return &times_; }
  const CommandSpec* spec() const { return spec_; }
  bool is_write() const { return spec_->may_write() || is_transaction(); }
  bool failed() const { return failed_; }
  // Nobody is to see the reply; the session still waits for it.
  void Mute() { muted_ = true; }
  bool muted() const { return muted_; }
  // The session's note about the request.
  void TakeSample(CommandArgs args, std::string_view frame);
  // Returns it; without a command if there is none.
  CommandSample sample() const;
  // Whether a replica may answer it.  Before Router::Start().
  void set_from_replica(bool from_replica) { from_replica_ = from_replica; }
  bool from_replica() const { return from_replica_; }
  // Whether it has been handed to the router; else it is held back.
  bool started() const { return started_; }
  // What SlotLanes knows it by, once it is started.
  int lane() const { return lane_; }
  // Its number among the session's.
  uint64_t number() const { return number_; }
  // Of how many bytes its request is, for the session's account.
  size_t request_size() const { return request_size_; }
  // REQUIRES: not started yet
  void SetRequest(uint64_t number, size_t size) {
    number_ = number;
    request_size_ = size;
  }
  // Which of the router's tables it, or one part of it, was sent by.
  uint64_t generation(uint32_t part) const {
    return plain_ || parts_.empty() ? generation_ : parts_[part].generation;
  }
  // Whether a node has executed it, or may have; not of one with parts, see OnPart().
  bool executed() const { return executed_; }
  // Whether its node has answered it, with whatever; not of one with parts.
  bool replied() const { return replied_; }
  // Of how many parts it consists that have not been answered.
  size_t parts_left() const { return plain_ || parts_.empty() ? 1 : parts_left_; }
  // The bytes of the request, or of one part; empty if they are not kept.
  std::string_view request(uint32_t part) const;
  bool is_join() const { return !plain_ && shape_ == Shape::kJoin; }
  // Makes it a transaction of these commands.  REQUIRES: not started yet
  void SetTransaction(std::vector<TransactionStep> steps) {
    SetShape(Shape::kTransaction);
    steps_ = std::move(steps);
  }
  // As Answer(), of a transaction that no node has a part in.
  void AnswerSteps();
  bool is_transaction() const { return !plain_ && shape_ == Shape::kTransaction; }
  // Hands out those of a refused one.
  std::string TakeRequest(uint32_t part);
  // Whether OnPart() tells what has been executed.
  bool has_parts() const { return !plain_ && !key_parts_.empty(); }
  // Whether it keeps slots guarded.
  bool guards() const { return guards_; }
  void set_guards(bool guards) { guards_ = guards; }

 private:
  friend class ExchangePool;
  friend class Router;

  void SetShape(Shape shape) {
    shape_ = shape;
    plain_ = false;
  }
  // Keeps the bytes of a request that a node may refuse; large ones in `source`'s block.
  void KeepRequest(std::string_view frame, const ReadBuffer* source);
  // Whether the reply is a refusal that the owner takes care of.
  bool IsRefused(uint32_t part, std::string_view reply);
  void KeepPart(uint32_t tag, const ReplyFrame& frame);
  void FinishPart();
  void Merge();
  void OnTransactionReply(uint32_t tag, const ReplyFrame& frame);
  void MergeTransaction(std::string_view reply);
  uint32_t LastTag() const { return static_cast<uint32_t>(requests_in_block_ - 1); }
  void MergeGather();
  void MergeSum();
  void MergeAllOk();
  void MergeConcat();
  std::vector<Reply> ReadParts(Reply::Type type);
  void MergeMax();
  void MergeMinEach();
  void MergeAnyOk();
  void MergeSame();
  void MergeLongest();
  void MergeUnion();
  void MergeSumPairs();
  void MergeAnyOf();
  void MergeJoin();
  // Says what is wrong if the keys could not be read, or cannot be joined.
  bool FailJoin();
  void RewriteCursor(std::string_view reply);
  // Writes one error that says how much was done and by whom it was not.
  bool FailIfAnyPartFailed();
  void Convert(std::string_view reply, std::string* out) const;
  void ConvertAs(Resp2Form form, std::string_view reply, std::string* out) const;
  void Finish(bool written);
  void ReleaseIfUnused();

  // What every request needs stands first: thousands are in flight, and each cache line counts.
  ExchangePool* pool_ = nullptr;
  ExchangeOwner* owner_ = nullptr;
  const CommandSpec* spec_ = nullptr;
  bool has_option_ = false;  // The request has more words than the command needs.
  RequestTimes times_;
  Shape shape_ = Shape::kForward;
  uint8_t protocol_ = 2;
  bool done_ = false;
  bool failed_ = false;
  bool muted_ = false;
  bool written_ = false;  // By the session, or nobody wants it.
  bool started_ = false;
  bool guards_ = false;
  bool from_replica_ = false;
  bool executed_ = false;
  bool replied_ = false;
  bool may_be_refused_ = false;  // And sent again then.
  bool plain_ = true;            // Nothing behind request_ is in use.
  int lane_ = 0;
  uint64_t number_ = 0;
  uint64_t generation_ = 0;
  size_t request_size_ = 0;
  size_t part_bytes_ = 0;
  std::string text_;     // A reply that was made here or copied.
  std::string request_;  // What was sent, if it is small: a node may refuse it, or be slow.

  Slice large_request_;  // What was sent, if it is large and may be refused.
  CommandSample sample_;
  Slice reply_;       // A reply kept as it came,
  OutputQueue body_;  // or one that was made of parts.
  uint32_t parts_left_ = 0;
  uint32_t scan_shard_ = 0;       // kScan: who was asked,
  uint32_t scan_next_ = 0;        // who comes next (0: nobody),
  uint32_t scan_shards_ = 0;      // and of how many.
  uint64_t random_ = 0;           // kAnyOf
  size_t requests_in_block_ = 0;  // kTransaction: of the node.
  std::string refusal_;           // kTransaction: why the node did not queue a command.
  std::vector<TransactionStep> steps_;
  std::vector<ExchangePart> parts_;
  std::vector<uint32_t> key_parts_;    // kGather, kJoin: the part of each key.
  std::unique_ptr<JoinRequest> join_;  // kJoin
};

// Keeps exchanges for reuse, so that a request allocates nothing in the steady state.
//
// Threads: loop-owned.
// Owner:   ProxyWorker; outlives sessions and links.
class ExchangePool {
 public:
  Exchange* New(ExchangeOwner* owner, const CommandSpec* spec, int protocol, int64_t now_micros);
  // The session has written the reply.
  void Written(Exchange* exchange);
  size_t in_use() const { return in_use_; }

 private:
  friend class Exchange;
  void Recycle(Exchange* exchange);

  size_t in_use_ = 0;
  std::vector<std::unique_ptr<Exchange>> free_;
};

}  // namespace kvs
