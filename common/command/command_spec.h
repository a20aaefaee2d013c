// CommandSpec: what one row of the command table says about a command.
//
// Rows are X-macros in defs/*.def; command_table.h makes ids, the table and look-ups of them.  The
// proxy routes by a row, the node dispatches and checks by it, COMMAND and the documentation print
// it, and tests walk over all of them.
//
// Threads: immutable.

#pragma once

#include <cstdint>
#include <string_view>

#include "common/resp/resp_convert.h"

namespace kvs {

// Where a proxy sends a command.
enum class Route : uint8_t {
  kByKey,       // To the shard of its keys, which must share a slot.
  kSplitByKey,  // In parts, to the shard of each key; `merge` joins the replies.
  kJoinKeys,    // As kByKey if the keys share a shard; else the proxy reads them and joins them.
  kAllShards,   // To every shard; `merge` joins the replies.
  kAnyShard,    // To one shard that the proxy picks.
  kBySlot,      // To the shard of the slot that the second word behind the name names.
  kByChannel,   // To the shard of the slot that its channel has.
  kPinned,      // Alone: MULTI, WATCH, subscriptions, what blocks; over a connection of its own.
  kProxy,       // Nowhere: the proxy answers it.
  kRefused,     // Nowhere: makes no sense through a proxy.
};

// Whether the keys decide where a command goes, over links that all share.
constexpr bool IsRoutedByKeys(Route route) {
  return route == Route::kByKey || route == Route::kSplitByKey || route == Route::kJoinKeys;
}

// How replies of several shards become one.
enum class Merge : uint8_t {
  kNone,
  kGather,        // Arrays, element by element in the order of the request's keys.
  kSum,           // Integers are added.
  kMin,           // The smallest integer.
  kMax,           // The largest integer.
  kMinEach,       // Arrays of integers: the smallest of each place.
  kSumPairs,      // Arrays of the same names, each with a number: the numbers are added.
  kAllOk,         // +OK if all say so, else the first error.
  kAnyOk,         // +OK if one says so, else the first error.
  kSame,          // What all say, unless one says an error.
  kLongest,       // The longest: of several, the one that has most to tell.
  kConcat,        // Arrays, one behind the other.
  kUnion,         // Arrays of strings: each string once.
  kCursor,        // The cursor names the shard; the proxy rewrites it.
  kFirstNonNull,  // Shards are asked in turn until one has something.
};

enum class Group : uint8_t {
  kString,
  kHash,
  kSet,
  kList,
  kSortedSet,
  kStream,
  kHyperLogLog,
  kGeo,
  kBitmap,
  kGeneric,
  kConnection,
  kServer,
  kCluster,
  kTransactions,
  kPubSub,
  kScripting,
};

// Bits of CommandSpec::flags.  Structs and not namespace constants: the names are too common.
using CommandFlags = uint32_t;
struct Cmd {
  static constexpr CommandFlags kWrite = 1u << 0;
  static constexpr CommandFlags kRead = 1u << 1;
  static constexpr CommandFlags kDenyOom = 1u << 2;  // Refused when memory is used up.
  static constexpr CommandFlags kAdmin = 1u << 3;
  static constexpr CommandFlags kPubSub = 1u << 4;
  static constexpr CommandFlags kNoScript = 1u << 5;
  static constexpr CommandFlags kBlocking = 1u << 6;
  static constexpr CommandFlags kLoading = 1u << 7;  // Allowed while data is being loaded.
  static constexpr CommandFlags kStale = 1u << 8;    // Allowed on a slave without its master.
  static constexpr CommandFlags kFast = 1u << 9;     // O(1) or O(log n).
  static constexpr CommandFlags kNoAuth = 1u << 10;  // Allowed before AUTH.
  static constexpr CommandFlags kMayReplicate = 1u << 11;
  static constexpr CommandFlags kAllowBusy = 1u << 12;  // Allowed while a script runs.
  static constexpr CommandFlags kNoAsyncLoading = 1u << 13;
  static constexpr CommandFlags kNoMulti = 1u << 14;  // Not allowed inside a transaction.
  static constexpr CommandFlags kSkipSlowLog = 1u << 15;
  static constexpr CommandFlags kSkipMonitor = 1u << 16;
  static constexpr CommandFlags kNoMandatoryKeys = 1u << 17;  // Its count of keys may be 0.
  static constexpr CommandFlags kAsking = 1u << 18;           // ASKING belongs to it.
};

// ACL categories beyond those that follow from the flags.
using AclCategories = uint32_t;
struct Acl {
  static constexpr AclCategories kKeyspace = 1u << 0;
  static constexpr AclCategories kString = 1u << 1;
  static constexpr AclCategories kDangerous = 1u << 2;
  static constexpr AclCategories kConnection = 1u << 3;
  static constexpr AclCategories kHash = 1u << 4;
  static constexpr AclCategories kTransaction = 1u << 5;
  static constexpr AclCategories kSet = 1u << 6;
  static constexpr AclCategories kHyperLogLog = 1u << 7;
  static constexpr AclCategories kGeo = 1u << 8;
  static constexpr AclCategories kSortedSet = 1u << 9;
  static constexpr AclCategories kBitmap = 1u << 10;
  static constexpr AclCategories kList = 1u << 11;
  static constexpr AclCategories kStream = 1u << 12;
  static constexpr AclCategories kScripting = 1u << 13;
  static constexpr AclCategories kAdmin = 1u << 14;
};

// What a command does to its keys, in the words of Redis's key specifications.
using KeyUses = uint16_t;
struct KeyUse {
  static constexpr KeyUses kRO = 1u << 0;  // Reads the value.
  static constexpr KeyUses kRW = 1u << 1;  // Changes it.
  static constexpr KeyUses kOW = 1u << 2;  // Replaces it without looking.
  static constexpr KeyUses kRM = 1u << 3;  // Removes it without looking.
  static constexpr KeyUses kAccess = 1u << 4;
  static constexpr KeyUses kUpdate = 1u << 5;
  static constexpr KeyUses kInsert = 1u << 6;
  static constexpr KeyUses kDelete = 1u << 7;
  static constexpr KeyUses kVariableFlags = 1u << 8;
  static constexpr KeyUses kNotKey = 1u << 9;  // It is a channel that clients route by.
};

// Which arguments are keys; args[0] is the command's name.
struct KeyPattern {
  enum class Kind : uint8_t {
    kNone,
    kRange,
    kCounted,
    kKeyAndCounted,  // One key, and behind it counted ones (ZUNIONSTORE).
    kKeyAndStored,   // One key, and one behind the last STORE or STOREDIST (GEORADIUS).
    kAfterStreams,   // The first half of what follows the word STREAMS (XREAD),
                     // which `first` or a later argument is.
    kSorted,         // One key, those that its elements name, and one behind the last STORE (SORT).
    kMigrated,       // One key, or if it is empty all behind the word KEYS (MIGRATE).
  };
  Kind kind = Kind::kNone;
  int8_t first = 0;  // kCounted: the index of the count; the keys follow it.
  int8_t last = 0;   // Below 0: from the end, -1 is the last argument.  kKeyAndStored, kMigrated:
                     // where the words begin that may be STORE, or KEYS.
  int8_t step = 0;
};

constexpr KeyPattern NoKeys() {
  return {};
}
constexpr KeyPattern KeyRange(int8_t first, int8_t last, int8_t step) {
  return {.kind = KeyPattern::Kind::kRange, .first = first, .last = last, .step = step};
}
constexpr KeyPattern OneKey(int8_t index) {
  return KeyRange(index, index, 1);
}
constexpr KeyPattern KeysCountedAt(int8_t index) {
  return {.kind = KeyPattern::Kind::kCounted, .first = index, .last = 0, .step = 1};
}
// `from`: the first argument that may be the word.
constexpr KeyPattern KeysAfterStreams(int8_t from) {
  return {.kind = KeyPattern::Kind::kAfterStreams, .first = from, .last = 0, .step = 1};
}
// A key at `index`, a count behind it, and then so many keys.
constexpr KeyPattern KeyAndCounted(int8_t index) {
  return {.kind = KeyPattern::Kind::kKeyAndCounted, .first = index, .last = 0, .step = 1};
}

enum class SortStores : bool { kNo, kYes };
// The key of SORT at `index`, and with kYes the one that it stores under.  Those that BY and GET
// form are not among them.
constexpr KeyPattern SortedKey(int8_t index, SortStores stores) {
  return {.kind = KeyPattern::Kind::kSorted,
          .first = index,
          .last = static_cast<int8_t>(stores == SortStores::kYes ? index + 1 : index),
          .step = 1};
}

constexpr KeyPattern KeyAndStored(int8_t index, int8_t from) {
  return {.kind = KeyPattern::Kind::kKeyAndStored, .first = index, .last = from, .step = 1};
}

// `from`: the first argument that may be the word KEYS.
constexpr KeyPattern MigratedKeys(int8_t index, int8_t from) {
  return {.kind = KeyPattern::Kind::kMigrated, .first = index, .last = from, .step = 1};
}

struct CommandSpec {
  std::string_view name;  // Lower case; "container|subcommand" for a subcommand.
  int arity = 0;          // Arguments with the name; below 0: at least -arity.
  KeyPattern keys = {};
  KeyUses access = 0;
  KeyUses second_access = 0;  // What it does to its keys behind the first, if that differs.
  std::string_view key_notes = {};
  KeyPattern channels = {};  // Which arguments are channels that have a slot, like keys.
  Route route = Route::kByKey;
  Merge merge = Merge::kNone;
  Resp2Form resp2 = Resp2Form::kPlain;
  CommandFlags flags = 0;
  AclCategories acl = 0;
  Group group = Group::kGeneric;
  std::string_view since = {};  // The Redis version that brought it.
  std::string_view complexity = {};
  std::string_view tips = {};              // Separated by spaces.
  std::string_view deprecated_since = {};  // Empty: not deprecated.
  std::string_view replaced_by = {};
  std::string_view usage = {};
  std::string_view summary = {};

