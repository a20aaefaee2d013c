#include "test_all/command/case_table.h"

#include <algorithm>
#include <set>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/command/command_table.h"
#include "common/command/sort_request.h"

namespace kvs {
namespace {

// Reads the comments that mean something here.
void ReadMark(std::string_view comment, Case* test) {
  const auto take = [&](std::string_view mark, std::string* to) {
    if (comment.starts_with(mark)) {
      *to = TrimSpaces(comment.substr(mark.size()));
    }
  };
  take("differs:", &test->differs);
  take("since ", &test->since);
  take("one shard:", &test->one_shard);
}

Case StartCase(std::string_view table, std::string_view title) {
  static constexpr std::string_view kMark = " (kvs)";
  Case test;
  test.table = table;
  test.marked_kvs = title.ends_with(kMark);
  test.name = test.marked_kvs ? title.substr(0, title.size() - kMark.size()) : title;
  return test;
}

bool FlushesScripts(const std::vector<std::string>& words) {
  return words.size() > 1 && ToLower(words[0]) == "script" && ToLower(words[1]) == "flush";
}

// Whether it is a SORT with a pattern, which belongs to the slot of the key or does not.
bool HasPattern(const CommandSpec& spec, CommandArgs args) {
  if (IdOf(spec) != CommandId::kSort && IdOf(spec) != CommandId::kSortRo) {
    return false;
  }
  const Result<SortRequest> request = ParseSort(spec, args, PatternKeys::kAnywhere);
  return request.ok() &&
         (ReadsKeysByPattern(spec, args) ||
          std::any_of(request->gets.begin(), request->gets.end(),
                      [](const SortPattern& pattern) { return !pattern.is_element(); }));
}

// Whether its keys would not be what they are with a prefix: the empty one and those of one slot of
// which only some have a hash tag would change their slots, and patterns would not find theirs.
bool NeedsItsKeys(const std::vector<std::string>& words) {
  const std::vector<std::string_view> args(words.begin(), words.end());
  const CommandSpec* const spec = ResolveCommand(args);
  if (spec == nullptr) {
    return false;
  }
  bool empty = false;
  bool tagged = false;
  bool plain = false;
  (void)ForEachKey(*spec, args, [&](std::string_view key) {
    empty = empty || key.empty();
    (key.find('{') == std::string_view::npos ? plain : tagged) = true;
  });
  return empty || (tagged && plain) || HasPattern(*spec, args);
}

}  // namespace

std::string_view EmbeddedText(std::string_view name) {
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    if (file.name == name) {
      return file.text;
    }
  }
  KVS_CHECK(false);
  return {};
}

bool Case::needs_empty_server() const {
  static const std::set<std::string> whole_key_space = {"dbsize", "flushall",  "flushdb",
                                                        "keys",   "randomkey", "scan"};
  for (const CaseStep& step : steps) {
    if (whole_key_space.contains(ToLower(step.args[0])) && !step.reply.starts_with("-")) {
      return true;
    }
    if (NeedsItsKeys(step.args) || FlushesScripts(step.args)) {
      return true;
    }
  }
  return false;
}

Result<std::vector<Case>> ParseCases(std::string_view table, std::string_view text) {
  std::vector<Case> cases;
  const std::vector<std::string_view> lines = Split(text, '\n');
  const auto fail = [&](size_t i, std::string_view what) {
    return Status::InvalidArgument(std::string(table) + ":" + std::to_string(i + 1) + ": " +
                                   std::string(what));
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    if (line.starts_with("= ")) {
      cases.push_back(StartCase(table, line.substr(2)));
    } else if (line.empty() || (line.starts_with("#") && cases.empty())) {
      continue;
    } else if (cases.empty()) {
      return fail(i, "stands before the first case");
    } else if (line.starts_with("#")) {
      ReadMark(TrimSpaces(line.substr(1)), &cases.back());
    } else if (line.starts_with("@ ")) {
      cases.back().lets_time_pass = true;
    } else if (line.starts_with("> ") && i + 1 < lines.size()) {
      CaseStep step = {.request = std::string(line.substr(2)),
                       .args = {},
                       .reply = std::string(lines[i + 1]),
                       .line = static_cast<int>(i) + 1};
      if (!SplitArguments(step.request, &step.args) || step.args.empty()) {
        return fail(i, "not a request");
      }
      cases.back().steps.push_back(std::move(step));
      ++i;
    } else {
      return fail(i, "neither case, request nor comment");
    }
  }
  return cases;
}

namespace {

bool NeedsCluster(std::string_view table) {
  return table == "cluster_on.txt" || table == "slots.txt";
}

std::vector<Case> CasesOf(bool in_cluster) {
  std::vector<Case> all;
  for (const EmbeddedFile& file : EmbeddedFiles()) {
    const std::string_view name = file.name;
    if (!name.ends_with(".txt") || name == "malformed.txt" || NeedsCluster(name) != in_cluster) {
      continue;
    }
    Result<std::vector<Case>> cases = ParseCases(name, file.text);
    KVS_CHECK(cases.ok());
    for (Case& test : *cases) {
      if (!test.lets_time_pass) {
        all.push_back(std::move(test));
      }
    }
  }
  return all;
}

}  // namespace

std::vector<Case> AllCases() {
  return CasesOf(false);
}

std::vector<Case> ClusterCases() {
  return CasesOf(true);
}

std::string OnOneLine(std::string_view reply) {
  std::string line;
  for (size_t i = 0; i < reply.size(); ++i) {
    if (reply[i] == '\r' && i + 1 < reply.size() && reply[i + 1] == '\n') {
      ++i;
      line.append(i + 1 == reply.size() ? "" : " ");
    } else if (reply[i] >= ' ' && reply[i] <= '~') {
      line.push_back(reply[i]);
    } else {
      static constexpr char kHex[] = "0123456789abcdef";
      const auto byte = static_cast<unsigned char>(reply[i]);
      line.append("\\x").append({kHex[byte >> 4], kHex[byte & 15]});
    }
  }
  return line;
}

}  // namespace kvs
