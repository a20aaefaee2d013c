// test_all: checks a running cluster, or runs the whole suite on clusters of its own.

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "common/base/build_info.h"
#include "common/base/strings.h"
#include "test_all/command/client_check.h"
#include "test_all/harness/settings.h"

namespace kvs {
namespace {

constexpr int kUsageError = 2;

constexpr char kHelp[] =
    "test_all: checks a kvstore cluster\n"
    "\n"
    "usage: test_all -h HOST -p PORT [-l LOOPS] [-a PASSWORD] [--filter TEXT] [--flush]\n"
    "           runs the client checks against a cluster (or any Redis) that is running;\n"
    "           its data stays as it is, unless --flush allows to delete everything\n"
    "       test_all --suite [--short] [--filter PATTERN] [--gtest_...]\n"
    "           runs the whole suite: it starts the programs beside itself, or those in\n"
    "           $KVS_BIN_DIR, on free ports and ends them; --short takes fewer loops\n"
    "       test_all --help | --version\n"
    "\n"
    "Exit code 0: everything passed; 1: something failed; 2: a mistake in the command line.\n";

struct Arguments {
  bool suite = false;
  bool short_run = false;
  bool has_address = false;
  std::string filter;
  std::vector<std::string> for_googletest;
  ClientCheckOptions client;
};

int UsageError(const std::string& what) {
  std::fprintf(stderr, "test_all: %s; see test_all --help\n", what.c_str());
  return kUsageError;
}

// Takes an option with a value.  Returns false if there is no such option or its value is wrong.
bool TakeValue(const std::string& name, const std::string& value, Arguments* arguments) {
  int64_t number = 0;
  if (name == "-h") {
    arguments->client.target.host = value;
  } else if (name == "-a") {
    arguments->client.target.password = value;
  } else if (name == "--filter") {
    arguments->filter = value;
  } else if (name == "-p" && ParseInt64(value, &number) && number >= 1 && number <= 65535) {
    arguments->client.target.port = static_cast<uint16_t>(number);
  } else if (name == "-l" && ParseInt64(value, &number) && number >= 1 && number <= 1'000'000) {
    arguments->client.loops = static_cast<int>(number);
  } else {
    return false;
  }
  arguments->has_address |= name == "-h" || name == "-p";
  return true;
}

int RunSuite(const Arguments& arguments) {
  SetShortRun(arguments.short_run);
  std::vector<std::string> words = {"test_all"};
  words.insert(words.end(), arguments.for_googletest.begin(), arguments.for_googletest.end());
  if (!arguments.filter.empty()) {
    const bool is_pattern = arguments.filter.find_first_of("*:-") != std::string::npos;
    words.push_back("--gtest_filter=" +
                    (is_pattern ? arguments.filter : "*" + arguments.filter + "*"));
  }
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  int argc = static_cast<int>(words.size());
  testing::InitGoogleTest(&argc, argv.data());
  if (argc > 1) {
    return UsageError("googletest does not know '" + std::string(argv[1]) + "'");
  }
  return RUN_ALL_TESTS();
}

int RunClient(Arguments* arguments) {
  if (arguments->client.target.port == 0) {
    return UsageError("-p PORT is missing");
  }
  arguments->client.filter = arguments->filter;
  arguments->client.colour = ::isatty(STDOUT_FILENO) == 1;
  const Result<RespClient> client = OpenClient(arguments->client.target, 2);
  if (!client.ok()) {
    std::fprintf(stderr, "test_all: %s:%d: %s\n", arguments->client.target.host.c_str(),
                 arguments->client.target.port, std::string(client.status().message()).c_str());
    return 1;
  }
  return RunClientChecks(arguments->client) == 0 ? 0 : 1;
}

int Main(const std::vector<std::string>& words) {
  Arguments arguments;
  for (size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--help") {
      std::fputs(kHelp, stdout);
      return 0;
    }
    if (word == "--version") {
      std::printf("test_all %s (%s, %s, %s)\n", kBuildVersion, kBuildCommit, kBuildCompiler,
                  kBuildFlavour);
      return 0;
    }
    if (word == "--suite") {
      arguments.suite = true;
    } else if (word == "--short") {
      arguments.short_run = true;
    } else if (word == "--flush") {
      arguments.client.flush = true;
    } else if (word.starts_with("--gtest_")) {
      arguments.for_googletest.push_back(word);
    } else if (i + 1 == words.size() || !TakeValue(word, words[++i], &arguments)) {
      return UsageError("cannot make sense of '" + word + "'");
    }
  }
  if (arguments.suite == arguments.has_address) {
    return UsageError("say either --suite or -h HOST -p PORT");
  }
  return arguments.suite ? RunSuite(arguments) : RunClient(&arguments);
}

}  // namespace
}  // namespace kvs

int main(int argc, char** argv) {
  ::signal(SIGPIPE, SIG_IGN);
  return kvs::Main(std::vector<std::string>(argv + 1, argv + argc));
}
