#include "common/command/command_table.h"

#include <algorithm>

#include "common/base/check.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

// As many bytes of a name or of arguments as Redis quotes in an error.
constexpr size_t kMaxQuoted = 128;

// Four buckets a command keep most names in their first bucket.
constexpr size_t kBucketCount = 2048;
constexpr uint16_t kNoCommand = 0xffff;
static_assert(kCommandCount < kNoCommand && kBucketCount >= 3 * kCommandCount,
              "double kBucketCount");

// Four bytes without case, as one number; compilers make one load of it.
constexpr uint32_t Folded4(const char* bytes) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; --i) {
    value = value << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return value | 0x20202020u;
}

// Hashes the length, the first and the last four bytes, all without case.  Names that differ only
// in the middle share a bucket chain, which the comparison sorts out.
constexpr size_t Bucket(std::string_view name) {
  uint64_t ends = name.size();
  if (name.size() >= 4) {
    const uint64_t last = Folded4(name.data() + name.size() - 4);
    ends += Folded4(name.data()) | last << 32;
  } else {
    for (const char c : name) {
      ends = ends << 8 | (static_cast<uint8_t>(c) | 0x20u);
    }
  }
  return static_cast<size_t>((ends ^ ends >> 29) * 0x9e3779b97f4a7c15u >> 53);
}
static_assert(kBucketCount == 2048, "Bucket() returns 11 bits");

constexpr std::array<uint16_t, kBucketCount> MakeBuckets() {
  std::array<uint16_t, kBucketCount> buckets{};
  buckets.fill(kNoCommand);
  for (size_t i = 0; i < kCommandCount; ++i) {
    size_t bucket = Bucket(kCommands[i].name);
    while (buckets[bucket] != kNoCommand) {
      bucket = (bucket + 1) % kBucketCount;
    }
    buckets[bucket] = static_cast<uint16_t>(i);
  }
  return buckets;
}
constexpr std::array<uint16_t, kBucketCount> kBuckets = MakeBuckets();

constexpr bool IsSubcommandOf(const CommandSpec& spec, std::string_view container) {
  return spec.name.size() > container.size() && spec.name.starts_with(container) &&
         spec.name[container.size()] == '|';
}

// The subcommands of row i are the rows (i, i + kSubcommandCounts[i]].
constexpr std::array<uint8_t, kCommandCount> CountSubcommands() {
  std::array<uint8_t, kCommandCount> counts{};
  for (size_t i = 0; i < kCommandCount; ++i) {
    while (i + counts[i] + 1 < kCommandCount &&
           IsSubcommandOf(kCommands[i + counts[i] + 1], kCommands[i].name)) {
      ++counts[i];
    }
  }
  return counts;
}
constexpr std::array<uint8_t, kCommandCount> kSubcommandCounts = CountSubcommands();

constexpr bool EverySubcommandFollowsItsContainer() {
  size_t claimed = 0;
  size_t subcommands = 0;
  for (size_t i = 0; i < kCommandCount; ++i) {
    claimed += kSubcommandCounts[i];
    subcommands += IsSubcommand(kCommands[i]) ? 1 : 0;
  }
  return claimed == subcommands;
}
static_assert(EverySubcommandFollowsItsContainer());

// `lower` has no upper case letters.
bool EqualsFolded(std::string_view name, std::string_view lower) {
  if (name.size() != lower.size()) {
    return false;
  }
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c) != lower[i]) {
      return false;
    }
  }
  return true;
}

// What printf's %.128s makes of an argument.
std::string_view Quoted(std::string_view text, size_t limit) {
  return text.substr(0, std::min(limit, text.find('\0')));
}

std::string WithoutLineBreaks(std::string text) {
  std::replace(text.begin(), text.end(), '\r', ' ');
  std::replace(text.begin(), text.end(), '\n', ' ');
  return text;
}

KeyPositions FindRange(const KeyPattern& pattern, size_t arg_count) {
  KeyPositions keys;
  keys.first = static_cast<size_t>(pattern.first);
  keys.step = static_cast<size_t>(pattern.step);
  const size_t end = pattern.last < 0 ? arg_count - static_cast<size_t>(-pattern.last - 1)
                                      : static_cast<size_t>(pattern.last) + 1;
  if (end > keys.first) {
    keys.count = (end - keys.first + keys.step - 1) / keys.step;
    keys.complete = pattern.last >= 0 || (end - keys.first) % keys.step == 0;
  }
  return keys;
}

KeyPositions FindCounted(size_t count_index, CommandArgs args) {
  KeyPositions keys;
  keys.first = count_index + 1;
  int64_t count = 0;
  if (!ParseInt64(args[count_index], &count) || count < 0 ||
      static_cast<uint64_t>(count) > args.size() - keys.first) {
    keys.complete = false;
    return keys;
  }
  keys.count = static_cast<size_t>(count);
  return keys;
}

