// Logging: one line an event, "time level [thread] message"; spdlog behind it.
//
//   KVS_LOG(kWarning, "node {} is unreachable: {}", address, status.message());
//
// Never logs keys or values above debug.  What a message quotes from outside is escaped by the
// caller (QuoteForLog).  The sink is asynchronous with a bounded queue that overwrites the oldest
// line, so a slow disk never stops a loop.
//
// Threads: thread-safe after InitLogging().
// Owner:   the process; main calls InitLogging() first and ShutdownLogging() last.

#pragma once

#include <fmt/format.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/status.h"

namespace kvs {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError, kOff };

// Returns kInvalidArgument for a name other than debug, verbose, info, notice, warning, error, off.
Result<LogLevel> ParseLogLevel(std::string_view name);

// Sends the log to `file`, or to stderr if that is empty.
// Returns kIoError if the file cannot be opened.
Status InitLogging(const std::string& file, LogLevel level);
void SetLogLevel(LogLevel level);
// Opens the log file again, after logrotate moved it.
Status ReopenLog();
void ShutdownLogging();

namespace internal {
extern std::atomic<LogLevel> log_level;
void WriteLog(LogLevel level, std::string_view message);
}  // namespace internal

inline bool LogEnabled(LogLevel level) {
  return level >= internal::log_level.load(std::memory_order_relaxed);
}

}  // namespace kvs

#define KVS_LOG(level, ...)                                                          \
  do {                                                                               \
    if (::kvs::LogEnabled(::kvs::LogLevel::level)) {                                 \
      ::kvs::internal::WriteLog(::kvs::LogLevel::level, ::fmt::format(__VA_ARGS__)); \
    }                                                                                \
  } while (false)
