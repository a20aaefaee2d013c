// The events of keys that `notify-keyspace-events` asks for: the same commands to a node, or
// through a proxy, and to redis-server give the same messages in the same order.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "common/base/strings.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/settings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr const char* kMarker = "__keyevent@0__:marker";

// Each line on keys that those before it have left; " ; " separates commands whose events are read
// together.
constexpr const char* kLines[] = {
    "set s 1",
    "set s 2 ex 100",
    "set s 3 keepttl",
    "set s 4 nx",
    "set s2 5 nx",
    "set s2 6 xx get",
    "setnx s 1",
    "setnx s3 1",
    "setex s3 100 v",
    "psetex s3 100000 v",
    "getset s3 w",
    "getdel s3",
    "getdel s3",
    "set s3 v",
    "getex s3",
    "getex s3 ex 100",
    "getex s3 persist",
    "getex s3 persist",
    "append s3 tail",
    "append s4 head",
    "setrange s4 2 xx",
    "setrange s4 2 ''",
    "incr n",
    "incrby n 5",
    "decr n",
    "decrby n 2",
    "incrbyfloat n 1.5",
    "mset a 1 b 2 c 3",
    "msetnx a 1 d 2",
    "msetnx d 1 e 2",
    "setbit bits 7 1",
    "setbit bits 7 1",
    "setbit bits 7 0",
    "bitfield bits set u8 0 255",
    "bitfield bits get u8 0",
    "bitop and dest bits bits",
    "bitop and dest none none",
    "pfadd hll a b",
    "pfadd hll a b",
    "pfmerge hll2 hll",
    "del a b none",
    "unlink c",
    "expire d 100",
    "pexpire d 200000 gt",
    "expireat d 4000000000",
    "persist d",
    "persist d",
    "expire d -1",
    "set d 1",
    "rename d d2",
    "set d3 1 ; rename d2 d3",
    "renamenx d3 d4",
    "renamenx d4 s",
    "copy d4 d5",
    "copy d4 d5 replace",
    "copy none d6",
    "rpush l a b c",
    "lpush l z",
    "lpushx l y",
    "rpushx none y",
    "linsert l before b x",
    "linsert l before none x",
    "lset l 0 q",
    "lrem l 1 x",
    "lrem l 1 none",
    "ltrim l 0 100",
    "ltrim l 0 3",
    "lpop l",
    "rpop l 2",
    "lpop l 0",
    "lpop l",
    "lpop l",
    "rpush l a b ; lmove l l2 left right",
    "rpoplpush l l2",
    "lmove l2 l2 left right",
    "lmpop 2 none l2 left count 10",
    "rpush l a ; blpop l 1",
    "rpush l a ; blmove l l2 left left 1",
    "rpush l a b ; ltrim l 5 6",
    "sadd set 1 2 3",
    "sadd set 1",
    "srem set 1",
    "srem set none",
    "smove set set2 2",
    "sadd set2 3 ; smove set set2 3",
    "smove none set2 1",
    "spop set2",
    "spop set2 10",
    "sadd x 1 2 ; sadd y 2 3 ; sinterstore z x y",
    "sunionstore z x y",
    "sdiffstore z x x",
    "sdiffstore z x x",
    "hset h f 1 g 2",
    "hset h f 1",
    "hmset h i 1",
    "hsetnx h f 2",
    "hsetnx h j 2",
    "hincrby h f 2",
    "hincrbyfloat h f 2.5",
    "hdel h none",
    "hdel h g",
    "hdel h f i j",
    "zadd zs 1 a 2 b 3 c 4 d 5 e 6 f",
    "zadd zs 1 a",
    "zadd zs xx 1 none",
    "zadd zs incr 1 a",
    "zincrby zs 2 a",
    "zincrby zs 0 a",
    "zrem zs none",
    "zrem zs a",
    "zremrangebyrank zs 0 0",
    "zremrangebyscore zs 3 3",
    "zremrangebyscore zs 300 300",
    "zremrangebylex zs [d [d",
    "zpopmin zs",
    "zpopmax zs 10",
    "zpopmax zs",
    "zadd zs 1 a 2 b ; zmpop 1 zs min",
    "bzpopmin zs 1",
    "zadd p 1 a 2 b ; zunionstore q 1 p",
    "zinterstore q 2 p none",
    "zinterstore q 2 p none",
    "zdiffstore q 1 p",
    "zrangestore q p 0 0",
    "zrangestore q p 5 6",
    "zremrangebyrank p 0 -1",
    "geoadd geo 13.36 38.11 a 15.08 37.5 b",
    "geoadd geo 13.36 38.11 a",
    "geosearchstore geo2 geo fromlonlat 15 37 byradius 200 km",
    "georadius geo 15 37 200 km store geo3",
    "georadius geo 15 37 1 m store geo3",
    "xadd st 1-1 f v",
    "xadd st maxlen 1 1-2 f v",
    "xadd st nomkstream 1-3 f v",
    "xadd none nomkstream 1-3 f v",
    "xdel st 1-2",
    "xdel st 9-9",
    "xtrim st maxlen 0",
    "xtrim st maxlen 0",
    "xsetid st 5-5",
    "xgroup create none g $",
    "xgroup create st g $",
    "xgroup create st g $",
    "xgroup create newst g 0 mkstream",
    "xgroup createconsumer st g c",
    "xgroup createconsumer st g c",
    "xgroup delconsumer st g none",
    "xgroup delconsumer st g c",
    "xgroup setid st g 0",
    "xadd st 6-1 f v ; xadd st 6-2 f v",
    "xreadgroup group g d streams st >",
    "xreadgroup group g d streams st >",
    "xclaim st g e 0 6-1",
    "xautoclaim st g h 0 0",
    "xack st g 6-1",
    "xgroup destroy st g",
    "xgroup destroy st g",
    "rpush src 3 1 2 ; sort src store sorted",
    "sort none store sorted",
    "sort none store sorted",
    "multi ; set m 1 ; rpush ml a ; lpop ml ; get none ; del m ; exec",
    "multi ; set m 1 ; discard",
    "set dest v",
    "multi ; del dest ; bitop and dest none none ; set dest w ; exec",
    "set t v px 1000000 ; touch t",
    "get none",
    "mget none none2 s",
    "exists none",
    "strlen none",
    "hget none f",
    "hgetall none",
    "llen none",
    "lrange none 0 -1",
    "smembers none",
    "sinter none none2",
    "zscore none m",
    "zrange none 0 -1",
    "ttl none",
    "type none",
    "xlen none",
    "getbit none 1",
    "bitcount none",
    "pfcount none",
    "sort none",
    "object encoding none",
    "dump none",
    "lpop none",
    "hdel none f",
    "expire none 100",
    "incr st",
    "lpush s v",
    "hset s f v",
    "rename none x",
    "flushall",
};

