#include "storage_node/binlog/epoch_table.h"

#include <fmt/format.h>

#include "common/base/crc32c.h"
#include "common/base/file.h"
#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr std::string_view kTitle = "kvs-epochs 1\n";
constexpr std::string_view kCrcWord = "crc ";
constexpr uint64_t kMaxFileBytes = uint64_t{16} << 20;

std::string EpochsPath(const std::string& dir) {
  return dir + "/EPOCHS";
}

std::string CrcLine(std::string_view body) {
  return fmt::format("{}{:08x}\n", kCrcWord, Crc32c(body));
}

}  // namespace

Status EpochTable::Add(uint64_t epoch, uint64_t first_lsn) {
  if (!entries_.empty()) {
    Entry& last = entries_.back();
    if (last.epoch == epoch && last.first_lsn <= first_lsn) {
      return Status::Ok();
    }
    if (last.epoch < epoch && last.first_lsn == first_lsn) {
      last.epoch = epoch;  // The older epoch was announced and never wrote.
      return Status::Ok();
    }
    if (epoch <= last.epoch || first_lsn <= last.first_lsn) {
      return Status::InvalidArgument(fmt::format("epoch {} at record {} does not follow {} at {}",
                                                 epoch, first_lsn, last.epoch, last.first_lsn));
    }
  }
  entries_.push_back({epoch, first_lsn});
  return Status::Ok();
}

void EpochTable::TruncateAfter(uint64_t last_lsn) {
  while (!entries_.empty() && entries_.back().first_lsn > last_lsn) {
    entries_.pop_back();
  }
}

uint64_t EpochTable::EpochAt(uint64_t lsn) const {
  for (auto entry = entries_.rbegin(); entry != entries_.rend(); ++entry) {
    if (entry->first_lsn <= lsn) {
      return entry->epoch;
    }
  }
  return 0;
}

std::string EpochTable::Format() const {
  std::string text(kTitle);
  for (const Entry& entry : entries_) {
    text += fmt::format("{} {}\n", entry.epoch, entry.first_lsn);
  }
  return text + CrcLine(text);
}

Result<EpochTable> EpochTable::Parse(std::string_view text) {
  const size_t crc_at = text.rfind(kCrcWord);
  if (!text.starts_with(kTitle) || crc_at == std::string_view::npos || crc_at < kTitle.size() ||
      text.substr(crc_at) != CrcLine(text.substr(0, crc_at))) {
    return Status::Corruption("epoch table: wrong title or checksum");
  }
  std::string_view lines = text.substr(kTitle.size(), crc_at - kTitle.size());
  EpochTable table;
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    const std::string_view line = lines.substr(0, end);
    const size_t space = line.find(' ');
    uint64_t epoch = 0;
    uint64_t first_lsn = 0;
    if (end == std::string_view::npos || space == std::string_view::npos ||
        !ParseUint64(line.substr(0, space), &epoch) ||
        !ParseUint64(line.substr(space + 1), &first_lsn) || !table.Add(epoch, first_lsn).ok()) {
      return Status::Corruption("epoch table: impossible line");
    }
    lines.remove_prefix(end + 1);
  }
  return table;
}

Status EpochTable::Save(const std::string& dir) const {
  return WriteFileAtomic(EpochsPath(dir), Format());
}

Result<EpochTable> EpochTable::Load(const std::string& dir) {
  Result<std::string> text = ReadFile(EpochsPath(dir), kMaxFileBytes);
  if (!text.ok()) {
    if (text.status().code() == Code::kNotFound) {
      return EpochTable();
    }
    return text.status();
  }
  Result<EpochTable> table = Parse(*text);
  return table.ok() ? std::move(table) : table.status().WithContext(EpochsPath(dir));
}

}  // namespace kvs
