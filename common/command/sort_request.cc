#include "common/command/sort_request.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/slot/slot.h"

namespace kvs {
namespace {

// Redis looks for special characters in front of the first zero byte only.
std::string_view UpToZero(std::string_view text) {
  return text.substr(0, text.find('\0'));
}

// Returns the slot of whatever keys the pattern forms, or -1 if they may have several: as Redis
// does, which takes the pattern for a glob.
int SlotOfPattern(std::string_view pattern) {
  size_t open = std::string_view::npos;
  bool has_tag = true;
  for (size_t i = 0; i < pattern.size(); ++i) {
    const char c = pattern[i];
    if (c == '*' || c == '?' || c == '[' || c == '\\') {
      return -1;
    }
    if (c == '{' && open == std::string_view::npos) {
      open = i;
    } else if (c == '}' && open != std::string_view::npos && has_tag) {
      if (i > open + 1) {
        return Crc16(pattern.substr(open + 1, i - open - 1)) % kSlotCount;
      }
      has_tag = false;  // "{}": the whole key counts.
    }
  }
  return Crc16(pattern) % kSlotCount;
}

Status OtherSlots(const char* option) {
  return Status::InvalidArgument(std::string(option) +
                                 " option of SORT denied in Cluster mode when keys formed by the "
                                 "pattern may be in different slots.");
}

Status SyntaxError() {
  return Status::InvalidArgument("syntax error");
}

class SortParser {
 public:
  SortParser(const CommandSpec& spec, CommandArgs args, PatternKeys where)
      : args_(args),
        stores_(spec.is_write()),
        slot_(where == PatternKeys::kInSlotOfKey ? SlotOf(args[1]) : -1) {}

  Result<SortRequest> Parse() {
    for (size_t i = 2; i < args_.size(); ++i) {
      KVS_ASSIGN_OR_RETURN(const size_t used, ParseOption(i));
      i += used;
    }
    return std::move(request_);
  }

 private:
  // Returns how many words belong to the one at `i`.
  Result<size_t> ParseOption(size_t i) {
    const std::string_view word = args_[i];
    const size_t left = args_.size() - i - 1;
    if (EqualsIgnoreCase(word, "ASC")) {
      request_.descending = false;
      return 0;
    }
    if (EqualsIgnoreCase(word, "DESC")) {
      request_.descending = true;
      return 0;
    }
    if (EqualsIgnoreCase(word, "ALPHA")) {
      request_.alpha = true;
      return 0;
    }
    if (EqualsIgnoreCase(word, "LIMIT") && left >= 2) {
      if (!ParseInt64(args_[i + 1], &request_.offset) ||
          !ParseInt64(args_[i + 2], &request_.count)) {
        return Status::InvalidArgument("value is not an integer or out of range");
      }
      return 2;
    }
    if (stores_ && EqualsIgnoreCase(word, "STORE") && left >= 1) {
      request_.destination = args_[i + 1];
      return 1;
    }
    if (EqualsIgnoreCase(word, "BY") && left >= 1) {
      return ParseBy(args_[i + 1]);
    }
    if (EqualsIgnoreCase(word, "GET") && left >= 1) {
      return ParseGet(args_[i + 1]);
    }
    return SyntaxError();
  }

  Result<size_t> ParseBy(std::string_view text) {
    request_.by = SortPattern(text);
    if (UpToZero(text).find('*') == std::string_view::npos) {
      request_.keeps_order = true;  // Also if another BY follows.
    } else if (IsElsewhere(text)) {
      return OtherSlots("BY");
    }
    return 1;
  }

  Result<size_t> ParseGet(std::string_view text) {
    request_.gets.emplace_back(text);
    if (!request_.gets.back().is_element() && IsElsewhere(text)) {
      return OtherSlots("GET");
    }
    return 1;
  }

  bool IsElsewhere(std::string_view pattern) const {
    return slot_ >= 0 && SlotOfPattern(pattern) != slot_;
  }

  const CommandArgs args_;
  const bool stores_;
  const int slot_;  // Where the keys of patterns have to be; -1: anywhere.
  SortRequest request_;
};

}  // namespace

SortPattern::SortPattern(std::string_view text) {
  const std::string_view visible = UpToZero(text);
  if (visible == "#") {
    is_element_ = true;
    return;
  }
  const size_t star = visible.find('*');
  if (star == std::string_view::npos) {
    return;
  }
  has_place_ = true;
  before_ = text.substr(0, star);
  behind_ = text.substr(star + 1);
  const size_t arrow = visible.find("->", star + 1);
  if (arrow != std::string_view::npos && arrow + 2 < visible.size()) {
    behind_ = text.substr(star + 1, arrow - star - 1);
    field_ = text.substr(arrow + 2);
  }
}

std::string SortPattern::KeyFor(std::string_view element) const {
  KVS_CHECK(has_place_);
  std::string key;
  key.reserve(before_.size() + element.size() + behind_.size());
  key.append(before_).append(element).append(behind_);
  return key;
}

bool SortRequest::ReadsOtherKeys() const {
  // What keeps the order forms no keys for BY.
  return (by.has_value() && by->has_place() && !keeps_order) ||
         std::any_of(gets.begin(), gets.end(),
                     [](const SortPattern& get) { return get.has_place(); });
}

Result<SortRequest> ParseSort(const CommandSpec& spec, CommandArgs args, PatternKeys where) {
  return SortParser(spec, args, where).Parse();
}

bool ReadsKeysByPattern(const CommandSpec& spec, CommandArgs args) {
  if (IdOf(spec) != CommandId::kSort && IdOf(spec) != CommandId::kSortRo) {
    return false;
  }
  const Result<SortRequest> request = ParseSort(spec, args, PatternKeys::kAnywhere);
  return request.ok() && request->ReadsOtherKeys();
}

}  // namespace kvs
