#include "storage_node/types/lcs.h"

#include <algorithm>

namespace kvs {
namespace {

Status CheckTableSize(std::string_view a, std::string_view b, uint64_t max_table_bytes) {
  // Strings are at most 512 MiB long, so this does not overflow.
  const uint64_t cells = (uint64_t{a.size()} + 1) * (uint64_t{b.size()} + 1);
  if (cells > max_table_bytes / sizeof(uint32_t)) {
    return Status::TooLarge(
        "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len");
  }
  return Status::Ok();
}

// For each pair of places with different bytes: whether `a` is to be shortened there, and not `b`.
class Steps {
 public:
  Steps(size_t a_size, size_t b_size) : b_size_(b_size), bits_((a_size * b_size + 63) / 64) {}

  void SetShortenA(size_t a_index, size_t b_index) {
    const size_t cell = a_index * b_size_ + b_index;
    bits_[cell / 64] |= uint64_t{1} << (cell % 64);
  }
  bool ShortensA(size_t a_index, size_t b_index) const {
    const size_t cell = a_index * b_size_ + b_index;
    return (bits_[cell / 64] >> (cell % 64) & 1) != 0;
  }

 private:
  const size_t b_size_;
  std::vector<uint64_t> bits_;
};

// Returns the length; notes the way if `steps` is not null.
uint64_t FillTable(std::string_view a, std::string_view b, Steps* steps) {
  const bool along_b = b.size() <= a.size();
  const std::string_view outer = along_b ? a : b;
  const std::string_view inner = along_b ? b : a;
  std::vector<uint32_t> row(inner.size() + 1);
  for (size_t i = 0; i < outer.size(); ++i) {
    uint32_t diagonal = 0;
    for (size_t j = 0; j < inner.size(); ++j) {
      const uint32_t without_outer = row[j + 1];
      const uint32_t without_inner = row[j];
      if (outer[i] == inner[j]) {
        row[j + 1] = diagonal + 1;
      } else {
        row[j + 1] = std::max(without_outer, without_inner);
        if (steps != nullptr && along_b && without_outer > without_inner) {
          steps->SetShortenA(i, j);
        } else if (steps != nullptr && !along_b && without_inner > without_outer) {
          steps->SetShortenA(j, i);
        }
      }
      diagonal = without_outer;
    }
  }
  return row.back();
}

}  // namespace

Result<uint64_t> LcsLength(std::string_view a, std::string_view b, uint64_t max_table_bytes) {
  KVS_RETURN_IF_ERROR(CheckTableSize(a, b, max_table_bytes));
  return FillTable(a, b, nullptr);
}

Result<Lcs> FindLcs(std::string_view a, std::string_view b, uint64_t max_table_bytes) {
  KVS_RETURN_IF_ERROR(CheckTableSize(a, b, max_table_bytes));
  Steps steps(a.size(), b.size());
  Lcs lcs;
  lcs.text.reserve(FillTable(a, b, &steps));
  size_t i = a.size();
  size_t j = b.size();
  bool in_match = false;
  while (i > 0 && j > 0) {
    if (a[i - 1] != b[j - 1]) {
      --(steps.ShortensA(i - 1, j - 1) ? i : j);
      in_match = false;
      continue;
    }
    lcs.text.push_back(a[--i]);
    --j;
    if (!in_match) {
      lcs.matches.push_back({.a_first = i, .a_last = i, .b_first = j, .b_last = j});
      in_match = true;
    }
    lcs.matches.back().a_first = i;
    lcs.matches.back().b_first = j;
  }
  std::reverse(lcs.text.begin(), lcs.text.end());
  return lcs;
}

}  // namespace kvs
