// Ledger: every write that one client sent to its own keys and whether it was acknowledged; checks
// what a store holds after a crash.
//
// Each write has a number, and the value of a key shows which of its writes took effect.  One
// client writes a key, in order, so three rules are enough:
//   kSet     the value is the number of a write, not older than the last acknowledged one
//   kAppend  the value is the numbers of writes in ascending order, every acknowledged one among
//            them
//   kCount   the value lies between the acknowledged and the sent increments
// A write without an answer, or with an error for one, may have taken effect or not.
//
// Threads: one owner, the client.
// Owner:   the test.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace kvs {

enum class LedgerKind : uint8_t { kSet, kAppend, kCount };

// Digits of a number in the value of a kAppend key.
inline constexpr size_t kLedgerTokenSize = 8;
// The number as it is set or appended.
std::string LedgerToken(uint64_t number);

class Ledger {
 public:
  struct Write {
    std::string key;
    LedgerKind kind = LedgerKind::kSet;
    uint64_t number = 0;  // From 1, for each key.
  };

  // Notes that a write of `key` is sent.  REQUIRES: a key is always written by the same kind
  Write Send(const std::string& key, LedgerKind kind);
  void Acknowledge(const Write& write);

  // Compares one key with its value, nothing if it is missing.  Returns what is wrong, or "".
  std::string Check(const std::string& key, const std::optional<std::string>& value) const;
  // Takes the value that a checked key has for its state, so that the unknown writes are decided
  // and the next crash is judged by itself.
  void Adopt(const std::string& key, const std::optional<std::string>& value);

  std::vector<std::string> Keys() const;
  uint64_t acknowledged() const { return acknowledged_; }

 private:
  struct State {
    LedgerKind kind = LedgerKind::kSet;
    uint64_t sent = 0;
    std::vector<uint64_t> acknowledged;  // Numbers, ascending; what Adopt() saw is among them.
  };

  static std::string CheckSet(const State& state, const std::string& value);
  static std::string CheckAppend(const State& state, const std::string& value);
  static std::string CheckCount(const State& state, const std::string& value);

  std::map<std::string, State> keys_;
  uint64_t acknowledged_ = 0;
};

}  // namespace kvs
