#include "common/acl/acl_rules.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>

#include "common/base/strings.h"
#include "common/command/command_categories.h"
#include "common/digest/digest.h"

namespace kvs {
namespace {

constexpr std::string_view kNoSuchCommand = "Unknown command or category name in ACL";
constexpr size_t kHashDigits = 64;

Status SyntaxError() {
  return Status::InvalidArgument("Syntax error");
}

Status TooMany(std::string_view what, size_t limit) {
  return Status::InvalidArgument(fmt::format("There are {} {} already", limit, what));
}

// Rules are words of a line: what could end a word or the line is never a part of them.
bool HasSpace(std::string_view text) {
  return text.find_first_of(std::string_view(" \t\n\v\f\r\0", 7)) != std::string_view::npos;
}

bool IsHash(std::string_view text) {
  return text.size() == kHashDigits &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::vector<std::string_view> WordsOf(std::string_view text) {
  std::vector<std::string_view> words;
  constexpr std::string_view kSpaces = " \t\n\v\f\r";
  for (size_t at = text.find_first_not_of(kSpaces); at != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSpaces, at), text.size());
    words.push_back(text.substr(at, end - at));
    at = text.find_first_not_of(kSpaces, end);
  }
  return words;
}

// `name`: a rule without its sign.  What was said about the same before means nothing any more.
void KeepCommandRule(std::string_view name, bool allow, AclSelector* selector) {
  const std::string lower = ToLower(name);
  std::erase_if(selector->command_rules, [&lower](const std::string& rule) {
    const std::string_view earlier = std::string_view(rule).substr(1);
    return earlier.starts_with(lower) &&
           (earlier.size() == lower.size() || earlier[lower.size()] == '|');
  });
  selector->command_rules.push_back((allow ? "+" : "-") + lower);
}

void SetEveryCommand(bool allow, AclSelector* selector) {
  if (allow) {
    selector->commands.set();
  } else {
    selector->commands.reset();
  }
  selector->future_commands = allow;
  selector->command_rules.clear();
  selector->first_args.clear();
}

// With its subcommands.
void SetCommand(const CommandSpec& spec, bool allow, AclSelector* selector) {
  const auto set = [&](const CommandSpec& one) {
    selector->commands.set(static_cast<size_t>(IdOf(one)), allow);
    std::erase_if(selector->first_args,
                  [&one](const auto& allowed) { return allowed.first == IdOf(one); });
  };
  set(spec);
  for (const CommandSpec& subcommand : SubcommandsOf(spec)) {
    set(subcommand);
  }
}

Status ApplyCategory(std::string_view name, bool allow, AclSelector* selector) {
  if (EqualsIgnoreCase(name, "all")) {
    SetEveryCommand(allow, selector);
    return Status::Ok();
  }
  const std::optional<CommandCategories> category = FindCategory(name);
  if (!category.has_value()) {
    return Status::InvalidArgument(kNoSuchCommand);
  }
  for (const CommandSpec& spec : kCommands) {
    if ((CategoriesOf(spec) & *category) != 0) {
      SetCommand(spec, allow, selector);
    }
  }
  KeepCommandRule("@" + std::string(name), allow, selector);
  return Status::Ok();
}

// "select|0": a command that has no subcommands, with one word behind it.
Status AllowFirstArg(std::string_view name, size_t bar, AclSelector* selector) {
  const std::string_view word = name.substr(bar + 1);
  const CommandSpec* const spec = FindCommand(name.substr(0, bar));
  if (spec == nullptr) {
    return Status::InvalidArgument(kNoSuchCommand);
  }
  if (IsSubcommand(*spec)) {
    return Status::InvalidArgument("Allowing first-arg of a subcommand is not supported");
  }
  if (word.empty() || HasSpace(word)) {
    return SyntaxError();
  }
  if (!SubcommandsOf(*spec).empty()) {
    return Status::InvalidArgument(kNoSuchCommand);
  }
  if (selector->first_args.size() >= kMaxAclFirstArgs) {
    return TooMany("commands with a first argument", kMaxAclFirstArgs);
  }
  std::pair<CommandId, std::string> allowed = {IdOf(*spec), ToLower(word)};
  if (std::find(selector->first_args.begin(), selector->first_args.end(), allowed) ==
      selector->first_args.end()) {
    selector->first_args.push_back(std::move(allowed));
  }
  KeepCommandRule(name, /*allow=*/true, selector);
  return Status::Ok();
}

Status ApplyCommand(std::string_view name, bool allow, AclSelector* selector) {
  if (selector->command_rules.size() >= kMaxAclCommandRules && !EqualsIgnoreCase(name, "@all")) {
    return TooMany("rules about commands", kMaxAclCommandRules);
  }
  if (name.starts_with('@')) {
    return ApplyCategory(name.substr(1), allow, selector);
  }
  const CommandSpec* const spec = FindCommand(name);
  if (spec != nullptr) {
    SetCommand(*spec, allow, selector);
    KeepCommandRule(name, allow, selector);
    return Status::Ok();
  }
  const size_t bar = name.rfind('|');
  if (!allow || bar == std::string_view::npos) {
    return Status::InvalidArgument(kNoSuchCommand);
  }
  return AllowFirstArg(name, bar, selector);
}

Status AddKeyPattern(std::string_view pattern, KeyRights rights, AclSelector* selector) {
  if (selector->all_keys) {
    return Status::InvalidArgument(
        "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not "
        "have any effect. Try 'resetkeys' to start with an empty list of patterns");
  }
  if (HasSpace(pattern)) {
    return SyntaxError();
  }
  if (pattern == "*" && rights == KeyRight::kBoth) {
    selector->all_keys = true;
    selector->keys.clear();
    return Status::Ok();
  }
  const auto same = std::find_if(selector->keys.begin(), selector->keys.end(),
                                 [&](const auto& key) { return key.pattern == pattern; });
  if (same != selector->keys.end()) {
    same->rights |= rights;
    if (pattern == "*" && same->rights == KeyRight::kBoth) {
      selector->all_keys = true;  // It reads so, too.
      selector->keys.clear();
    }
    return Status::Ok();
  }
  if (selector->keys.size() >= kMaxAclPatterns) {
    return TooMany("key patterns", kMaxAclPatterns);
  }
  selector->keys.push_back({.pattern = std::string(pattern), .rights = rights});
  return Status::Ok();
}

// "%R~pattern"
Status AddRestrictedPattern(std::string_view rule, AclSelector* selector) {
  KeyRights rights = 0;
  size_t at = 1;
  for (; at < rule.size() && rule[at] != '~'; ++at) {
    const char letter = static_cast<char>(rule[at] & ~0x20);
    const KeyRights right = letter == 'R' ? KeyRight::kRead : letter == 'W' ? KeyRight::kWrite : 0;
    if (right == 0 || (rights & right) != 0) {
      return SyntaxError();
    }
    rights |= right;
  }
  if (rights == 0 || at == rule.size()) {
    return SyntaxError();
  }
  return AddKeyPattern(rule.substr(at + 1), rights, selector);
}

Status AddChannel(std::string_view pattern, AclSelector* selector) {
  if (selector->all_channels) {
    return Status::InvalidArgument(
        "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does "
        "not have any effect. Try 'resetchannels' to start with an empty list of channels");
  }
  if (HasSpace(pattern)) {
    return SyntaxError();
  }
  std::vector<std::string>& channels = selector->channels;
  if (std::find(channels.begin(), channels.end(), pattern) != channels.end()) {
    return Status::Ok();
  }
  if (channels.size() >= kMaxAclPatterns) {
    return TooMany("channel patterns", kMaxAclPatterns);
  }
  channels.emplace_back(pattern);
  return Status::Ok();
}

void SetKeys(bool all, AclSelector* selector) {
  selector->all_keys = all;
  selector->keys.clear();
}

void SetChannels(bool all, AclSelector* selector) {
  selector->all_channels = all;
  selector->channels.clear();
}

Status ApplySelectorRule(std::string_view rule, AclSelector* selector) {
  const auto is = [rule](std::string_view word) { return EqualsIgnoreCase(rule, word); };
  if (is("allkeys") || is("~*")) {
    SetKeys(true, selector);
  } else if (is("resetkeys")) {
    SetKeys(false, selector);
  } else if (is("allchannels") || is("&*")) {
    SetChannels(true, selector);
  } else if (is("resetchannels")) {
    SetChannels(false, selector);
  } else if (is("allcommands") || is("nocommands")) {
    SetEveryCommand(is("allcommands"), selector);
  } else if (rule.starts_with('~')) {
    return AddKeyPattern(rule.substr(1), KeyRight::kBoth, selector);
  } else if (rule.starts_with('%')) {
    return AddRestrictedPattern(rule, selector);
  } else if (rule.starts_with('&')) {
    return AddChannel(rule.substr(1), selector);
  } else if (rule.starts_with('+') || rule.starts_with('-')) {
    return ApplyCommand(rule.substr(1), rule[0] == '+', selector);
  } else {
    return SyntaxError();
  }
  return Status::Ok();
}

Status AddSelector(std::string_view rules, DefaultChannels channels, AclUser* user) {
  if (user->selectors.size() >= kMaxAclSelectors) {
    return TooMany("selectors", kMaxAclSelectors);
  }
  AclSelector selector;
  selector.all_channels = channels == DefaultChannels::kAll;
  for (const std::string_view rule : WordsOf(rules)) {
    if (rule.ends_with(')')) {
      return SyntaxError();  // Written to a file, the selector would end there.
    }
    KVS_RETURN_IF_ERROR(ApplySelectorRule(rule, &selector));
  }
  user->selectors.push_back(std::move(selector));
  return Status::Ok();
}

// `rule`: '>' or '<' and a password, or '#' or '!' and a hash.
Status ApplyPassword(std::string_view rule, AclUser* user) {
  const bool is_hash = rule[0] == '#' || rule[0] == '!';
  const bool adds = rule[0] == '#' || rule[0] == '>';
  if (is_hash && !IsHash(rule.substr(1))) {
    return Status::InvalidArgument(
        "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
        "characters");
  }
  const std::string hash = is_hash ? std::string(rule.substr(1)) : Sha256Hex(rule.substr(1));
  std::vector<std::string>& passwords = user->passwords;
  const auto found = std::find(passwords.begin(), passwords.end(), hash);
  if (!adds) {
    if (found == passwords.end()) {
      return Status::InvalidArgument(
          "The password you are trying to remove from the user does not exist");
    }
    passwords.erase(found);
    return Status::Ok();
  }
  if (found == passwords.end()) {
    if (passwords.size() >= kMaxAclPasswords) {
      return TooMany("passwords", kMaxAclPasswords);
    }
    passwords.push_back(hash);
  }
  user->no_password = false;
  return Status::Ok();
}

void ResetUser(DefaultChannels channels, AclUser* user) {
  AclUser fresh = MakeAclUser(user->name, channels);
  fresh.id = user->id;
  fresh.sanitizes_payload = true;
  *user = std::move(fresh);
}

std::string Joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, " "));
}

