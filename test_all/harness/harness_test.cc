#include <gtest/gtest.h>
#include <signal.h>

#include <set>

#include "common/base/file.h"
#include "test_all/harness/process.h"
#include "test_all/harness/temp_dir.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

TEST(ProcessTest, OutputAndExitCodeOfAToolAreReturned) {
  const Result<ToolResult> result = RunTool({"sh", "-c", "echo out; echo err >&2; exit 3"});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_code, 3);
  EXPECT_EQ(result->output, "out\nerr\n");
}

TEST(ProcessTest, AProgramThatDoesNotExistEndsWith127) {
  const Result<ToolResult> result = RunTool({"/nonexistent/program"});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_code, 127);
}

TEST(ProcessTest, AddedEnvironmentReplacesTheSuites) {
  const Result<ToolResult> result = RunTool({"sh", "-c", "echo $HOME"}, 5000, {"HOME=/here"});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->output, "/here\n");
}

TEST(ProcessTest, AKilledProcessIsGoneAndSaysSo) {
  const TempDir dir;
  auto process = Process::Start(
      {.argv = {"sleep", "1000"}, .output_file = dir.Join("log"), .working_dir = {}, .env = {}});
  ASSERT_TRUE(process.ok());
  const pid_t pid = (*process)->pid();
  EXPECT_TRUE((*process)->Running());
  EXPECT_EQ((*process)->Wait(1).status().code(), Code::kTimeout);
  (*process)->Kill();
  EXPECT_EQ(*(*process)->Wait(1), 128 + SIGKILL);
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST(ProcessTest, TheDestructorEndsTheProcess) {
  const TempDir dir;
  auto process = Process::Start(
      {.argv = {"sleep", "1000"}, .output_file = dir.Join("log"), .working_dir = {}, .env = {}});
  ASSERT_TRUE(process.ok());
  const pid_t pid = (*process)->pid();
  process->reset();
  EXPECT_NE(::kill(pid, 0), 0);
}

TEST(WaitTest, ADeadlineThatPassesIsReported) {
  EXPECT_FALSE(WaitUntil(1, [] { return false; }));
  int calls = 0;
  EXPECT_TRUE(WaitUntil(10'000, [&] { return ++calls == 3; }));
}

TEST(WaitTest, PortsAreDifferent) {
  std::set<uint16_t> ports;
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(ports.insert(FreePort()).second);
  }
}

TEST(TempDirTest, TheFolderOfATestThatPassedIsRemoved) {
  std::string path;
  {
    const TempDir dir;
    path = dir.path();
    EXPECT_TRUE(FileExists(path));
  }
  EXPECT_FALSE(FileExists(path));
}

}  // namespace
}  // namespace kvs