KeyPositions FindKeyAndCounted(const KeyPattern& pattern, CommandArgs args) {
  const size_t index = static_cast<size_t>(pattern.first);
  KeyPositions keys = FindCounted(index + 1, args);
  if (keys.complete) {
    keys.lone = index;
    ++keys.count;
  }
  return keys;
}

// The word behind STORE is never taken for another STORE.
KeyPositions FindKeyAndStored(const KeyPattern& pattern, CommandArgs args) {
  KeyPositions keys;
  keys.first = static_cast<size_t>(pattern.first);
  keys.count = 1;
  for (size_t i = static_cast<size_t>(pattern.last); i + 1 < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "STORE") || EqualsIgnoreCase(args[i], "STOREDIST")) {
      keys.lone = static_cast<size_t>(pattern.first);
      keys.first = ++i;
      keys.count = 2;
    }
  }
  return keys;
}

// The words behind LIMIT, BY, GET and STORE are never taken for options: as the parser of SORT
// does.
KeyPositions FindSorted(const KeyPattern& pattern, CommandArgs args) {
  KeyPositions keys;
  keys.first = static_cast<size_t>(pattern.first);
  keys.count = 1;
  for (size_t i = keys.first + 1; pattern.last > pattern.first && i < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "LIMIT")) {
      i += 2;
    } else if (EqualsIgnoreCase(args[i], "GET") || EqualsIgnoreCase(args[i], "BY")) {
      ++i;
    } else if (EqualsIgnoreCase(args[i], "STORE") && i + 1 < args.size()) {
      keys.lone = static_cast<size_t>(pattern.first);
      keys.first = ++i;
      keys.count = 2;
    }
  }
  return keys;
}

// The words behind AUTH and AUTH2 are never taken for options.
KeyPositions FindMigrated(const KeyPattern& pattern, CommandArgs args) {
  KeyPositions keys;
  keys.first = static_cast<size_t>(pattern.first);
  keys.count = 1;
  for (size_t i = static_cast<size_t>(pattern.last); i + 1 < args.size(); ++i) {
    if (EqualsIgnoreCase(args[i], "KEYS")) {
      keys.complete = args[keys.first].empty();
      keys.count = keys.complete ? args.size() - i - 1 : 0;
      keys.first = i + 1;
      break;
    }
    i += EqualsIgnoreCase(args[i], "AUTH") ? 1 : EqualsIgnoreCase(args[i], "AUTH2") ? 2 : 0;
  }
  return keys;
}

KeyPositions FindAfterStreams(CommandArgs args) {
  KeyPositions keys;
  keys.complete = false;
  for (size_t i = 1; i + 1 < args.size(); i += ReadOptionSize(args[i])) {
    if (EqualsIgnoreCase(args[i], "STREAMS")) {
      const size_t rest = args.size() - i - 1;
      keys.complete = rest % 2 == 0;
      keys.first = i + 1;
      keys.count = keys.complete ? rest / 2 : 0;
      break;
    }
    if (ReadOptionSize(args[i]) == 0) {
      break;
    }
  }
  return keys;
}

}  // namespace

const CommandSpec* FindCommand(std::string_view name) {
  for (size_t bucket = Bucket(name);; bucket = (bucket + 1) % kBucketCount) {
    const uint16_t index = kBuckets[bucket];
    if (index == kNoCommand) {
      return nullptr;
    }
    if (EqualsFolded(name, kCommands[index].name)) {
      return &kCommands[index];
    }
  }
}

const CommandSpec* FindSubcommand(const CommandSpec& container, std::string_view name) {
  for (const CommandSpec& spec : SubcommandsOf(container)) {
    if (EqualsFolded(name, spec.name.substr(container.name.size() + 1))) {
      return &spec;
    }
  }
  return nullptr;
}

std::span<const CommandSpec> SubcommandsOf(const CommandSpec& spec) {
  const size_t index = static_cast<size_t>(IdOf(spec));
  KVS_CHECK(index < kCommandCount);
  return {kCommands + index + 1, kSubcommandCounts[index]};
}

namespace {

// The row that a request names, whatever its number of arguments.
const CommandSpec* FindNamed(CommandArgs args) {
  const CommandSpec* spec = FindCommand(args[0]);
  if (spec == nullptr || args[0].find('|') != std::string_view::npos) {
    return nullptr;  // "client|id" is a name in answers, not in requests.
  }
  if (args.size() > 1 && kSubcommandCounts[static_cast<size_t>(IdOf(*spec))] > 0) {
    return FindSubcommand(*spec, args[1]);
  }
  return spec;
}

}  // namespace

