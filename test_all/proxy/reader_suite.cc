// A connection's reads and writes stay in its order while the copies that answer its reads change.
//
// The master and its two replicas are fake: a replica shows each write half a second late, and now
// and then it hangs up or is no replica any more.  So a read that goes to the wrong place, or at
// the wrong time, shows an old number.

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <map>
#include <memory>

#include "common/base/mutex.h"
#include "common/base/random.h"
#include "common/base/strings.h"
#include "common/base/thread.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/fake_server.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int64_t kLagMillis = 500;

// Counters, with what each copy was asked for.  Every key belongs to one client.
class Counters {
 public:
  // A request for the key has reached a copy, or is forgotten there.
  void Arrive(size_t copy, const std::string& key, bool writes) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    Key& of = keys_[key];
    const auto elsewhere = [&](const auto& waiting) {
      return waiting.first != copy && waiting.second > 0;
    };
    const auto& rivals = writes ? of.waiting : of.waiting_writes;
    met_ += std::any_of(rivals.begin(), rivals.end(), elsewhere) ? 1 : 0;
    ++of.waiting[copy];
    of.waiting_writes[copy] += writes ? 1 : 0;
  }
  void Leave(size_t copy, const std::string& key, bool writes) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    --keys_[key].waiting[copy];
    keys_[key].waiting_writes[copy] -= writes ? 1 : 0;
  }
  int64_t Increment(const std::string& key) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    keys_[key].written_ms.push_back(NowMillis());
    return static_cast<int64_t>(keys_[key].written_ms.size());
  }
  // Copy 0 is the master.
  int64_t Read(size_t copy, const std::string& key) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    Key& of = keys_[key];
    ++reads_[copy];
    of.replica_reads += copy > 0 ? 1 : 0;
    const int64_t seen_ms = NowMillis() - (copy > 0 ? kLagMillis : 0);
    return std::upper_bound(of.written_ms.begin(), of.written_ms.end(), seen_ms) -
           of.written_ms.begin();
  }

  // How often a write waited at one copy while another request for its key waited at another.
  int met() const KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    return met_;
  }
  int reads(size_t copy) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    return reads_[copy];
  }
  int replica_reads(const std::string& key) KVS_EXCLUDES(mu_) {
    const MutexLock lock(&mu_);
    return keys_[key].replica_reads;
  }

 private:
  struct Key {
    std::vector<int64_t> written_ms;
    std::map<size_t, int> waiting;  // By copy.
    std::map<size_t, int> waiting_writes;
    int replica_reads = 0;
  };

  mutable Mutex mu_;
  std::map<std::string, Key> keys_ KVS_GUARDED_BY(mu_);
  std::map<size_t, int> reads_ KVS_GUARDED_BY(mu_);
  int met_ KVS_GUARDED_BY(mu_) = 0;
};

enum class Mood : uint8_t { kGood, kNoReplica, kHangsUp };

// One copy: it answers in the order of arrival, a random while later.
class Copy {
 public:
  Copy(size_t number, Counters* counters)
      : number_(number),
        counters_(counters),
        server_([this](FakePeer* peer, const Words& request) { OnRequest(peer, request); }) {}
  std::string address() const { return server_.address(); }
  void set_mood(Mood mood) { mood_ = mood; }

 private:
  struct Waiting {
    Words request;
    bool counts() const { return request[0] != "INFO"; }  // Else it is a probe.
    bool writes() const { return request[0] == "incr"; }
  };

