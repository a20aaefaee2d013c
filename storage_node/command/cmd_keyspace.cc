// DBSIZE, RANDOMKEY, FLUSHALL and FLUSHDB: commands on all keys of the owned slots; and how many
// one slot has.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "common/base/random.h"
#include "common/base/strings.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/keyspace.h"

namespace kvs {
namespace {

// A slot with up to this many keys is sampled by counting from its first key.
constexpr uint64_t kSmallSlot = 256;
// How far a sample may walk: beyond a random place, and over expired keys.
constexpr uint64_t kMaxWalk = 64;
constexpr int kMaxSamples = 16;
// Expired keys that DBSIZE looks at: about a millisecond's worth.
constexpr uint64_t kMaxExpiredCounted = 5000;
// The bytes of a random place behind what all keys of the slot begin with.
constexpr int kRandomBytes = 8;

template <typename Visit>
void ForEachOwnedSlot(const CommandContext& ctx, Visit visit) {
  for (size_t slot = ctx.owned_slots->_Find_first(); slot < ctx.owned_slots->size();
       slot = ctx.owned_slots->_Find_next(slot)) {
    visit(static_cast<uint16_t>(slot));
  }
}

// Returns how many stored keys of the slot have expired, at most `limit`.
Result<uint64_t> CountExpired(Store* store, uint16_t slot, int64_t now_ms, uint64_t limit) {
  if (limit == 0 || store->slots().due_ms(slot) > now_ms) {
    return 0;
  }
  const uint32_t generation = store->slots().generation(slot);
  std::string lower;
  AppendKeyPrefix(slot, generation, KeyTag::kExpiry, &lower);
  const std::string upper = ExpiryKey(slot, generation, static_cast<uint64_t>(now_ms) + 1, {});
  KVS_ASSIGN_OR_RETURN(const std::unique_ptr<MergedIterator> it,
                       store->NewIterator(slot, lower, upper));
  uint64_t count = 0;
  for (it->SeekToFirst(); it->Valid() && count < limit; it->Next()) {
    ++count;
  }
  KVS_RETURN_IF_ERROR(it->status());
  return count;
}

// Returns how many live keys the slot has, 0 if it is not ours.  Expired keys count once more than
// `*left_to_count` of them have been found, which goes down by what is found.
Result<uint64_t> CountLive(const CommandContext& ctx, uint16_t slot, uint64_t* left_to_count) {
  Store* store = ctx.txn->store();
  const uint64_t stored = ctx.owned_slots->test(slot) ? store->slots().key_count(slot) : 0;
  if (stored == 0) {
    return 0;
  }
  KVS_ASSIGN_OR_RETURN(const uint64_t expired,
                       CountExpired(store, slot, ctx.txn->NowMillis(), *left_to_count));
  *left_to_count -= expired;
  return stored - std::min(stored, expired);  // They are read one after the other.
}

// Returns a slot, each with a chance in proportion to its keys; nothing if there are no keys.
std::optional<uint16_t> PickSlot(const CommandContext& ctx, Random* random) {
  const SlotTable& slots = ctx.txn->store()->slots();
  uint64_t total = 0;
  ForEachOwnedSlot(ctx, [&](uint16_t slot) { total += slots.key_count(slot); });
  if (total == 0) {
    return std::nullopt;
  }
  uint64_t rest = random->Uniform(total);
  std::optional<uint16_t> picked;
  ForEachOwnedSlot(ctx, [&](uint16_t slot) {
    const uint64_t count = slots.key_count(slot);
    if (picked.has_value() || count == 0) {
      return;
    }
    if (rest < count) {
      picked = slot;
    } else {
      rest -= count;
    }
  });
  return picked;
}

// Returns a place between two keys: what they have in common and then bytes of the kind that they
// are made of, so that it falls among keys of the same look and not behind all of them.
std::string PlaceBetween(std::string_view first, std::string_view last, Random* random) {
  const auto parted = std::mismatch(first.begin(), first.end(), last.begin(), last.end());
  const auto common = static_cast<size_t>(parted.first - first.begin());
  std::string place(first.substr(0, common));
  const std::string tail = std::string(first.substr(common)) + std::string(last.substr(common));
  if (tail.empty()) {
    return place;
  }
  const auto less = [](char a, char b) {
    return static_cast<unsigned char>(a) < static_cast<unsigned char>(b);
  };
  const auto [low, high] = std::minmax_element(tail.begin(), tail.end(), less);
  const auto low_byte = static_cast<unsigned char>(*low);
  const uint64_t width = static_cast<unsigned char>(*high) - uint64_t{low_byte} + 1;
  for (int i = 0; i < kRandomBytes; ++i) {
    place.push_back(static_cast<char>(low_byte + random->Uniform(width)));
  }
  return place;
}

// Moves to a random key of a large slot.
Status SeekRandomly(SlotKeys* keys, Random* random) {
  std::string first;
  std::string last;
  if (!keys->FindBounds(&first, &last)) {
    return keys->status();
  }
  keys->Seek(PlaceBetween(first, last, random));
  if (!keys->Valid() && keys->status().ok()) {
    keys->SeekToFirst();
  }
  return keys->status();
}

// Returns a live key of the slot, or nothing if it met only expired ones.
Result<std::optional<std::string>> SampleKey(Store* store, uint16_t slot, int64_t now_ms,
                                             Random* random) {
  KVS_ASSIGN_OR_RETURN(SlotKeys keys, SlotKeys::Open(store, slot, now_ms));
  const uint64_t count = store->slots().key_count(slot);
  uint64_t skip = random->Uniform(kMaxWalk);
  if (count <= kSmallSlot) {
    keys.SeekToFirst();
    skip = count == 0 ? 0 : random->Uniform(count);
  } else {
    KVS_RETURN_IF_ERROR(SeekRandomly(&keys, random));
  }
  std::optional<std::string> found;
  for (uint64_t step = 0; keys.Valid() && step <= skip + kMaxWalk; ++step, keys.Next()) {
    if (!keys.expired()) {
      found = std::string(keys.user_key());  // Near the end the last live one will do.
      if (step >= skip) {
        break;
      }
    }
  }
  KVS_RETURN_IF_ERROR(keys.status());
  return found;
}

// The way out when samples find nothing but expired keys.
Result<std::optional<std::string>> FirstLiveKey(const CommandContext& ctx) {
  Store* store = ctx.txn->store();
  for (int i = 0; i < kSlotCount; ++i) {
    const auto slot = static_cast<uint16_t>(i);
    if (!ctx.owned_slots->test(slot) || store->slots().key_count(slot) == 0) {
      continue;
    }
    KVS_ASSIGN_OR_RETURN(SlotKeys keys, SlotKeys::Open(store, slot, ctx.txn->NowMillis()));
    for (keys.SeekToFirst(); keys.Valid(); keys.Next()) {
      if (!keys.expired()) {
        return std::optional<std::string>(keys.user_key());
      }
    }
    KVS_RETURN_IF_ERROR(keys.status());
  }
  return std::optional<std::string>();
}

Result<std::optional<std::string>> RandomLiveKey(const CommandContext& ctx) {
  thread_local Random random = Random::FromKernel();
  for (int i = 0; i < kMaxSamples; ++i) {
    const std::optional<uint16_t> slot = PickSlot(ctx, &random);
    if (!slot.has_value()) {
      return std::optional<std::string>();
    }
    KVS_ASSIGN_OR_RETURN(std::optional<std::string> key,
                         SampleKey(ctx.txn->store(), *slot, ctx.txn->NowMillis(), &random));
    if (key.has_value()) {
      return key;
    }
  }
  return FirstLiveKey(ctx);
}

// Nothing is copied or deleted now: the slots' keys become invisible together and are swept later,
// so SYNC and ASYNC are the same.
Status Flush(CommandContext& ctx) {
  if (ctx.argc() > 2 || (ctx.argc() == 2 && !EqualsIgnoreCase(ctx.arg(1), "ASYNC") &&
                         !EqualsIgnoreCase(ctx.arg(1), "SYNC"))) {
    return Status::InvalidArgument("syntax error");
  }
  if (!ctx.txn->LockAll()) {
    return Status::Unavailable("a script holds the keys");
  }
  const SlotTable& slots = ctx.txn->store()->slots();
  ForEachOwnedSlot(ctx, [&](uint16_t slot) {
    if (slots.key_count(slot) > 0) {
      ctx.txn->StartNewGeneration(slot);
    }
  });
  KVS_RETURN_IF_ERROR(ctx.txn->Commit());
  ctx.reply.Ok();
  return Status::Ok();
}

}  // namespace

// CLUSTER COUNTKEYSINSLOT slot
Status CmdClusterCountKeysInSlot(CommandContext& ctx) {
  int64_t slot = 0;
  if (!ParseInt64(ctx.arg(2), &slot)) {
    return Status::InvalidArgument("value is not an integer or out of range");
  }
  if (slot < 0 || slot >= kSlotCount) {
    return Status::InvalidArgument("Invalid slot");
  }
  KVS_RETURN_IF_ERROR(ctx.txn->Commit());
  uint64_t left_to_count = kMaxExpiredCounted;
  KVS_ASSIGN_OR_RETURN(const uint64_t count,
                       CountLive(ctx, static_cast<uint16_t>(slot), &left_to_count));
  ctx.txn->ObserveAll();
  ctx.reply.Integer(static_cast<int64_t>(count));
  return Status::Ok();
}

// DBSIZE.  Expired keys that the sweeper has not come to are left out, unless they are so many that
// counting them would hold up others: then the rest counts, as it always does in Redis.
Status CmdDbSize(CommandContext& ctx) {
  KVS_RETURN_IF_ERROR(ctx.txn->Commit());
  uint64_t total = 0;
  uint64_t left_to_count = kMaxExpiredCounted;
  for (int i = 0; i < kSlotCount; ++i) {
    KVS_ASSIGN_OR_RETURN(const uint64_t count,
                         CountLive(ctx, static_cast<uint16_t>(i), &left_to_count));
    total += count;
  }
  ctx.txn->ObserveAll();
  ctx.reply.Integer(static_cast<int64_t>(total));
  return Status::Ok();
}

// FLUSHALL [ASYNC | SYNC]
Status CmdFlushAll(CommandContext& ctx) {
  return Flush(ctx);
}

// FLUSHDB [ASYNC | SYNC]
Status CmdFlushDb(CommandContext& ctx) {
  return Flush(ctx);
}

// RANDOMKEY
Status CmdRandomKey(CommandContext& ctx) {
  KVS_RETURN_IF_ERROR(ctx.txn->Commit());
  KVS_ASSIGN_OR_RETURN(const std::optional<std::string> key, RandomLiveKey(ctx));
  ctx.txn->ObserveAll();
  if (key.has_value()) {
    ctx.reply.Bulk(*key);
  } else {
    ctx.reply.Null();
  }
  return Status::Ok();
}

}  // namespace kvs
