// TypeLimits: the options that say how collections are kept, and what OBJECT ENCODING calls it.
//
// Threads: a plain value.

#pragma once

#include <cstddef>
#include <cstdint>

#include "common/hyperloglog/hyperloglog.h"
#include "storage_node/types/collection.h"

namespace kvs {

struct TypeLimits {
  size_t packed_size = kPackedCollectionSize;
  // As in Redis 7; a collection that has exceeded one of them once keeps the other encoding.
  uint64_t hash_max_listpack_entries = 512;
  size_t hash_max_listpack_value = 64;
  size_t hll_sparse_max_bytes = kHyperLogLogSparseBytes;
  uint64_t set_max_intset_entries = 512;
  uint64_t set_max_listpack_entries = 128;
  size_t set_max_listpack_value = 64;
  int64_t list_max_listpack_size = -2;  // Elements, or below 0 a size by its class.
  uint64_t zset_max_listpack_entries = 128;
  size_t zset_max_listpack_value = 64;
};

}  // namespace kvs
