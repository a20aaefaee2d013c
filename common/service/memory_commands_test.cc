// What the doctor sees in figures, and that the map of MEMORY STATS is whole.

#include "common/service/memory_commands.h"

#include "gtest/gtest.h"

#include "common/resp/reply_tree.h"

namespace kvs {
namespace {

constexpr uint64_t kMiB = 1 << 20;

MemoryFigures Healthy() {
  MemoryFigures figures;
  figures.resident = 210 * kMiB;
  figures.peak = 220 * kMiB;
  figures.client_count = 2;
  figures.client_buffers = 1000;
  figures.allocator = {.allocated = 195 * kMiB, .active = 200 * kMiB, .resident = 205 * kMiB};
  figures.parts = {{"record-cache", 64 * kMiB}};
  return figures;
}

TEST(MemoryCommandsTest, TheDoctorNamesEachProblemAndNoOther) {
  const std::string preface = "The process holds 210.0 MiB of memory. record-cache: 64.0 MiB.\n";
  EXPECT_EQ(DiagnoseMemory(Healthy()), preface + "No problem found.\n");

  MemoryFigures figures = Healthy();
  figures.peak = 400 * kMiB;
  EXPECT_EQ(DiagnoseMemory(figures), preface + "Peak: it held 400.0 MiB once, and may again.\n");

  figures = Healthy();
  figures.allocator.allocated = 100 * kMiB;
  EXPECT_EQ(DiagnoseMemory(figures),
            preface +
                "Fragmentation: 100.0 MiB lie unused between what is in use; a restart packs "
                "them.\n");

  figures = Healthy();
  figures.allocator = {.allocated = 150 * kMiB, .active = 150 * kMiB, .resident = 205 * kMiB};
  EXPECT_EQ(DiagnoseMemory(figures),
            preface + "Kept pages: the allocator keeps 55.0 MiB; MEMORY PURGE gives them back.\n");

  figures = Healthy();
  figures.allocator = {.allocated = 100 * kMiB, .active = 100 * kMiB, .resident = 100 * kMiB};
  EXPECT_EQ(DiagnoseMemory(figures),
            preface + "Outside the allocator: 110.0 MiB, such as code, stacks and mapped files.\n");

  figures = Healthy();
  figures.client_buffers = 100 * kMiB;
  EXPECT_EQ(DiagnoseMemory(figures),
            preface + "Clients: 2 connections have 100.0 MiB in buffers; see CLIENT LIST.\n");
}

TEST(MemoryCommandsTest, LittleMemoryHasNoProblems) {
  MemoryFigures figures;
  figures.resident = 9 * kMiB;
  figures.peak = 18 * kMiB;
  EXPECT_EQ(DiagnoseMemory(figures), "The process holds 9.0 MiB of memory.\nNo problem found.\n");
}

TEST(MemoryCommandsTest, StatsAreOneWholeMapInBothProtocols) {
  for (const int protocol : {2, 3}) {
    std::string out;
    RespWriter writer(protocol, &out);
    WriteMemoryStats(Healthy(), &writer);
    const Result<Reply> reply = ParseReply(out);
    ASSERT_TRUE(reply.ok());
    EXPECT_EQ(reply->Find("record-cache.bytes")->integer, static_cast<int64_t>(64 * kMiB));
    EXPECT_EQ(reply->Find("fragmentation.bytes")->integer, static_cast<int64_t>(15 * kMiB));
    EXPECT_NE(reply->Find("rss-overhead.ratio"), nullptr);
  }
}

TEST(MemoryCommandsTest, TheFiguresOfThisProcessAreReadAndHoldTogether) {
  ClientRegistry clients;
  const auto client = clients.Add(-1, 0);
  client->output_bytes = 5;
  const MemoryFigures figures = ReadMemoryFigures(clients, {});
  EXPECT_GT(figures.resident, 0U);
  EXPECT_GT(figures.peak, 0U);
  EXPECT_EQ(figures.client_count, 1U);
  EXPECT_EQ(figures.client_buffers, 5U);
  EXPECT_NE(AllocatorReport(), "");
  EXPECT_TRUE(PurgeAllocator());
}

}  // namespace
}  // namespace kvs
