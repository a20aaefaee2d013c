// SortRequest: what SORT and SORT_RO ask for, read from their words.
//
// Besides its own keys, SORT reads those that BY and GET form of a pattern and each element.  They
// are named nowhere in the request, so a node locks everything while it reads them, and where keys
// of other slots may live on other nodes only patterns are taken that stay in the key's slot.  A
// node and a proxy read the words by the same code, so both refuse the same ones.
//
// Threads: pure functions; SortRequest is a value.
// Owner:   the caller; views point into the request.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/command/command_table.h"

namespace kvs {

// A word behind BY or GET: which key, or which field of which hash, belongs to an element.
class SortPattern {
 public:
  explicit SortPattern(std::string_view text);

  // Whether it is "#": the element itself.
  bool is_element() const { return is_element_; }
  // Whether it has a '*', without which it names nothing.
  bool has_place() const { return has_place_; }
  // Whether it names a field of a hash, and not a string.
  bool has_field() const { return !field_.empty(); }
  std::string_view field() const { return field_; }
  // REQUIRES: has_place()
  std::string KeyFor(std::string_view element) const;
  // Of KeyFor().
  size_t KeySize(std::string_view element) const {
    return before_.size() + element.size() + behind_.size();
  }

 private:
  bool is_element_ = false;
  bool has_place_ = false;
  std::string_view before_;  // What stands before and behind the '*', without the field.
  std::string_view behind_;
  std::string_view field_;
};

struct SortRequest {
  bool descending = false;
  bool alpha = false;
  bool keeps_order = false;  // Some BY has no '*'.
  int64_t offset = 0;
  int64_t count = -1;  // Below 0: all.
  std::optional<SortPattern> by = {};
  std::vector<SortPattern> gets = {};
  std::optional<std::string_view> destination = {};

  // Whether it reads keys that its words do not name.
  bool ReadsOtherKeys() const;
};

// Where the keys of patterns may be.
enum class PatternKeys : uint8_t { kAnywhere, kInSlotOfKey };

// Reads the words behind the key.
//   kInvalidArgument: in Redis's words
// REQUIRES: the row is that of SORT or SORT_RO
Result<SortRequest> ParseSort(const CommandSpec& spec, CommandArgs args, PatternKeys where);

// Whether the request is a SORT, or SORT_RO, that reads keys that its words do not name.
bool ReadsKeysByPattern(const CommandSpec& spec, CommandArgs args);

}  // namespace kvs
