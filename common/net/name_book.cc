#include "common/net/name_book.h"

#include <algorithm>
#include <utility>

#include "common/net/resolver.h"

namespace kvs {

void NameBook::Use(const std::vector<std::string>& hosts) {
  std::map<std::string, Name> names;
  for (const std::string& host : hosts) {
    if (!IsNumericHost(host) && !names.contains(host)) {
      const auto known = names_.find(host);
      names.emplace(host, known == names_.end() ? Name() : std::move(known->second));
    }
  }
  names_ = std::move(names);
}

bool NameBook::IsDue(const Name& name, int64_t now_ms) const {
  const int64_t age = now_ms - name.asked_ms;
  if (name.asked || age < kMinGapMs) {
    return false;
  }
  return name.urgent || name.addresses.empty() || (interval_ms_ > 0 && age >= interval_ms_);
}

std::vector<std::string> NameBook::TakeDue(int64_t now_ms) {
  std::vector<std::string> due;
  for (auto& [host, name] : names_) {
    if (IsDue(name, now_ms)) {
      name.asked = true;
      name.urgent = false;
      name.asked_ms = now_ms;
      due.push_back(host);
    }
  }
  return due;
}

bool NameBook::OnAnswer(const std::string& host,
                        const Result<std::vector<std::string>>& addresses) {
  const auto found = names_.find(host);
  if (found == names_.end()) {
    return false;
  }
  Name& name = found->second;
  name.asked = false;
  name.answered = true;
  if (!addresses.ok() || addresses->empty()) {
    return false;
  }
  const std::string before = AddressOf(host);
  name.addresses = *addresses;
  const auto same = std::find(name.addresses.begin(), name.addresses.end(), before);
  name.chosen =
      same == name.addresses.end() ? 0 : static_cast<size_t>(same - name.addresses.begin());
  return AddressOf(host) != before;
}

bool NameBook::OnFailure(const std::string& address, int64_t now_ms) {
  bool changed = false;
  for (auto& [host, name] : names_) {
    if (name.addresses.empty() || name.addresses[name.chosen] != address) {
      continue;
    }
    name.urgent = true;
    if (name.addresses.size() > 1 && now_ms - name.moved_ms >= kMinGapMs) {
      name.chosen = (name.chosen + 1) % name.addresses.size();
      name.moved_ms = now_ms;
      changed = true;
    }
  }
  return changed;
}

std::string NameBook::AddressOf(const std::string& host) const {
  const auto found = names_.find(host);
  return found == names_.end() || found->second.addresses.empty()
             ? host
             : found->second.addresses[found->second.chosen];
}

bool NameBook::complete() const {
  return std::all_of(names_.begin(), names_.end(),
                     [](const auto& entry) { return entry.second.answered; });
}

}  // namespace kvs
