#include "test_all/command/client_check.h"

#include <cstdio>
#include <functional>
#include <map>

#include "common/base/random.h"
#include "test_all/command/malformed.h"
#include "test_all/command/mixed_commands.h"

namespace kvs {
namespace {

constexpr int kPipelineLength = 10'000;
constexpr int kSplitKeys = 1000;

class ClientCheck {
 public:
  explicit ClientCheck(const ClientCheckOptions& options)
      : options_(options), prefix_("test_all:" + RandomHex(8) + ":") {}

  int Run();

 private:
  // Runs one check, which returns what is wrong or "".
  void Check(const std::string& name, const std::function<std::string()>& check);
  void CheckCases(int protocol);
  std::string CheckCase(const Case& test, int protocol);
  std::string CheckPipeline(int protocol, bool small_pieces);
  std::string CheckSplit();
  std::string Flush();

  const ClientCheckOptions& options_;
  std::string prefix_;
  int passed_ = 0;
  int failed_ = 0;
  int skipped_ = 0;
};

void ClientCheck::Check(const std::string& name, const std::function<std::string()>& check) {
  if (name.find(options_.filter) == std::string::npos) {
    return;
  }
  const std::string error = check();
  const char* const green = options_.colour ? "\033[32m" : "";
  const char* const red = options_.colour ? "\033[31m" : "";
  const char* const plain = options_.colour ? "\033[0m" : "";
  if (error.empty()) {
    ++passed_;
    std::printf("%s[ ok   ]%s %s\n", green, plain, name.c_str());
  } else {
    ++failed_;
    std::printf("%s[ FAIL ]%s %s\n%s\n", red, plain, name.c_str(), error.c_str());
  }
}

std::string ClientCheck::Flush() {
  Result<RespClient> client = OpenClient(options_.target, 2);
  const std::string reply = client.ok() ? client->Ask({"flushall"}) : client.status().ToString();
  return client.ok() && client->Do({"dbsize"}).ok() ? "" : reply;
}

// RESP3 replies are compared by content where RESP2 has the same shape for them.
std::string ClientCheck::CheckCase(const Case& test, int protocol) {
  RunOptions run = {.protocol = protocol, .key_prefix = {}};
  if (!test.needs_empty_server()) {
    run.key_prefix = prefix_ + RandomHex(4) + ":";
  } else if (std::string error = Flush(); !error.empty()) {
    return error;
  }
  const Result<std::vector<std::string>> replies = RunCase(options_.target, test, run);
  if (!replies.ok()) {
    return replies.status().ToString();
  }
  return protocol == 2 ? CompareWithTable(test, *replies) : "";
}

void ClientCheck::CheckCases(int protocol) {
  for (const Case& test : AllCases()) {
    const bool needs_one_shard = !test.one_shard.empty();
    const bool open_server_only = test.name == "auth without a password";
    if (needs_one_shard || (test.needs_empty_server() && !options_.flush) ||
        (open_server_only && !options_.target.password.empty()) ||
        // These tell of options as a server has them that was started for the test.
        test.table == "server.txt" || test.table == "cluster_off.txt") {
      ++skipped_;
      continue;
    }
    Check("resp" + std::to_string(protocol) + " " + test.title(),
          [&] { return CheckCase(test, protocol); });
  }
}

std::string ClientCheck::CheckPipeline(int protocol, bool small_pieces) {
  MixedCommands commands(Random::FromKernel().Next(), protocol, prefix_);
  commands.Add(kPipelineLength);
  Result<RespClient> client = OpenClient(options_.target, protocol);
  if (!client.ok()) {
    return client.status().ToString();
  }
  Random random = Random::FromKernel();
  const auto next_size = [&]() -> size_t {
    return small_pieces ? 1 + random.Uniform(random.OneIn(4) ? 4000 : 16) : size_t{65536};
  };
  const Result<std::vector<std::string>> replies =
      client->Pipeline(commands.bytes(), commands.replies().size(), next_size);
  std::string error = replies.ok() ? "" : replies.status().ToString();
  for (size_t i = 0; replies.ok() && error.empty() && i < replies->size(); ++i) {
    if ((*replies)[i] != commands.replies()[i]) {
      error = "reply " + std::to_string(i) + " is " + OnOneLine((*replies)[i]).substr(0, 200) +
              "\n  instead of " + OnOneLine(commands.replies()[i]).substr(0, 200);
    }
  }
  std::vector<std::string> clean_up = {"del"};
  for (const std::string& key : commands.Keys()) {
    clean_up.push_back(key);
  }
  Result<RespClient> cleaner = OpenClient(options_.target, 2);
  if (cleaner.ok()) {
    (void)cleaner->Do(clean_up).ok();
  }
  return error;
}

// One MSET, one MGET and one DEL of keys that lie on every shard.
std::string ClientCheck::CheckSplit() {
  Result<RespClient> client = OpenClient(options_.target, 2);
  if (!client.ok()) {
    return client.status().ToString();
  }
  std::vector<std::string> set = {"mset"};
  std::vector<std::string> get = {"mget"};
  for (int i = 0; i < kSplitKeys; ++i) {
    const std::string key = prefix_ + "split:" + std::to_string(i);
    set.insert(set.end(), {key, std::to_string(i)});
    get.push_back(key);
  }
  std::string error;
  if (const std::string reply = client->Ask(set); reply != "OK" && reply != "\"OK\"") {
    const Result<Reply> again = client->Do(set);
    error = again.ok() && again->is_ok() ? "" : "mset: " + reply;
  }
  const Result<Reply> values = client->Do(get);
  for (size_t i = 0; error.empty() && i < kSplitKeys; ++i) {
    if (!values.ok() || values->elements.size() != kSplitKeys ||
        values->elements[i].text != std::to_string(i)) {
      error = "mget: the value of key " + std::to_string(i) + " is wrong";
    }
  }
  get[0] = "del";
  const Result<Reply> deleted = client->Do(get);
  if (error.empty() && (!deleted.ok() || deleted->integer != kSplitKeys)) {
    error = "del: " + (deleted.ok() ? deleted->ToString() : deleted.status().ToString());
  }
  return error;
}

int ClientCheck::Run() {
  for (int loop = 0; loop < options_.loops; ++loop) {
    for (const int protocol : {2, 3}) {
      CheckCases(protocol);
      const std::string name = "resp" + std::to_string(protocol) + " pipeline of 10000 commands";
      Check(name, [&] { return CheckPipeline(protocol, false); });
      Check(name + " in small pieces", [&] { return CheckPipeline(protocol, true); });
    }
    Check("mset, mget and del of 1000 keys", [&] { return CheckSplit(); });
    for (const MalformedCase& test : MalformedCases()) {
      Check("malformed " + test.shown, [&] {
        const std::string outcome = TryMalformed(options_.target, test);
        return outcome == test.outcome ? ""
                                       : "  expected " + test.outcome + "\n  got      " + outcome;
      });
    }
  }
  if (skipped_ > 0) {
    std::printf("%d cases not run: they need a server of their own%s\n", skipped_,
                options_.flush ? "" : ", or --flush, which deletes everything");
  }
  std::printf("%d passed, %d failed\n", passed_, failed_);
  return failed_;
}

}  // namespace

int RunClientChecks(const ClientCheckOptions& options) {
  return ClientCheck(options).Run();
}

}  // namespace kvs
