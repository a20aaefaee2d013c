#include "common/base/logging.h"

#include <spdlog/async.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kvs {
namespace internal {

std::atomic<LogLevel> log_level{LogLevel::kInfo};

namespace {

constexpr size_t kQueueLines = 8192;
constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%e%z %^%l%$ [%t] %v";

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
    case LogLevel::kOff:
      return spdlog::level::off;
  }
  return spdlog::level::off;
}

// The logger in use; nullptr before InitLogging() and after ShutdownLogging().
std::atomic<spdlog::logger*> current_logger{nullptr};

// Puts a new logger in use.  The old ones are kept for ever: threads may be inside them until the
// very end of the process, and reopening the log is rare.
void Use(std::shared_ptr<spdlog::logger> logger) {
  static auto* kept = new std::vector<std::shared_ptr<spdlog::logger>>();
  current_logger.store(logger.get(), std::memory_order_release);
  kept->push_back(std::move(logger));
}

std::shared_ptr<spdlog::logger> MakeLogger(std::shared_ptr<spdlog::sinks::sink> sink) {
  auto logger = std::make_shared<spdlog::async_logger>(
      "kvs", std::move(sink), spdlog::thread_pool(), spdlog::async_overflow_policy::overrun_oldest);
  logger->set_pattern(kPattern);
  logger->set_level(spdlog::level::debug);
  logger->flush_on(spdlog::level::info);
  return logger;
}

std::string& LogFile() {
  static auto* file = new std::string();
  return *file;
}

}  // namespace

void WriteLog(LogLevel level, std::string_view message) {
  spdlog::logger* const logger = current_logger.load(std::memory_order_acquire);
  if (logger == nullptr) {
    fmt::print(stderr, "{}\n", message);  // A unit test, or before InitLogging().
    return;
  }
  logger->log(ToSpdlog(level), spdlog::string_view_t(message.data(), message.size()));
}

}  // namespace internal

Result<LogLevel> ParseLogLevel(std::string_view name) {
  if (name == "debug" || name == "verbose") {
    return LogLevel::kDebug;
  }
  if (name == "info" || name == "notice") {
    return LogLevel::kInfo;
  }
  if (name == "warning") {
    return LogLevel::kWarning;
  }
  if (name == "error") {
    return LogLevel::kError;
  }
  if (name == "off") {
    return LogLevel::kOff;
  }
  return Status::InvalidArgument(
      fmt::format("unknown log level '{}': use debug, info, warning, error or off", name));
}

Status InitLogging(const std::string& file, LogLevel level) {
  try {
    std::shared_ptr<spdlog::sinks::sink> sink;
    if (file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    } else {
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(file);
    }
    if (spdlog::thread_pool() == nullptr) {
      spdlog::init_thread_pool(internal::kQueueLines, 1);
    }
    internal::LogFile() = file;
    internal::Use(internal::MakeLogger(std::move(sink)));
  } catch (const spdlog::spdlog_ex& error) {
    return Status::IoError(fmt::format("cannot open the log file '{}': {}", file, error.what()));
  }
  SetLogLevel(level);
  return Status::Ok();
}

void SetLogLevel(LogLevel level) {
  internal::log_level.store(level, std::memory_order_relaxed);
}

Status ReopenLog() {
  if (internal::current_logger.load(std::memory_order_acquire) == nullptr ||
      internal::LogFile().empty()) {
    return Status::Ok();
  }
  try {
    internal::Use(internal::MakeLogger(
        std::make_shared<spdlog::sinks::basic_file_sink_mt>(internal::LogFile())));
  } catch (const spdlog::spdlog_ex& error) {
    return Status::IoError(error.what());
  }
  return Status::Ok();
}

void ShutdownLogging() {
  spdlog::logger* const logger =
      internal::current_logger.exchange(nullptr, std::memory_order_acq_rel);
  if (logger != nullptr) {
    logger->flush();
  }
  spdlog::shutdown();  // Writes what is queued.
}

}  // namespace kvs
