#include <cstdlib>

#include "gtest/gtest.h"

#include "common/base/random.h"
#include "common/config/config_file.h"
#include "common/config/config_store.h"
#include "common/config/option.h"

namespace kvs {
namespace {

struct TestOptions {
  int64_t io_threads = 4;
  Bytes max_bulk = 512_MiB;
  Duration idle = std::chrono::seconds(30);
  Duration keepalive = std::chrono::seconds(60);
  bool tcp_nodelay = true;
  std::string requirepass;
  std::string sync = "everysec";
  StringList bind = {"127.0.0.1"};
  StringList rename;
};

const std::vector<OptionRow>& Rows() {
  static const std::vector<OptionRow> rows = {
      MakeOptionRow<TestOptions, &TestOptions::io_threads>(
          "io_threads", {.min = 1, .max = 64, .doc = "Threads."}),
      MakeOptionRow<TestOptions, &TestOptions::max_bulk>(
          "max_bulk", {.change = Change::kRuntime, .min = 1_KiB, .max = 512_MiB, .doc = "Size."}),
      MakeOptionRow<TestOptions, &TestOptions::idle>("idle",
                                                     {.change = Change::kRuntime, .doc = "Time."}),
      MakeOptionRow<TestOptions, &TestOptions::keepalive>(
          "keepalive", {.max = std::chrono::seconds(600), .seconds = true, .doc = "Time."}),
      MakeOptionRow<TestOptions, &TestOptions::tcp_nodelay>(
          "tcp_nodelay", {.change = Change::kRuntime, .doc = "Flag."}),
      MakeOptionRow<TestOptions, &TestOptions::requirepass>(
          "requirepass", {.change = Change::kRuntime, .secret = true, .doc = "Password."}),
      MakeOptionRow<TestOptions, &TestOptions::sync>(
          "sync", {.change = Change::kRuntime, .choices = "no|everysec|always", .doc = "Policy."}),
      MakeOptionRow<TestOptions, &TestOptions::rename>("rename", {.pairs = true, .doc = "Names."}),
      MakeOptionRow<TestOptions, &TestOptions::bind>("bind", {.doc = "Addresses."})};
  return rows;
}

TEST(ConfigTest, AFileSetsOptionsWithUnitsQuotesAndLists) {
  TestOptions options;
  const Status status = LoadOptionsText(Rows(),
                                        "# comment\n"
                                        "io-threads 8\n"
                                        "MAX-BULK 64mb\n"
                                        "idle 2m\r\n"
                                        "tcp-nodelay no\n"
                                        "requirepass \"a b\"\n"
                                        "bind 10.0.0.1 ::1\n"
                                        "bind 10.0.0.2,10.0.0.3\n",
                                        "test", &options);

  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(options.io_threads, 8);
  EXPECT_EQ(options.max_bulk, 64_MiB);
  EXPECT_EQ(options.idle, std::chrono::minutes(2));
  EXPECT_FALSE(options.tcp_nodelay);
  EXPECT_EQ(options.requirepass, "a b");
  EXPECT_EQ(options.bind, (StringList{"10.0.0.1", "::1", "10.0.0.2", "10.0.0.3"}));
}

TEST(ConfigTest, ElementsOfAListMayBeSeparatedByCommas) {
  TestOptions options;
  ASSERT_TRUE(LoadOptionsText(Rows(), "bind 10.0.0.1,::1 10.0.0.2\n", "test", &options).ok());
  EXPECT_EQ(options.bind, (StringList{"10.0.0.1", "::1", "10.0.0.2"}));
}

TEST(ConfigTest, ALineOfAPairIsOneElement) {
  TestOptions options;
  ASSERT_TRUE(
      LoadOptionsText(Rows(), "rename a \"\"\nrename b c\nrename d=e f=\n", "test", &options).ok());
  EXPECT_EQ(options.rename, (StringList{"a=", "b=c", "d=e", "f="}));
  const OptionRow* row = FindOption(Rows(), "rename");
  EXPECT_EQ(FormatOptionField(*row, &options), "a= b=c d=e f=");
}

TEST(ConfigTest, ErrorsNameFileLineAndRemedy) {
  TestOptions options;
  EXPECT_EQ(LoadOptionsText(Rows(), "\nio-threads 0", "f.conf", &options).message(),
            "f.conf, line 2 (io-threads 0): '0' for 'io-threads' is out of range: use 1 to 64");
  EXPECT_EQ(LoadOptionsText(Rows(), "nonsense 1", "f", &options).message(),
            "f, line 1 (nonsense 1): unknown option 'nonsense'");
  EXPECT_FALSE(LoadOptionsText(Rows(), "sync sometimes", "f", &options).ok());
  EXPECT_FALSE(LoadOptionsText(Rows(), "max-bulk 99999999999999999999", "f", &options).ok());
  EXPECT_FALSE(LoadOptionsText(Rows(), "max-bulk 17179869184gb", "f", &options).ok());
  EXPECT_FALSE(LoadOptionsText(Rows(), "requirepass \"x", "f", &options).ok());
  EXPECT_FALSE(LoadOptionsText(Rows(), "tcp-nodelay maybe", "f", &options).ok());
}

TEST(ConfigTest, APlainNumberMayMeanSeconds) {
  TestOptions options;
  const OptionRow* row = FindOption(Rows(), "keepalive");
  ASSERT_TRUE(SetOptionField(*row, &options, "300").ok());
  EXPECT_EQ(options.keepalive, std::chrono::seconds(300));
  EXPECT_EQ(GetOptionField(*row, &options), "300");
  EXPECT_EQ(FormatOptionField(*row, &options), "5m");
  ASSERT_TRUE(SetOptionField(*row, &options, "1500ms").ok());
  EXPECT_EQ(options.keepalive, std::chrono::milliseconds(1500));
  EXPECT_EQ(GetOptionField(*row, &options), "2");
  EXPECT_FALSE(SetOptionField(*row, &options, "601").ok());
}

TEST(ConfigTest, CommandLineBeatsEnvironmentBeatsFile) {
  const std::string path = testing::TempDir() + "kvs_config_" + RandomHex(8);
  ASSERT_TRUE(WriteFileAtomic(path, "io-threads 2\nidle 1s\nsync no\n").ok());
  ::setenv("KVS_IO_THREADS", "3", 1);
  ::setenv("KVS_IDLE", "3s", 1);
  const Result<CommandLine> line = ParseCommandLine(Rows(), {path, "--io-threads", "5"});
  ASSERT_TRUE(line.ok());
  TestOptions options;
  const Status status = LoadOptions(Rows(), *line, &options);
  ::unsetenv("KVS_IO_THREADS");
  ::unsetenv("KVS_IDLE");
  EXPECT_TRUE(RemoveFile(path).ok());

  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(options.io_threads, 5);
  EXPECT_EQ(options.idle, std::chrono::seconds(3));
  EXPECT_EQ(options.sync, "no");
}

TEST(ConfigTest, UnknownFlagsAndIncludeCirclesAreRefused) {
  EXPECT_FALSE(ParseCommandLine(Rows(), {"--what", "1"}).ok());
  EXPECT_FALSE(ParseCommandLine(Rows(), {"--io-threads"}).ok());
  EXPECT_FALSE(ParseCommandLine(Rows(), {"a.conf", "b.conf"}).ok());
  const std::string path = testing::TempDir() + "kvs_circle_" + RandomHex(8);
  ASSERT_TRUE(WriteFileAtomic(path, "include " + path + "\n").ok());
  TestOptions options;
  EXPECT_NE(LoadOptionsFile(Rows(), path, &options).message().find("nested includes"),
            std::string_view::npos);
  EXPECT_TRUE(RemoveFile(path).ok());
}

TEST(ConfigTest, RewriteKeepsCommentsAndAppendsWhatIsNew) {
  TestOptions options;
  options.io_threads = 9;
  options.idle = std::chrono::seconds(90);
  const TestOptions defaults;

  const std::string text = RewriteOptionsText(
      Rows(), "# my threads\nio-threads 2\nio-threads 3\n\n# end\n", &defaults, &options);

  EXPECT_EQ(text, "# my threads\nio-threads 9\n\n# end\n# Generated by CONFIG REWRITE\nidle 90s\n");
}

Status SyncNeedsPassword(const TestOptions& options) {
  if (options.sync == "always" && options.requirepass.empty()) {
    return Status::InvalidArgument("sync always wants a password");
  }
  return Status::Ok();
}

TEST(ConfigTest, SetIsAllOrNothingAndTellsListeners) {
  ConfigStore<TestOptions> store(Rows(), {}, "", &SyncNeedsPassword, {{"save", ""}});
  int64_t seen = 0;
  store.AddListener([&seen](const auto&, const auto& after) { seen = after->idle.count(); });
  std::string bad;

  EXPECT_TRUE(store.Set({{"idle", "5s"}, {"max-bulk", "2kb"}}, &bad).ok());
  EXPECT_EQ(seen, 5000);
  EXPECT_FALSE(store.Set({{"idle", "6s"}, {"max-bulk", "1"}}, &bad).ok());
  EXPECT_EQ(bad, "max-bulk");
  EXPECT_EQ(store.current()->idle.count(), 5000);
  EXPECT_EQ(store.Set({{"io-threads", "5"}}, &bad).message(), "can't set immutable config");
  EXPECT_EQ(store.Set({{"nope", "5"}}, &bad).code(), Code::kUnsupported);
  EXPECT_FALSE(store.Set({{"sync", "always"}}, &bad).ok());
  EXPECT_TRUE(store.Set({{"save", ""}}, &bad).ok());
  EXPECT_EQ(store.Get({"max-*", "save"}), (ConfigPairs{{"max-bulk", "2048"}, {"save", ""}}));
  EXPECT_EQ(store.Rewrite().code(), Code::kNotFound);
}

TEST(ConfigTest, AReloadTakesAllOrNothingAndNamesWhatNeedsARestart) {
  const std::string path = testing::TempDir() + "kvs_reload_" + RandomHex(8);
  const Result<CommandLine> line = ParseCommandLine(Rows(), {path});
  ASSERT_TRUE(line.ok());
  TestOptions initial;
  initial.requirepass = "x";
  ConfigStore<TestOptions> store(
      Rows(), initial, path, &SyncNeedsPassword, {},
      [](const TestOptions& before, const TestOptions& after) {
        return after.idle < before.idle ? Status::InvalidArgument("idle only grows") : Status::Ok();
      });
  const auto reload = [&](const std::string& text, StringList* kept) {
    EXPECT_TRUE(WriteFileAtomic(path, text).ok());
    return store.Reload(*line, kept);
  };
  StringList kept;
  const int64_t threads = initial.io_threads;
  EXPECT_TRUE(reload("idle 900s\nio-threads 9\nrequirepass y\n", &kept).ok());
  EXPECT_EQ(kept, (StringList{"io-threads"}));
  EXPECT_EQ(store.current()->idle, std::chrono::seconds(900));
  EXPECT_EQ(store.current()->io_threads, threads);
  EXPECT_NE(reload("idle 1000s\nmax-bulk x\n", nullptr).message().find("line 2"),
            std::string_view::npos);
  EXPECT_EQ(reload("idle 800s\nmax-bulk 2kb\n", nullptr).message(), "idle only grows");
  std::string bad;
  EXPECT_EQ(store.Set({{"max-bulk", "4kb"}, {"idle", "1s"}}, &bad).message(), "idle only grows");
  EXPECT_EQ(store.current()->idle, std::chrono::seconds(900));
  EXPECT_NE(static_cast<uint64_t>(store.current()->max_bulk), 2048U);
  EXPECT_TRUE(RemoveFile(path).ok());
}

TEST(ConfigTest, SecretsAreMasked) {
  TestOptions options;
  options.requirepass = "hunter2";
  EXPECT_EQ(EffectiveConfigText(Rows(), &options).find("hunter2"), std::string::npos);
}

TEST(ConfigTest, EveryDefaultPrintsAndReadsBack) {
  const TestOptions defaults;
  TestOptions loaded;
  loaded.io_threads = 1;
  std::string text;
  const std::string file = DefaultConfigText(Rows(), &defaults);
  for (const std::string_view line : Split(file, '\n')) {
    for (const OptionRow& row : Rows()) {
      if (line.starts_with("# " + row.name + " ")) {
        text += std::string(line.substr(2)) + "\n";
      }
    }
  }
  ASSERT_TRUE(LoadOptionsText(Rows(), text, "defaults", &loaded).ok());
  EXPECT_EQ(loaded.io_threads, 4);
  EXPECT_EQ(EffectiveConfigText(Rows(), &loaded), EffectiveConfigText(Rows(), &defaults));
}

}  // namespace
}  // namespace kvs
