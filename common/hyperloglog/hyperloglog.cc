#include "common/hyperloglog/hyperloglog.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "common/base/check.h"
#include "common/base/coding.h"

namespace kvs {
namespace {

constexpr std::string_view kMagic = "HYLL";
constexpr char kDense = 0;
constexpr char kSparse = 1;
constexpr size_t kEncodingAt = 4;
constexpr size_t kCountAt = 8;  // 8 bytes, the last of which has a bit that says "not known".
constexpr size_t kHeaderSize = 16;
constexpr uint8_t kUnknown = 0x80;

constexpr int kIndexBits = 14;
constexpr int kHashBits = 64 - kIndexBits;  // What is left to count zeros in.
constexpr int kRegisterBits = 6;
constexpr uint8_t kRegisterMask = (1 << kRegisterBits) - 1;
constexpr size_t kDenseSize = kHeaderSize + kHyperLogLogRegisters * kRegisterBits / 8;
constexpr uint64_t kSeed = 0xadc83b19;

// A run of alike registers, and the bytes that stand for it:
//   00nnnnnn            n + 1 registers of 0
//   01nnnnnn nnnnnnnn   n + 1 registers of 0
//   1vvvvvnn            n + 1 registers of v + 1
constexpr size_t kShortZeros = 64;
constexpr size_t kLongestValues = 4;
constexpr uint8_t kLargestInRun = 32;
// So many runs around a change are looked at for neighbours that can become one.
constexpr int kMergedRuns = 5;

struct Run {
  uint8_t value = 0;
  size_t length = 0;  // Of registers.
  size_t size = 0;    // Of bytes; 0: there is no run.
};

uint8_t ByteAt(std::string_view bytes, size_t at) {
  return static_cast<uint8_t>(bytes[at]);
}

Run ReadRun(std::string_view bytes, size_t at) {
  if (at >= bytes.size()) {
    return {};
  }
  const uint8_t first = ByteAt(bytes, at);
  if ((first & 0x80) != 0) {
    return {.value = static_cast<uint8_t>(((first >> 2) & 31) + 1),
            .length = static_cast<size_t>(first & 3) + 1,
            .size = 1};
  }
  if ((first & 0x40) == 0) {
    return {.length = static_cast<size_t>(first & 63) + 1, .size = 1};
  }
  if (at + 1 >= bytes.size()) {
    return {};
  }
  return {.length = (static_cast<size_t>(first & 63) << 8 | ByteAt(bytes, at + 1)) + 1, .size = 2};
}

void AppendZeros(size_t length, std::string* out) {
  if (length == 0) {
    return;
  }
  if (length <= kShortZeros) {
    out->push_back(static_cast<char>(length - 1));
    return;
  }
  out->push_back(static_cast<char>(0x40 | (length - 1) >> 8));
  out->push_back(static_cast<char>((length - 1) & 255));
}

void AppendValues(uint8_t value, size_t length, std::string* out) {
  if (length > 0) {
    out->push_back(static_cast<char>(0x80 | (value - 1) << 2 | static_cast<int>(length - 1)));
  }
}

// MurmurHash64A by Austin Appleby, on little-endian words.
uint64_t HashOf(std::string_view element) {
  constexpr uint64_t kMultiplier = 0xc6a4a7935bd1e995;
  constexpr int kShift = 47;
  uint64_t hash = kSeed ^ (element.size() * kMultiplier);
  for (; element.size() >= sizeof(uint64_t); element.remove_prefix(sizeof(uint64_t))) {
    uint64_t word = DecodeFixed64(element.data());
    word *= kMultiplier;
    word ^= word >> kShift;
    hash = (hash ^ word * kMultiplier) * kMultiplier;
  }
  if (!element.empty()) {
    for (size_t i = element.size(); i > 0; --i) {
      hash ^= static_cast<uint64_t>(ByteAt(element, i - 1)) << (8 * (i - 1));
    }
    hash *= kMultiplier;
  }
  hash ^= hash >> kShift;
  hash *= kMultiplier;
  return hash ^ hash >> kShift;
}

struct Place {
  size_t index;
  uint8_t value;
};

Place PlaceOf(std::string_view element) {
  const uint64_t hash = HashOf(element);
  // A bit behind the end, so that there is always one to stop at.
  const uint64_t rest = hash >> kIndexBits | uint64_t{1} << kHashBits;
  return {hash % kHyperLogLogRegisters, static_cast<uint8_t>(std::countr_zero(rest) + 1)};
}

uint8_t DenseRegister(std::string_view value, size_t index) {
  const size_t bit = index * kRegisterBits;
  const size_t byte = kHeaderSize + bit / 8;
  const unsigned low = ByteAt(value, byte);
  const unsigned high = byte + 1 < value.size() ? ByteAt(value, byte + 1) : 0;
  return static_cast<uint8_t>((low | high << 8) >> (bit % 8)) & kRegisterMask;
}

// Returns whether it was smaller.
bool RaiseDenseRegister(size_t index, uint8_t to, std::string* value) {
  if (DenseRegister(*value, index) >= to) {
    return false;
  }
  const size_t bit = index * kRegisterBits;
  const size_t byte = kHeaderSize + bit / 8;
  const bool has_next = byte + 1 < value->size();
  unsigned word = ByteAt(*value, byte) | (has_next ? ByteAt(*value, byte + 1) : 0u) << 8;
  word &= ~(static_cast<unsigned>(kRegisterMask) << (bit % 8));
  word |= static_cast<unsigned>(to) << (bit % 8);
  (*value)[byte] = static_cast<char>(word & 255);
  if (has_next) {
    (*value)[byte + 1] = static_cast<char>(word >> 8);
  }
  return true;
}

// Calls `visit(index, value)` for each register of a sparse string that is not 0.  Returns false if
// its runs are not of all registers.
template <typename Visit>
bool ForEachSparseRegister(std::string_view value, Visit visit) {
  size_t index = 0;
  size_t at = kHeaderSize;
  while (at < value.size()) {
    const Run run = ReadRun(value, at);
    if (run.size == 0 || run.length > kHyperLogLogRegisters - index) {
      return false;
    }
    for (size_t i = 0; run.value > 0 && i < run.length; ++i) {
      visit(index + i, run.value);
    }
    index += run.length;
    at += run.size;
  }
  return index == kHyperLogLogRegisters;
}

bool MakeDense(std::string* value) {
  if (IsDenseHyperLogLog(*value)) {
    return true;
  }
  std::string dense = value->substr(0, kHeaderSize);
  dense[kEncodingAt] = kDense;
  dense.resize(kDenseSize);
  const bool whole = ForEachSparseRegister(*value, [&dense](size_t index, uint8_t register_value) {
    RaiseDenseRegister(index, register_value, &dense);
  });
  *value = std::move(dense);
  return whole;
}

// Makes one run of neighbours with one value, as far as a run reaches, in the few runs from `at`
// on.
void MergeRuns(size_t at, std::string* value) {
  for (int i = 0; i < kMergedRuns && at < value->size(); ++i) {
    const Run run = ReadRun(*value, at);
    const Run next = run.value > 0 ? ReadRun(*value, at + run.size) : Run();
    if (next.value > 0 && next.value == run.value && run.length + next.length <= kLongestValues) {
      std::string merged;
      AppendValues(run.value, run.length + next.length, &merged);
      value->replace(at, run.size + next.size, merged);
      continue;
    }
    at += std::max<size_t>(run.size, 1);
  }
}

HyperLogLogChange RaiseAfterPromotion(size_t index, uint8_t to, std::string* value) {
  if (!MakeDense(value)) {
    return HyperLogLogChange::kDamaged;
  }
  return RaiseDenseRegister(index, to, value) ? HyperLogLogChange::kChanged
                                              : HyperLogLogChange::kNone;
}

HyperLogLogChange RaiseSparseRegister(size_t index, uint8_t to, size_t sparse_bytes,
                                      std::string* value) {
  if (to > kLargestInRun) {
    return RaiseAfterPromotion(index, to, value);
  }
  // Find the run, and the one before it.
  size_t first = 0;
  size_t at = kHeaderSize;
  size_t previous = kHeaderSize;
  Run run = ReadRun(*value, at);
  while (run.size > 0 && index >= first + run.length) {
    first += run.length;
    previous = at;
    at += run.size;
    run = ReadRun(*value, at);
  }
  if (run.size == 0) {
    return HyperLogLogChange::kDamaged;
  }
  if (run.value >= to) {
    return HyperLogLogChange::kNone;
  }
  // What stands before the register, the register, and what stands behind it.
  std::string runs;
  const size_t before = index - first;
  const size_t behind = run.length - before - 1;
  run.value == 0 ? AppendZeros(before, &runs) : AppendValues(run.value, before, &runs);
  AppendValues(to, 1, &runs);
  run.value == 0 ? AppendZeros(behind, &runs) : AppendValues(run.value, behind, &runs);
  if (runs.size() > run.size && value->size() + runs.size() - run.size > sparse_bytes) {
    return RaiseAfterPromotion(index, to, value);
  }
  value->replace(at, run.size, runs);
  MergeRuns(previous, value);
  return HyperLogLogChange::kChanged;
}

HyperLogLogChange RaiseRegister(size_t index, uint8_t to, size_t sparse_bytes, std::string* value) {
  if (!IsDenseHyperLogLog(*value)) {
    return RaiseSparseRegister(index, to, sparse_bytes, value);
  }
  return RaiseDenseRegister(index, to, value) ? HyperLogLogChange::kChanged
                                              : HyperLogLogChange::kNone;
}

// The functions sigma and tau of Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
// sketches", 2017, algorithm 6.
double Sigma(double x) {
  if (x == 1) {
    return std::numeric_limits<double>::infinity();
  }
  double sum = x;
  double power = 1;
  double last = 0;
  do {
    x *= x;
    last = sum;
    sum += x * power;
    power += power;
  } while (last != sum);
  return sum;
}

double Tau(double x) {
  if (x == 0 || x == 1) {
    return 0;
  }
  double sum = 1 - x;
  double power = 1;
  double last = 0;
  do {
    x = std::sqrt(x);
    last = sum;
    power *= 0.5;
    sum -= std::pow(1 - x, 2) * power;
  } while (last != sum);
  return sum / 3;
}

// How many registers have each value.
using Histogram = std::array<int, 64>;
// Counted in turns, so that one need not wait for the one before.
using HistogramParts = std::array<Histogram, 4>;

Histogram Sum(const HistogramParts& parts) {
  Histogram sum = {};
  for (const Histogram& part : parts) {
    for (size_t i = 0; i < sum.size(); ++i) {
      sum[i] += part[i];
    }
  }
  return sum;
}

uint64_t Estimate(const Histogram& counts) {
  constexpr double kRegisters = kHyperLogLogRegisters;
  constexpr double kAlpha = 0.721347520444481703680;  // 1 / (2 ln 2)
  double z = kRegisters * Tau((kRegisters - counts[kHashBits + 1]) / kRegisters);
  for (size_t value = kHashBits; value >= 1; --value) {
    z += counts[value];
    z *= 0.5;
  }
  z += kRegisters * Sigma(counts[0] / kRegisters);
  if (!(z > 0)) {
    return INT64_MAX;  // All registers are larger than any element makes them.
  }
  return static_cast<uint64_t>(std::llround(kAlpha * kRegisters * kRegisters / z));
}

}  // namespace

std::string EmptyHyperLogLog() {
  std::string value(kMagic);
  value.push_back(kSparse);
  value.resize(kHeaderSize);
  AppendZeros(kHyperLogLogRegisters, &value);
  return value;
}

bool IsHyperLogLog(std::string_view value) {
  if (value.size() < kHeaderSize || !value.starts_with(kMagic)) {
    return false;
  }
  const char encoding = value[kEncodingAt];
  return encoding == kSparse || (encoding == kDense && value.size() == kDenseSize);
}

bool IsDenseHyperLogLog(std::string_view value) {
  return value[kEncodingAt] == kDense;
}

std::optional<uint64_t> StoredHyperLogLogCount(std::string_view value) {
  if ((ByteAt(value, kHeaderSize - 1) & kUnknown) != 0) {
    return std::nullopt;
  }
  return DecodeFixed64(value.data() + kCountAt);
}

void ForgetHyperLogLogCount(std::string* value) {
  char& last = (*value)[kHeaderSize - 1];
  last = static_cast<char>(static_cast<uint8_t>(last) | kUnknown);
}

HyperLogLogChange AddToHyperLogLog(std::string_view element, size_t sparse_bytes,
                                   std::string* value) {
  const Place place = PlaceOf(element);
  return RaiseRegister(place.index, place.value, sparse_bytes, value);
}

bool HyperLogLogRegisters::Merge(std::string_view value) {
  if (!IsDenseHyperLogLog(value)) {
    return ForEachSparseRegister(value, [this](size_t index, uint8_t register_value) {
      registers_[index] = std::max(registers_[index], register_value);
    });
  }
  for (size_t i = 0; i < kHyperLogLogRegisters; ++i) {
    registers_[i] = std::max(registers_[i], DenseRegister(value, i));
  }
  return true;
}

uint64_t HyperLogLogRegisters::Count() const {
  HistogramParts parts = {};
  for (size_t i = 0; i < kHyperLogLogRegisters; ++i) {
    ++parts[i % parts.size()][registers_[i]];
  }
  return Estimate(Sum(parts));
}

std::optional<uint64_t> CountHyperLogLog(std::string_view value) {
  HistogramParts parts = {};
  if (!IsDenseHyperLogLog(value)) {
    size_t index = 0;
    size_t at = kHeaderSize;
    while (at < value.size()) {
      const Run run = ReadRun(value, at);
      if (run.size == 0 || run.length > kHyperLogLogRegisters - index) {
        return std::nullopt;
      }
      parts[0][run.value] += static_cast<int>(run.length);
      index += run.length;
      at += run.size;
    }
    return index == kHyperLogLogRegisters ? std::optional(Estimate(Sum(parts))) : std::nullopt;
  }
  // Three bytes are four registers.
  for (size_t at = kHeaderSize; at < value.size(); at += 3) {
    const unsigned word = ByteAt(value, at) | static_cast<unsigned>(ByteAt(value, at + 1)) << 8 |
                          static_cast<unsigned>(ByteAt(value, at + 2)) << 16;
    for (size_t i = 0; i < parts.size(); ++i) {
      ++parts[i][word >> (i * kRegisterBits) & kRegisterMask];
    }
  }
  return Estimate(Sum(parts));
}

bool HyperLogLogRegisters::StoreTo(bool dense, size_t sparse_bytes, std::string* value) const {
  if (dense && !MakeDense(value)) {
    return false;
  }
  for (size_t i = 0; i < kHyperLogLogRegisters; ++i) {
    if (registers_[i] > 0 &&
        RaiseRegister(i, registers_[i], sparse_bytes, value) == HyperLogLogChange::kDamaged) {
      return false;
    }
  }
  ForgetHyperLogLogCount(value);
  return true;
}

}  // namespace kvs
