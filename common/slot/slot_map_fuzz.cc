// Whatever SlotMap::Parse() accepts prints as a document that reads back as the same map, and each
// slot's owner agrees with the ranges.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "common/base/check.h"
#include "common/slot/slot_map.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvs::Result;
  using kvs::SlotMap;
  using kvs::SlotMapPtr;
  const Result<SlotMapPtr> map = SlotMap::Parse({reinterpret_cast<const char*>(data), size});
  if (!map.ok()) {
    return 0;
  }
  const Result<SlotMapPtr> again = SlotMap::Parse((*map)->ToJson().ToPrettyString());
  KVS_CHECK(again.ok() && (*again)->ToJson() == (*map)->ToJson());
  int assigned = 0;
  for (const kvs::Shard& shard : (*map)->shards()) {
    for (const kvs::SlotRange& range : shard.slots) {
      assigned += range.last - range.first + 1;
      KVS_CHECK((*map)->Find(range.first) == &shard && (*map)->Find(range.last) == &shard);
    }
  }
  KVS_CHECK(assigned == (*map)->assigned_slot_count());
  return 0;
}
