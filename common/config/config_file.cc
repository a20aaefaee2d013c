#include "common/config/config_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <iterator>
#include <set>

#include "common/base/file.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr int kMaxIncludeDepth = 16;
constexpr uint64_t kMaxFileBytes = 4 << 20;

Status LoadText(const std::vector<OptionRow>& rows, std::string_view text,
                const std::string& origin, int depth, std::set<std::string>* seen, void* options);

Status LoadFile(const std::vector<OptionRow>& rows, const std::string& path, int depth,
                std::set<std::string>* seen, void* options) {
  if (depth > kMaxIncludeDepth) {
    return Status::InvalidArgument(
        fmt::format("'{}': more than {} nested includes; is it a circle?", path, kMaxIncludeDepth));
  }
  if (path == "-") {
    const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
    return LoadText(rows, text, "standard input", depth, seen, options);
  }
  KVS_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, kMaxFileBytes));
  return LoadText(rows, text, path, depth, seen, options);
}

Status ApplyLine(const std::vector<OptionRow>& rows, const std::vector<std::string>& words,
                 int depth, std::set<std::string>* seen, void* options) {
  const std::string name = ToLower(words[0]);
  if (name == "include") {
    if (words.size() != 2) {
      return Status::InvalidArgument("include wants one file name");
    }
    return LoadFile(rows, words[1], depth + 1, seen, options);
  }
  const OptionRow* row = FindOption(rows, name);
  if (row == nullptr) {
    return Status::InvalidArgument(fmt::format("unknown option '{}'", words[0]));
  }
  if (row->kind == OptionKind::kStringList) {
    if (seen->insert(row->name).second) {
      KVS_RETURN_IF_ERROR(SetOptionField(*row, options, ""));  // The file replaces the default.
    }
    if (row->spec.pairs && words.size() == 3 && words[1].find('=') == std::string::npos) {
      return SetOptionField(*row, options, words[1] + "=" + words[2]);
    }
    for (size_t i = 1; i < words.size(); ++i) {
      KVS_RETURN_IF_ERROR(SetOptionField(*row, options, words[i]));
    }
    return Status::Ok();
  }
  if (words.size() != 2) {
    return Status::InvalidArgument(fmt::format("'{}' wants one value", words[0]));
  }
  return SetOptionField(*row, options, words[1]);
}

Status LoadText(const std::vector<OptionRow>& rows, std::string_view text,
                const std::string& origin, int depth, std::set<std::string>* seen, void* options) {
  int number = 0;
  for (const std::string_view raw : Split(text, '\n')) {
    ++number;
    const std::string_view line = TrimSpaces(raw);
    if (line.empty() || line.front() == '#') {
      continue;
    }
    std::vector<std::string> words;
    Status status = SplitArguments(line, &words) ? ApplyLine(rows, words, depth, seen, options)
                                                 : Status::InvalidArgument("unbalanced quotes");
    if (!status.ok()) {
      return status.WithContext(fmt::format("{}, line {} ({})", origin, number, line));
    }
  }
  return Status::Ok();
}

