// What a node does when the ground gives way: a crash at every step that has a name, an fsync that
// fails, a full disk, a power cut, bits that flip.  Nothing acknowledged may be missing afterwards.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/base/unique_fd.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"
#include "test_all/load/ledger_writers.h"

namespace kvs {
namespace {

// Small tables and segments, so that a short run meets flushes, rotations, purges and hand-overs.
const Words& BusyOptions() {
  static const auto* options = new Words{
      "--write-buffer-size", "64kb", "--binlog-segment-size", "1mb", "--binlog-max-replay", "4mb",
      "--write-behind-size", "1mb",  "--instances",           "2"};
  return *options;
}

class FaultTest : public testing::Test {
 protected:
  // Starts the node and checks everything that was ever acknowledged.
  void StartAndCheck(Server* node) {
    node->set_env({});
    ASSERT_EQ(node->Start().ToString(), "ok");
    RespClient client = node->Connect();
    int64_t existing = 0;
    ASSERT_EQ(writers_.CheckAll(&client, &existing), "");
    ASSERT_EQ(client.Do({"dbsize"})->integer, existing);
  }
  // Writes until `done`, or until as many writes were acknowledged, or the node is gone.
  void Write(Server* node, uint64_t writes, const std::function<bool()>& done = {}) {
    const uint64_t goal = writers_.acknowledged() + writes;
    writers_.Start(node->port());
    (void)WaitUntil(20'000, [&] {
      return writers_.acknowledged() >= goal || !node->process()->Running() || (done && done());
    });
    writers_.Stop();
  }

