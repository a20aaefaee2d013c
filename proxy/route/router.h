// Router: sends a client's request to the nodes that its keys belong to.
//
// Requests whose keys live on one node travel as they came.  Others are grouped by node, one
// request for each, or become one read of each key, and the replies are merged by Exchange.
//
// Threads: loop-owned.
// Owner:   ProxyWorker.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/random.h"
#include "common/command/command_table.h"
#include "proxy/backend/link_pool.h"
#include "proxy/route/exchange.h"
#include "proxy/route/route_table.h"

namespace kvs {

class Router {
 public:
  explicit Router(LinkPool* links);

  // Routes by another table from now on.  Links to nodes that are gone are closed.
  void SetTable(RouteTablePtr table);
  const RouteTablePtr& table() const { return table_; }
  // Returns the slots whose owner in the table differs from the one in `before`.
  const MovedSlots& MovedSince(const RouteTablePtr& before);

  // Requests that may be answered by a replica go to these links from now on, one for each shard,
  // nullptr for its master.  Empty: all go to masters.
  void SetReaders(std::vector<NodeLink*> readers);
  bool has_readers() const { return has_readers_; }
  // Changes whenever a shard's reader does.
  uint64_t readers_version() const { return readers_version_; }
  // Requests, or parts of them, that replicas were sent.
  uint64_t replica_reads() const { return replica_reads_; }

  // The part of the slots that this proxy stands for where clients ask all proxies.  A shard is
  // part of it if its first slot is: so that each shard is counted by exactly one proxy.
  void SetShare(std::vector<SlotRange> share);

  enum class Scope : uint8_t {
    kAll,
    kShare,  // DBSIZE, KEYS and SCAN are answered for the share.
  };

  // Sends the request, whose bytes are `frame` (a complete RESP array, into which `args` point;
  // empty for an inline request). `source` holds the frame, for large ones to be referenced; may be
  // nullptr. The exchange may be done when this returns. REQUIRES: the row is routed to nodes, its
  // arity fits
  void Start(Exchange* exchange, CommandArgs args, std::string_view frame, const ReadBuffer* source,
             Scope scope = Scope::kAll);
  // Sends a transaction: `block` is MULTI, the commands and EXEC, so many `requests`, for the shard
  // of `lane`; over `link`, or over the one that all share if it is nullptr.
  // REQUIRES: exchange->is_transaction()
  void StartTransaction(Exchange* exchange, std::string_view block, size_t requests, int shard,
                        int lane, NodeLink* link);
  // Returns the shard of all keys of a command, or an error.  `*lane` is their slot, unless a ring
  // decides.  kCrossSlot: they do not belong to one
  Result<int> ShardOfKeys(const CommandSpec& spec, CommandArgs args, int* lane) const;
  // Returns an error if a SORT may need keys of other shards than its own.
  Status CheckPatterns(const CommandSpec& spec, CommandArgs args) const;
  // Whether commands that need all their keys in one place take these two.
  bool BelongTogether(std::string_view a, std::string_view b) const;
  // Returns the shard that a channel's messages are published at.
  Result<int> ShardOfChannel(std::string_view channel) const { return ShardOfKey(channel); }
  const NodeAddress& AddressOf(int shard) const {
    return table_->shards[static_cast<size_t>(shard)];
  }
  size_t shard_count() const { return table_->shards.size(); }
  // Sends a refused request, or part of one, once more, by the table of now.
  void Resend(Exchange* exchange, uint32_t part);
  // Returns the slots of a request that was sent, or of one part; every slot if it was not kept.
  Footprint SlotsOf(const Exchange& exchange, uint32_t part) const;
  // Believes a node that refused a request for the slot: its owner is another shard of the table,
  // until the next table.  Returns whether that is news; never for an owner that the table lacks.
  bool Follow(int slot, std::string_view owner);
  // Changes with the table.
  uint64_t generation() const { return generation_; }
  // The slots whose new owner has not executed anything yet, for some seconds after a change: it
  // may not know that it is the owner.  A session sends it one request of a slot and then waits.
  const MovedSlots& unproven() const { return unproven_; }
  bool has_unproven() const { return unproven_count_ > 0; }
  // The exchange, or a part of it, has been executed.
  void Prove(const Exchange& exchange, uint32_t part);
  // Housekeeping; now and then.
  void ForgetUnproven(int64_t now_ms);
  // Returns the slots that a request touches, as Start() would send it.
  Footprint FootprintOf(const CommandSpec& spec, CommandArgs args) const;

