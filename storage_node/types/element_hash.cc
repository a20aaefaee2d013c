#include "storage_node/types/element_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvs {

uint64_t ElementHash(std::string_view name) {
  return XXH64(name.data(), name.size(), 0);
}

}  // namespace kvs
