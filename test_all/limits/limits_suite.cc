// What a client may cost a node: memory, connections and file descriptors are bounded whatever it
// sends, and whether it reads or not.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/base/file.h"
#include "common/base/strings.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int64_t kMiB = 1 << 20;

class LimitsTest : public testing::Test {
 protected:
  void Start(const Words& options = {}) {
    node_ = MakeNode(dir_, "node", options);
    ASSERT_EQ(node_->Start().ToString(), "ok");
    client_ = node_->Connect();
    client_.set_timeout_ms(120'000);
    ASSERT_TRUE(client_.Do({"ping"}).ok());  // Accepted, not in the backlog.
  }
  int64_t Info(const std::string& field) { return InfoNumber(&client_, field); }
  // Whether the server has closed the connection, when everything that it sent is read.
  static bool IsClosed(RespClient* client) {
    bool closed = false;
    (void)client->ReadUntilQuiet(10, &closed);
    return closed;
  }
  static std::string Next(RespClient* client) {
    Result<std::string> reply = client->ReadFrame();
    return reply.ok() ? *std::move(reply) : reply.status().ToString();
  }
  // The first reply to `bytes`, after which the server must close.
  std::string LastWord(const std::string& bytes) {
    RespClient client = node_->Connect();
    (void)client.Send(bytes).ok();
    std::string reply = Next(&client);
    EXPECT_EQ(client.ReadFrame().status().code(), Code::kUnavailable);
    return reply;
  }

  TempDir dir_;
  std::unique_ptr<Server> node_;
  RespClient client_;
};

std::string Repeated(const std::string& piece, int count) {
  std::string bytes;
  bytes.reserve(piece.size() * static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    bytes += piece;
  }
  return bytes;
}

// A gigabyte of replies that nobody takes: neither kept in memory, nor in the way of others.
TEST_F(LimitsTest, ClientsThatDoNotReadCostNoMoreThanTheirLimit) {
  constexpr int kClients = 20;
  const int requests_each = Loops(500, 100);
  Start({"--client-output-soft-limit", "1mb"});
  ASSERT_TRUE(client_.Do({"set", "k", std::string(100 * 1024, 'v')})->is_ok());
  const std::string requests =
      Repeated(EncodeWords({"get", "k"}), static_cast<size_t>(requests_each));
  const int64_t before = Info("used_memory_rss");
  std::vector<RespClient> readers;
  for (int i = 0; i < kClients; ++i) {
    readers.push_back(node_->Connect());
    ASSERT_TRUE(readers.back().Send(requests).ok());
  }
  // All have been served as far as they will be when nothing more is sent.
  int64_t sent = -1;
  ASSERT_TRUE(WaitUntil(20'000, [&] {
    const int64_t last = std::exchange(sent, Info("keyspace_hits"));
    return last == sent && sent >= kClients * 10;
  }));
  EXPECT_LT(Info("mem_clients_normal"), kClients * 3 * kMiB) << "for " << kClients << " clients";
  if (kSlownessFactor == 1) {  // A sanitizer's allocator keeps what was freed.
    EXPECT_LT(Info("used_memory_rss") - before, kClients * 3 * kMiB);
  }
  EXPECT_EQ(client_.Do({"strlen", "k"})->integer, 100 * 1024);
  // What they asked for is still there when they read at last.
  for (RespClient& reader : readers) {
    for (int i = 0; i < requests_each; ++i) {
      const Result<std::string> reply = reader.ReadFrame();
      ASSERT_TRUE(reply.ok()) << reply.status().ToString();
      ASSERT_EQ(reply->size(), 100 * 1024 + std::string("$102400\r\n\r\n").size());
    }
  }
}

