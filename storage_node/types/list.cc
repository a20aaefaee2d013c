#include "storage_node/types/list.h"

#include <algorithm>

#include "common/base/check.h"
#include "storage_node/keys/key_codec.h"

namespace kvs {
namespace {

enum Encoding : uint8_t { kListpack = 0, kQuicklist = 1 };

// A listpack without entries.
constexpr uint64_t kListpackFrame = 7;
// A list that keeps less than one element in so many is written from scratch.
constexpr uint64_t kRewriteShare = 4;
// How many neighbours an element of a list that was dense so far has in the first nodes.
constexpr uint64_t kDenseRun = RankIndexShape().cut_run;

std::string NameOf(std::string_view order) {
  return kListElementTag + std::string(order);
}

}  // namespace

std::string_view ListEncoding(uint8_t encoding) {
  return encoding == kListpack ? "listpack" : "quicklist";
}

List::List(Collection elements, const TypeLimits& limits)
    : elements_(std::move(elements)),
      count_(elements_.count()),
      listpack_size_(limits.list_max_listpack_size) {
  if (elements_.exists() && count_ > 0) {
    header_ = DecodeListHeader(elements_.header());
  }
}

Result<List> List::OpenForRead(Keyspace* keyspace, std::string_view key) {
  KVS_ASSIGN_OR_RETURN(Collection elements, Collection::OpenForRead(keyspace, key, kListShape));
  return List(std::move(elements), {});
}

Result<List> List::OpenForWrite(Keyspace* keyspace, std::string_view key,
                                const TypeLimits& limits) {
  KVS_ASSIGN_OR_RETURN(Collection elements,
                       Collection::OpenForWrite(keyspace, key, kListShape, limits.packed_size));
  return List(std::move(elements), limits);
}

Result<List> List::OpenToReplace(Keyspace* keyspace, std::string_view key,
                                 const TypeLimits& limits) {
  KVS_ASSIGN_OR_RETURN(Collection elements,
                       Collection::OpenToReplace(keyspace, key, kListShape, limits.packed_size));
  return List(std::move(elements), limits);
}

Status List::Damaged() {
  return Status::Corruption("a list has fewer elements than it counts");
}

Status List::CheckName(std::string_view name) {
  return name.size() > kListPositionSize
             ? Status::Ok()
             : Status::Corruption("an element of a list has no position");
}

Result<List::Bounds> List::BoundsFrom(uint64_t index, bool backward) const {
  Bounds bounds = {.lower = NameOf(ListOrder(header_.first)),
                   .upper = PrefixEnd(NameOf(ListOrder(header_.last)))};
  if (backward) {
    if (index + 1 < elements_.count()) {
      KVS_ASSIGN_OR_RETURN(const std::string order, OrderAt(index));
      bounds.upper = NameOf(order) + '\0';  // No order lies between.
    }
    return bounds;
  }
  if (index == 0) {
    return bounds;
  }
  if (header_.is_dense) {
    bounds.lower = NameOf(ListOrder(header_.first + index));
    return bounds;
  }
  bounds.skip = index;
  if (const RankIndex ranks = Index(); ranks.exists()) {
    KVS_ASSIGN_OR_RETURN(const RankIndex::Place place, ranks.Find(index));
    bounds.lower = std::max(bounds.lower, NameOf(place.order));
    bounds.skip = place.skip;
  }
  return bounds;
}

Result<std::string> List::OrderAt(uint64_t index) const {
  if (header_.is_dense) {
    return ListOrder(header_.first + index);
  }
  std::string found;
  KVS_RETURN_IF_ERROR(
      ForEach(index, /*backward=*/false, [&found](std::string_view order, std::string_view) {
        found = order;
        return false;
      }));
  return found;
}

Result<std::string> List::At(uint64_t index) const {
  KVS_CHECK(index < elements_.count());
  std::string element;
  if (header_.is_dense) {
    KVS_ASSIGN_OR_RETURN(const bool found,
                         elements_.Get(NameOf(ListOrder(header_.first + index)), &element));
    return found ? Result<std::string>(std::move(element)) : Damaged();
  }
  const bool is_last = index + 1 == elements_.count();
  KVS_RETURN_IF_ERROR(ForEach(index, is_last, [&element](std::string_view, std::string_view value) {
    element = value;
    return false;
  }));
  return element;
}

void List::Add(std::string order, std::string_view element) {
  changes_[std::move(order)].value = element;
  header_.listpack_bytes += ListpackEntrySize(element);
  ++count_;
}

void List::Drop(std::string_view order, std::string_view element) {
  changes_[std::string(order)].was_there = true;
  header_.listpack_bytes -= ListpackEntrySize(element);
  --count_;
}

void List::Push(std::span<const std::string_view> elements, ListEnd end) {
  uint64_t bytes = 0;
  for (const std::string_view element : elements) {
    bytes += element.size();
  }
  NoteGrowth(bytes, elements.size());
  for (const std::string_view element : elements) {
    if (count_ == 0) {
      header_.is_dense = true;
      header_.root = {};
      header_.first = header_.last = kListOrigin;
    } else if (end == ListEnd::kHead) {
      --header_.first;
    } else {
      ++header_.last;
    }
    Add(ListOrder(end == ListEnd::kHead ? header_.first : header_.last), element);
  }
}

Result<std::vector<std::string>> List::Pop(uint64_t count, ListEnd end) {
  const bool backward = end == ListEnd::kTail;
  std::vector<std::string> popped;
  uint64_t* edge = backward ? &header_.last : &header_.first;
  KVS_RETURN_IF_ERROR(ForEach(backward ? elements_.count() - 1 : 0, backward,
                              [&](std::string_view order, std::string_view element) {
                                *edge = PositionOfOrder(order);
                                if (popped.size() == count) {
                                  return false;  // This one is at the end from now on.
                                }
                                popped.emplace_back(element);
                                Drop(order, element);
                                return true;
                              }));
  NoteShrinking();
  return popped;
}

Status List::Set(uint64_t index, std::string_view element) {
  NoteGrowth(element.size(), 1);
  KVS_ASSIGN_OR_RETURN(const std::string order, OrderAt(index));
  std::string before;
  KVS_ASSIGN_OR_RETURN(const bool found, elements_.Get(NameOf(order), &before));
  if (!found) {
    return Damaged();
  }
  Drop(order, before);
  Add(order, element);
  NoteShrinking();
  return Status::Ok();
}

Result<std::vector<std::string>> List::Collect(uint64_t first, uint64_t count) const {
  std::vector<std::string> elements;
  if (count > 0) {
    KVS_RETURN_IF_ERROR(
        ForEach(first, /*backward=*/false, [&](std::string_view, std::string_view element) {
          elements.emplace_back(element);
          return elements.size() < count;
        }));
  }
  return elements;
}

void List::Replace(std::vector<std::string> elements) {
  header_ = {.first = kListOrigin, .last = kListOrigin + elements.size() - 1};
  for (const std::string& element : elements) {
    header_.listpack_bytes += ListpackEntrySize(element);
  }
  count_ = elements.size();
  replacement_ = std::move(elements);
}

Result<bool> List::Insert(std::string_view pivot, bool before, std::string_view element) {
  uint64_t index = 0;
  bool found = false;
  std::string last;   // The order before the place,
  std::string place;  // ...and the one behind it; empty: none.
  KVS_RETURN_IF_ERROR(
      ForEach(0, /*backward=*/false, [&](std::string_view order, std::string_view value) {
        if (found) {  // The pivot was the one before.
          place = order;
          return false;
        }
        found = value == pivot;
        if (found && before) {
          place = order;
          return false;
        }
        last = order;
        ++index;
        return true;
      }));
  if (!found) {
    return false;
  }
  if (last.empty() || place.empty()) {
    Push({&element, 1}, last.empty() ? ListEnd::kHead : ListEnd::kTail);
    return true;
  }
  NoteGrowth(element.size(), 1);
  if (elements_.is_packed()) {
    KVS_ASSIGN_OR_RETURN(std::vector<std::string> all, Collect(0, count_));
    all.emplace(all.begin() + static_cast<std::ptrdiff_t>(index), element);
    Replace(std::move(all));
    return true;
  }
  stays_dense_ = false;
  KVS_RETURN_IF_ERROR(InsertBetween(last, place, element));
  return true;
}

Status List::InsertBetween(const std::string& before, const std::string& after,
                           std::string_view element) {
  std::string order = ListOrderBetween(before, after);
  if (order.size() > kMaxListOrder) {
    for (size_t digits = 1; digits <= kMaxListOrder - kListPositionSize; ++digits) {
      const std::string prefix = order.substr(0, kMaxListOrder - digits);
      const uint64_t room = uint64_t{1} << digits;
      KVS_ASSIGN_OR_RETURN(const uint64_t there, CountPrefix(prefix, room));
      if (there < room) {
        return Respread(prefix, after, element);
      }
    }
  }
  Add(std::move(order), element);  // However long it is.
  return Status::Ok();
}

Result<uint64_t> List::CountPrefix(const std::string& prefix, uint64_t limit) const {
  const std::string lower = NameOf(prefix);
  const std::string upper = PrefixEnd(lower);
  uint64_t count = 0;
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, elements_.WalkRange(lower, upper));
  for (; walk.Valid() && count < limit; walk.Next()) {
    ++count;
  }
  KVS_RETURN_IF_ERROR(walk.status());
  return count;
}

