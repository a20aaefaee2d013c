// MEMORY DOCTOR, MALLOC-STATS, PURGE and STATS: what a process knows about its own memory.
//
// A proxy answers for itself, as a node does: their figures have no meaning when they are added.
// Fields of Redis that have no counterpart here are left out, not made up.
//
// Threads: pure functions on the caller's data; reading the figures is thread-safe.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/allocator.h"
#include "common/command/command_table.h"
#include "common/resp/resp_writer.h"
#include "common/service/client_registry.h"
#include "common/service/info.h"

namespace kvs {

// A part of the memory whose size the program knows, such as a cache.
struct MemoryPart {
  std::string_view name;
  int64_t bytes = 0;
};

struct MemoryFigures {
  uint64_t resident = 0;  // As the kernel counts it.
  uint64_t peak = 0;
  uint64_t client_buffers = 0;
  uint64_t client_count = 0;
  AllocatorStats allocator;
  std::vector<MemoryPart> parts;
};

MemoryFigures ReadMemoryFigures(const ClientRegistry& clients, std::vector<MemoryPart> parts);

// Adds the fields of INFO's section Memory that every process has.  `limit` is what the operator
// wants the process to stay within, in bytes; 0: nothing.
void AddMemoryInfo(const MemoryFigures& figures, uint64_t limit, InfoSection* section);
// Returns what MEMORY DOCTOR says.
std::string DiagnoseMemory(const MemoryFigures& figures);
// Writes the reply to MEMORY STATS, a map.
void WriteMemoryStats(const MemoryFigures& figures, RespWriter* reply);

}  // namespace kvs