  TempDir dir_;
  LedgerWriters writers_;
};

#if defined(KVS_FAULT_POINTS)

// Every name in the product's code; scripts/check.sh compares.
constexpr const char* kFaultPoints[] = {
    "binlog.after_append",
    "binlog.after_sync",
    "binlog.before_append",
    "binlog.cut",
    "binlog.rotate",
    "binlog.segment_named",
    "binlog.segment_prepared",
    "binlog.short_append",
    "binlog.sync",
    "close.after_engines",
    "close.before_engines",
    "commit.after_append",
    "commit.after_cache",
    "commit.before_append",
    "commit.before_reopen",
    "engine.after_rename",
    "engine.apply",
    "engine.before_background",
    "engine.before_remove",
    "engine.before_rename",
    "engine.table_sync",
    "file.after_rename",
    "file.before_rename",
    "hand_over.after_apply",
    "hand_over.before_apply",
    "hand_over.end",
    "purge.after_positions",
    "purge.after_remove",
    "purge.before_positions",
    "purge.before_remove",
    "recovery.after_cut",
    "recovery.before_cut",
    "replay.after_apply",
    "replay.before_apply",
    "store.session_saved",
};

// A node that dies at the point while it serves, then at the point while it starts or stops.
TEST_F(FaultTest, ACrashAtAnyStepLosesNothing) {
  const std::unique_ptr<Server> node = MakeNode(dir_, "node", BusyOptions());
  Random random = Random::FromKernel();
  const uint64_t seed = random.Next();
  SCOPED_TRACE("seed " + std::to_string(seed));
  random = Random(seed);
  std::vector<std::string> points(std::begin(kFaultPoints), std::end(kFaultPoints));
  for (size_t i = points.size(); i > 1; --i) {
    std::swap(points[i - 1], points[random.Uniform(i)]);
  }
  points.resize(static_cast<size_t>(Loops(static_cast<int>(points.size()), 6)));
  const int rounds = Loops(10, 1);
  for (int round = 0; round < rounds; ++round) {
    for (const std::string& point : points) {
      const uint64_t pass = 1 + random.Uniform(random.OneIn(2) ? 3 : 60);
      SCOPED_TRACE(point + " at pass " + std::to_string(pass));
      const std::string sync = random.OneIn(2) ? "always" : "everysec";
      node->arguments()->push_back("--binlog-sync");
      node->arguments()->push_back(sync);
      node->set_env({"KVS_FAULT=" + point + "=exit@" + std::to_string(pass)});
      for (int start = 0; start < 2; ++start) {
        if (node->Start().ok()) {
          Write(node.get(), 3000);
        }
        if (node->process() != nullptr && node->process()->Running() && start == 0) {
          (void)node->Stop().ok();  // It may die of the point instead.
        }
        node->Kill();
      }
      ASSERT_NO_FATAL_FAILURE(StartAndCheck(node.get()));
      node->Kill();
    }
  }
}

// After an fsync has failed nobody may hear OK, since the kernel may have dropped the pages.
TEST_F(FaultTest, AfterAFailedFsyncNothingIsAcknowledged) {
  Words options = BusyOptions();
  options.insert(options.end(), {"--binlog-sync", "always"});
  for (const int pass : {1, 2, 5, 9}) {
    SCOPED_TRACE(pass);
    const std::unique_ptr<Server> node = MakeNode(dir_, "node" + std::to_string(pass), options);
    writers_ = LedgerWriters();
    node->set_env({"KVS_FAULT=binlog.sync=error@" + std::to_string(pass)});
    ASSERT_EQ(node->Start().ToString(), "ok");
    const auto refused = [&] {
      return node->process()->Output().find("cannot be made durable") != std::string::npos;
    };
    Write(node.get(), 1'000'000, refused);
    ASSERT_TRUE(refused());
    RespClient client = node->Connect();
    for (int i = 0; i < 5; ++i) {
      const std::string answer = client.Ask({"set", "after", "x"});
      EXPECT_NE(answer.find("MISCONF"), std::string::npos) << answer;
    }
    EXPECT_EQ(client.Ask({"ping"}), "PONG");
    node->Kill();
    ASSERT_NO_FATAL_FAILURE(StartAndCheck(node.get()));
    node->Kill();
  }
}

// An instance that refuses a hand-over is reopened; no write that was acknowledged is lost, and
// none is refused for longer than that takes.
TEST_F(FaultTest, AnInstanceThatFailsIsReopenedAndNothingIsLost) {
  for (const char* point : {"engine.apply", "engine.table_sync"}) {
    SCOPED_TRACE(point);
    const std::unique_ptr<Server> node = MakeNode(dir_, point, BusyOptions());
    // It works for a while, and then fails until the node is started again.
    node->set_env({std::string("KVS_FAULT=") + point + "=error@4"});
    ASSERT_EQ(node->Start().ToString(), "ok");
    const auto refused = [&] {
      return node->process()->Output().find("read-only") != std::string::npos;
    };
    Write(node.get(), 1'000'000, refused);
    ASSERT_TRUE(refused());
    RespClient client = node->Connect();
    int64_t existing = 0;
    // Meanwhile it is closed and opened again, every second, in vain.
    const int64_t begin_ms = NowMillis();
    while (NowMillis() - begin_ms < 3000) {
      ASSERT_EQ(writers_.CheckAll(&client, &existing), "") << "while it is read-only";
    }
    node->Kill();
    ASSERT_NO_FATAL_FAILURE(StartAndCheck(node.get()));
    node->Kill();
    writers_ = LedgerWriters();
  }
}

// Every fsync takes four seconds.  `everysec` promises that a power cut takes 1.5 s of acknowledged
// writes at most, so later ones wait for the disk; nobody else does.
TEST_F(FaultTest, OnASlowDiskEverysecKeepsItsPromiseAndReadsGoOn) {
  const std::unique_ptr<Server> node = MakeNode(dir_, "node", BusyOptions());
  node->set_env({"KVS_FAULT=binlog.sync=pause:4000"});
  ASSERT_EQ(node->Start().ToString(), "ok");
  RespClient writer = node->Connect();
  RespClient reader = node->Connect();
  ASSERT_EQ(reader.Ask({"set", "other", "x"}), "OK");
  // Writes that are not yet on the disk are acknowledged for 1.5 s and no longer.
  int64_t waited_ms = 0;
  const int64_t begin_ms = NowMillis();
  while (waited_ms < 1000 && NowMillis() - begin_ms < 20'000) {
    const int64_t sent_ms = NowMillis();
    ASSERT_TRUE(writer.Send(EncodeWords({"set", "k", std::to_string(sent_ms)})).ok());
    int64_t slowest_read_ms = 0;
    std::string reply;
    ASSERT_TRUE(WaitUntil(10'000, [&] {
      const int64_t read_ms = NowMillis();
      EXPECT_EQ(reader.Ask({"get", "other"}), "\"x\"");
      slowest_read_ms = std::max(slowest_read_ms, NowMillis() - read_ms);
      bool closed = false;
      reply += writer.ReadUntilQuiet(1, &closed);
      return reply == "+OK\r\n" || closed;
    }));
    ASSERT_EQ(reply, "+OK\r\n");
    waited_ms = NowMillis() - sent_ms;
    EXPECT_LT(slowest_read_ms, 500 * kSlownessFactor);
  }
  EXPECT_GE(waited_ms, 1000) << "no write waited for the disk";
  EXPECT_GT(InfoNumber(&reader, "aof_delayed_fsync"), 0);
  node->Kill();
}