std::string SelectorText(const AclSelector& selector) {
  std::string text = KeyRulesText(selector);
  text += text.empty() ? "" : " ";
  if (!selector.all_channels) {
    text += "resetchannels ";
  }
  const std::string channels = ChannelRulesText(selector);
  text += channels.empty() ? "" : channels + " ";
  return text + CommandRulesText(selector);
}

// Reads one line of an ACL file.  Returns why it is none; `*user` may be changed in part.
std::string ReadLine(std::string_view where, std::string_view line, DefaultChannels channels,
                     AclUser* user) {
  const std::vector<std::string_view> words = WordsOf(line);
  if (words.size() < 2 || words[0] != "user") {
    return fmt::format("{} should start with user keyword followed by the username. ", where);
  }
  if (!IsAclUserName(words[1])) {
    return fmt::format("{}: username '{}' contains invalid characters. ", where, words[1]);
  }
  *user = MakeAclUser(words[1], channels);
  const auto rules = JoinSelectors(std::span(words).subspan(2));
  if (!rules.ok()) {
    return fmt::format("{}: Unmatched parenthesis in selector definition.", where);
  }
  std::string errors;
  for (const std::string& rule : *rules) {
    const Status status = ApplyAclRule(rule, channels, user);
    if (!status.ok() && status.message() == "Syntax error") {
      return fmt::format("{}: Syntax error. ", where);
    }
    if (!status.ok()) {
      errors +=
          fmt::format("{}: Error in applying operation '{}': {}. ", where, rule, status.message());
    }
  }
  return errors;
}

}  // namespace

