#include "proxy/route/router.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <unordered_map>
#include <utility>

#include "common/base/strings.h"
#include "common/command/sort_request.h"
#include "common/resp/request_parser.h"
#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

Exchange::Shape ShapeOf(Merge merge) {
  switch (merge) {
    case Merge::kGather:
      return Exchange::Shape::kGather;
    case Merge::kSum:
    case Merge::kMin:
      return Exchange::Shape::kSum;
    case Merge::kAllOk:
      return Exchange::Shape::kAllOk;
    case Merge::kConcat:
      return Exchange::Shape::kConcat;
    case Merge::kMax:
      return Exchange::Shape::kMax;
    case Merge::kMinEach:
      return Exchange::Shape::kMinEach;
    case Merge::kAnyOk:
      return Exchange::Shape::kAnyOk;
    case Merge::kSame:
      return Exchange::Shape::kSame;
    case Merge::kLongest:
      return Exchange::Shape::kLongest;
    case Merge::kUnion:
      return Exchange::Shape::kUnion;
    case Merge::kSumPairs:
      return Exchange::Shape::kSumPairs;
    case Merge::kFirstNonNull:
      return Exchange::Shape::kAnyOf;
    case Merge::kCursor:
      return Exchange::Shape::kScan;
    case Merge::kNone:
      return Exchange::Shape::kForward;
  }
  return Exchange::Shape::kForward;
}

// Appends "*count\r\n".
void AppendArrayHeader(size_t count, std::string* out) {
  RespWriter(2, out).Array(count);
}

// Of "*count\r\n$size\r\n\r\n", at most.
constexpr size_t kMaxGroupHeader = 48;

// Scratch that has grown beyond this is given back.
constexpr size_t kMaxScratch = 64 * 1024;

// Returns the bytes of the key at `place` and the words that belong to it, as they stand in the
// frame: each word is "$size\r\nbytes\r\n", behind the end of the one before.
std::string_view InPlace(CommandArgs args, const KeyPositions& keys, size_t place) {
  const std::string_view before = args[keys.index(place) - 1];
  const std::string_view last = args[keys.index(place) + keys.step - 1];
  const char* const begin = before.data() + before.size() + 2;
  return {begin, static_cast<size_t>(last.data() + last.size() + 2 - begin)};
}

// Returns the slot that a client names; any node can word a mistake, so that is one of slot 0.
int NamedSlot(CommandArgs args) {
  int64_t slot = 0;
  const bool named = ParseInt64(args[2], &slot) && slot >= 0 && slot < kSlotCount;
  return named ? static_cast<int>(slot) : 0;
}

// Returns the words of a request that was sent before; `parser` holds them.
CommandArgs WordsOf(std::string_view request, RequestParser* parser) {
  parser->set_limits({.max_bulk_bytes = SIZE_MAX, .max_request_bytes = SIZE_MAX});
  KVS_CHECK(parser->Parse(request) == RequestParser::Outcome::kRequest);
  return parser->args();
}

// DEBUG would act on a node that the client did not choose.
std::string RefusalError(const CommandSpec& spec, CommandArgs args) {
  return IdOf(spec) == CommandId::kDebug ? "ERR " + std::string(kDebugRefusal)
                                         : UnknownCommandError(args);
}

}  // namespace

Router::Router(LinkPool* links)
    : links_(links), table_(std::make_shared<RouteTable>()), random_(Random::FromKernel()) {}

void Router::SetTable(RouteTablePtr table) {
  if (table_->known && table->epoch > 0) {
    unproven_ |= MovedBetween(*table_, *table);
    unproven_count_ = unproven_.count();
    unproven_since_ms_ = -1;
  }
  table_ = std::move(table);
  ++generation_;
  moved_from_.reset();
  shard_links_.clear();
  std::vector<NodeAddress> all = table_->shards;
  for (const NodeAddress& address : table_->shards) {
    shard_links_.push_back(links_->Get(address));
  }
  for (const std::vector<NodeAddress>& replicas : table_->replicas) {
    all.insert(all.end(), replicas.begin(), replicas.end());
  }
  SetReaders({});
  links_->Retain(all);
  UpdateShare();
}

