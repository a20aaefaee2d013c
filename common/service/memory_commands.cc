#include "common/service/memory_commands.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace kvs {
namespace {

// Below this much no ratio is worth a word.
constexpr uint64_t kWorthTelling = 10 << 20;
// Of unread requests and unsent replies, for a client on average.
constexpr uint64_t kLargeClient = 200 << 10;

double Ratio(uint64_t part, uint64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

// Whether `large` is beyond `small` by a part in ten and by enough bytes to care.
bool IsWellAbove(uint64_t large, uint64_t small) {
  return large > small + std::max(small / 10, kWorthTelling);
}

int64_t Excess(uint64_t large, uint64_t small) {
  return static_cast<int64_t>(large) - static_cast<int64_t>(small);
}

std::string Mebibytes(uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1 << 20));
}

}  // namespace

MemoryFigures ReadMemoryFigures(const ClientRegistry& clients, std::vector<MemoryPart> parts) {
  const ProcessMemory process = ReadProcessMemory();
  MemoryFigures figures;
  figures.resident = process.resident;
  figures.peak = process.peak;
  figures.allocator = ReadAllocatorStats();
  figures.parts = std::move(parts);
  clients.ForEach([&figures](const ClientInfo& client) {
    ++figures.client_count;
    figures.client_buffers += client.input_bytes.load(std::memory_order_relaxed) +
                              client.output_bytes.load(std::memory_order_relaxed);
  });
  return figures;
}

void AddMemoryInfo(const MemoryFigures& figures, uint64_t limit, InfoSection* section) {
  const AllocatorStats& allocator = figures.allocator;
  const auto bytes = [section](std::string_view name, uint64_t value) {
    section->Add(name, static_cast<int64_t>(value));
    section->Add(std::string(name) + "_human", HumanBytes(static_cast<double>(value)));
  };
  const auto ratio = [section](std::string_view name, uint64_t part, uint64_t whole) {
    section->Add(std::string(name) + "_ratio", fmt::format("{:.2f}", Ratio(part, whole)));
    section->Add(std::string(name) + "_bytes", Excess(part, whole));
  };
  uint64_t data = 0;
  for (const MemoryPart& part : figures.parts) {
    data += static_cast<uint64_t>(part.bytes);
  }
  const uint64_t overhead = allocator.allocated > data ? allocator.allocated - data : 0;
  const auto physical = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                        static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  bytes("used_memory", allocator.allocated);
  bytes("used_memory_rss", figures.resident);
  bytes("used_memory_peak", figures.peak);
  section->Add("used_memory_peak_perc",
               fmt::format("{:.2f}%", 100 * Ratio(allocator.allocated, figures.peak)));
  section->Add("used_memory_overhead", static_cast<int64_t>(overhead));
  section->Add("used_memory_dataset", static_cast<int64_t>(data));
  section->Add("used_memory_dataset_perc",
               fmt::format("{:.2f}%", 100 * Ratio(data, allocator.allocated)));
  section->Add("allocator_allocated", static_cast<int64_t>(allocator.allocated));
  section->Add("allocator_active", static_cast<int64_t>(allocator.active));
  section->Add("allocator_resident", static_cast<int64_t>(allocator.resident));
  bytes("total_system_memory", physical);
  section->Add("used_memory_lua", 0);
  bytes("maxmemory", limit);
  section->Add("maxmemory_policy", "noeviction");
  ratio("allocator_frag", allocator.active, allocator.allocated);
  ratio("allocator_rss", allocator.resident, allocator.active);
  ratio("rss_overhead", figures.resident, allocator.resident);
  ratio("mem_fragmentation", figures.resident, allocator.allocated);
  section->Add("mem_clients_normal", static_cast<int64_t>(figures.client_buffers));
  for (const char* name : {"mem_clients_slaves", "mem_replication_backlog", "mem_aof_buffer",
                           "active_defrag_running", "lazyfree_pending_objects"}) {
    section->Add(name, 0);
  }
  section->Add("mem_allocator", AllocatorName());
}

std::string DiagnoseMemory(const MemoryFigures& figures) {
  const AllocatorStats& allocator = figures.allocator;
  std::string text = fmt::format("The process holds {} of memory.", Mebibytes(figures.resident));
  for (const MemoryPart& part : figures.parts) {
    text += fmt::format(" {}: {}.", part.name, Mebibytes(static_cast<uint64_t>(part.bytes)));
  }
  text += "\n";
  const size_t preface = text.size();
  if (figures.peak > figures.resident + figures.resident / 2 &&
      IsWellAbove(figures.peak, figures.resident)) {
    text += fmt::format("Peak: it held {} once, and may again.\n", Mebibytes(figures.peak));
  }
  if (IsWellAbove(allocator.active, allocator.allocated)) {
    text +=
        fmt::format("Fragmentation: {} lie unused between what is in use; a restart packs them.\n",
                    Mebibytes(allocator.active - allocator.allocated));
  }
  if (IsWellAbove(allocator.resident, allocator.active)) {
    text += fmt::format("Kept pages: the allocator keeps {}; MEMORY PURGE gives them back.\n",
                        Mebibytes(allocator.resident - allocator.active));
  }
  if (IsWellAbove(figures.resident, allocator.resident)) {
    text += fmt::format("Outside the allocator: {}, such as code, stacks and mapped files.\n",
                        Mebibytes(figures.resident - allocator.resident));
  }
  if (figures.client_count > 0 && figures.client_buffers / figures.client_count > kLargeClient) {
    text += fmt::format("Clients: {} connections have {} in buffers; see CLIENT LIST.\n",
                        figures.client_count, Mebibytes(figures.client_buffers));
  }
  return text.size() > preface ? text : text + "No problem found.\n";
}

void WriteMemoryStats(const MemoryFigures& figures, RespWriter* reply) {
  const AllocatorStats& allocator = figures.allocator;
  const auto integer = [reply](std::string_view name, int64_t value) {
    reply->Bulk(name);
    reply->Integer(value);
  };
  const auto number = [reply](std::string_view name, double value) {
    reply->Bulk(name);
    reply->Double(value);
  };
  constexpr size_t kFields = 15;
  reply->Map(kFields + figures.parts.size());
  integer("peak.allocated", static_cast<int64_t>(figures.peak));
  integer("total.allocated", static_cast<int64_t>(figures.resident));
  integer("clients.normal", static_cast<int64_t>(figures.client_buffers));
  for (const MemoryPart& part : figures.parts) {
    integer(fmt::format("{}.bytes", part.name), part.bytes);
  }
  number("peak.percentage", 100 * Ratio(figures.resident, figures.peak));
  integer("allocator.allocated", static_cast<int64_t>(allocator.allocated));
  integer("allocator.active", static_cast<int64_t>(allocator.active));
  integer("allocator.resident", static_cast<int64_t>(allocator.resident));
  number("allocator-fragmentation.ratio", Ratio(allocator.active, allocator.allocated));
  integer("allocator-fragmentation.bytes", Excess(allocator.active, allocator.allocated));
  number("allocator-rss.ratio", Ratio(allocator.resident, allocator.active));
  integer("allocator-rss.bytes", Excess(allocator.resident, allocator.active));
  number("rss-overhead.ratio", Ratio(figures.resident, allocator.resident));
  integer("rss-overhead.bytes", Excess(figures.resident, allocator.resident));
  number("fragmentation", Ratio(figures.resident, allocator.allocated));
  integer("fragmentation.bytes", Excess(figures.resident, allocator.allocated));
}

}  // namespace kvs
