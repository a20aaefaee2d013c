// Whatever says that it is a HyperLogLog is either refused or keeps what was added to it, and a
// string that was whole stays so.

#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/check.h"
#include "common/hyperloglog/hyperloglog.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (!kvs::IsHyperLogLog(bytes)) {
    return 0;
  }
  kvs::HyperLogLogRegisters before;
  const bool is_whole = before.Merge(bytes);
  std::string value(bytes);
  const kvs::HyperLogLogChange change =
      kvs::AddToHyperLogLog(bytes, kvs::kHyperLogLogSparseBytes, &value);
  if (!is_whole) {
    return 0;
  }
  KVS_CHECK(change != kvs::HyperLogLogChange::kDamaged);
  KVS_CHECK(kvs::IsHyperLogLog(value));
  std::string again = value;
  KVS_CHECK(kvs::AddToHyperLogLog(bytes, kvs::kHyperLogLogSparseBytes, &again) ==
            kvs::HyperLogLogChange::kNone);
  KVS_CHECK(again == value);
  kvs::HyperLogLogRegisters after;
  KVS_CHECK(after.Merge(value));
  kvs::HyperLogLogRegisters both = before;
  KVS_CHECK(both.Merge(value));
  KVS_CHECK(both.Count() == after.Count());
  return 0;
}