std::string EnvironmentName(const OptionRow& row) {
  std::string name = "KVS_" + ToUpper(row.name);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string OptionLine(const OptionRow& row, const void* options) {
  return row.name + " " + FormatOptionField(row, options);
}

bool* Flag(CommandLine* line, std::string_view name) {
  static constexpr std::pair<std::string_view, bool CommandLine::*> kFlags[] = {
      {"help", &CommandLine::help},
      {"version", &CommandLine::version},
      {"test-conf", &CommandLine::test_conf},
      {"print-conf", &CommandLine::print_conf},
      {"print-default-config", &CommandLine::print_default_config},
      {"print-reference", &CommandLine::print_reference}};
  for (const auto& [flag, member] : kFlags) {
    if (flag == name) {
      return &(line->*member);
    }
  }
  return nullptr;
}

std::string_view KindName(const OptionRow& row) {
  static constexpr std::string_view kNames[] = {"yes/no",   "integer", "bytes",
                                                "duration", "text",    "list"};
  return kNames[static_cast<size_t>(row.kind)];
}

std::string Allowed(const OptionRow& row) {
  if (!row.spec.choices.empty()) {
    std::string text(row.spec.choices);
    for (size_t at = text.find('|'); at != std::string::npos; at = text.find('|', at + 2)) {
      text.replace(at, 1, ", ");
    }
    return text;
  }
  if (row.kind == OptionKind::kInt || row.kind == OptionKind::kBytes ||
      row.kind == OptionKind::kDuration) {
    if (row.spec.max.value == std::numeric_limits<int64_t>::max()) {
      return fmt::format("{} or more", row.spec.min.value);
    }
    return fmt::format("{} to {}", row.spec.min.value, row.spec.max.value);
  }
  return "";
}

// Wraps documentation at 76 columns behind `prefix`.
std::string Wrap(std::string_view text, std::string_view prefix) {
  std::string out;
  std::string line;
  for (const std::string_view word : Split(text, ' ')) {
    if (!line.empty() && line.size() + word.size() + 1 > 76) {
      out += fmt::format("{}{}\n", prefix, line);
      line.clear();
    }
    if (!word.empty()) {
      line += line.empty() ? "" : " ";
      line += word;
    }
  }
  return out + fmt::format("{}{}\n", prefix, line);
}

}  // namespace

Result<CommandLine> ParseCommandLine(const std::vector<OptionRow>& rows,
                                     const std::vector<std::string>& arguments,
                                     const std::vector<ToolFlag>& tools) {
  CommandLine line;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "-v") {
      line.version = true;
      continue;
    }
    if (!argument.starts_with("--")) {
      if (!line.file.empty()) {
        return Status::InvalidArgument(
            fmt::format("'{}': only one configuration file may be given (see --help)", argument));
      }
      line.file = argument;
      continue;
    }
    std::string name = argument.substr(2);
    if (bool* flag = Flag(&line, name)) {
      *flag = true;
      continue;
    }
    const size_t equals = name.find('=');
    std::string value;
    if (equals != std::string::npos) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    const bool is_tool = std::any_of(tools.begin(), tools.end(),
                                     [&](const ToolFlag& tool) { return tool.name == name; });
    if (!is_tool && FindOption(rows, name) == nullptr) {
      return Status::InvalidArgument(fmt::format("unknown option '--{}' (see --help)", name));
    }
    if (equals == std::string::npos) {
      if (i + 1 == arguments.size()) {
        return Status::InvalidArgument(fmt::format("'--{}' wants a value", name));
      }
      value = arguments[++i];
    }
    if (is_tool) {
      line.tool = name;
      line.tool_argument = value;
    } else {
      line.values.emplace_back(ToLower(name), value);
    }
  }
  return line;
}

Status LoadOptionsText(const std::vector<OptionRow>& rows, std::string_view text,
                       const std::string& origin, void* options) {
  std::set<std::string> seen;
  return LoadText(rows, text, origin, 0, &seen, options);
}

Status LoadOptionsFile(const std::vector<OptionRow>& rows, const std::string& path, void* options) {
  std::set<std::string> seen;
  return LoadFile(rows, path, 0, &seen, options);
}

Status LoadOptionsEnvironment(const std::vector<OptionRow>& rows, void* options) {
  for (const OptionRow& row : rows) {
    const std::string name = EnvironmentName(row);
    if (const char* value = std::getenv(name.c_str())) {
      if (row.kind == OptionKind::kStringList) {
        KVS_RETURN_IF_ERROR(SetOptionField(row, options, ""));
      }
      KVS_RETURN_IF_ERROR(SetOptionField(row, options, value).WithContext(name));
    } else if (const char* path = std::getenv((name + "_FILE").c_str());
               path != nullptr && row.spec.secret) {
      KVS_ASSIGN_OR_RETURN(const std::string content, ReadFile(path, 64 << 10));
      KVS_RETURN_IF_ERROR(SetOptionField(row, options, TrimSpaces(content)));
    }
  }
  return Status::Ok();
}