void Router::Prove(const Exchange& exchange, uint32_t part) {
  if (exchange.generation(part) != generation_) {
    return;  // Perhaps it was the former owner.
  }
  for (const int slot : SlotsOf(exchange, part).slots) {
    unproven_.reset(static_cast<size_t>(slot));
  }
  unproven_count_ = unproven_.count();
}

void Router::ForgetUnproven(int64_t now_ms) {
  constexpr int64_t kUnprovenMs = 10'000;
  if (unproven_since_ms_ < 0) {
    unproven_since_ms_ = now_ms;
  } else if (has_unproven() && now_ms - unproven_since_ms_ > kUnprovenMs) {
    unproven_.reset();
    unproven_count_ = 0;
  }
}

// Every session asks about the same two tables, one after the other.
const MovedSlots& Router::MovedSince(const RouteTablePtr& before) {
  if (moved_from_ != before) {
    moved_ = MovedBetween(*before, *table_);
    moved_from_ = before;
  }
  return moved_;
}

void Router::SetReaders(std::vector<NodeLink*> readers) {
  readers.resize(shard_links_.size(), nullptr);
  if (readers == readers_) {
    return;
  }
  readers_ = std::move(readers);
  ++readers_version_;
  has_readers_ = std::any_of(readers_.begin(), readers_.end(),
                             [](const NodeLink* reader) { return reader != nullptr; });
}

void Router::SetShare(std::vector<SlotRange> share) {
  share_ = std::move(share);
  UpdateShare();
}

void Router::UpdateShare() {
  all_shards_.clear();
  share_shards_.clear();
  for (size_t i = 0; i < table_->shards.size(); ++i) {
    const int home = table_->HomeSlot(i);
    all_shards_.push_back(static_cast<uint32_t>(i));
    for (const SlotRange& range : share_) {
      if (range.first <= home && home <= range.last) {
        share_shards_.push_back(static_cast<uint32_t>(i));
      }
    }
  }
}

Result<int> Router::ShardOfSlot(int slot) const {
  const int shard = table_->slot_to_shard[static_cast<size_t>(slot)];
  if (shard >= 0) {
    return shard;
  }
  if (!table_->known) {
    return Status::Unavailable(
        "the proxy knows no slot map yet: the config server has not answered");
  }
  return Status::Unavailable("Hash slot not served");
}

Result<int> Router::ShardOfKey(std::string_view key) const {
  if (table_->ring == nullptr) {
    return ShardOfSlot(SlotOf(key));
  }
  const int shard = table_->ring->Find(key);
  if (shard < 0) {
    return Status::Unavailable("all servers of the pool have failed and are removed for a while");
  }
  return shard;
}

bool Router::BelongTogether(std::string_view a, std::string_view b) const {
  return table_->ring == nullptr ? SlotOf(a) == SlotOf(b)
                                 : table_->ring->Find(a) == table_->ring->Find(b);
}

Status Router::CheckPatterns(const CommandSpec& spec, CommandArgs args) const {
  if (!ReadsKeysByPattern(spec, args) || shard_count() == 1) {
    return Status::Ok();
  }
  if (table_->ring != nullptr) {
    return Status::InvalidArgument(
        "BY and GET of SORT may name keys of other servers of the pool, so only BY nosort and GET "
        "# are taken");
  }
  return ParseSort(spec, args, PatternKeys::kInSlotOfKey).status();
}

Result<int> Router::ShardOfKeys(const CommandSpec& spec, CommandArgs args, int* lane) const {
  const KeyPositions keys = FindKeys(spec, args);
  if (keys.count == 0) {
    return ShardOfSlot(0);  // The command itself words the error; any node can.
  }
  for (size_t i = 1; i < keys.count; ++i) {
    if (!BelongTogether(args[keys.index(0)], args[keys.index(i)])) {
      return Status::CrossSlot();
    }
  }
  if (table_->ring != nullptr) {
    return ShardOfKey(args[keys.index(0)]);
  }
  *lane = SlotOf(args[keys.index(0)]);
  return ShardOfSlot(*lane);
}