Status List::Respread(const std::string& prefix, const std::string& after,
                      std::string_view element) {
  const std::string lower = NameOf(prefix);
  const std::string upper = PrefixEnd(lower);
  std::vector<std::pair<std::string, std::string>> there;
  KVS_ASSIGN_OR_RETURN(ElementWalk walk, elements_.WalkRange(lower, upper));
  for (; walk.Valid(); walk.Next()) {
    there.emplace_back(walk.name().substr(1), walk.value());
  }
  KVS_RETURN_IF_ERROR(walk.status());
  const std::vector<std::string> orders =
      SpreadListOrders(prefix, there.size() + 1, kMaxListOrder - prefix.size());
  for (const auto& [order, value] : there) {
    Drop(order, value);
  }
  size_t next = 0;
  bool is_put = false;
  for (const auto& [order, value] : there) {
    if (!is_put && order >= after) {
      Add(orders[next++], element);
      is_put = true;
    }
    Add(orders[next++], value);
  }
  if (!is_put) {
    Add(orders[next], element);
  }
  return Status::Ok();
}

Result<uint64_t> List::Remove(std::string_view element, uint64_t limit, bool backward) {
  std::vector<std::string> orders;
  std::vector<std::string> kept;  // Of a packed list.
  const bool is_packed = elements_.is_packed();
  KVS_RETURN_IF_ERROR(ForEach(backward ? elements_.count() - 1 : 0, backward,
                              [&](std::string_view order, std::string_view value) {
                                if (orders.size() < limit && value == element) {
                                  orders.emplace_back(order);
                                } else if (is_packed) {
                                  kept.emplace_back(value);
                                }
                                return is_packed || orders.size() < limit;
                              }));
  if (orders.empty()) {
    return uint64_t{0};
  }
  if (is_packed) {
    if (backward) {
      std::reverse(kept.begin(), kept.end());
    }
    Replace(std::move(kept));
  } else {
    for (const std::string& order : orders) {
      Drop(order, element);
    }
    stays_dense_ = false;
    KVS_RETURN_IF_ERROR(FindEnds());
  }
  NoteShrinking();
  return uint64_t{orders.size()};
}

