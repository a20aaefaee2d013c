#include "common/acl/acl_user.h"

#include <algorithm>

#include "common/base/strings.h"
#include "common/digest/digest.h"

namespace kvs {
namespace {

// Which arguments are channels that the user needs a right for; ending a subscription needs none.
struct ChannelWords {
  size_t first = 0;  // 0: none.
  size_t end = 0;
  bool are_patterns = false;
};

ChannelWords FindChannels(const CommandSpec& spec, CommandArgs args) {
  switch (IdOf(spec)) {
    case CommandId::kPublish:
    case CommandId::kSPublish:
      return {.first = 1, .end = 2};
    case CommandId::kSubscribe:
    case CommandId::kSSubscribe:
      return {.first = 1, .end = args.size()};
    case CommandId::kPSubscribe:
      return {.first = 1, .end = args.size(), .are_patterns = true};
    default:
      return {};
  }
}

}  // namespace

KeyRights RightsFor(KeyUses uses) {
  constexpr KeyUses kWrites = KeyUse::kInsert | KeyUse::kUpdate | KeyUse::kDelete;
  return static_cast<KeyRights>(((uses & KeyUse::kAccess) != 0 ? KeyRight::kRead : 0) |
                                ((uses & kWrites) != 0 ? KeyRight::kWrite : 0));
}

bool AclSelector::AllowsCommand(const CommandSpec& spec, CommandArgs args) const {
  const CommandId id = IdOf(spec);
  if (commands.test(static_cast<size_t>(id)) || spec.Has(Cmd::kNoAuth)) {
    return true;
  }
  return args.size() > 1 &&
         std::any_of(first_args.begin(), first_args.end(), [&](const auto& allowed) {
           return allowed.first == id && EqualsIgnoreCase(args[1], allowed.second);
         });
}

bool AclSelector::AllowsKey(std::string_view key, KeyRights rights) const {
  return all_keys || std::any_of(keys.begin(), keys.end(), [&](const AclKeyPattern& allowed) {
           return (allowed.rights & rights) == rights && GlobMatch(allowed.pattern, key);
         });
}

bool AclSelector::AllowsChannel(std::string_view channel, bool is_pattern) const {
  return all_channels ||
         std::any_of(channels.begin(), channels.end(), [&](const std::string& allowed) {
           return is_pattern ? allowed == channel : GlobMatch(allowed, channel);
         });
}

bool AclSelector::ReadsEveryKey() const {
  return all_keys || std::any_of(keys.begin(), keys.end(), [](const AclKeyPattern& allowed) {
           return allowed.pattern == "*" && (allowed.rights & KeyRight::kRead) != 0;
         });
}

AclDenial AclSelector::Check(const CommandSpec& spec, CommandArgs args, size_t* word) const {
  *word = 0;
  if (!AllowsCommand(spec, args)) {
    return AclDenial::kCommand;
  }
  if (!spec.ArityFits(args.size())) {
    return AclDenial::kNone;
  }
  if (!all_keys && spec.has_keys()) {
    const KeyPositions positions = FindKeys(spec, args);
    for (size_t i = 0; i < positions.count; ++i) {
      *word = positions.index(i);
      if (!AllowsKey(args[*word], RightsFor(UsesOfKey(spec, args, i)))) {
        return AclDenial::kKey;
      }
    }
  }
  if (!all_channels && spec.Has(Cmd::kPubSub)) {
    const ChannelWords words = FindChannels(spec, args);
    for (*word = words.first; *word < words.end; ++*word) {
      if (!AllowsChannel(args[*word], words.are_patterns)) {
        return AclDenial::kChannel;
      }
    }
  }
  return AclDenial::kNone;
}

// Every password is compared, so that the time tells nothing about which of them are alike.
bool AclUser::Accepts(std::string_view password) const {
  const std::string hash = Sha256Hex(password);
  bool fits = no_password;
  for (const std::string& one : passwords) {
    fits |= EqualsConstantTime(one, hash);
  }
  return on && fits;
}

AclUser::Verdict AclUser::Check(const CommandSpec& spec, CommandArgs args) const {
  // Told is what came nearest to being allowed: the refusal furthest behind.
  Verdict verdict = {.denial = AclDenial::kCommand, .word = 0};
  for (const AclSelector& selector : selectors) {
    size_t word = 0;
    const AclDenial denial = selector.Check(spec, args, &word);
    if (denial == AclDenial::kNone) {
      return {};
    }
    if (denial > verdict.denial || (denial == verdict.denial && word > verdict.word)) {
      verdict = {.denial = denial, .word = word};
    }
  }
  return verdict;
}

bool AclUser::MayReadEveryKey(const CommandSpec& spec, CommandArgs args) const {
  return std::any_of(selectors.begin(), selectors.end(), [&](const AclSelector& selector) {
    size_t word = 0;
    return selector.ReadsEveryKey() && selector.Check(spec, args, &word) == AclDenial::kNone;
  });
}

bool AclUser::MaySubscribe(std::string_view channel, bool is_pattern) const {
  return std::any_of(selectors.begin(), selectors.end(), [&](const AclSelector& selector) {
    return selector.AllowsChannel(channel, is_pattern);
  });
}

}  // namespace kvs