Footprint Router::FootprintOf(const CommandSpec& spec, CommandArgs args) const {
  Footprint footprint;
  const bool by_key = IsRoutedByKeys(spec.route);
  const bool by_channel = spec.route == Route::kByChannel;
  if (table_->ring != nullptr || (!by_key && !by_channel && spec.route != Route::kBySlot)) {
    footprint.every_slot = true;
    return footprint;
  }
  if (by_channel) {
    footprint.slots.push_back(SlotOf(args[FindRouted(spec, args).index(0)]));
    return footprint;
  }
  if (!by_key) {
    footprint.slots.push_back(NamedSlot(args));
    return footprint;
  }
  const KeyPositions keys = FindKeys(spec, args);
  for (size_t i = 0; i < keys.count; ++i) {
    footprint.slots.push_back(SlotOf(args[keys.index(i)]));
  }
  return footprint;
}

void Router::Start(Exchange* exchange, CommandArgs args, std::string_view frame,
                   const ReadBuffer* source, Scope scope) {
  const CommandSpec& spec = *exchange->spec();
  exchange->started_ = true;
  exchange->has_option_ = HasOption(spec, args);
  exchange->generation_ = generation_;
  exchange->lane_ = SlotLanes::kEverySlot;
  switch (spec.route) {
    case Route::kByKey:
      return StartByKey(exchange, args, frame, source);
    case Route::kSplitByKey:
      return StartSplit(exchange, args, frame, source);
    case Route::kJoinKeys:
      return StartJoin(exchange, args, frame, source);
    case Route::kAllShards:
    case Route::kAnyShard:
      return StartBroadcast(exchange, args, scope);
    case Route::kBySlot: {
      exchange->lane_ = NamedSlot(args);
      const Result<int> shard = ShardOfSlot(exchange->lane_);
      if (!shard.ok()) {
        return exchange->Fail(shard.status());
      }
      return Forward(exchange, *shard, args, frame, source);
    }
    case Route::kByChannel: {
      const std::string_view channel = args[FindRouted(spec, args).index(0)];
      if (table_->ring == nullptr) {
        exchange->lane_ = SlotOf(channel);
      }
      const Result<int> shard = ShardOfChannel(channel);
      if (!shard.ok()) {
        return exchange->Fail(shard.status());
      }
      return Forward(exchange, *shard, args, frame, source);
    }
    case Route::kPinned:
      return GoesAlone(spec, args) ? StartPinned(exchange, args, frame, source)
                                   : StartByKey(exchange, args, frame, source);
    case Route::kProxy:
      return exchange->Answer("-" + UnknownCommandError(args) + "\r\n");
    case Route::kRefused:
      return exchange->Answer("-" + RefusalError(spec, args) + "\r\n");
  }
}

void Router::StartByKey(Exchange* exchange, CommandArgs args, std::string_view frame,
                        const ReadBuffer* source) {
  const Result<int> shard = ShardOfKeys(*exchange->spec(), args, &exchange->lane_);
  if (!shard.ok()) {
    return exchange->Fail(shard.status());
  }
  if (const Status status = CheckPatterns(*exchange->spec(), args); !status.ok()) {
    return exchange->Fail(status);
  }
  return Forward(exchange, *shard, args, frame, source);
}

void Router::Forward(Exchange* exchange, int shard, CommandArgs args, std::string_view frame,
                     const ReadBuffer* source) {
  const auto index = static_cast<size_t>(shard);
  NodeLink* const link = LinkFor(*exchange, index);
  const Route route = exchange->spec()->route;
  if (table_->epoch > 0 &&
      (IsRoutedByKeys(route) || route == Route::kByChannel || route == Route::kPinned)) {
    if (frame.empty()) {
      encoded_.clear();
      EncodeRequest(args, &encoded_);
      frame = encoded_;
    }
    exchange->KeepRequest(frame, source);
  }
  Status status = SendTo(link, exchange, args, frame, source);
  if (!status.ok() && link != shard_links_[index]) {
    // The replica refuses for now; nothing was sent.
    status = SendTo(shard_links_[index], exchange, args, frame, source);
  } else if (link != shard_links_[index]) {
    ++replica_reads_;
  }
  if (!status.ok()) {
    exchange->OnFailure(0, status, /*sent=*/false);
  }
}