const CommandSpec* ResolveCommand(CommandArgs args) {
  KVS_CHECK(!args.empty());
  const CommandSpec* spec = FindNamed(args);
  return spec != nullptr && spec->ArityFits(args.size()) ? spec : nullptr;
}

std::string CommandError(CommandArgs args) {
  const CommandSpec* spec = FindNamed(args);
  return spec == nullptr ? UnknownCommandError(args) : WrongArityError(*spec);
}

std::string UnknownCommandError(CommandArgs args) {
  KVS_CHECK(!args.empty());
  const CommandSpec* container = FindCommand(args[0]);
  if (container != nullptr && args.size() > 1 && !SubcommandsOf(*container).empty()) {
    return WithoutLineBreaks("ERR unknown subcommand '" + std::string(Quoted(args[1], kMaxQuoted)) +
                             "'. Try " + ToUpper(args[0]) + " HELP.");
  }
  return UnknownNameError(args);
}

std::string UnknownNameError(CommandArgs args) {
  std::string quoted;
  for (size_t i = 1; i < args.size() && quoted.size() < kMaxQuoted; ++i) {
    quoted += "'" + std::string(Quoted(args[i], kMaxQuoted - quoted.size())) + "' ";
  }
  return WithoutLineBreaks("ERR unknown command '" + std::string(Quoted(args[0], kMaxQuoted)) +
                           "', with args beginning with: " + quoted);
}

std::string WrongArityError(const CommandSpec& spec) {
  return "ERR wrong number of arguments for '" + std::string(spec.name) + "' command";
}

namespace {

KeyPositions FindPattern(const KeyPattern& keys, CommandArgs args) {
  switch (keys.kind) {
    case KeyPattern::Kind::kNone:
      return {};
    case KeyPattern::Kind::kRange:
      return FindRange(keys, args.size());
    case KeyPattern::Kind::kCounted:
      return FindCounted(static_cast<size_t>(keys.first), args);
    case KeyPattern::Kind::kKeyAndCounted:
      return FindKeyAndCounted(keys, args);
    case KeyPattern::Kind::kKeyAndStored:
      return FindKeyAndStored(keys, args);
    case KeyPattern::Kind::kAfterStreams:
      return FindAfterStreams(args);
    case KeyPattern::Kind::kSorted:
      return FindSorted(keys, args);
    case KeyPattern::Kind::kMigrated:
      return FindMigrated(keys, args);
  }
  return {};
}

}  // namespace

KeyPositions FindKeys(const CommandSpec& spec, CommandArgs args) {
  KVS_CHECK(spec.ArityFits(args.size()));
  return FindPattern(spec.keys, args);
}

KeyPositions FindRouted(const CommandSpec& spec, CommandArgs args) {
  KVS_CHECK(spec.ArityFits(args.size()));
  return FindPattern(spec.has_channels() ? spec.channels : spec.keys, args);
}

KeyUses UsesOfKey(const CommandSpec& spec, CommandArgs request, size_t number) {
  if (number > 0 && spec.second_access != 0) {
    return spec.second_access;
  }
  if ((spec.access & KeyUse::kVariableFlags) == 0) {
    return spec.access;
  }
  if (spec.group == Group::kBitmap) {
    const bool writes = std::any_of(request.begin(), request.end(), [](std::string_view word) {
      return EqualsIgnoreCase(word, "set") || EqualsIgnoreCase(word, "incrby");
    });
    return writes ? KeyUse::kRW | KeyUse::kAccess | KeyUse::kUpdate : KeyUse::kRO | KeyUse::kAccess;
  }
  const bool reads = request.size() > 3 &&
                     std::any_of(request.begin() + 3, request.end(), [](std::string_view word) {
                       return EqualsIgnoreCase(word, "get");
                     });
  return reads ? KeyUse::kRW | KeyUse::kAccess | KeyUse::kUpdate : KeyUse::kOW | KeyUse::kUpdate;
}

size_t ReadOptionSize(std::string_view word) {
  if (EqualsIgnoreCase(word, "BLOCK") || EqualsIgnoreCase(word, "COUNT")) {
    return 2;
  }
  if (EqualsIgnoreCase(word, "GROUP")) {
    return 3;
  }
  return EqualsIgnoreCase(word, "NOACK") ? 1 : 0;
}

bool MayWait(const CommandSpec& spec, CommandArgs args) {
  if (spec.keys.kind != KeyPattern::Kind::kAfterStreams) {
    return spec.Has(Cmd::kBlocking);
  }
  const KeyPositions keys = FindKeys(spec, args);
  for (size_t i = 1; i + 1 < keys.first; i += ReadOptionSize(args[i])) {
    if (EqualsIgnoreCase(args[i], "BLOCK")) {
      return true;
    }
  }
  return false;
}

}  // namespace kvs