Status List::FindEnds() {
  if (count_ == 0) {
    return Status::Ok();
  }
  uint64_t edges[2] = {};
  for (const bool backward : {false, true}) {
    KVS_RETURN_IF_ERROR(ForEach(backward ? elements_.count() - 1 : 0, backward,
                                [&](std::string_view order, std::string_view) {
                                  edges[backward ? 1 : 0] = PositionOfOrder(order);
                                  return changes_.contains(order);
                                }));
  }
  header_.first = edges[0];
  header_.last = edges[1];
  return Status::Ok();
}

Status List::Trim(uint64_t first, uint64_t count) {
  const uint64_t end = first + count;
  if (count == elements_.count()) {
    return Status::Ok();
  }
  if (count * kRewriteShare <= elements_.count() || elements_.is_packed()) {
    KVS_ASSIGN_OR_RETURN(std::vector<std::string> kept, Collect(first, count));
    Replace(std::move(kept));
    NoteShrinking();
    return Status::Ok();
  }
  std::optional<uint64_t> new_first;
  std::optional<uint64_t> new_last;
  uint64_t left = first;
  const auto drop = [&](std::optional<uint64_t>* edge) {
    return [this, &left, edge](std::string_view order, std::string_view element) {
      if (left == 0) {
        *edge = PositionOfOrder(order);
        return false;
      }
      Drop(order, element);
      --left;
      return true;
    };
  };
  KVS_RETURN_IF_ERROR(ForEach(0, /*backward=*/false, drop(&new_first)));
  left = elements_.count() - end;
  KVS_RETURN_IF_ERROR(ForEach(elements_.count() - 1, /*backward=*/true, drop(&new_last)));
  header_.first = *new_first;
  header_.last = *new_last;
  NoteShrinking();
  return Status::Ok();
}

