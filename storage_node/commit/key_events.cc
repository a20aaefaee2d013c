#include "storage_node/commit/key_events.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace kvs {
namespace {

// Those that 'A' stands for, in the order in which Redis lists them.
constexpr std::pair<char, KeyEventKinds> kInAll[] = {
    {'g', KeyEventKind::kGeneric}, {'$', KeyEventKind::kString},  {'l', KeyEventKind::kList},
    {'s', KeyEventKind::kSet},     {'h', KeyEventKind::kHash},    {'z', KeyEventKind::kZSet},
    {'x', KeyEventKind::kExpired}, {'e', KeyEventKind::kEvicted}, {'t', KeyEventKind::kStream},
    {'d', KeyEventKind::kModule}};
constexpr std::pair<char, KeyEventKinds> kOthers[] = {{'n', KeyEventKind::kNew},
                                                      {'K', KeyEventKind::kKeyspace},
                                                      {'E', KeyEventKind::kKeyevent},
                                                      {'m', KeyEventKind::kMiss}};

constexpr KeyEventKinds AllKinds() {
  KeyEventKinds all = 0;
  for (const auto& [letter, kind] : kInAll) {
    all |= kind;
  }
  return all;
}

KeyEventKinds KindsOf(char letter) {
  if (letter == 'A') {
    return AllKinds();
  }
  for (const auto& [one, kind] : kInAll) {
    if (one == letter) {
      return kind;
    }
  }
  const auto* const other = std::find_if(std::begin(kOthers), std::end(kOthers),
                                         [letter](const auto& one) { return one.first == letter; });
  return other == std::end(kOthers) ? 0 : other->second;
}

}  // namespace

Result<KeyEventKinds> ParseKeyEventKinds(std::string_view letters) {
  KeyEventKinds kinds = 0;
  for (const char letter : letters) {
    const KeyEventKinds more = KindsOf(letter);
    if (more == 0) {
      return Status::InvalidArgument("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.");
    }
    kinds |= more;
  }
  return kinds;
}

std::string FormatKeyEventKinds(KeyEventKinds kinds) {
  std::string letters;
  const auto add = [&](const auto& letters_of_kinds) {
    for (const auto& [letter, kind] : letters_of_kinds) {
      if ((kinds & kind) != 0) {
        letters.push_back(letter);
      }
    }
  };
  if ((kinds & AllKinds()) == AllKinds()) {
    letters.push_back('A');
  } else {
    add(kInAll);
  }
  // Redis 7.0 forgets to show 'n' beside 'A'; the option has to survive CONFIG REWRITE.
  add(kOthers);
  return letters;
}

Status NormalizeKeyEventKinds(std::string* letters) {
  KVS_ASSIGN_OR_RETURN(const KeyEventKinds kinds, ParseKeyEventKinds(*letters));
  *letters = FormatKeyEventKinds(kinds);
  return Status::Ok();
}

}  // namespace kvs
