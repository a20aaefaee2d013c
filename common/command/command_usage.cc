#include "common/command/command_usage.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

using Arguments = std::vector<CommandArgument>;

constexpr std::string_view kPunctuation = "[]<>|";

// An argument that has to be empty.
constexpr std::string_view kEmptyWord = "\"\"";

// Rows nest three brackets at most; a stray usage must not nest without end.
constexpr int kMaxNesting = 8;

// Splits a usage into words and brackets.
std::vector<std::string_view> Words(std::string_view usage) {
  std::vector<std::string_view> words;
  while (!usage.empty()) {
    size_t size = 1;
    if (kPunctuation.find(usage[0]) == std::string_view::npos) {
      size = std::min(usage.size(), usage.find_first_of(" []<>|"));
    }
    if (size > 0) {
      words.push_back(usage.substr(0, size));
    }
    usage.remove_prefix(std::max<size_t>(size, 1));
  }
  return words;
}

bool IsToken(std::string_view word) {
  return word[0] >= 'A' && word[0] <= 'Z';
}

std::string_view TypeOf(std::string_view name, const CommandSpec& spec) {
  static constexpr std::string_view kIntegers[] = {
      "seconds", "milliseconds",  "increment",      "decrement", "offset",   "start",
      "end",     "cursor",        "count",          "index",     "protover", "client-id",
      "version", "min-match-len", "destination-db", "port"};
  static constexpr std::string_view kKeys[] = {"key",      "key1",        "key2",    "newkey",
                                               "source",   "destination", "destkey", "sourcekey",
                                               "storekey", "storedistkey"};
  if (std::find(std::begin(kKeys), std::end(kKeys), name) != std::end(kKeys)) {
    return "key";
  }
  if (name == "pattern") {
    return name;
  }
  if (name.starts_with("unix-time")) {
    return "unix-time";
  }
  if (name == "increment" && spec.name == "incrbyfloat") {
    return "double";
  }
  const bool integer =
      std::find(std::begin(kIntegers), std::end(kIntegers), name) != std::end(kIntegers);
  return integer ? "integer" : "string";
}

// Makes one argument of several that belong together.
CommandArgument Collapse(Arguments arguments, std::string_view type, std::string_view name) {
  if (arguments.size() == 1) {
    return std::move(arguments[0]);
  }
  return {.name = std::string(name), .type = type, .token = {}, .children = std::move(arguments)};
}

class UsageParser {
 public:
  UsageParser(const CommandSpec& spec, std::vector<std::string_view> words)
      : spec_(spec), words_(std::move(words)) {}

  Result<Arguments> Parse() {
    // The name: "SET", "CLIENT ID".
    const size_t name_size = spec_.name.find('|') == std::string_view::npos ? 1 : 2;
    if (words_.size() < name_size) {
      return Broken();
    }
    next_ = name_size;
    KVS_ASSIGN_OR_RETURN(Arguments arguments, ParseSequence(0));
    if (next_ != words_.size()) {
      return Broken();
    }
    return arguments;
  }

 private:
  Status Broken() const {
    return Status::InvalidArgument("usage of " + std::string(spec_.name) + ": " +
                                   std::string(spec_.usage));
  }
  bool At(std::string_view word) const { return next_ < words_.size() && words_[next_] == word; }
  bool AtEnd() const { return next_ == words_.size() || At("]") || At(">") || At("|"); }

  // Arguments up to a closing bracket, a '|' or the end.
  Result<Arguments> ParseSequence(int depth) {
    Arguments arguments;
    while (!AtEnd()) {
      if (At("[") && RepeatsPrevious(&arguments)) {
        continue;
      }
      if (At("[") || At("<")) {
        KVS_ASSIGN_OR_RETURN(CommandArgument group, ParseGroup(depth + 1));
        arguments.push_back(std::move(group));
      } else {
        arguments.push_back(ParseWord());
      }
    }
    return arguments;
  }

  // "[a | b]" or "<a | b>".
  Result<CommandArgument> ParseGroup(int depth) {
    if (depth > kMaxNesting) {
      return Broken();
    }
    const bool optional = words_[next_++] == "[";
    Arguments alternatives;
    do {
      KVS_ASSIGN_OR_RETURN(Arguments sequence, ParseSequence(depth));
      if (sequence.empty()) {
        return Broken();
      }
      alternatives.push_back(Collapse(std::move(sequence), "block", "block"));
    } while (At("|") && next_++ < words_.size());
    if (!At(optional ? "]" : ">")) {
      return Broken();
    }
    ++next_;
    CommandArgument group = Collapse(std::move(alternatives), "oneof", "choice");
    group.optional = optional;
    return group;
  }

  CommandArgument ParseWord() {
    const std::string_view word = words_[next_++];
    if (word == kEmptyWord) {
      return {
          .name = "empty-string", .type = "pure-token", .token = std::string(word), .children = {}};
    }
    if (!IsToken(word)) {
      const std::string_view type = TypeOf(word, spec_);
      const bool second_key = type == "key" && spec_.second_access != 0 && keys_seen_++ > 0;
      return {.name = std::string(word),
              .type = type,
              .key_spec = second_key ? 1 : 0,
              .token = {},
              .children = {}};
    }
    if (AtEnd() || At("[") || At("<") || IsToken(words_[next_])) {
      return {
          .name = ToLower(word), .type = "pure-token", .token = std::string(word), .children = {}};
    }
    CommandArgument argument = ParseWord();
    argument.token = word;
    return argument;
  }

  // "[x y ...]" behind x and y says that they may be repeated: makes that of them and moves on.
  bool RepeatsPrevious(Arguments* arguments) {
    size_t end = next_ + 1;
    while (end < words_.size() && kPunctuation.find(words_[end][0]) == std::string_view::npos) {
      ++end;
    }
    const size_t count = end - next_ - 2;  // Without '[' and "...".
    if (RepeatsToken(*arguments, end)) {
      arguments->back().multiple = true;
      arguments->back().repeats_token = true;
      next_ = end + 1;
      return true;
    }
    if (end == words_.size() || words_[end] != "]" || words_[end - 1] != "..." || count == 0 ||
        count > arguments->size()) {
      return false;
    }
    const auto first = arguments->end() - static_cast<ptrdiff_t>(count);
    Arguments repeated(std::make_move_iterator(first), std::make_move_iterator(arguments->end()));
    arguments->erase(first, arguments->end());
    arguments->push_back(Collapse(std::move(repeated), "block", "data"));
    arguments->back().multiple = true;
    next_ = end + 1;
    return true;
  }

  // Whether the words before `end` are "[TOKEN x ...", behind such an argument.
  bool RepeatsToken(const Arguments& arguments, size_t end) const {
    return end < words_.size() && end - next_ == 4 && words_[end] == "]" &&
           words_[end - 1] == "..." && !arguments.empty() && !arguments.back().token.empty() &&
           words_[next_ + 1] == arguments.back().token;
  }

  const CommandSpec& spec_;
  const std::vector<std::string_view> words_;
  size_t next_ = 0;
  int keys_seen_ = 0;
};

}  // namespace

Result<std::vector<CommandArgument>> ParseUsage(const CommandSpec& spec) {
  return UsageParser(spec, Words(spec.usage)).Parse();
}

}  // namespace kvs