 private:
  Result<int> ShardOfSlot(int slot) const;
  Result<int> ShardOfKey(std::string_view key) const;
  void StartByKey(Exchange* exchange, CommandArgs args, std::string_view frame,
                  const ReadBuffer* source);
  void StartPinned(Exchange* exchange, CommandArgs args, std::string_view frame,
                   const ReadBuffer* source);
  NodeLink* LinkFor(const Exchange& exchange, size_t shard) const {
    NodeLink* const reader = exchange.from_replica() ? readers_[shard] : nullptr;
    return reader != nullptr ? reader : shard_links_[shard];
  }
  void Forward(Exchange* exchange, int shard, CommandArgs args, std::string_view frame,
               const ReadBuffer* source);
  void StartSplit(Exchange* exchange, CommandArgs args, std::string_view frame,
                  const ReadBuffer* source);
  // Whether the words stand in one frame as a client or Exchange::request() has encoded them.
  enum class Framing : uint8_t { kNone, kInPlace };
  void SendSplit(Exchange* exchange, CommandArgs args, Framing framing, const KeyPositions& keys,
                 int part_count);
  void StartJoin(Exchange* exchange, CommandArgs args, std::string_view frame,
                 const ReadBuffer* source);
  // Sends what reads the key that is part `part` of a join.
  void SendJoinRead(Exchange* exchange, uint32_t part, std::string_view key);
  // Groups the keys by shard.  Returns the number of groups, or why a key has no shard.
  Result<int> GroupKeys(CommandArgs args, const KeyPositions& keys);
  void ResendPart(Exchange* exchange, uint32_t part, CommandArgs args);
  void SendGroups(Exchange* exchange, CommandArgs args, Framing framing, const KeyPositions& keys,
                  const std::vector<uint32_t>& places);
  void StartBroadcast(Exchange* exchange, CommandArgs args, Scope scope);
  void StartAllShards(Exchange* exchange, CommandArgs args, const std::vector<uint32_t>& shards);
  void StartScan(Exchange* exchange, CommandArgs args, const std::vector<uint32_t>& shards);
  void UpdateShare();
  Status SendTo(NodeLink* link, Exchange* exchange, CommandArgs args, std::string_view frame,
                const ReadBuffer* source);
  void SendPart(Exchange* exchange, uint32_t part, size_t shard, std::string_view request);

  LinkPool* const links_;
  RouteTablePtr table_;
  uint64_t generation_ = 0;
  MovedSlots unproven_;
  size_t unproven_count_ = 0;
  int64_t unproven_since_ms_ = -1;  // -1: ForgetUnproven() has not seen them yet.
  std::vector<NodeLink*> shard_links_;
  std::vector<NodeLink*> readers_;  // As many.
  bool has_readers_ = false;
  uint64_t readers_version_ = 0;
  uint64_t replica_reads_ = 0;
  RouteTablePtr moved_from_;  // What moved_ compares table_ with; null: nothing yet.
  MovedSlots moved_;
  std::vector<SlotRange> share_ = {{0, kSlotCount - 1}};
  std::vector<uint32_t> all_shards_;
  std::vector<uint32_t> share_shards_;  // Ascending, as the former.
  Random random_;

  // Scratch of StartSplit(), kept to save allocations.
  std::vector<std::string> requests_;
  std::vector<int> key_shards_;
  std::vector<int> part_of_shard_;
  std::string encoded_;
};

}  // namespace kvs
