#include "proxy/route/redirect_book.h"

#include <algorithm>
#include <set>
#include <utility>

namespace kvs {
namespace {

bool Touches(const RefusedRequest& request, const Footprint& footprint) {
  return footprint.every_slot ||
         std::find_first_of(request.slots.begin(), request.slots.end(), footprint.slots.begin(),
                            footprint.slots.end()) != request.slots.end();
}

}  // namespace

void RedirectBook::Add(RefusedRequest request) {
  const auto behind =
      std::upper_bound(refused_.begin(), refused_.end(), request.number,
                       [](uint64_t number, const RefusedRequest& r) { return number < r.number; });
  refused_.insert(behind, std::move(request));
}

void RedirectBook::OnExecuted(uint64_t number, const Footprint& footprint, bool is_write) {
  for (RefusedRequest& request : refused_) {
    request.overtaken |=
        request.number < number && (is_write || request.is_write) && Touches(request, footprint);
  }
}

size_t RedirectBook::CountOf(uint64_t number) const {
  const auto first = std::partition_point(
      refused_.begin(), refused_.end(),
      [number](const RefusedRequest& request) { return request.number < number; });
  const auto last = std::find_if(first, refused_.end(), [number](const RefusedRequest& request) {
    return request.number != number;
  });
  return static_cast<size_t>(last - first);
}

RedirectBook::Ready RedirectBook::TakeReady(uint64_t generation,
                                            std::span<const InFlight> in_flight, int64_t now_ms,
                                            const MovedSlots& alone) {
  Ready ready;
  std::vector<RefusedRequest> left;
  std::set<int> blocked;   // Of requests in flight, and of those that stay, for those behind them.
  uint64_t wide = 0;       // A request in flight that touches every slot,
  bool many_wide = false;  // and whether there are more.
  for (const InFlight& other : in_flight) {
    if (other.lane != SlotLanes::kEverySlot) {
      blocked.insert(other.lane);
    } else {
      many_wide |= wide != 0;
      wide = other.number;
    }
  }
  for (RefusedRequest& request : std::exchange(refused_, {})) {
    if (request.overtaken || now_ms >= request.give_up_ms) {
      ready.fail.push_back(std::move(request));
      continue;
    }
    const bool news = request.generation != generation;
    const bool patient = now_ms - request.since_ms >= kPatienceMs;
    const bool waits = (!news && !patient) || many_wide || (wide != 0 && wide != request.number) ||
                       std::any_of(request.slots.begin(), request.slots.end(),
                                   [&blocked](int slot) { return blocked.contains(slot); });
    if (waits) {
      blocked.insert(request.slots.begin(), request.slots.end());
      left.push_back(std::move(request));
      continue;
    }
    if (!news) {
      ready.follow.push_back(request);
    }
    for (const int slot : request.slots) {
      if (alone[static_cast<size_t>(slot)]) {
        blocked.insert(slot);
      }
    }
    ready.send.push_back(std::move(request));
  }
  refused_ = std::move(left);
  return ready;
}

std::vector<RefusedRequest> RedirectBook::TakeAll() {
  return std::exchange(refused_, {});
}

}  // namespace kvs