#endif  // KVS_FAULT_POINTS

// A file system that ends with the test.
class Mount {
 public:
  ~Mount() {
    if (frozen_) {
      (void)Thaw().ok();
    }
    if (mounted_) {
      (void)::umount2(path_.c_str(), MNT_DETACH);
    }
    if (!loop_.empty()) {
      (void)RunTool({"losetup", "-d", loop_}).ok();
    }
  }
  // Returns why this process may not mount anything here; empty if it may.  Everything else that
  // goes wrong with a mount is a failure of the test.
  static std::string Forbidden(bool needs_loop_device) {
    constexpr uint64_t kSysAdmin = uint64_t{1} << 21;  // CAP_SYS_ADMIN
    const Result<std::string> status = ReadFile("/proc/self/status");
    const size_t at = status.ok() ? status->find("CapEff:\t") : std::string::npos;
    if (at == std::string::npos ||
        (std::stoull(status->substr(at + 8, 16), nullptr, 16) & kSysAdmin) == 0) {
      return "a process without CAP_SYS_ADMIN may not mount file systems";
    }
    if (needs_loop_device && ::access("/dev/loop-control", R_OK | W_OK) != 0) {
      return std::string("loop devices are not to be had: /dev/loop-control: ") + ::strerror(errno);
    }
    return "";
  }
  Status Tmpfs(const std::string& path, const std::string& size) {
    path_ = path;
    KVS_RETURN_IF_ERROR(CreateDirs(path));
    return MountIt("tmpfs", "tmpfs", "size=" + size);
  }
  // An ext4 of 256 MiB in the file `image`.
  Status Ext4(const std::string& path, const std::string& image) {
    path_ = path;
    KVS_RETURN_IF_ERROR(CreateDirs(path));
    KVS_RETURN_IF_ERROR(Run({"truncate", "-s", "256m", image}));
    KVS_RETURN_IF_ERROR(Run({"mkfs.ext4", "-q", "-F", image}));
    const Result<ToolResult> loop = RunTool({"losetup", "-f", "--show", image});
    if (!loop.ok() || loop->exit_code != 0) {
      return Status::IoError("losetup: " + (loop.ok() ? loop->output : loop.status().ToString()));
    }
    loop_ = loop->output.substr(0, loop->output.find('\n'));
    return MountLoop();
  }
  Status MountLoop() { return MountIt(loop_, "ext4", "errors=remount-ro"); }
  // What ext4 does when it meets damage: it allows no further write, for good, and reads go on.
  Status TurnReadOnly() const {
    const std::string trigger =
        "/sys/fs/ext4/" + loop_.substr(loop_.rfind('/') + 1) + "/trigger_fs_error";
    const UniqueFd fd(::open(trigger.c_str(), O_WRONLY | O_CLOEXEC));
    return fd.valid() && ::write(fd.get(), "1", 1) == 1 ? Status::Ok()
                                                        : Status::FromErrno(trigger, errno);
  }
  // Whoever writes or syncs waits until Thaw().
  Status Freeze() {
    const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    frozen_ = fd.valid() && ::ioctl(fd.get(), FIFREEZE, 0) == 0;
    return frozen_ ? Status::Ok() : Status::FromErrno("FIFREEZE", errno);
  }
  Status Thaw() {
    const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    frozen_ = !(fd.valid() && ::ioctl(fd.get(), FITHAW, 0) == 0);
    return frozen_ ? Status::FromErrno("FITHAW", errno) : Status::Ok();
  }
  bool Unmount() {
    mounted_ = ::umount2(path_.c_str(), 0) != 0;
    return !mounted_;
  }
  // As a power cut: what is not on the disk now never gets there.
  bool CutPower() const {
    constexpr unsigned long kShutdown = 0x8004587d;  // EXT4_IOC_SHUTDOWN
    constexpr uint32_t kNoLogFlush = 2;
    const UniqueFd fd(::open(path_.c_str(), O_RDONLY | O_CLOEXEC));
    uint32_t how = kNoLogFlush;
    return fd.valid() && ::ioctl(fd.get(), kShutdown, &how) == 0;
  }

