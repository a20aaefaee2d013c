// SORT and SORT_RO.
//
// The elements are read into memory, each with what it is compared by, and sorted there, by the
// rules of Redis's sort.c: numbers that are equal stand in the order of their bytes, texts that are
// equal as they came.  What BY and GET name is read by a look-up each; the dispatcher has locked
// everything for that, so that all of it is of one moment.

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/command/sort_request.h"
#include "storage_node/command/command_handlers.h"
#include "storage_node/types/hash_store.h"
#include "storage_node/types/list.h"
#include "storage_node/types/set_store.h"
#include "storage_node/types/string_reader.h"
#include "storage_node/types/zset.h"

namespace kvs {
namespace {

// What is sorted may have so many bytes, and so may the outcome: as much as one string.
constexpr size_t kMaxSortBytes = kMaxStringSize;

struct SortItem {
  std::string element;
  double score = 0;
  std::optional<std::string> weight = {};  // With BY and ALPHA; nothing if it is missing.
};

// Of the elements in their order.
struct Part {
  uint64_t first = 0;
  uint64_t count = 0;
};

Part PartOf(const SortRequest& request, uint64_t element_count) {
  const auto size = static_cast<int64_t>(element_count);
  const int64_t first = std::clamp<int64_t>(request.offset, 0, size);
  const int64_t left = size - first;
  const int64_t count = request.count < 0 ? left : std::min(request.count, left);
  return {static_cast<uint64_t>(first), static_cast<uint64_t>(count)};
}

// As strtod() reads it whole: with spaces in front, in hexadecimal, infinite, or empty for 0.
bool ParseWeight(const std::string& text, double* score) {
  char* end = nullptr;
  errno = 0;
  *score = std::strtod(text.c_str(), &end);
  return *end == '\0' && errno != ERANGE && !std::isnan(*score);
}

class Sorter {
 public:
  Sorter(CommandContext* ctx, SortRequest request)
      : ctx_(*ctx), request_(std::move(request)), keyspace_(ctx->txn, &ctx->expired_keys) {}

  Status Run() {
    KVS_RETURN_IF_ERROR(Load());
    if (!request_.keeps_order) {
      KVS_RETURN_IF_ERROR(Weigh());
      std::stable_sort(items_.begin(), items_.end(), [this](const SortItem& a, const SortItem& b) {
        return request_.descending ? Compare(a, b) > 0 : Compare(a, b) < 0;
      });
    }
    if (request_.destination.has_value()) {
      return Store();
    }
    return Reply();
  }

 private:
  static Status TooLarge(const char* what) {
    return Status::TooLarge(std::string(what) + "; ask for a part with LIMIT, or for less of each");
  }

  // Reads the elements, or only those that are asked for if they keep their order, and notes in
  // part_ which of items_ are the outcome.
  Status Load() {
    const std::string_view key = ctx_.arg(1);
    ctx_.txn->Lock(key);  // Its type must not change before it is opened.
    KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace_.Find(key));
    ctx_.CountLookup(entry.key, entry.exists());
    if (!entry.exists()) {
      return Status::Ok();
    }
    if (entry.type == DataType::kList) {
      KVS_RETURN_IF_ERROR(LoadList(key));
    } else if (entry.type == DataType::kSet) {
      KVS_RETURN_IF_ERROR(LoadSet(key));
    } else if (entry.type == DataType::kZSet) {
      KVS_RETURN_IF_ERROR(LoadZSet(key));
    } else {
      return Status::WrongType();
    }
    if (bytes_ > kMaxSortBytes) {
      return TooLarge("there is too much to sort");
    }
    return items_.size() < part_.first + part_.count
               ? Status::Corruption("a collection has fewer elements than it counts")
               : Status::Ok();
  }

  // Returns false if there is no room for more.
  bool AddItem(std::string_view element) {
    bytes_ += sizeof(SortItem) + element.size();
    if (bytes_ > kMaxSortBytes) {
      return false;
    }
    items_.push_back({.element = std::string(element)});
    return true;
  }

  // Returns which elements to load.
  Part SetPart(uint64_t element_count) {
    part_ = PartOf(request_, element_count);
    if (!request_.keeps_order) {
      return {0, element_count};
    }
    const Part wanted = part_;
    part_.first = 0;
    return wanted;
  }

