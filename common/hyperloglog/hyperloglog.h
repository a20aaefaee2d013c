// HyperLogLog: how many different elements were added to a string of at most 12 KiB, as Redis keeps
// such a string, byte for byte.
//
// A hash of an element names one of 16384 registers, which keeps the largest number of zeros that
// the rest of a hash has begun with, plus 1.  A string is either dense, 6 bits for each register,
// or sparse: runs of registers that are alike.  It begins sparse, and becomes dense when it has
// grown or a register gets more than a run can say.
//
// Anybody can set a string to anything: what does not hold together is found and never walked past.
//
// Threads: pure functions; HyperLogLogRegisters has one owner.
// Owner:   the caller.
// Format:  doc/formats/hyperloglog.md

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvs {

inline constexpr size_t kHyperLogLogRegisters = 16'384;
// The default of `hll-sparse-max-bytes`: a sparse string that outgrows it becomes dense.
inline constexpr size_t kHyperLogLogSparseBytes = 3000;

// What Redis calls a string that is none, and one that is damaged.
inline constexpr std::string_view kNoHyperLogLog =
    "WRONGTYPE Key is not a valid HyperLogLog string value.";
inline constexpr std::string_view kDamagedHyperLogLog = "INVALIDOBJ Corrupted HLL object detected";

// Returns the string that nothing was added to.
std::string EmptyHyperLogLog();

// Whether the string says of itself that it is a HyperLogLog.
bool IsHyperLogLog(std::string_view value);

// REQUIRES, for these: IsHyperLogLog(value)

bool IsDenseHyperLogLog(std::string_view value);
// Returns the count that the string itself tells, if nothing was added since.
std::optional<uint64_t> StoredHyperLogLogCount(std::string_view value);
// Makes the string say that it does not know its count.
void ForgetHyperLogLogCount(std::string* value);

enum class HyperLogLogChange : uint8_t { kNone, kChanged, kDamaged };

// Adds an element.  A damaged string may have changed and is to be thrown away.
HyperLogLogChange AddToHyperLogLog(std::string_view element, size_t sparse_bytes,
                                   std::string* value);

// Returns about how many elements were added to one string, as HyperLogLogRegisters does, but
// sooner; nothing if it is damaged.
std::optional<uint64_t> CountHyperLogLog(std::string_view value);

// All registers, of one string or of several.
class HyperLogLogRegisters {
 public:
  // Takes the larger of each two registers.  Returns false if the string is damaged.
  // REQUIRES: IsHyperLogLog(value)
  bool Merge(std::string_view value);
  // Returns about how many elements were added.
  uint64_t Count() const;
  // Raises the registers of `*value`, which stays sparse as long as it can, unless `dense`.
  // Returns false if it is damaged.  REQUIRES: IsHyperLogLog(*value)
  bool StoreTo(bool dense, size_t sparse_bytes, std::string* value) const;

 private:
  std::array<uint8_t, kHyperLogLogRegisters> registers_ = {};
};

}  // namespace kvs