// The parameter says whether clients go through the proxy.
class EventsTest : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(cluster_.Start().ToString(), "ok");
    ASSERT_EQ(redis_->Start().ToString(), "ok");
    ours_ = Side(GetParam() ? *cluster_.proxy() : *cluster_.node(0), *cluster_.node(0));
    theirs_ = Side(*redis_, *redis_);
  }

  // A server, somebody who sends it commands, and somebody who hears of events.
  struct Connections {
    RespClient speaker;
    RespClient listener;
    RespClient admin;
  };
  static Connections Side(const Server& server, const Server& node) {
    Connections side;
    side.speaker = server.Connect();
    side.listener = server.Connect();
    side.admin = node.Connect();
    EXPECT_TRUE(side.listener.Do({"psubscribe", "__key*@0__:*"}).ok());
    return side;
  }
  void Ask(const std::string& kinds) {
    EXPECT_EQ(ours_.admin.Ask({"config", "set", "notify-keyspace-events", kinds}), "OK");
    EXPECT_EQ(theirs_.admin.Ask({"config", "set", "notify-keyspace-events", kinds}), "OK");
  }
  // Which commands of a line a proxy has refused, as their keys have several slots.
  using Refused = std::vector<bool>;

  // Runs the commands but those that were `refused`, and returns the events that they bring about.
  static std::string Run(Connections* side, const std::string& line, Refused* refused) {
    const std::vector<std::string> commands = Commands(line);
    const bool learns = refused->empty();
    refused->resize(commands.size());
    for (size_t i = 0; i < commands.size(); ++i) {
      std::vector<std::string> words;
      EXPECT_TRUE(SplitArguments(commands[i], &words)) << line;
      if (learns) {
        (*refused)[i] = side->speaker.Ask(words).find("CROSSSLOT") != std::string::npos;
      } else if (!(*refused)[i] && !(line.starts_with("multi") && refused->back())) {
        (void)side->speaker.Ask(words);
      }
    }
    EXPECT_EQ(side->speaker.Ask({"publish", kMarker, "x"}), "1");
    return UntilMarker(side);
  }
  static std::vector<std::string> Commands(const std::string& line) {
    std::vector<std::string> commands;
    std::string_view rest = line;
    while (!rest.empty()) {
      const size_t end = rest.find(" ; ");
      commands.emplace_back(rest.substr(0, end));
      rest = end == std::string_view::npos ? "" : rest.substr(end + 3);
    }
    return commands;
  }
  void Compare(const std::string& line, const std::string& what) {
    Refused refused;
    const std::string events = Run(&ours_, line, &refused);
    EXPECT_EQ(events, Run(&theirs_, line, &refused)) << what;
    told_ += events.empty() ? 0 : 1;
    refused_ += std::count(refused.begin(), refused.end(), true);
  }
  static std::string UntilMarker(Connections* side) {
    std::string events;
    while (true) {
      const std::string event = NextEvent(side);
      if (event.find(kMarker) != std::string::npos || event[0] == '<') {
        return event[0] == '<' ? events + event : events;
      }
      events += event;
    }
  }
  static std::string NextEvent(Connections* side) {
    const Result<std::string> frame = side->listener.ReadFrame();
    if (!frame.ok()) {
      return "<" + std::string(frame.status().message()) + ">";
    }
    const Result<Reply> message = ParseReply(*frame);
    return message.ok() && message->elements.size() == 4
               ? message->elements[2].text + "=" + message->elements[3].text + " "
               : "<" + *frame + ">";
  }

  Cluster cluster_{{.nodes = 1, .node_options = {}, .proxy_options = {}}};
  TempDir dir_;
  std::unique_ptr<Server> redis_ = MakeRedis(dir_, "redis");
  Connections ours_;
  Connections theirs_;
  int64_t told_ = 0;
  int64_t refused_ = 0;
};

