#include "test_all/check/ledger.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

std::string Number(uint64_t number) {
  return std::to_string(number);
}

// Reads what LedgerToken() wrote; 0 if it is anything else.
uint64_t ParseToken(std::string_view token) {
  if (token.size() != kLedgerTokenSize) {
    return 0;
  }
  while (token.size() > 1 && token.front() == '0') {
    token.remove_prefix(1);
  }
  uint64_t number = 0;
  return ParseUint64(token, &number) ? number : 0;
}

}  // namespace

std::string LedgerToken(uint64_t number) {
  std::string digits = Number(number);
  KVS_CHECK(digits.size() <= kLedgerTokenSize);
  return std::string(kLedgerTokenSize - digits.size(), '0') + digits;
}

Ledger::Write Ledger::Send(const std::string& key, LedgerKind kind) {
  State& state = keys_[key];
  KVS_CHECK(state.sent == 0 || state.kind == kind);
  state.kind = kind;
  return {.key = key, .kind = kind, .number = ++state.sent};
}

void Ledger::Acknowledge(const Write& write) {
  State& state = keys_[write.key];
  KVS_CHECK(write.number <= state.sent);
  KVS_CHECK(state.acknowledged.empty() || state.acknowledged.back() < write.number);
  state.acknowledged.push_back(write.number);
  ++acknowledged_;
}

std::string Ledger::Check(const std::string& key, const std::optional<std::string>& value) const {
  const auto it = keys_.find(key);
  if (it == keys_.end()) {
    return value.has_value() ? "phantom: nobody wrote " + key : "";
  }
  const State& state = it->second;
  if (!value.has_value()) {
    return state.acknowledged.empty() ? "" : "lost: " + key + " is missing";
  }
  std::string error;
  switch (state.kind) {
    case LedgerKind::kSet:
      error = CheckSet(state, *value);
      break;
    case LedgerKind::kAppend:
      error = CheckAppend(state, *value);
      break;
    case LedgerKind::kCount:
      error = CheckCount(state, *value);
      break;
  }
  return error.empty() ? "" : error + " in " + key;
}

std::string Ledger::CheckSet(const State& state, const std::string& value) {
  const uint64_t number = ParseToken(value);
  if (number == 0 || number > state.sent) {
    return "phantom: value " + QuoteForLog(value);
  }
  const uint64_t last = state.acknowledged.empty() ? 0 : state.acknowledged.back();
  return number >= last ? "" : "lost: write " + Number(last) + " behind " + Number(number);
}

std::string Ledger::CheckAppend(const State& state, const std::string& value) {
  std::vector<uint64_t> found;
  for (size_t at = 0; at < value.size(); at += kLedgerTokenSize) {
    const uint64_t number = ParseToken(std::string_view(value).substr(at, kLedgerTokenSize));
    if (number == 0 || number > state.sent) {
      return "phantom: bytes at " + Number(at);
    }
    if (!found.empty() && number <= found.back()) {
      return "duplicate: write " + Number(number) + " after " + Number(found.back());
    }
    found.push_back(number);
  }
  for (const uint64_t number : state.acknowledged) {
    if (!std::binary_search(found.begin(), found.end(), number)) {
      return "lost: write " + Number(number);
    }
  }
  return "";
}

std::string Ledger::CheckCount(const State& state, const std::string& value) {
  uint64_t count = 0;
  if (!ParseUint64(value, &count)) {
    return "phantom: value " + QuoteForLog(value);
  }
  if (count > state.sent) {
    return "duplicate: " + Number(count) + " increments of " + Number(state.sent);
  }
  const size_t acknowledged = state.acknowledged.size();
  return count >= acknowledged
             ? ""
             : "lost: " + Number(count) + " increments of " + Number(acknowledged);
}

void Ledger::Adopt(const std::string& key, const std::optional<std::string>& value) {
  const auto it = keys_.find(key);
  KVS_CHECK(it != keys_.end() && Check(key, value).empty());
  State& state = it->second;
  state.acknowledged.clear();
  if (!value.has_value()) {
    return;
  }
  if (state.kind == LedgerKind::kSet) {
    state.acknowledged.push_back(ParseToken(*value));
  } else if (state.kind == LedgerKind::kAppend) {
    for (size_t at = 0; at < value->size(); at += kLedgerTokenSize) {
      state.acknowledged.push_back(
          ParseToken(std::string_view(*value).substr(at, kLedgerTokenSize)));
    }
  } else {
    KVS_CHECK(ParseUint64(*value, &state.sent));
    for (uint64_t number = 1; number <= state.sent; ++number) {
      state.acknowledged.push_back(number);
    }
  }
}

std::vector<std::string> Ledger::Keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, state] : keys_) {
    keys.push_back(key);
  }
  return keys;
}

}  // namespace kvs