  void OnRequest(FakePeer* peer, const Words& request) {
    if (mood_ == Mood::kHangsUp) {
      return HangUp(peer);
    }
    const Waiting waiting{request};
    if (waiting.counts()) {
      counters_->Arrive(number_, request[1], waiting.writes());
    }
    queues_[peer->id()].push_back(waiting);
    const auto delay_ms = static_cast<int64_t>(random_.Uniform(random_.OneIn(50) ? 20 : 3));
    server_.loop()->After(delay_ms, [this, id = peer->id()] { AnswerOne(id); });
  }
  static std::string Bulk(const std::string& text) {
    return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
  }
  std::string Report() const {
    return number_ == 0 || mood_ == Mood::kNoReplica
               ? "role:master\r\n"
               : "role:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:1\r\n"
                 "master_link_status:up\r\nmaster_last_io_seconds_ago:0\r\n"
                 "master_sync_in_progress:0\r\n";
  }
  void HangUp(FakePeer* peer) {
    for (const Waiting& waiting : queues_[peer->id()]) {
      Leave(waiting);
    }
    queues_.erase(peer->id());
    peer->Close();
  }
  void AnswerOne(uint64_t id) {
    const auto queue = queues_.find(id);
    if (queue == queues_.end()) {
      return;  // It has hung up since.
    }
    const Waiting waiting = queue->second.front();
    queue->second.pop_front();
    Leave(waiting);
    const std::string reply = Execute(waiting);
    if (FakePeer* const peer = server_.Find(id)) {
      peer->Send(reply);
    }
  }
  void Leave(const Waiting& waiting) {
    if (waiting.counts()) {
      counters_->Leave(number_, waiting.request[1], waiting.writes());
    }
  }
  std::string Execute(const Waiting& waiting) {
    if (!waiting.counts()) {
      return Bulk(Report());
    }
    const std::string& key = waiting.request[1];
    return waiting.writes() ? ":" + std::to_string(counters_->Increment(key)) + "\r\n"
                            : Bulk(std::to_string(counters_->Read(number_, key)));
  }

  const size_t number_;
  Counters* const counters_;
  std::atomic<Mood> mood_{Mood::kGood};
  Random random_ = Random::FromKernel();
  std::map<uint64_t, std::deque<Waiting>> queues_;  // By connection.
  FakeServer server_;
};

// A client with a key of its own, which knows what each reply must be.
class Counting {
 public:
  // A patient one waits after its writes until replicas answer its reads again; others connect anew
  // for each round.
  Counting(int number, uint16_t port, uint64_t seed, bool patient, Counters* counters)
      : key_("count:" + std::to_string(number)),
        random_(seed),
        counters_(counters),
        thread_("client", [this, port, patient] { patient ? RunPatient(port) : Run(port); }) {}

  bool done() const { return done_; }
  // After done(): what was wrong first, or nothing.
  const std::string& mistake() const { return mistake_; }
  // Reads that a replica's end has cost.
  int failed() const { return failed_; }
  // Reads that showed an old number, from clients that had not written.
  int old() const { return old_; }

 private:
  void Run(uint16_t port) {
    for (int round = 0; round < Loops(200, 60) && mistake_.empty(); ++round) {
      Result<RespClient> client = RespClient::Connect(port);
      if (!client.ok()) {
        mistake_ = client.status().ToString();
        break;
      }
      has_written_ = false;
      Exchange(&*client, random_.Uniform(60), 0);
      Exchange(&*client, random_.Uniform(30), 2 + random_.Uniform(80));
    }
    done_ = true;
  }
  void RunPatient(uint16_t port) {
    Result<RespClient> client = RespClient::Connect(port);
    if (!client.ok()) {
      mistake_ = client.status().ToString();
    }
    for (int round = 0; round < Loops(4, 1) && mistake_.empty(); ++round) {
      Exchange(&*client, 0, 50);
      const int before = counters_->replica_reads(key_);
      const bool again = WaitUntil(30'000, [&] {
        Exchange(&*client, 10, 0);
        return counters_->replica_reads(key_) > before + 50 || !mistake_.empty();
      });
      mistake_ += again ? "" : "no replica answers any more";
    }
    done_ = true;
  }

  // One pipeline: reads alone, then reads and writes.
  void Exchange(RespClient* client, uint64_t reads, uint64_t mixed) {
    if (!mistake_.empty() || reads + mixed == 0) {
      return;
    }
    std::string bytes;
    std::vector<bool> writes;
    for (uint64_t i = 0; i < reads + mixed; ++i) {
      writes.push_back(i >= reads && random_.OneIn(3));
      bytes += EncodeWords({writes.back() ? "incr" : "get", key_});
    }
    const auto replies =
        client->Pipeline(bytes, writes.size(), [this] { return size_t{1} + random_.Uniform(500); });
    if (!replies.ok()) {
      mistake_ = replies.status().ToString();
      return;
    }
    for (size_t i = 0; i < writes.size() && mistake_.empty(); ++i) {
      writes[i] ? CheckWrite((*replies)[i]) : CheckRead((*replies)[i]);
    }
  }
  void CheckWrite(const std::string& reply) {
    has_written_ = true;
    if (reply != ":" + std::to_string(++number_) + "\r\n") {
      mistake_ = "incr: " + reply + " instead of " + std::to_string(number_);
    }
  }
  void CheckRead(const std::string& reply) {
    if (reply.starts_with("-CLUSTERDOWN ")) {
      ++failed_;
      return;
    }
    int64_t found = -1;
    const size_t line = reply.find("\r\n");
    (void)ParseInt64(std::string_view(reply).substr(line + 2, reply.size() - line - 4), &found);
    old_ += found < number_ ? 1 : 0;
    if (found < 0 || found > number_ || (has_written_ && found < number_)) {
      mistake_ = "get: " + reply + " instead of " + std::to_string(number_);
    }
  }

  const std::string key_;
  Random random_;
  Counters* const counters_;
  int64_t number_ = 0;
  bool has_written_ = false;  // Over this connection.
  int failed_ = 0;
  int old_ = 0;
  std::string mistake_;
  std::atomic<bool> done_{false};
  Thread thread_;
};