// Over a link of the session's own.
void Router::StartPinned(Exchange* exchange, CommandArgs args, std::string_view frame,
                         const ReadBuffer* source) {
  const Result<int> shard = ShardOfKeys(*exchange->spec(), args, &exchange->lane_);
  if (!shard.ok()) {
    return exchange->Fail(shard.status());
  }
  if (frame.empty()) {
    encoded_.clear();
    EncodeRequest(args, &encoded_);
    frame = encoded_;
  }
  if (table_->epoch > 0) {
    exchange->KeepRequest(frame, source);
  }
  NodeLink* const link = exchange->owner_->OwnLink(AddressOf(*shard));
  const Status status = link->Send(frame, exchange, 0);
  if (!status.ok()) {
    return exchange->OnFailure(0, status, /*sent=*/false);
  }
  link->Flush();
}

void Router::StartTransaction(Exchange* exchange, std::string_view block, size_t requests,
                              int shard, int lane, NodeLink* link) {
  exchange->started_ = true;
  exchange->generation_ = generation_;
  exchange->lane_ = lane;
  exchange->requests_in_block_ = requests;
  if (table_->epoch > 0) {
    exchange->may_be_refused_ = link == nullptr;  // What is watched is watched at one node.
    exchange->request_.assign(block);
  }
  const bool own = link != nullptr;
  link = own ? link : shard_links_[static_cast<size_t>(shard)];
  const Status status = link->SendBlock(block, static_cast<uint32_t>(requests), exchange);
  if (!status.ok()) {
    return exchange->OnFailure(exchange->LastTag(), status, /*sent=*/false);
  }
  if (own) {
    link->Flush();
  }
}

Status Router::SendTo(NodeLink* link, Exchange* exchange, CommandArgs args, std::string_view frame,
                      const ReadBuffer* source) {
  if (frame.empty()) {
    encoded_.clear();
    EncodeRequest(args, &encoded_);
    return link->Send(encoded_, exchange, 0);
  }
  if (frame.size() >= kShareThreshold && source != nullptr) {
    return link->Send(source->Share(0, frame.size()), exchange, 0);
  }
  return link->Send(frame, exchange, 0);
}

void Router::StartSplit(Exchange* exchange, CommandArgs args, std::string_view frame,
                        const ReadBuffer* source) {
  const KeyPositions keys = FindKeys(*exchange->spec(), args);
  if (!keys.complete) {
    return exchange->Answer("-" + WrongArityError(*exchange->spec()) + "\r\n");
  }
  const Result<int> part_count = GroupKeys(args, keys);
  if (!part_count.ok()) {
    return exchange->Fail(part_count.status());
  }
  if (*part_count == 1) {
    return Forward(exchange, key_shards_.front(), args, frame, source);
  }
  SendSplit(exchange, args, frame.empty() ? Framing::kNone : Framing::kInPlace, keys, *part_count);
}

Result<int> Router::GroupKeys(CommandArgs args, const KeyPositions& keys) {
  key_shards_.clear();
  part_of_shard_.assign(table_->shards.size(), -1);
  int part_count = 0;
  for (size_t i = 0; i < keys.count; ++i) {
    KVS_ASSIGN_OR_RETURN(const int shard, ShardOfKey(args[keys.index(i)]));
    int& part = part_of_shard_[static_cast<size_t>(shard)];
    if (part < 0) {
      part = part_count++;
    }
    key_shards_.push_back(shard);
  }
  return part_count;
}

void Router::SendSplit(Exchange* exchange, CommandArgs args, Framing framing,
                       const KeyPositions& keys, int part_count) {
  exchange->SetShape(ShapeOf(exchange->spec()->merge));
  exchange->parts_.resize(static_cast<size_t>(part_count));
  exchange->parts_left_ = static_cast<uint32_t>(part_count);
  std::vector<uint32_t> places(static_cast<size_t>(part_count));
  for (size_t part = 0; part < places.size(); ++part) {
    places[part] = static_cast<uint32_t>(part);
  }
  for (size_t i = 0; i < keys.count; ++i) {
    exchange->key_parts_.push_back(
        static_cast<uint32_t>(part_of_shard_[static_cast<size_t>(key_shards_[i])]));
  }
  SendGroups(exchange, args, framing, keys, places);
}

