// KeyEvents: what has happened to a key, in the words of Redis's keyspace notifications.
//
// Commands note their events in their Txn, if `notify-keyspace-events` asks for events of the kind;
// whoever commits the turn publishes them afterwards.  While the option is empty a command costs
// one load for it.
//
// Threads: pure functions; values.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

// Bits: which events are asked for, and on which of the two kinds of channels they are published.
using KeyEventKinds = uint32_t;
struct KeyEventKind {
  static constexpr KeyEventKinds kKeyspace = 1u << 0;  // Channel of the key, message: the event.
  static constexpr KeyEventKinds kKeyevent = 1u << 1;  // Channel of the event, message: the key.
  static constexpr KeyEventKinds kGeneric = 1u << 2;
  static constexpr KeyEventKinds kString = 1u << 3;
  static constexpr KeyEventKinds kList = 1u << 4;
  static constexpr KeyEventKinds kSet = 1u << 5;
  static constexpr KeyEventKinds kHash = 1u << 6;
  static constexpr KeyEventKinds kZSet = 1u << 7;
  static constexpr KeyEventKinds kExpired = 1u << 8;
  static constexpr KeyEventKinds kEvicted = 1u << 9;
  static constexpr KeyEventKinds kStream = 1u << 10;
  static constexpr KeyEventKinds kMiss = 1u << 11;
  static constexpr KeyEventKinds kModule = 1u << 12;
  static constexpr KeyEventKinds kNew = 1u << 13;
};

struct KeyEvent {
  std::string_view name;  // A literal.
  std::string key;
};

// Reads the letters of `notify-keyspace-events`.
//   kInvalidArgument: in Redis's words
Result<KeyEventKinds> ParseKeyEventKinds(std::string_view letters);
// Returns the letters in Redis's order.
std::string FormatKeyEventKinds(KeyEventKinds kinds);
// Brings the option's text into that order.
Status NormalizeKeyEventKinds(std::string* letters);

}  // namespace kvs