class ReaderTest : public testing::Test {
 protected:
  static constexpr size_t kCopies = 3;

  void SetUp() override {
    for (size_t i = 0; i < kCopies; ++i) {
      copies_.push_back(std::make_unique<Copy>(i, &counters_));
    }
    const std::string master = copies_[0]->address();
    proxy_ = MakeProxy(
        dir_, "proxy",
        {"--servers", master, "--replicas",
         copies_[1]->address() + "=" + master + "," + copies_[2]->address() + "=" + master,
         "--read-from", "prefer-slave", "--replica-max-staleness", "2s", "--io-threads", "2",
         "--backend-timeout", "60s"});
    ASSERT_EQ(proxy_->Start().ToString(), "ok");
  }
  // Changes the mood of a replica, or the policy.
  void Disturb(RespClient* admin) {
    if (random_.OneIn(4)) {
      const bool often = !random_.OneIn(4);
      ASSERT_EQ(admin->Ask({"config", "set", "read-from", often ? "prefer-slave" : "master"}),
                "OK");
    } else if (random_.OneIn(20)) {
      const uint64_t mood = random_.Uniform(6);  // Mostly good.
      copies_[1 + random_.Uniform(kCopies - 1)]->set_mood(mood == 0   ? Mood::kHangsUp
                                                          : mood == 1 ? Mood::kNoReplica
                                                                      : Mood::kGood);
    }
  }

  TempDir dir_;
  const uint64_t seed_ = Random::FromKernel().Next();
  Random random_{seed_};
  Counters counters_;
  std::vector<std::unique_ptr<Copy>> copies_;
  std::unique_ptr<Server> proxy_;
};

TEST_F(ReaderTest, ReadersThatComeAndGoChangeTheOrderOfNoConnection) {
  SCOPED_TRACE("seed " + std::to_string(seed_));
  std::vector<std::unique_ptr<Counting>> clients;
  for (int i = 0; i < 6; ++i) {
    clients.push_back(std::make_unique<Counting>(i, proxy_->port(), random_.Next(),
                                                 /*patient=*/i < 2, &counters_));
  }
  RespClient admin = proxy_->Connect();
  EXPECT_TRUE(WaitUntil(120'000, [&] {
    Disturb(&admin);
    return std::all_of(clients.begin(), clients.end(),
                       [](const auto& client) { return client->done(); });
  }));
  int old = 0;
  int failed = 0;
  for (const auto& client : clients) {
    EXPECT_EQ(client->mistake(), "");
    old += client->old();
    failed += client->failed();
  }
  EXPECT_EQ(counters_.met(), 0) << "a write waited beside a request for its key at another copy";
  for (size_t i = 0; i < kCopies; ++i) {
    EXPECT_GT(counters_.reads(i), 100) << "copy " << i;
  }
  EXPECT_GT(old, 0) << "nobody has seen a replica lag";
  RecordProperty("failed_reads", failed);
}

}  // namespace
}  // namespace kvs