// The first group takes the place of the refused part, the others are new parts.
void Router::ResendPart(Exchange* exchange, uint32_t part, CommandArgs args) {
  const KeyPositions keys = FindKeys(*exchange->spec(), args);
  const Result<int> group_count = GroupKeys(args, keys);
  if (!group_count.ok()) {
    return exchange->OnFailure(part, group_count.status(), /*sent=*/false);
  }
  std::vector<uint32_t> places = {part};
  while (places.size() < static_cast<size_t>(*group_count)) {
    places.push_back(static_cast<uint32_t>(exchange->parts_.size()));
    exchange->parts_.emplace_back();
    ++exchange->parts_left_;
  }
  size_t key = 0;
  for (uint32_t& key_part : exchange->key_parts_) {
    if (key_part == part) {
      const auto shard = static_cast<size_t>(key_shards_[key++]);
      key_part = places[static_cast<size_t>(part_of_shard_[shard])];
    }
  }
  exchange->parts_[part].key_count = 0;
  SendGroups(exchange, args, Framing::kInPlace, keys, places);
}

// Sends the groups of GroupKeys(); group i is the part places[i].
void Router::SendGroups(Exchange* exchange, CommandArgs args, Framing framing,
                        const KeyPositions& keys, const std::vector<uint32_t>& places) {
  std::vector<size_t> shards(places.size());
  std::vector<size_t> sizes(places.size(), kMaxGroupHeader + args[0].size());
  for (size_t i = 0; i < keys.count; ++i) {
    const auto shard = static_cast<size_t>(key_shards_[i]);
    const auto group = static_cast<size_t>(part_of_shard_[shard]);
    ++exchange->parts_[places[group]].key_count;
    shards[group] = shard;
    sizes[group] += framing == Framing::kInPlace ? InPlace(args, keys, i).size() : 0;
  }
  requests_.resize(std::max(requests_.size(), places.size()));
  for (size_t group = 0; group < places.size(); ++group) {
    ExchangePart& part = exchange->parts_[places[group]];
    part.node = LinkFor(*exchange, shards[group])->shared_name();
    requests_[group].clear();
    requests_[group].reserve(sizes[group]);
    AppendArrayHeader(1 + part.key_count * keys.step, &requests_[group]);
    RespWriter(2, &requests_[group]).Bulk(args[0]);
  }
  for (size_t i = 0; i < keys.count; ++i) {
    const int group = part_of_shard_[static_cast<size_t>(key_shards_[i])];
    std::string* const request = &requests_[static_cast<size_t>(group)];
    if (framing == Framing::kInPlace) {
      request->append(InPlace(args, keys, i));
      continue;
    }
    for (size_t j = 0; j < keys.step; ++j) {
      RespWriter(2, request).Bulk(args[keys.index(i) + j]);
    }
  }
  const bool kept = table_->epoch > 0;
  exchange->may_be_refused_ = kept;
  for (size_t group = 0; group < places.size(); ++group) {
    exchange->parts_[places[group]].generation = generation_;
    if (kept) {
      exchange->parts_[places[group]].request = std::move(requests_[group]);
    }
  }
  for (size_t group = 0; group < places.size(); ++group) {
    SendPart(exchange, places[group], shards[group],
             kept ? exchange->parts_[places[group]].request : requests_[group]);
    if (requests_[group].capacity() > kMaxScratch) {
      std::string().swap(requests_[group]);
    }
  }
}