AclUser MakeAclUser(std::string_view name, DefaultChannels channels) {
  AclUser user;
  user.name = name;
  user.root().all_channels = channels == DefaultChannels::kAll;
  return user;
}

AclUser MakeDefaultAclUser() {
  AclUser user = MakeAclUser("default", DefaultChannels::kAll);
  user.on = true;
  user.no_password = true;
  SetKeys(true, &user.root());
  SetEveryCommand(true, &user.root());
  return user;
}

bool IsAclUserName(std::string_view name) {
  return !name.empty() && name.size() <= kMaxAclUserName && !HasSpace(name);
}

Result<std::vector<std::string>> JoinSelectors(std::span<const std::string_view> words) {
  std::vector<std::string> rules;
  const std::string_view* opened = nullptr;  // The word with a bracket that is still open.
  for (const std::string_view& word : words) {
    if (opened != nullptr) {
      rules.back() += " " + std::string(word);
    } else {
      rules.emplace_back(word);
      opened = word.starts_with('(') ? &word : nullptr;
    }
    opened = word.ends_with(')') ? nullptr : opened;
  }
  if (opened != nullptr) {
    return Status::InvalidArgument(*opened);
  }
  return rules;
}

Status ApplyAclRule(std::string_view rule, DefaultChannels channels, AclUser* user) {
  if (rule.size() > kMaxAclRuleBytes) {
    return Status::InvalidArgument(fmt::format("A rule has {} bytes at most", kMaxAclRuleBytes));
  }
  const auto is = [rule](std::string_view word) { return EqualsIgnoreCase(rule, word); };
  if (rule.empty()) {
    return Status::Ok();
  }
  if (is("on") || is("off")) {
    user->on = is("on");
  } else if (is("nopass")) {
    user->no_password = true;
    user->passwords.clear();
  } else if (is("resetpass")) {
    user->no_password = false;
    user->passwords.clear();
  } else if (is("sanitize-payload") || is("skip-sanitize-payload")) {
    user->sanitizes_payload = is("sanitize-payload");
    user->skips_sanitizing = !user->sanitizes_payload;
  } else if (std::string_view("><#!").find(rule[0]) != std::string_view::npos) {
    return ApplyPassword(rule, user);
  } else if (rule.starts_with('(') && rule.ends_with(')')) {
    return AddSelector(rule.substr(1, rule.size() - 2), channels, user);
  } else if (is("clearselectors")) {
    user->selectors.resize(1);
  } else if (is("reset")) {
    ResetUser(channels, user);
  } else {
    return ApplySelectorRule(rule, &user->root());
  }
  return Status::Ok();
}

