#include "storage_node/types/string_reader.h"

#include <algorithm>

#include "common/base/strings.h"
#include "storage_node/keys/string_codec.h"

namespace kvs {
namespace {

// The longest string that Redis keeps in one allocation with its object.
constexpr size_t kMaxEmbeddedSize = 44;
// So many chunks are looked up one by one, which the record cache may know; more are walked
// through.
constexpr uint64_t kFewChunks = 4;

}  // namespace

std::string StringChunkKey(const Txn& txn, const KeyEntry& entry, uint32_t index) {
  return ElementKey(entry.slot, txn.store()->slots().generation(entry.slot), entry.version,
                    StringChunkName(index));
}

std::string_view StringEncoding(const KeyEntry& entry) {
  int64_t number = 0;
  if (!entry.is_chunked() && ParseInt64(entry.value(), &number)) {
    return "int";
  }
  return entry.string_size() <= kMaxEmbeddedSize ? "embstr" : "raw";
}

Status StringReader::ForEachPart(uint64_t first, uint64_t count, const Visit& visit) const {
  const Range range = {first, first + std::min(count, size() - std::min(first, size()))};
  if (range.first >= range.end) {
    return Status::Ok();
  }
  if (!entry_->is_chunked()) {
    visit(first, entry_->value().substr(first, range.end - first));
    return Status::Ok();
  }
  const auto low = static_cast<uint32_t>(first / kStringChunkSize);
  const auto high = static_cast<uint32_t>((range.end - 1) / kStringChunkSize);
  if (high - low >= kFewChunks) {
    return WalkChunks(range, visit);
  }
  std::string bytes;
  bool goes_on = true;
  for (uint32_t index = low; index <= high && goes_on; ++index) {
    const Status status = txn_->Get(entry_->slot, StringChunkKey(*txn_, *entry_, index), &bytes);
    if (status.code() == Code::kNotFound) {
      continue;
    }
    KVS_RETURN_IF_ERROR(status);
    KVS_RETURN_IF_ERROR(Show(range, index, bytes, visit, &goes_on));
  }
  return Status::Ok();
}

Status StringReader::WalkChunks(const Range& range, const Visit& visit) const {
  const std::string lower =
      StringChunkKey(*txn_, *entry_, static_cast<uint32_t>(range.first / kStringChunkSize));
  const std::string upper =
      StringChunkKey(*txn_, *entry_, static_cast<uint32_t>((range.end - 1) / kStringChunkSize) + 1);
  const size_t prefix_size = lower.size() - StringChunkName(0).size();
  KVS_ASSIGN_OR_RETURN(TxnIterator it, txn_->NewElementIterator(entry_->slot, lower, upper));
  bool goes_on = true;
  for (it.SeekToFirst(); it.Valid() && goes_on; it.Next()) {
    uint32_t index = 0;
    if (!ParseStringChunkName(it.key().substr(prefix_size), &index)) {
      return Status::Corruption("string: an element that is no chunk");
    }
    KVS_RETURN_IF_ERROR(Show(range, index, it.value(), visit, &goes_on));
  }
  return it.status();
}

Status StringReader::Show(const Range& range, uint32_t index, std::string_view bytes,
                          const Visit& visit, bool* goes_on) {
  if (bytes.size() > kStringChunkSize) {
    return Status::Corruption("string: a chunk that is too long");
  }
  const uint64_t begin = uint64_t{index} * kStringChunkSize;
  const uint64_t from = std::max(begin, range.first);
  const uint64_t to = std::min(begin + bytes.size(), range.end);
  if (from < to) {
    *goes_on = visit(from, bytes.substr(from - begin, to - from));
  }
  return Status::Ok();
}

Status StringReader::Append(uint64_t first, uint64_t count, std::string* out) const {
  if (!entry_->exists() || first >= size()) {
    return Status::Ok();
  }
  if (!entry_->is_chunked()) {
    out->append(entry_->value().substr(first, count));
    return Status::Ok();
  }
  const uint64_t base = out->size();
  const uint64_t wanted = std::min(count, size() - first);
  out->reserve(base + wanted);
  KVS_RETURN_IF_ERROR(ForEachPart(first, wanted, [&](uint64_t offset, std::string_view bytes) {
    out->resize(base + (offset - first));
    out->append(bytes);
    return true;
  }));
  out->resize(base + wanted);
  return Status::Ok();
}

Result<std::string_view> StringReader::Part(uint64_t first, uint64_t count,
                                            std::string* scratch) const {
  if (entry_->exists() && !entry_->is_chunked() && first < size()) {
    return entry_->value().substr(first, count);
  }
  scratch->clear();
  KVS_RETURN_IF_ERROR(Append(first, count, scratch));
  return std::string_view(*scratch);
}

}  // namespace kvs