  Status LoadList(std::string_view key) {
    KVS_ASSIGN_OR_RETURN(const List list, List::OpenForRead(&keyspace_, key));
    const Part wanted = SetPart(list.count());
    const bool backward = request_.keeps_order && request_.descending;
    if (wanted.count == 0) {
      return Status::Ok();
    }
    const uint64_t index = backward ? list.count() - 1 - wanted.first : wanted.first;
    uint64_t left = wanted.count;
    return list.ForEach(index, backward, [&](std::string_view, std::string_view element) {
      return AddItem(element) && --left > 0;
    });
  }

  Status LoadSet(std::string_view key) {
    if (request_.keeps_order && (request_.destination.has_value() || ctx_.in_script)) {
      // A set has no order to keep; what is stored, or goes to a script, has one all the same.
      request_.keeps_order = false;
      request_.alpha = true;
      request_.by.reset();
    }
    KVS_ASSIGN_OR_RETURN(const Collection set, Collection::OpenForRead(&keyspace_, key, kSetShape));
    const Part wanted = SetPart(set.count());
    KVS_ASSIGN_OR_RETURN(ElementWalk walk, set.Walk());
    for (uint64_t i = 0; walk.Valid() && i < wanted.first + wanted.count; walk.Next(), ++i) {
      if (i >= wanted.first && !AddItem(walk.name())) {
        break;
      }
    }
    return walk.status();
  }

  Status LoadZSet(std::string_view key) {
    KVS_ASSIGN_OR_RETURN(const ZSet zset, ZSet::OpenForRead(&keyspace_, key));
    const Part wanted = SetPart(zset.count());
    if (wanted.count == 0) {
      return Status::Ok();
    }
    return zset.ForEach({.range = WholeOrder(),
                         .backward = request_.keeps_order && request_.descending,
                         .skip = wanted.first,
                         .limit = wanted.count},
                        [this](std::string_view member, double) { (void)AddItem(member); });
  }

  // Finds what each element is compared by.
  Status Weigh() {
    bool all_numbers = true;
    for (SortItem& item : items_) {
      if (!request_.by.has_value()) {
        all_numbers &= request_.alpha || ParseWeight(item.element, &item.score);
        continue;
      }
      KVS_ASSIGN_OR_RETURN(std::optional<std::string> weight, LookUp(*request_.by, item.element));
      if (!weight.has_value()) {
        continue;
      }
      if (!request_.alpha) {
        all_numbers &= ParseWeight(*weight, &item.score);
        continue;
      }
      bytes_ += weight->size();
      if (bytes_ > kMaxSortBytes) {
        return TooLarge("there is too much to sort by");
      }
      item.weight = std::move(weight);
    }
    return all_numbers
               ? Status::Ok()
               : Status::InvalidArgument("One or more scores can't be converted into double");
  }

  int Compare(const SortItem& a, const SortItem& b) const {
    if (!request_.alpha) {
      return a.score != b.score ? (a.score < b.score ? -1 : 1) : a.element.compare(b.element);
    }
    if (!request_.by.has_value()) {
      return CompareTexts(a.element, b.element);
    }
    if (!a.weight.has_value() || !b.weight.has_value()) {
      return (a.weight.has_value() ? 1 : 0) - (b.weight.has_value() ? 1 : 0);
    }
    return CompareTexts(*a.weight, *b.weight);
  }

  // What is only shown is compared as strcoll() does in the locale C, up to a zero byte.
  int CompareTexts(const std::string& a, const std::string& b) const {
    return request_.destination.has_value() ? a.compare(b) : std::strcmp(a.c_str(), b.c_str());
  }