  constexpr bool is_write() const { return (flags & Cmd::kWrite) != 0; }
  constexpr bool is_read() const { return (flags & Cmd::kRead) != 0; }
  // Whether it may change something: a script is what it calls.
  constexpr bool may_write() const {
    return is_write() || (group == Group::kScripting && has_keys() && !is_read());
  }
  // Whether a client has to look at the arguments to know which are keys.
  constexpr bool has_movable_keys() const {
    return keys.kind == KeyPattern::Kind::kCounted ||
           keys.kind == KeyPattern::Kind::kKeyAndCounted ||
           keys.kind == KeyPattern::Kind::kKeyAndStored ||
           keys.kind == KeyPattern::Kind::kAfterStreams || keys.kind == KeyPattern::Kind::kSorted ||
           keys.kind == KeyPattern::Kind::kMigrated;
  }
  constexpr bool has_keys() const { return keys.kind != KeyPattern::Kind::kNone; }
  constexpr bool has_channels() const { return channels.kind != KeyPattern::Kind::kNone; }
  // What COMMAND shows as keys.
  constexpr const KeyPattern& shown_keys() const {
    return (access & KeyUse::kNotKey) != 0 ? channels : keys;
  }
  constexpr bool Has(CommandFlags flag) const { return (flags & flag) != 0; }
  constexpr bool ArityFits(size_t arg_count) const {
    return arity >= 0 ? arg_count == static_cast<size_t>(arity)
                      : arg_count >= static_cast<size_t>(-arity);
  }
};

}  // namespace kvs