// Keys of one shard are joined there.  The others are read one by one, so that each read is of one
// slot and can be sent again by itself.
void Router::StartJoin(Exchange* exchange, CommandArgs args, std::string_view frame,
                       const ReadBuffer* source) {
  const CommandSpec& spec = *exchange->spec();
  const Result<int> shard = ShardOfKeys(spec, args, &exchange->lane_);
  if (shard.ok()) {
    return Forward(exchange, *shard, args, frame, source);
  }
  if (shard.status().code() != Code::kCrossSlot) {
    return exchange->Fail(shard.status());
  }
  const KeyPositions keys = FindKeys(spec, args);
  const Result<int> part_count = GroupKeys(args, keys);
  if (!part_count.ok()) {
    return exchange->Fail(part_count.status());
  }
  if (*part_count == 1) {
    return Forward(exchange, key_shards_.front(), args, frame, source);
  }
  Result<JoinRequest> join = ParseJoinKeys(spec, args);
  const Status options = join.ok() ? ParseJoinOptions(spec, args, &*join) : join.status();
  if (!options.ok()) {
    return exchange->Fail(options);
  }
  if (keys.count > kMaxJoinedKeys) {
    return exchange->Fail(Status::InvalidArgument(
        fmt::format("keys on several nodes are joined by the proxy, and no more than {} of them",
                    kMaxJoinedKeys)));
  }
  exchange->SetShape(Exchange::Shape::kJoin);
  exchange->join_ = std::make_unique<JoinRequest>(*std::move(join));
  // A key that is named twice is read once.
  std::vector<std::string_view> distinct;
  std::unordered_map<std::string_view, uint32_t> parts;
  for (size_t i = 0; i < keys.count; ++i) {
    const std::string_view key = args[keys.index(i)];
    const auto [part, is_new] = parts.try_emplace(key, static_cast<uint32_t>(distinct.size()));
    exchange->key_parts_.push_back(part->second);
    if (is_new) {
      distinct.push_back(key);
    }
  }
  exchange->parts_.resize(distinct.size());
  exchange->parts_left_ = static_cast<uint32_t>(distinct.size());
  for (uint32_t i = 0; i < distinct.size(); ++i) {
    SendJoinRead(exchange, i, distinct[i]);
  }
}

void Router::SendJoinRead(Exchange* exchange, uint32_t part, std::string_view key) {
  const Result<int> shard = ShardOfKey(key);
  if (!shard.ok()) {
    return exchange->OnFailure(part, shard.status(), /*sent=*/false);
  }
  std::string request;
  EncodeJoinRead(*exchange->join_, key, &request);
  exchange->parts_[part].generation = generation_;
  exchange->parts_[part].node = LinkFor(*exchange, static_cast<size_t>(*shard))->shared_name();
  if (table_->epoch > 0) {
    exchange->may_be_refused_ = true;
    exchange->parts_[part].request = request;
  }
  SendPart(exchange, part, static_cast<size_t>(*shard), request);
}

void Router::Resend(Exchange* exchange, uint32_t part) {
  const std::string request = exchange->TakeRequest(part);
  if (exchange->is_transaction()) {
    const Result<int> shard = ShardOfSlot(exchange->lane());
    if (!shard.ok()) {
      return exchange->OnFailure(exchange->LastTag(), shard.status(), /*sent=*/false);
    }
    return StartTransaction(exchange, request, exchange->requests_in_block_, *shard,
                            exchange->lane(), nullptr);
  }
  RequestParser parser;
  const CommandArgs args = WordsOf(request, &parser);
  exchange->set_from_replica(false);
  if (exchange->is_join()) {
    SendJoinRead(exchange, part, KeyOfJoinRead(*exchange->join_, args));
  } else if (!exchange->has_parts()) {
    Start(exchange, args, request, nullptr);
  } else {
    ResendPart(exchange, part, args);
  }
}

Footprint Router::SlotsOf(const Exchange& exchange, uint32_t part) const {
  const std::string_view request = exchange.request(part);
  if (exchange.lane() != SlotLanes::kEverySlot) {
    return {.every_slot = false, .slots = {exchange.lane()}};
  }
  if (request.empty()) {
    return {.every_slot = true, .slots = {}};
  }
  RequestParser parser;
  const CommandArgs args = WordsOf(request, &parser);
  if (exchange.is_join() && table_->ring == nullptr) {
    return {.every_slot = false, .slots = {SlotOf(KeyOfJoinRead(*exchange.join_, args))}};
  }
  return FootprintOf(*exchange.spec(), args);
}