RankPlan List::PlanOfDense() const {
  std::vector<RankItem> nodes;
  const ListHeader before = DecodeListHeader(elements_.header());
  const uint64_t count = elements_.count();
  for (uint64_t i = 0; i < count; i += kDenseRun) {
    const uint64_t children = std::min(kDenseRun, count - i);
    nodes.push_back({i == 0 ? "" : ListOrder(before.first + i), {children, children}});
  }
  for (const auto& [order, change] : changes_) {
    const auto behind =
        std::upper_bound(nodes.begin(), nodes.end(), order,
                         [](std::string_view o, const RankItem& node) { return o < node.order; });
    RankNode* node = &std::prev(behind)->node;
    const int difference = int{change.value.has_value()} - int{change.was_there};
    node->count += static_cast<uint64_t>(difference);
    node->children = node->count;
  }
  std::erase_if(nodes, [](const RankItem& node) { return node.node.count == 0; });
  nodes.front().order.clear();
  return RankIndex::BuildAbove(std::move(nodes));
}

Status List::Stage() {
  if (replacement_.has_value() || count_ == 0) {
    return Status::Ok();
  }
  if (header_.is_dense) {
    if (!stays_dense_) {
      plan_ = count_ > RankIndexShape().index_from ? PlanOfDense() : RankPlan();
    }
    return Status::Ok();
  }
  std::vector<OrderChange> orders;
  for (const auto& [order, change] : changes_) {
    if (change.value.has_value() != change.was_there) {
      orders.push_back({order, change.value.has_value()});
    }
  }
  if (!orders.empty()) {
    KVS_ASSIGN_OR_RETURN(plan_, Index().Plan(orders));
  }
  return Status::Ok();
}

void List::Save() {
  if (replacement_.has_value()) {
    elements_.Clear();
    for (size_t i = 0; i < replacement_->size(); ++i) {
      elements_.Put(NameOf(ListOrder(header_.first + i)), (*replacement_)[i]);
    }
  }
  elements_.AddToCount(static_cast<int64_t>(count_ - elements_.count()));
  if (count_ == 0) {
    elements_.Save();
    return;
  }
  for (const auto& [order, change] : changes_) {
    if (!change.value.has_value()) {
      elements_.Remove(NameOf(order));
    }
  }
  for (const auto& [order, change] : changes_) {
    if (change.value.has_value()) {
      elements_.Put(NameOf(order), *change.value);
    }
  }
  if (plan_.has_value()) {
    header_.is_dense = false;
    header_.root = plan_->root;
    for (const auto& [name, value] : plan_->writes) {
      value.has_value() ? elements_.Put(name, *value) : elements_.Remove(name);
    }
  }
  elements_.set_header(EncodeListHeader(header_));
  elements_.Save();
}

bool List::ExceedsListpack(uint64_t bytes, uint64_t count, uint64_t divisor) const {
  if (listpack_size_ >= 0) {
    const auto most = static_cast<uint64_t>(std::max<int64_t>(listpack_size_, 1));
    return count > most / divisor || (divisor == 1 && bytes > 8192);
  }
  const int64_t size_class = std::min<int64_t>(-listpack_size_, 5);
  return bytes > (uint64_t{2048} << size_class) / divisor;
}

// Redis looks before it adds, at the elements' own sizes.
void List::NoteGrowth(uint64_t bytes, uint64_t count) {
  if (ExceedsListpack(kListpackFrame + header_.listpack_bytes + bytes, count_ + count, 1)) {
    elements_.set_encoding(kQuicklist);
  }
}

// Redis goes back when half of the size is enough, so that it does not go to and fro.
void List::NoteShrinking() {
  if (elements_.encoding() == kQuicklist &&
      !ExceedsListpack(kListpackFrame + header_.listpack_bytes, count_, 2)) {
    elements_.set_encoding(kListpack);
  }
}

}  // namespace kvs
