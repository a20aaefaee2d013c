// DumpValue: what a key holds, as bytes that every Redis reads.
//
// Threads: as the Keyspace.

#pragma once

#include <cstddef>
#include <string>

#include "common/base/status.h"
#include "storage_node/types/keyspace.h"

namespace kvs {

// Returns the payload of DUMP.
//   kTooLarge: it would be larger than `max_size`
// REQUIRES: the entry exists, and nobody changes it meanwhile
Result<std::string> DumpValue(Keyspace* keyspace, const KeyEntry& entry, size_t max_size);

}  // namespace kvs