INSTANTIATE_TEST_SUITE_P(All, EventsTest, testing::Bool(),
                         [](const auto& param) { return param.param ? "proxy" : "node"; });

TEST_P(EventsTest, CommandsTellWhatRedisTells) {
  Ask("AKEmn");
  for (const char* line : kLines) {
    Compare(line, line);
  }
  EXPECT_GT(told_, 80);
  EXPECT_EQ(refused_ > 0, GetParam());
}

TEST_P(EventsTest, OnlyWhatIsAskedForIsTold) {
  const std::string line = "set a 1 ex 100 ; rpush l x ; del a l ; hset h f 1 ; get none ; del h";
  for (const char* kinds : {"", "KE", "K$", "E$", "Eg", "KEl", "Eh", "KEm", "En", "Az", "A"}) {
    Ask(kinds);
    EXPECT_EQ(ours_.admin.Ask({"config", "get", "notify-keyspace-events"}),
              theirs_.admin.Ask({"config", "get", "notify-keyspace-events"}));
    Compare(line, kinds);
  }
  EXPECT_EQ(ours_.admin.Ask({"config", "set", "notify-keyspace-events", "KEq"}),
            theirs_.admin.Ask({"config", "set", "notify-keyspace-events", "KEq"}));
}

// By the one who looks, and by the sweeper.
TEST_P(EventsTest, KeysThatExpireAreTold) {
  Ask("Ex");
  for (Connections* side : {&theirs_, &ours_}) {
    EXPECT_EQ(side->speaker.Ask({"set", "gone", "1", "px", "30"}), "OK");
    EXPECT_EQ(NextEvent(side), "__keyevent@0__:expired=gone ");
    EXPECT_EQ(side->speaker.Ask({"get", "gone"}), "null");
    EXPECT_EQ(side->speaker.Ask({"publish", kMarker, "x"}), "1");
    EXPECT_EQ(UntilMarker(side), "") << "once";
  }
}

TEST_P(EventsTest, WhoWaitsIsToldOfBehindWhoServes) {
  Ask("Elg");
  for (Connections* side : {&theirs_, &ours_}) {
    RespClient waiter = side == &theirs_ ? redis_->Connect() : cluster_.node(0)->Connect();
    EXPECT_TRUE(waiter.Send("BLPOP q 0\r\n").ok());
    EXPECT_TRUE(WaitUntil(5000, [side] {
      return side->admin.Ask({"info", "clients"}).find("blocked_clients:1") != std::string::npos;
    }));
    Refused none;
    EXPECT_EQ(Run(side, "rpush q a", &none),
              "__keyevent@0__:rpush=q __keyevent@0__:lpop=q __keyevent@0__:del=q ");
  }
}

}  // namespace
}  // namespace kvs
