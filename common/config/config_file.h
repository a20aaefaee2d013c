// Where option values come from, and how they go back: redis.conf grammar, environment, command
// line.
//
// A file is lines of `name value`, with `#` comments, Redis's quotes, and `include FILE`.  A name
// that stands twice overwrites, or appends if the option is a list.  Order of precedence: command
// line, environment (KVS_NAME), file, default.
//
// Threads: main-only.
// Owner:   main.

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/config/option.h"

namespace kvs {

using OptionValues = std::vector<std::pair<std::string, std::string>>;

// Something that a program does instead of serving: `--name ARGUMENT`.
struct ToolFlag {
  std::string_view name;
  std::string_view argument;  // As --help shows it, such as DIR.
  std::string_view doc;
};

// What the command line asked for besides option values.
struct CommandLine {
  bool help = false;
  bool version = false;
  bool test_conf = false;             // Check the options and exit.
  bool print_conf = false;            // Print the effective options and exit.
  bool print_default_config = false;  // Print a commented default file and exit.
  bool print_reference = false;       // Print the reference page (Markdown) and exit.
  std::string tool;                   // The name of a ToolFlag, or empty...
  std::string tool_argument;          // ...and its argument.
  std::string file;                   // The positional argument; "-" is standard input.
  OptionValues values;                // From --name value, in order.
};

// Returns kInvalidArgument for an unknown flag or a flag without its value.
Result<CommandLine> ParseCommandLine(const std::vector<OptionRow>& rows,
                                     const std::vector<std::string>& arguments,
                                     const std::vector<ToolFlag>& tools = {});

// Reads a file into `options`.  Errors name file, line and text.  At most 16 nested includes.
Status LoadOptionsFile(const std::vector<OptionRow>& rows, const std::string& path, void* options);
// As LoadOptionsFile, from text; `origin` stands for the file's name in errors.
Status LoadOptionsText(const std::vector<OptionRow>& rows, std::string_view text,
                       const std::string& origin, void* options);
// Reads KVS_NAME for each option, and KVS_NAME_FILE (the content of a file) for secrets.
Status LoadOptionsEnvironment(const std::vector<OptionRow>& rows, void* options);
// All of the above in their order.
Status LoadOptions(const std::vector<OptionRow>& rows, const CommandLine& line, void* options);

// Returns `text` with the lines of options that differ from `before` replaced, others as they were,
// and new ones appended at the end: what CONFIG REWRITE writes.
std::string RewriteOptionsText(const std::vector<OptionRow>& rows, std::string_view text,
                               const void* defaults, const void* options);

// Returns every option with its documentation as comments and its value as a line.
std::string DefaultConfigText(const std::vector<OptionRow>& rows, const void* defaults);
// Returns `name value` lines of all options, secrets masked.
std::string EffectiveConfigText(const std::vector<OptionRow>& rows, const void* options);
// Returns the options as a Markdown table.
std::string OptionsMarkdown(const std::vector<OptionRow>& rows, const void* defaults);
// Returns the text of --help.
std::string HelpText(std::string_view program, std::string_view summary,
                     const std::vector<OptionRow>& rows, const void* defaults,
                     const std::vector<ToolFlag>& tools = {});

}  // namespace kvs
