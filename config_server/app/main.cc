// kv_config: the config server.

#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "common/base/build_info.h"
#include "common/base/file.h"
#include "common/base/logging.h"
#include "common/config/config_file.h"
#include "common/metrics/metrics.h"
#include "common/net/signals.h"
#include "config_server/api/config_api.h"
#include "config_server/app/config_metrics.h"
#include "config_server/app/config_options.h"
#include "config_server/app/config_server.h"

namespace kvs {
namespace {

enum ExitCode : int { kExitOk = 0, kExitFailure = 1, kExitUsage = 2 };

int Print(const std::string& text) {
  return std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0 ? kExitOk : kExitFailure;
}

int Complain(const Status& status, ExitCode code) {
  std::fprintf(stderr, "kv_config: %s\n", std::string(status.message()).c_str());
  return code;
}

std::string ReferenceText() {
  const ConfigOptions defaults;
  return "## Options of `kv_config`\n\n" + OptionsMarkdown(ConfigOptionRows(), &defaults) +
         "\n## Metrics\n\n" + MetricsMarkdown(kConfigMetricPrefix, ConfigMetricRows()) +
         "\n## HTTP API\n\n" + ApiMarkdown();
}

int Serve(const ConfigOptions& options) {
  EventLoop loop("main");
  ConfigServer server(&loop, options);
  SignalWatcher signals(&loop, {SIGTERM, SIGINT, SIGHUP}, [&](int signal) {
    if (signal != SIGHUP) {
      KVS_LOG(kInfo, "stopping because of signal {}", signal);
      return loop.Stop();
    }
    const Status status = ReopenLog();
    if (!status.ok()) {
      KVS_LOG(kError, "cannot open the log again: {}", status.message());
    }
  });
  Status status = signals.Start();
  if (status.ok()) {
    status = server.Start();
  }
  if (status.ok() && !options.pidfile.empty()) {
    status = WriteFileAtomic(options.pidfile, std::to_string(::getpid()) + "\n");
  }
  if (!status.ok()) {
    return Complain(status, kExitFailure);
  }
  (void)RaiseOpenFileLimit();
  loop.Run();
  server.Stop();
  if (!options.pidfile.empty() && !RemoveFile(options.pidfile).ok()) {
    KVS_LOG(kWarning, "cannot remove '{}'", options.pidfile);
  }
  return kExitOk;
}

int Main(const std::vector<std::string>& arguments) {
  const std::vector<OptionRow>& rows = ConfigOptionRows();
  const Result<CommandLine> line = ParseCommandLine(rows, arguments);
  if (!line.ok()) {
    return Complain(line.status(), kExitUsage);
  }
  const ConfigOptions defaults;
  if (line->help) {
    return Print(HelpText("kv_config", "The config server of kvstore: who serves which slots.",
                          rows, &defaults));
  }
  if (line->version) {
    return Print(VersionText("kv_config"));
  }
  if (line->print_default_config) {
    return Print(DefaultConfigText(rows, &defaults));
  }
  if (line->print_reference) {
    return Print(ReferenceText());
  }
  ConfigOptions options;
  Status status = LoadOptions(rows, *line, &options);
  if (status.ok()) {
    status = ValidateConfigOptions(options);
  }
  if (!status.ok()) {
    return Complain(status, kExitUsage);
  }
  if (line->print_conf) {
    return Print(EffectiveConfigText(rows, &options));
  }
  if (line->test_conf) {
    return Print("the options are good\n");
  }
  const Result<LogLevel> level = ParseLogLevel(options.loglevel);
  KVS_CHECK(level.ok());  // One of the option's choices.
  status = InitLogging(options.logfile, *level);
  if (!status.ok()) {
    return Complain(status, kExitFailure);
  }
  const int code = Serve(options);
  ShutdownLogging();
  return code;
}

}  // namespace
}  // namespace kvs

int main(int argc, char** argv) {
  return kvs::Main(std::vector<std::string>(argv + 1, argv + argc));
}
