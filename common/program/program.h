// What every server program does before and around its work: command line, options, log, pid file.
//
//   int main(int argc, char** argv) {
//     return RunProgram<NodeOptions>(spec, argc, argv, &Serve);
//   }
//
// Exit codes: 0 done, 1 run-time failure, 2 usage (doc/operations).
//
// Threads: main-only.
// Owner:   main.

#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/build_info.h"
#include "common/base/logging.h"
#include "common/config/config_file.h"
#include "common/config/config_store.h"

namespace kvs {

inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;
inline constexpr int kExitUsage = 2;

// What a program does instead of serving, and the exit code that it returns.
struct ProgramTool {
  ToolFlag flag;
  int (*run)(const std::string& argument);
};

template <typename Options>
struct ProgramSpec {
  std::string_view name;
  std::string_view summary;
  const std::vector<OptionRow>& (*rows)();
  Status (*validate)(const Options&);
  // Returns the program's reference page besides its options: metrics, API.
  std::string (*reference)();
  // Returns what CONFIG GET shows besides the options; nullptr for nothing.
  ConfigPairs (*constants)(const Options& options) = nullptr;
  std::vector<ProgramTool> tools = {};
  // The program writes its pid file itself, when it serves.
  bool own_pid_file = false;
  // Returns why the options may not change so while the program runs; nullptr: they may.
  Status (*validate_change)(const Options& before, const Options& after) = nullptr;

  std::vector<ToolFlag> tool_flags() const {
    std::vector<ToolFlag> flags;
    for (const ProgramTool& tool : tools) {
      flags.push_back(tool.flag);
    }
    return flags;
  }
};

// Reads the options again, as SIGHUP wants it, and logs what came of it.
template <typename Options>
void ReloadOptions(const CommandLine& line, ConfigStore<Options>* config) {
  StringList kept;
  const Status status = config->Reload(line, &kept);
  if (!status.ok()) {
    KVS_LOG(kError, "reload: no option was changed: {}", status.message());
  } else if (kept.empty()) {
    KVS_LOG(kInfo, "reload: the options are in force");
  } else {
    KVS_LOG(kWarning, "reload: the options are in force but for those that need a restart: {}",
            fmt::join(kept, ", "));
  }
}

// Serves until it is told to stop.
template <typename Options>
using ServeFunction = Status (*)(const CommandLine& line, ConfigStore<Options>* config);

// Logs a warning if `maxclients` connections do not fit into the files that the process may open.
void WarnOfFewFiles(uint64_t files, int64_t maxclients);

// Removes the pid file when the program ends, unless another process has written its own.
class PidFile {
 public:
  PidFile() = default;
  PidFile(const PidFile&) = delete;
  PidFile& operator=(const PidFile&) = delete;
  ~PidFile();
  // Does nothing if `path` is empty.
  Status Write(const std::string& path);

 private:
  std::string path_;
};

// Prints what was asked for and returns true if that was all.
template <typename Options>
bool PrintAndExit(const ProgramSpec<Options>& spec, const CommandLine& line) {
  const Options defaults;
  if (line.help) {
    fmt::print("{}", HelpText(spec.name, spec.summary, spec.rows(), &defaults, spec.tool_flags()));
  } else if (line.version) {
    fmt::print("{}", VersionText(spec.name));
  } else if (line.print_default_config) {
    fmt::print("{}", DefaultConfigText(spec.rows(), &defaults));
  } else if (line.print_reference) {
    for (const ProgramTool& tool : spec.tools) {
      fmt::print("`{} --{} {}`: {}\n\n", spec.name, tool.flag.name, tool.flag.argument,
                 tool.flag.doc);
    }
    fmt::print("## Options of `{}`\n\n{}\n{}", spec.name, OptionsMarkdown(spec.rows(), &defaults),
               spec.reference());
  } else {
    return false;
  }
  return true;
}

template <typename Options>
int RunProgram(const ProgramSpec<Options>& spec, int argc, char** argv,
               ServeFunction<Options> serve) {
  const auto usage = [&spec](const Status& status) {
    fmt::print(stderr, "{}: {}\n", spec.name, status.message());
    return kExitUsage;
  };
  const Result<CommandLine> line = ParseCommandLine(
      spec.rows(), std::vector<std::string>(argv + 1, argv + argc), spec.tool_flags());
  if (!line.ok()) {
    return usage(line.status());
  }
  if (PrintAndExit(spec, *line)) {
    return kExitOk;
  }
  for (const ProgramTool& tool : spec.tools) {
    if (tool.flag.name == line->tool) {
      return tool.run(line->tool_argument);
    }
  }
  Options options;
  if (Status status = LoadOptions(spec.rows(), *line, &options); !status.ok()) {
    // As Redis: a fault in the configuration ends the start with 1.
    fmt::print(stderr, "{}: {}\n", spec.name, status.message());
    return kExitFailure;
  }
  if (line->print_conf) {
    fmt::print("{}", EffectiveConfigText(spec.rows(), &options));
    return kExitOk;
  }
  if (Status status = spec.validate(options); !status.ok()) {
    fmt::print(stderr, "{}: {}\n", spec.name, status.message());
    return kExitFailure;
  }
  if (line->test_conf) {
    fmt::print("the configuration is good\n");
    return kExitOk;
  }
  const Result<LogLevel> level = ParseLogLevel(options.loglevel);
  Status status = level.ok() ? InitLogging(options.logfile, *level) : level.status();
  PidFile pid_file;
  if (status.ok() && !spec.own_pid_file) {
    status = pid_file.Write(options.pidfile);
  }
  const uint64_t files = RaiseOpenFileLimit();
  if constexpr (requires { options.maxclients; }) {
    WarnOfFewFiles(files, options.maxclients);
  }
  if (status.ok()) {
    const ConfigPairs constants =
        spec.constants == nullptr ? ConfigPairs() : spec.constants(options);
    ConfigStore<Options> config(spec.rows(), std::move(options), line->file, spec.validate,
                                constants, spec.validate_change);
    status = serve(*line, &config);
  }
  if (!status.ok()) {
    KVS_LOG(kError, "{} ends: {}", spec.name, status.message());
    fmt::print(stderr, "{}: {}\n", spec.name, status.message());
  }
  ShutdownLogging();
  return status.ok() ? kExitOk : kExitFailure;
}

}  // namespace kvs