TEST_F(LimitsTest, AClientThatNeverReadsIsClosedAfterTheTimeout) {
  Start({"--timeout", "1s"});
  ASSERT_TRUE(client_.Do({"set", "k", std::string(kMiB, 'v')})->is_ok());
  RespClient reader = node_->Connect();
  ASSERT_TRUE(reader.Send(Repeated(EncodeWords({"get", "k"}), 100)).ok());
  ASSERT_TRUE(WaitUntil(5000, [this] { return Info("connected_clients") == 2; }));
  EXPECT_TRUE(WaitUntil(15'000, [this] { return Info("connected_clients") == 1; }));
  bool closed = false;
  const std::string rest = reader.ReadUntilQuiet(1000, &closed);
  EXPECT_TRUE(closed);
  EXPECT_LT(rest.size(), 100 * static_cast<size_t>(kMiB));
}

// Somebody who takes a large reply bit by bit is at work all the time.
TEST_F(LimitsTest, AClientThatReadsSlowlyIsNotIdle) {
  Start({"--timeout", std::to_string(kSlownessFactor) + "s"});
  constexpr size_t kSize = (kSlownessFactor > 1 ? 16 : 48) * static_cast<size_t>(kMiB);
  ASSERT_TRUE(client_.Do({"set", "k", std::string(kSize, 'v')})->is_ok());
  RespClient reader = node_->Connect();
  ASSERT_TRUE(reader.Send(EncodeWords({"get", "k"})).ok());
  const size_t total = kSize + std::string("$12345678\r\n\r\n").size();
  constexpr size_t kPieces = 30;
  size_t read = 0;
  for (size_t piece = 1; piece <= kPieces; ++piece) {
    const size_t wanted = total * piece / kPieces - read;
    const std::string bytes = reader.ReadBytes(wanted);
    ASSERT_EQ(bytes.size(), wanted) << "after " << read << " bytes";
    read += wanted;
    const int64_t next_ms = NowMillis() + 100;
    ASSERT_TRUE(WaitUntil(1000, [next_ms] { return NowMillis() >= next_ms; }));
  }
  EXPECT_EQ(reader.Ask({"exists", "k"}), "1");
}

TEST_F(LimitsTest, AnIdleClientIsClosedAndABusyOneIsNot) {
  Start();
  std::vector<RespClient> idle;
  for (int i = 0; i < 10; ++i) {
    idle.push_back(node_->Connect());
    ASSERT_TRUE(idle.back().Do({"ping"}).ok());
  }
  ASSERT_TRUE(idle[0].Send("*2\r\n$4\r\nec").ok());  // Half a request is no activity for ever.
  ASSERT_EQ(Info("connected_clients"), 11);
  ASSERT_TRUE(client_.Do({"config", "set", "timeout", "1s"})->is_ok());
  EXPECT_TRUE(WaitUntil(15'000, [this] { return Info("connected_clients") == 1; }));
  for (RespClient& client : idle) {
    EXPECT_TRUE(IsClosed(&client));
  }
  EXPECT_TRUE(client_.Do({"ping"}).ok());
}

TEST_F(LimitsTest, AClientThatNeverReadsIsDroppedByOptionAndAnIdleOneIsNot) {
  Start({"--client-output-timeout", "1"});
  const auto shown = client_.Do({"config", "get", "client-output-timeout"});
  ASSERT_TRUE(shown.ok());
  EXPECT_EQ(shown->elements.at(1).text, "1");
  ASSERT_TRUE(client_.Do({"set", "k", std::string(8 * kMiB, 'v')})->is_ok());
  RespClient idle = node_->Connect();
  ASSERT_TRUE(idle.Do({"ping"}).ok());
  RespClient stuck = node_->Connect();
  std::string gets;
  for (int i = 0; i < 32; ++i) {
    gets += EncodeWords({"get", "k"});
  }
  ASSERT_TRUE(stuck.Send(gets).ok());
  EXPECT_TRUE(WaitUntil(15'000, [this] { return Info("connected_clients") == 2; }));
  EXPECT_EQ(idle.Ask({"ping"}), "PONG");
}

TEST_F(LimitsTest, ARequestAboveTheQueryBufferLimitIsRefused) {
  Start({"--client-query-buffer-limit", "1mb", "--proto-max-bulk-len", "700kb"});
  EXPECT_EQ(client_.Ask({"set", "k", std::string(700 * 1024, 'v')}), "OK");
  EXPECT_EQ(
      client_.Ask({"mset", "a", std::string(500 * 1024, 'v'), "b", std::string(500 * 1024, 'v')}),
      "OK");
  EXPECT_EQ(LastWord("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$716801\r\n"),
            "-ERR Protocol error: invalid bulk length\r\n");
  const std::string value = "$614400\r\n" + std::string(614400, 'v') + "\r\n";
  EXPECT_TRUE(LastWord("*5\r\n$4\r\nmset\r\n$1\r\na\r\n" + value + "$1\r\nb\r\n" + value)
                  .starts_with("-ERR Protocol error: "));
  EXPECT_EQ(LastWord(std::string(70'000, 'x')), "-ERR Protocol error: too big inline request\r\n");
  EXPECT_EQ(client_.Ask({"exists", "k", "a", "b"}), "3");
}

// Announced and not sent: 512 MiB each, and a million words.
TEST_F(LimitsTest, AnAnnouncementCostsNoMemory) {
  Start();
  const int clients = Loops(1000, 200);
  std::vector<RespClient> senders;
  const int64_t before = Info("used_memory_rss");
  for (int i = 0; i < clients; ++i) {
    senders.push_back(node_->Connect());
    const std::string half = i % 2 == 0 ? "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$536870912\r\nstart"
                                        : "*1048576\r\n$4\r\nmget\r\n$1\r\nk\r\n";
    ASSERT_TRUE(senders.back().Send(half).ok());
  }
  ASSERT_TRUE(WaitUntil(10'000, [&] { return Info("connected_clients") == clients + 1; }));
  if (kSlownessFactor == 1) {  // A sanitizer has memory of its own for each page that is touched.
    EXPECT_LT(Info("used_memory_rss") - before, clients * 80 * 1024 + 8 * kMiB);
  }
  EXPECT_EQ(client_.Ask({"exists", "k"}), "0");
}

TEST_F(LimitsTest, WhoHasNotGivenThePasswordMayOnlySendLittle) {
  Start({"--requirepass", "secret"});
  EXPECT_EQ(LastWord("*11\r\n"), "-ERR Protocol error: unauthenticated multibulk length\r\n");
  EXPECT_EQ(LastWord("*2\r\n$4\r\nauth\r\n$16385\r\n"),
            "-ERR Protocol error: unauthenticated bulk length\r\n");
  RespClient client = node_->Connect();
  const std::string value(1'000'000, 'v');
  EXPECT_EQ(client.Do({"auth", std::string(16384, 'x')})->text.substr(0, 9), "WRONGPASS");
  EXPECT_EQ(client.Do({"set", "k", "v"})->text, "NOAUTH Authentication required.");
  ASSERT_TRUE(client.Do({"auth", "secret"})->is_ok());
  EXPECT_TRUE(client.Do({"set", "k", value})->is_ok());
  EXPECT_EQ(client.Do({"exists", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k", "k"})->integer,
            11);
  // In one piece with the password, which is enough then.
  RespClient hasty = node_->Connect();
  ASSERT_TRUE(hasty.Send(EncodeWords({"auth", "secret"}) + EncodeWords({"set", "k", value})).ok());
  EXPECT_EQ(Next(&hasty), "+OK\r\n");
  EXPECT_EQ(Next(&hasty), "+OK\r\n");
}

TEST_F(LimitsTest, OneClientTooManyIsToldAndTheOthersStay) {
  Start({"--maxclients", "5"});
  std::vector<RespClient> clients;
  ASSERT_TRUE(WaitUntil(5000, [this] { return Info("connected_clients") == 1; }));
  for (int i = 0; i < 4; ++i) {
    clients.push_back(node_->Connect());
    ASSERT_TRUE(clients.back().Do({"ping"}).ok());
  }
  EXPECT_EQ(LastWord(""), "-ERR max number of clients reached\r\n");
  EXPECT_EQ(LastWord(""), "-ERR max number of clients reached\r\n");
  EXPECT_EQ(Info("rejected_connections"), 2);
  clients.pop_back();
  EXPECT_TRUE(WaitUntil(5000, [this] {
    Result<RespClient> client = RespClient::Connect(node_->port());
    return client.ok() && client->Ask({"ping"}) == "PONG";
  }));
  ASSERT_TRUE(client_.Do({"config", "set", "maxclients", "10"})->is_ok());
  EXPECT_TRUE(WaitUntil(5000, [&] {  // Each loop hears of it for itself.
    clients.push_back(node_->Connect());
    if (clients.back().Ask({"ping"}) != "PONG") {
      clients.pop_back();
    }
    return clients.size() == 3 + 4;
  }));
}

TEST_F(LimitsTest, KeysMayHave64KiBAndNoMore) {
  Start();
  const std::string longest(65'536, 'k');
  const std::string longer = longest + "k";
  EXPECT_EQ(client_.Ask({"set", longest, "v", "ex", "1000"}), "OK");
  EXPECT_EQ(client_.Ask({"append", longest, "w"}), "2");
  EXPECT_EQ(client_.Ask({"rename", longest, std::string(65'536, 'r')}), "OK");
  EXPECT_EQ(client_.Ask({"set", "k", "v"}), "OK");
  for (const Words& request : std::vector<Words>{{"set", longer, "v"},
                                                 {"append", longer, "v"},
                                                 {"incr", longer},
                                                 {"setrange", longer, "1", "v"},
                                                 {"mset", "other", "v", longer, "v"},
                                                 {"msetnx", "other", "v", longer, "v"},
                                                 {"getset", longer, "v"},
                                                 {"rename", "k", longer},
                                                 {"renamenx", "k", longer},
                                                 {"copy", "k", longer},
                                                 {"incrbyfloat", longer, "1"},
                                                 {"setnx", longer, "v"}}) {
    EXPECT_TRUE(client_.Do(request)->is_error()) << request[0];
  }
  EXPECT_EQ(client_.Ask({"get", longer}), "null");
  EXPECT_EQ(client_.Ask({"del", longer}), "0");
  EXPECT_EQ(client_.Ask({"expire", longer, "100"}), "0");
  EXPECT_EQ(client_.Ask({"dbsize"}), "2");
  node_->Kill();
  ASSERT_EQ(node_->Start().ToString(), "ok");
  client_ = node_->Connect();
  EXPECT_EQ(client_.Do({"get", std::string(65'536, 'r')})->text, "vw");
  EXPECT_EQ(client_.Ask({"dbsize"}), "2");
}

// 512 MiB, the most that the option allows; in a short run less.
TEST_F(LimitsTest, ValuesMayBeAsLargeAsTheLimitAndNoLarger) {
  const size_t most = static_cast<size_t>(Loops(512, kSlownessFactor > 1 ? 12 : 48)) << 20;
  Start({"--proto-max-bulk-len", std::to_string(most)});
  {
    const std::string value(most, 'v');
    ASSERT_EQ(client_.Ask({"set", "k", value}), "OK");
    EXPECT_EQ(client_.Do({"append", "k", "w"})->text,
              "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    EXPECT_EQ(client_.Do({"setrange", "k", std::to_string(most), "w"})->text,
              "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    EXPECT_EQ(LastWord("*3\r\n$3\r\nset\r\n$1\r\nk\r\n$" + std::to_string(most + 1) + "\r\n"),
              "-ERR Protocol error: invalid bulk length\r\n");
    const Result<Reply> read = client_.Do({"get", "k"});
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_TRUE(read->text == value);
  }
  node_->Kill();
  ASSERT_EQ(node_->Start().ToString(), "ok");
  client_ = node_->Connect();
  client_.set_timeout_ms(120'000);
  EXPECT_EQ(client_.Do({"strlen", "k"})->integer, static_cast<int64_t>(most));
  EXPECT_EQ(client_.Do({"getrange", "k", "-3", "-1"})->text, "vvv");
  EXPECT_EQ(client_.Do({"getdel", "k"})->text.size(), most);
}

// How many processor ticks the process has used.
int64_t CpuTicks(pid_t pid) {
  const Result<std::string> stat = ReadFile("/proc/" + std::to_string(pid) + "/stat");
  const std::string rest = stat->substr(stat->rfind(')') + 2);
  int64_t user = 0;
  int64_t system = 0;
  const std::vector<std::string_view> words = Split(rest, ' ');
  EXPECT_TRUE(ParseInt64(words[11], &user) && ParseInt64(words[12], &system));
  return user + system;
}

// Returns the limit below which `count` numbers are free.  It is about numbers, and they have gaps.
rlim_t LimitWithFree(const std::vector<std::string>& open, int count) {
  const std::set<std::string> used(open.begin(), open.end());
  rlim_t limit = 0;
  while (count > 0) {
    count -= used.contains(std::to_string(limit)) ? 0 : 1;
    ++limit;
  }
  return limit;
}

TEST_F(LimitsTest, WithoutFileDescriptorsTheNodeServesWhomItHasAndDoesNotSpin) {
  Start();
  const pid_t pid = node_->process()->pid();
  const Result<std::vector<std::string>> open = ListDir("/proc/" + std::to_string(pid) + "/fd");
  ASSERT_TRUE(open.ok());
  rlimit old{};
  ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, nullptr, &old), 0);
  rlimit tight = old;
  tight.rlim_cur = LimitWithFree(*open, 8);
  ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, &tight, nullptr), 0);
  std::vector<RespClient> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(node_->Connect());  // The kernel accepts them; the node cannot.
    ASSERT_TRUE(clients.back().Send(EncodeWords({"ping"})).ok());
  }
  ASSERT_TRUE(WaitUntil(5000, [this] {
    return node_->process()->Output().find("open files limit") != std::string::npos;
  }));
  const int64_t ticks = CpuTicks(pid);
  const int64_t end_ms = NowMillis() + 2000;
  ASSERT_TRUE(WaitUntil(5000, [&] {
    EXPECT_EQ(client_.Ask({"ping"}), "PONG");
    return NowMillis() > end_ms;
  }));
  EXPECT_LT(CpuTicks(pid) - ticks, 100 * kSlownessFactor) << "of 200 in two seconds";

  ASSERT_EQ(::prlimit(pid, RLIMIT_NOFILE, &old, nullptr), 0);
  const int64_t begin_ms = NowMillis();
  for (RespClient& client : clients) {
    EXPECT_EQ(Next(&client), "+PONG\r\n");
  }
  EXPECT_LT(NowMillis() - begin_ms, 1000 * kSlownessFactor);
}

}  // namespace
}  // namespace kvs