std::string CommandRulesText(const AclSelector& selector) {
  const std::string first = selector.future_commands ? "+@all" : "-@all";
  return selector.command_rules.empty() ? first : first + " " + Joined(selector.command_rules);
}

std::string KeyRulesText(const AclSelector& selector) {
  if (selector.all_keys) {
    return "~*";
  }
  std::vector<std::string> rules;
  for (const AclKeyPattern& key : selector.keys) {
    const std::string_view sign = key.rights == KeyRight::kBoth   ? "~"
                                  : key.rights == KeyRight::kRead ? "%R~"
                                                                  : "%W~";
    rules.push_back(std::string(sign) + key.pattern);
  }
  return Joined(rules);
}

std::string ChannelRulesText(const AclSelector& selector) {
  if (selector.all_channels) {
    return "&*";
  }
  std::vector<std::string> rules;
  for (const std::string& channel : selector.channels) {
    rules.push_back("&" + channel);
  }
  return Joined(rules);
}

std::vector<std::string_view> UserFlags(const AclUser& user) {
  std::vector<std::string_view> flags = {user.on ? "on" : "off"};
  if (user.no_password) {
    flags.emplace_back("nopass");
  }
  if (user.skips_sanitizing) {
    flags.emplace_back("skip-sanitize-payload");
  }
  if (user.sanitizes_payload) {
    flags.emplace_back("sanitize-payload");
  }
  return flags;
}

std::string AclUserLine(const AclUser& user) {
  std::string line = "user " + user.name;
  for (const std::string_view flag : UserFlags(user)) {
    line += " " + std::string(flag);
  }
  for (const std::string& hash : user.passwords) {
    line += " #" + hash;
  }
  line += " " + SelectorText(user.root());
  for (size_t i = 1; i < user.selectors.size(); ++i) {
    line += " (" + SelectorText(user.selectors[i]) + ")";
  }
  return line;
}

Result<std::vector<AclUser>> ParseAclFile(std::string_view text, std::string_view path,
                                          DefaultChannels channels) {
  constexpr size_t kMaxErrorBytes = 4096;
  std::vector<AclUser> users;
  std::set<std::string> names;
  std::string errors;
  size_t number = 0;
  for (std::string_view line : Split(text, '\n')) {
    ++number;
    line = TrimSpaces(line);
    if (line.empty() || errors.size() > kMaxErrorBytes) {
      continue;
    }
    AclUser user;
    std::string error = ReadLine(fmt::format("{}:{}", path, number), line, channels, &user);
    if (error.empty() && !names.insert(user.name).second) {
      error = fmt::format("WARNING: Duplicate user '{}' found on line {}. ", user.name, number);
    }
    errors += error;
    users.push_back(std::move(user));
  }
  if (!errors.empty()) {
    return Status::InvalidArgument(
        errors +
        "WARNING: ACL errors detected, no change to the previously active ACL rules was "
        "performed");
  }
  return users;
}

}  // namespace kvs