bool Router::Follow(int slot, std::string_view owner) {
  const Result<NodeAddress> address = ParseAddress(owner);
  const auto& shards = table_->shards;
  const auto found =
      address.ok() ? std::find(shards.begin(), shards.end(), *address) : shards.end();
  const auto shard = static_cast<int16_t>(found - shards.begin());
  if (found == shards.end() || table_->slot_to_shard[static_cast<size_t>(slot)] == shard) {
    return false;
  }
  auto table = std::make_shared<RouteTable>(*table_);
  table->slot_to_shard[static_cast<size_t>(slot)] = shard;
  SetTable(std::move(table));
  return true;
}

void Router::SendPart(Exchange* exchange, uint32_t part, size_t shard, std::string_view request) {
  NodeLink* const link = LinkFor(*exchange, shard);
  Status status = link->Send(request, exchange, part);
  if (!status.ok() && link != shard_links_[shard]) {
    status = shard_links_[shard]->Send(request, exchange, part);
  } else if (link != shard_links_[shard]) {
    ++replica_reads_;
  }
  if (!status.ok()) {
    exchange->OnFailure(part, status, /*sent=*/false);
  }
}

void Router::StartBroadcast(Exchange* exchange, CommandArgs args, Scope scope) {
  if (table_->shards.empty()) {
    const Result<int> shard = ShardOfSlot(0);
    return exchange->Fail(shard.ok() ? Status::Unavailable("the namespace has no shards")
                                     : shard.status());
  }
  const Merge merge = exchange->spec()->merge;
  const bool adds_up = merge == Merge::kSum || merge == Merge::kConcat || merge == Merge::kCursor;
  const bool shared = scope == Scope::kShare && exchange->spec()->is_read() && adds_up;
  const std::vector<uint32_t>& shards = shared ? share_shards_ : all_shards_;
  if (shards.empty()) {
    return exchange->Answer(merge == Merge::kSum      ? ":0\r\n"
                            : merge == Merge::kConcat ? "*0\r\n"
                                                      : "*2\r\n$1\r\n0\r\n*0\r\n");
  }
  merge == Merge::kCursor ? StartScan(exchange, args, shards)
                          : StartAllShards(exchange, args, shards);
}

void Router::StartAllShards(Exchange* exchange, CommandArgs args,
                            const std::vector<uint32_t>& shards) {
  encoded_.clear();
  EncodeRequest(args, &encoded_);
  exchange->SetShape(ShapeOf(exchange->spec()->merge));
  if (exchange->shape_ == Exchange::Shape::kForward) {
    return Forward(exchange, 0, args, encoded_, nullptr);
  }
  exchange->random_ = random_.Next();
  exchange->parts_.resize(shards.size());
  exchange->parts_left_ = static_cast<uint32_t>(shards.size());
  for (size_t i = 0; i < shards.size(); ++i) {
    exchange->parts_[i].node = shard_links_[shards[i]]->shared_name();
  }
  for (size_t i = 0; i < shards.size(); ++i) {
    SendPart(exchange, static_cast<uint32_t>(i), shards[i], encoded_);
  }
}

// A cursor is a node's cursor times the number of shards, plus the shard.  `shards` are walked in
// order; one that is no more among them is walked to its end.
void Router::StartScan(Exchange* exchange, CommandArgs args, const std::vector<uint32_t>& shards) {
  uint64_t cursor = 0;
  if (!ParseUint64(args[1], &cursor)) {
    return exchange->Answer("-ERR invalid cursor\r\n");
  }
  const auto shard_count = static_cast<uint64_t>(shard_links_.size());
  const auto shard = cursor == 0 ? shards.front() : static_cast<uint32_t>(cursor % shard_count);
  const auto next = std::upper_bound(shards.begin(), shards.end(), shard);
  const std::string node_cursor = std::to_string(cursor / shard_count);
  std::vector<std::string_view> rewritten(args.begin(), args.end());
  rewritten[1] = node_cursor;
  exchange->SetShape(Exchange::Shape::kScan);
  exchange->scan_shard_ = shard;
  exchange->scan_next_ = next == shards.end() ? 0 : *next;
  exchange->scan_shards_ = static_cast<uint32_t>(shard_count);
  Forward(exchange, static_cast<int>(shard), rewritten, {}, nullptr);
}

}  // namespace kvs
