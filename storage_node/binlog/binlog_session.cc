#include "storage_node/binlog/binlog_session.h"

#include <fmt/format.h>

#include <vector>

#include "common/base/crc32c.h"
#include "common/base/file.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr std::string_view kTitle = "kvs-session 1";
constexpr uint64_t kMaxFileBytes = 4096;

std::string SessionPath(const std::string& dir) {
  return dir + "/SESSION";
}

// Reads a line "word 0" or "word 1".
bool ParseFlag(std::string_view line, std::string_view word, bool* flag) {
  if (line.size() != word.size() + 2 || !line.starts_with(word) || line[word.size()] != ' ') {
    return false;
  }
  const char digit = line.back();
  *flag = digit == '1';
  return digit == '0' || digit == '1';
}

}  // namespace

bool IsShortSuspect(const std::optional<BinlogSession>& last, std::string_view boot_id) {
  if (!last.has_value()) {
    return true;
  }
  if (last->short_suspect) {
    return true;
  }
  return !last->clean && !last->sync_always && last->boot_id != boot_id;
}

std::string FormatBinlogSession(const BinlogSession& session) {
  const std::string body =
      fmt::format("{}\nboot {}\nclean {:d}\nalways {:d}\nsuspect {:d}\n", kTitle, session.boot_id,
                  session.clean, session.sync_always, session.short_suspect);
  return fmt::format("{}crc {:08x}\n", body, Crc32c(body));
}

Result<BinlogSession> ParseBinlogSession(std::string_view text) {
  const std::vector<std::string_view> lines = Split(text, '\n');
  constexpr std::string_view kBoot = "boot ";
  BinlogSession session;
  if (lines.size() != 7 || lines[0] != kTitle || !lines[1].starts_with(kBoot) ||
      !ParseFlag(lines[2], "clean", &session.clean) ||
      !ParseFlag(lines[3], "always", &session.sync_always) ||
      !ParseFlag(lines[4], "suspect", &session.short_suspect)) {
    return Status::Corruption("binlog session: not a session file");
  }
  session.boot_id = lines[1].substr(kBoot.size());
  if (FormatBinlogSession(session) != text) {
    return Status::Corruption("binlog session: checksum mismatch");
  }
  return session;
}

Result<BinlogSession> LoadBinlogSession(const std::string& dir) {
  KVS_ASSIGN_OR_RETURN(const std::string text, ReadFile(SessionPath(dir), kMaxFileBytes));
  return ParseBinlogSession(text);
}

Status SaveBinlogSession(const std::string& dir, const BinlogSession& session) {
  KVS_CHECK(session.boot_id.find('\n') == std::string::npos);
  return WriteFileAtomic(SessionPath(dir), FormatBinlogSession(session));
}

Result<std::string> ReadBootId() {
  KVS_ASSIGN_OR_RETURN(const std::string text,
                       ReadFile("/proc/sys/kernel/random/boot_id", kMaxFileBytes));
  return std::string(TrimSpaces(text));
}

}  // namespace kvs