 private:
  Status MountIt(const std::string& device, const char* type, const std::string& options) {
    mounted_ = ::mount(device.c_str(), path_.c_str(), type, 0, options.c_str()) == 0;
    return mounted_ ? Status::Ok() : Status::FromErrno("mount of " + device, errno);
  }
  static Status Run(Words command) {
    const std::string name = command[0];
    const Result<ToolResult> result = RunTool(std::move(command));
    KVS_RETURN_IF_ERROR(result.status());
    return result->exit_code == 0 ? Status::Ok() : Status::IoError(name + ": " + result->output);
  }

  std::string path_;
  std::string loop_;
  bool mounted_ = false;
  bool frozen_ = false;
};

TEST_F(FaultTest, AFullDiskStopsWritesAndRoomStartsThemAgain) {
  if (const std::string why = Mount::Forbidden(false); !why.empty()) {
    GTEST_SKIP() << why;
  }
  Mount mount;
  ASSERT_EQ(mount.Tmpfs(dir_.Join("small"), "48m").ToString(), "ok");
  const std::string filler = dir_.Join("small/filler");
  ASSERT_TRUE(WriteFileAtomic(filler, std::string(size_t{24} << 20, 'f')).ok());
  const std::unique_ptr<Server> node =
      MakeNode(dir_, "small/node",
               {"--write-buffer-size", "256kb", "--binlog-segment-size", "1mb",
                "--binlog-max-replay", "8mb", "--write-behind-size", "2mb", "--instances", "2"});
  ASSERT_TRUE(CreateDirs(dir_.Join("small")).ok());
  ASSERT_EQ(node->Start().ToString(), "ok");
  RespClient client = node->Connect();
  // Values that do not shrink, under keys of their own.
  Random random(7);
  std::string refusal;
  std::vector<std::string> values;
  while (refusal.empty() && values.size() < 2000) {
    std::string value(32'768, '\0');
    for (char& byte : value) {
      byte = static_cast<char>(random.Next());
    }
    const Result<Reply> reply = client.Do({"set", "big:" + std::to_string(values.size()), value});
    ASSERT_TRUE(reply.ok());
    if (reply->is_error()) {
      refusal = reply->text;
    } else {
      values.push_back(std::move(value));
    }
  }
  ASSERT_TRUE(refusal.starts_with("MISCONF")) << refusal;
  ASSERT_GT(values.size(), 100U);
  // A library that is not in the log is not known either.
  const std::string library =
      "#!lua name=l\nredis.register_function('f', function() return 'here' end) --" +
      std::string(100'000, 'x');
  ASSERT_TRUE(client.Do({"function", "load", library})->text.starts_with("MISCONF"));
  EXPECT_EQ(client.Do({"fcall", "f", "0"})->text, "ERR Function not found");
  const auto check = [&](RespClient* reader) {
    for (size_t i = 0; i < values.size(); ++i) {
      const Result<Reply> reply = reader->Do({"get", "big:" + std::to_string(i)});
      ASSERT_TRUE(reply.ok() && reply->text == values[i]) << "big:" << i;
    }
  };
  const int64_t full_ms = NowMillis();
  while (NowMillis() - full_ms < 3000) {
    ASSERT_NO_FATAL_FAILURE(check(&client));
  }

  ASSERT_TRUE(RemoveFile(filler).ok());
  const int64_t freed_ms = NowMillis();
  EXPECT_TRUE(WaitUntil(5000, [&] { return client.Ask({"set", "again", "x"}) == "OK"; }));
  EXPECT_LE(NowMillis() - freed_ms, 5000 * kSlownessFactor);
  ASSERT_NO_FATAL_FAILURE(check(&client));
  EXPECT_EQ(client.Do({"fcall", "f", "0"})->text, "ERR Function not found");
  EXPECT_EQ(client.Do({"function", "load", library})->text, "l");

  node->Kill();
  ASSERT_EQ(node->Start().ToString(), "ok");
  client = node->Connect();
  EXPECT_EQ(client.Do({"fcall", "f", "0"})->text, "here");
  ASSERT_NO_FATAL_FAILURE(check(&client));
  EXPECT_EQ(client.Do({"dbsize"})->integer, static_cast<int64_t>(values.size()) + 1);
  node->Kill();
}

// ext4 met damage and allows no further write.  Reads go on, writes are refused with the reason,
// and on the repaired disk everything that was acknowledged is there.
TEST_F(FaultTest, OnAReadOnlyDiskReadsGoOnAndWritesSayWhy) {
  if (const std::string why = Mount::Forbidden(true); !why.empty()) {
    GTEST_SKIP() << why;
  }
  const std::string image = dir_.Join("image");
  Mount mount;
  ASSERT_EQ(mount.Ext4(dir_.Join("disk"), image).ToString(), "ok");
  Words options = BusyOptions();
  options.insert(options.end(), {"--binlog-sync", "always"});
  const std::unique_ptr<Server> node = MakeNode(dir_, "disk/node", options);
  ASSERT_EQ(node->Start().ToString(), "ok");
  Write(node.get(), 3000);
  ASSERT_EQ(mount.TurnReadOnly().ToString(), "ok");
  RespClient client = node->Connect();
  std::string answer;
  ASSERT_TRUE(WaitUntil(5000, [&] {
    answer = client.Ask({"set", "k", "x"});
    return answer.find("MISCONF") != std::string::npos;
  })) << answer;
  EXPECT_NE(answer.find("Read-only file system"), std::string::npos) << answer;
  EXPECT_NE(client.Do({"info", "persistence"})->text.find("aof_last_write_status:err"),
            std::string::npos);
  int64_t existing = 0;
  EXPECT_EQ(writers_.CheckAll(&client, &existing), "");
  node->Kill();

  // Nor does it start on such a disk, and the check says why it cannot look.
  const std::string data = dir_.Join("disk/node");
  for (const Words& arguments :
       {Words{"--dir", data, "--port", "0", "--http-port", "0"}, Words{"--check", data}}) {
    Words command = {BinaryPath("kv_node")};
    command.insert(command.end(), arguments.begin(), arguments.end());
    const Result<ToolResult> refused = RunTool(command, 60'000);
    ASSERT_TRUE(refused.ok());
    EXPECT_NE(refused->exit_code, 0);
    EXPECT_TRUE(ToLower(refused->output).find("read-only") != std::string::npos) << refused->output;
    EXPECT_EQ(refused->output.find("in use"), std::string::npos) << refused->output;
  }

  ASSERT_TRUE(WaitUntil(5000, [&] { return mount.Unmount(); }));
  const Result<ToolResult> repair = RunTool({"e2fsck", "-f", "-y", image}, 60'000);
  ASSERT_TRUE(repair.ok());
  ASSERT_LE(repair->exit_code, 1) << repair->output;  // 1: what was wrong is mended.
  ASSERT_EQ(mount.MountLoop().ToString(), "ok");
  ASSERT_NO_FATAL_FAILURE(StartAndCheck(node.get()));
  node->Kill();
}

// A disk that does nothing for a while costs time and nothing else.
TEST_F(FaultTest, ADiskThatStandsStillCostsTimeOnly) {
  if (const std::string why = Mount::Forbidden(true); !why.empty()) {
    GTEST_SKIP() << why;
  }
  Mount mount;
  ASSERT_EQ(mount.Ext4(dir_.Join("disk"), dir_.Join("image")).ToString(), "ok");
  const std::unique_ptr<Server> node = MakeNode(dir_, "disk/node", BusyOptions());
  ASSERT_EQ(node->Start().ToString(), "ok");
  writers_.Start(node->port());
  for (int i = 0; i < Loops(5, 2); ++i) {
    const uint64_t before = writers_.acknowledged();
    ASSERT_TRUE(WaitUntil(20'000, [&] { return writers_.acknowledged() > before + 1000; }));
    ASSERT_EQ(mount.Freeze().ToString(), "ok");
    uint64_t frozen_at = writers_.acknowledged();
    int64_t since_ms = NowMillis();
    ASSERT_TRUE(WaitUntil(10'000, [&] {  // Longer than `everysec` acknowledges without an fsync.
      if (writers_.acknowledged() != frozen_at) {
        frozen_at = writers_.acknowledged();
        since_ms = NowMillis();
      }
      return NowMillis() - since_ms > 2000;
    }));
    ASSERT_EQ(mount.Thaw().ToString(), "ok");
    ASSERT_TRUE(WaitUntil(10'000, [&] { return writers_.acknowledged() > frozen_at + 1000; }));
  }
  writers_.Stop();
  EXPECT_EQ(node->process()->Output().find("refuses"), std::string::npos);
  RespClient client = node->Connect();
  int64_t existing = 0;
  EXPECT_EQ(writers_.CheckAll(&client, &existing), "");
  node->Kill();
  ASSERT_NO_FATAL_FAILURE(StartAndCheck(node.get()));
  node->Kill();
}

// With `always` a power cut loses nothing that was acknowledged.  With `everysec` what is left is a
// prefix of the writes, with everything that is older than 1.5 s.
TEST_F(FaultTest, APowerCutLosesNothingWithAlwaysAndTheLastMomentsWithEverysec) {
  if (const std::string why = Mount::Forbidden(true); !why.empty()) {
    GTEST_SKIP() << why;
  }
  for (const std::string sync : {"always", "everysec"}) {
    SCOPED_TRACE(sync);
    Mount mount;
    ASSERT_EQ(mount.Ext4(dir_.Join(sync), dir_.Join(sync + ".image")).ToString(), "ok");
    Words options = BusyOptions();
    options.insert(options.end(), {"--binlog-sync", sync});
    const std::unique_ptr<Server> node = MakeNode(dir_, sync + "/node", options);
    int64_t written = 0;
    const int cuts = Loops(20, 2);
    for (int cut = 0; cut < cuts; ++cut) {
      SCOPED_TRACE("cut " + std::to_string(cut));
      ASSERT_EQ(node->Start().ToString(), "ok");
      RespClient client = node->Connect();
      int64_t old_enough = written;
      std::vector<std::pair<int64_t, int64_t>> history;  // When, and how many.
      const int64_t start_ms = NowMillis();
      while (NowMillis() - start_ms < 2500) {
        for (int i = 0; i < 50; ++i) {
          ++written;
          ASSERT_TRUE(client.Do({"set", "n:" + std::to_string(written), "x"})->is_ok());
        }
        history.emplace_back(NowMillis(), written);
      }
      const int64_t cut_ms = NowMillis();
      ASSERT_TRUE(mount.CutPower());
      node->Kill();
      for (const auto& [when_ms, count] : history) {
        old_enough = sync == "always" || when_ms < cut_ms - 1500 ? count : old_enough;
      }
      ASSERT_TRUE(WaitUntil(5000, [&] { return mount.Unmount(); }));
      ASSERT_EQ(mount.MountLoop().ToString(), "ok");
      ASSERT_EQ(node->Start().ToString(), "ok");
      client = node->Connect();
      const int64_t left = client.Do({"dbsize"})->integer;
      EXPECT_GE(left, old_enough);
      EXPECT_LE(left, written);
      for (int64_t n = 1; n <= written; ++n) {
        ASSERT_EQ(client.Do({"exists", "n:" + std::to_string(n)})->integer, n <= left ? 1 : 0) << n;
      }
      written = left;
      node->Kill();
    }
    ASSERT_TRUE(WaitUntil(5000, [&] { return mount.Unmount(); }));
  }
}

}  // namespace
}  // namespace kvs