  // Returns what the pattern names for the element; nothing if that is not there.
  Result<std::optional<std::string>> LookUp(const SortPattern& pattern,
                                            const std::string& element) {
    if (pattern.is_element()) {
      return std::optional(element);
    }
    if (!pattern.has_place()) {
      return std::optional<std::string>();
    }
    if (++lookups_ > ctx_.max_pattern_keys) {
      return TooLarge("BY and GET name too many keys");
    }
    if (pattern.KeySize(element) > kMaxKeySize) {
      return std::optional<std::string>();  // There is no such key.
    }
    const std::string key = pattern.KeyFor(element);
    KVS_ASSIGN_OR_RETURN(const KeyEntry entry, keyspace_.FindToRead(key));
    ctx_.CountLookup(entry.key, entry.exists());
    if (!entry.exists()) {
      return std::optional<std::string>();
    }
    if (!pattern.has_field()) {
      std::optional<std::string> value;
      if (entry.type == DataType::kString) {
        KVS_RETURN_IF_ERROR(
            StringReader(&keyspace_, &entry).Append(0, entry.string_size(), &value.emplace()));
      }
      return value;
    }
    if (entry.type != DataType::kHash) {
      return std::optional<std::string>();
    }
    KVS_ASSIGN_OR_RETURN(const Collection hash,
                         Collection::OpenForRead(&keyspace_, key, kHashShape));
    std::string value;
    KVS_ASSIGN_OR_RETURN(const bool found, hash.Get(pattern.field(), &value));
    return found ? std::optional(std::move(value)) : std::nullopt;
  }

  // Calls `take(value)` for each part of the outcome, with nothing for what is missing, until it
  // returns false.
  template <typename Take>
  Status ForEachResult(Take take) {
    for (uint64_t i = part_.first; i < part_.first + part_.count; ++i) {
      const std::string& element = items_[i].element;
      if (request_.gets.empty() && !take(std::optional(element))) {
        return TooLarge("the outcome would be too large");
      }
      for (const SortPattern& get : request_.gets) {
        KVS_ASSIGN_OR_RETURN(const std::optional<std::string> value, LookUp(get, element));
        if (!take(value)) {
          return TooLarge("the outcome would be too large");
        }
      }
    }
    return Status::Ok();
  }

  Status Reply() {
    const size_t start = ctx_.reply.out()->size();
    ctx_.reply.Array(part_.count * std::max<size_t>(request_.gets.size(), 1));
    return ForEachResult([&](const std::optional<std::string>& value) {
      value.has_value() ? ctx_.reply.Bulk(*value) : ctx_.reply.Null();
      return ctx_.reply.out()->size() - start <= kMaxSortBytes;
    });
  }

  Status Store() {
    std::vector<std::string> values;
    size_t bytes = 0;
    KVS_RETURN_IF_ERROR(ForEachResult([&](const std::optional<std::string>& value) {
      values.push_back(value.value_or(""));
      bytes += sizeof(std::string) + values.back().size();
      return bytes <= kMaxSortBytes;
    }));
    KVS_ASSIGN_OR_RETURN(List list,
                         List::OpenToReplace(&keyspace_, *request_.destination, ctx_.type_limits));
    if (!values.empty()) {
      list.Push(std::vector<std::string_view>(values.begin(), values.end()), ListEnd::kTail);
    }
    KVS_RETURN_IF_ERROR(list.Stage());
    list.Save();
    ctx_.NotifyStored(KeyEventKind::kList, "sortstore", *request_.destination, !values.empty());
    ctx_.reply.Integer(static_cast<int64_t>(values.size()));
    return Status::Ok();
  }

  CommandContext& ctx_;
  SortRequest request_;
  Keyspace keyspace_;
  std::vector<SortItem> items_;
  Part part_;
  size_t bytes_ = 0;
  uint64_t lookups_ = 0;
};

Status RunSort(CommandContext& ctx) {
  const PatternKeys where = ctx.in_cluster ? PatternKeys::kInSlotOfKey : PatternKeys::kAnywhere;
  KVS_ASSIGN_OR_RETURN(SortRequest request, ParseSort(ctx.spec, ctx.args, where));
  return Sorter(&ctx, std::move(request)).Run();
}

}  // namespace

// SORT key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC] [ALPHA]
// [STORE destination]
Status CmdSort(CommandContext& ctx) {
  return RunSort(ctx);
}

// SORT_RO key [BY pattern] [LIMIT offset count] [GET pattern [GET pattern ...]] [ASC | DESC]
// [ALPHA]
Status CmdSortRo(CommandContext& ctx) {
  return RunSort(ctx);
}

}  // namespace kvs