Status LoadOptions(const std::vector<OptionRow>& rows, const CommandLine& line, void* options) {
  if (!line.file.empty()) {
    KVS_RETURN_IF_ERROR(LoadOptionsFile(rows, line.file, options));
  }
  KVS_RETURN_IF_ERROR(LoadOptionsEnvironment(rows, options));
  std::set<std::string> seen;
  for (const auto& [name, value] : line.values) {
    const OptionRow* row = FindOption(rows, name);
    if (row->kind == OptionKind::kStringList && seen.insert(name).second) {
      KVS_RETURN_IF_ERROR(SetOptionField(*row, options, ""));
    }
    KVS_RETURN_IF_ERROR(SetOptionField(*row, options, value).WithContext("--" + name));
  }
  return Status::Ok();
}

std::string RewriteOptionsText(const std::vector<OptionRow>& rows, std::string_view text,
                               const void* defaults, const void* options) {
  std::string out;
  std::set<std::string> written;
  std::vector<std::string_view> lines = Split(text, '\n');
  if (!lines.empty() && lines.back().empty()) {
    lines.pop_back();
  }
  for (const std::string_view raw : lines) {
    std::vector<std::string> words;
    const OptionRow* row = nullptr;
    if (!TrimSpaces(raw).starts_with('#') && SplitArguments(TrimSpaces(raw), &words) &&
        !words.empty()) {
      row = FindOption(rows, words[0]);
    }
    if (row == nullptr) {
      out += fmt::format("{}\n", raw);
    } else if (written.insert(row->name).second) {
      out += OptionLine(*row, options) + "\n";
    }
  }
  static constexpr std::string_view kMark = "# Generated by CONFIG REWRITE";
  bool marked = text.find(kMark) != std::string_view::npos;
  for (const OptionRow& row : rows) {
    if (!written.contains(row.name) &&
        GetOptionField(row, defaults) != GetOptionField(row, options)) {
      if (!marked) {
        out += fmt::format("{}\n", kMark);
        marked = true;
      }
      out += OptionLine(row, options) + "\n";
    }
  }
  return out;
}

std::string DefaultConfigText(const std::vector<OptionRow>& rows, const void* defaults) {
  std::string out;
  for (const OptionRow& row : rows) {
    out += Wrap(row.spec.doc, "# ");
    const std::string allowed = Allowed(row);
    if (!allowed.empty()) {
      out += fmt::format("# Allowed: {}.\n", allowed);
    }
    out += fmt::format("# {}\n\n", OptionLine(row, defaults));
  }
  return out;
}

std::string EffectiveConfigText(const std::vector<OptionRow>& rows, const void* options) {
  std::string out;
  for (const OptionRow& row : rows) {
    const bool masked = row.spec.secret && !GetOptionField(row, options).empty();
    out += masked ? row.name + " ***\n" : OptionLine(row, options) + "\n";
  }
  return out;
}

std::string OptionsMarkdown(const std::vector<OptionRow>& rows, const void* defaults) {
  std::string out =
      "| Option | Type | Default | Allowed | Changes at run time | Meaning |\n"
      "|---|---|---|---|---|---|\n";
  for (const OptionRow& row : rows) {
    out += fmt::format("| `{}` | {} | `{}` | {} | {} | {} |\n", row.name, KindName(row),
                       FormatOptionField(row, defaults), Allowed(row),
                       row.spec.change == Change::kRuntime ? "yes" : "no", row.spec.doc);
  }
  return out;
}

std::string HelpText(std::string_view program, std::string_view summary,
                     const std::vector<OptionRow>& rows, const void* defaults,
                     const std::vector<ToolFlag>& tools) {
  std::string out = fmt::format(
      "{0}: {1}\n\n"
      "usage: {0} [FILE|-] [--OPTION VALUE]...\n"
      "       {0} --help | --version | --test-conf | --print-conf | --print-default-config |\n"
      "           --print-reference\n",
      program, summary);
  for (const ToolFlag& tool : tools) {
    out += fmt::format("       {} --{} {}\n{}", program, tool.name, tool.argument,
                       Wrap(tool.doc, "           "));
  }
  out +=
      "\nFILE has lines of `option value`.  Precedence: command line, environment (KVS_OPTION),\n"
      "FILE, default.  Options and their defaults:\n\n";
  for (const OptionRow& row : rows) {
    out += fmt::format("  --{} {}\n", row.name, FormatOptionField(row, defaults));
    out += Wrap(row.spec.doc, "      ");
  }
  return out;
}

}  // namespace kvs
