#include "proxy/backend/node_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <chrono>
#include <string>
#include <vector>

#include "gtest/gtest.h"

#include "common/base/slowness.h"
#include "common/resp/resp_writer.h"
#include "proxy/backend/fake_node.h"
#include "proxy/backend/link_pool.h"

namespace kvs {
namespace {

class Sink : public ReplySink {
 public:
  void OnReply(uint32_t tag, const ReplyFrame& frame) override {
    replies.push_back(std::to_string(tag) + ":" + std::string(frame.view()));
  }
  void OnFailure(uint32_t tag, const Status& status, bool sent) override {
    replies.push_back(std::to_string(tag) + "!" + std::string(CodeName(status.code())) +
                      (sent ? " sent" : " unsent"));
  }
  std::vector<std::string> replies;
};

// The clock advances a millisecond with each turn of the loop, however long the turn took.
class NodeLinkTest : public testing::Test {
 protected:
  static std::string Request(std::initializer_list<std::string_view> args) {
    std::string request;
    EncodeRequest(args, &request);
    return request;
  }

  template <typename Done>
  void RunUntil(NodeLink* link, Done done) {
    for (int i = 0; i < 2000 && !done(); ++i) {
      link->Flush();
      Turn();
      link->CheckDeadlines();
    }
    ASSERT_TRUE(done());
  }
  void Turn() {
    clock_.AdvanceMicros(1000);
    loop_.RunOnce(5);
  }

  ManualClock clock_;
  EventLoop loop_{"test", &clock_};
  LinkOptions options_;
  Sink sink_;
};

TEST_F(NodeLinkTest, RepliesComeBackInTheOrderOfTheRequests) {
  FakeNode node(&loop_, [](const FakeNode::Args& args) { return "+" + args[1] + "\r\n"; });
  NodeLink link(&loop_, node.address(), &options_);
  for (uint32_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(link.Send(Request({"ECHO", std::to_string(i)}), &sink_, i).ok());
  }
  RunUntil(&link, [&] { return sink_.replies.size() == 100; });
  for (size_t i = 0; i < 100; ++i) {
    EXPECT_EQ(sink_.replies[i], std::to_string(i) + ":+" + std::to_string(i) + "\r\n");
  }
}

TEST_F(NodeLinkTest, ANodeThatCannotBeReachedFailsWhatWaitsAndThenRefusesAtOnce) {
  uint16_t port = 0;
  {
    Result<UniqueFd> socket = ListenTcp("127.0.0.1", 0, {});
    ASSERT_TRUE(socket.ok());
    port = LocalPort(socket->get());
  }
  NodeLink link(&loop_, {"127.0.0.1", port}, &options_);
  if (link.Send(Request({"GET", "k"}), &sink_, 7).ok()) {
    RunUntil(&link, [&] { return !sink_.replies.empty(); });
    EXPECT_EQ(sink_.replies[0], "7!unavailable unsent");
  }
  EXPECT_EQ(link.Send(Request({"GET", "k"}), &sink_, 8).code(), Code::kUnavailable);
}

TEST_F(NodeLinkTest, ABrokenLinkTellsThatRequestsMayHaveBeenExecutedAndDoesNotRepeatThem) {
  FakeNode node(&loop_, [](const FakeNode::Args& args) -> std::string {
    return args[0] == "INCR" ? "" : "+OK\r\n";
  });
  NodeLink link(&loop_, node.address(), &options_);
  ASSERT_TRUE(link.Send(Request({"INCR", "k"}), &sink_, 1).ok());
  RunUntil(&link, [&] { return node.requests().size() == 1; });
  node.DropConnections();
  RunUntil(&link, [&] { return !sink_.replies.empty(); });
  EXPECT_EQ(sink_.replies[0], "1!unavailable sent");
  // The node is there, so after the pause the link works again; INCR came once.
  bool sent = false;
  RunUntil(&link, [&] {
    sent = sent || link.Send(Request({"SET", "k", "v"}), &sink_, 2).ok();
    return sent;
  });
  RunUntil(&link, [&] { return sink_.replies.size() == 2; });
  EXPECT_EQ(sink_.replies[1], "2:+OK\r\n");
  EXPECT_EQ(node.requests().size(), 2U);
}

TEST_F(NodeLinkTest, ALateReplyIsSwallowedAndNotGivenToTheNextRequest) {
  options_.request_timeout_ms = 30;
  FakeNode node(&loop_, [](const FakeNode::Args& args) -> std::string {
    return args[0] == "SLOW" ? "" : "+fast\r\n";
  });
  NodeLink link(&loop_, node.address(), &options_);
  ASSERT_TRUE(link.Send(Request({"SLOW", "k"}), &sink_, 1).ok());
  RunUntil(&link, [&] { return sink_.replies.size() == 1; });
  EXPECT_EQ(sink_.replies[0], "1!timeout sent");
  // Nothing has come from the node: who asks now does not wait as well.
  EXPECT_EQ(link.Send(Request({"FAST", "k"}), &sink_, 2).code(), Code::kUnavailable);
  node.SendUnasked("+late\r\n");
  bool sent = false;
  RunUntil(&link, [&] {
    sent = sent || link.Send(Request({"FAST", "k"}), &sink_, 2).ok();
    return sent;
  });
  RunUntil(&link, [&] { return sink_.replies.size() == 2; });
  EXPECT_EQ(sink_.replies[1], "2:+fast\r\n");
  EXPECT_EQ(link.stats().connects, 1U);
}

// A command that may wait for longer is given up as much later, or never.
TEST_F(NodeLinkTest, APatientLinkWaitsAsLongAsItIsTold) {
  options_.request_timeout_ms = 30;
  FakeNode node(&loop_, [](const FakeNode::Args& args) -> std::string {
    return args[0] == "BLPOP" ? "" : "+fast\r\n";
  });
  NodeLink link(&loop_, node.address(), &options_);
  link.set_patience_ms(100);
  ASSERT_TRUE(link.Send(Request({"BLPOP", "k", "0.1"}), &sink_, 1).ok());
  const int64_t start = loop_.now_ms();
  RunUntil(&link, [&] { return sink_.replies.size() == 1; });
  EXPECT_EQ(sink_.replies[0], "1!timeout sent");
  EXPECT_GE(loop_.now_ms() - start, 130);

  NodeLink forever(&loop_, node.address(), &options_);
  forever.set_patience_ms(NodeLink::kForever);
  ASSERT_TRUE(forever.Send(Request({"BLPOP", "k", "0"}), &sink_, 2).ok());
  const int64_t later = loop_.now_ms() + 200;
  RunUntil(&forever, [&] { return loop_.now_ms() >= later; });
  EXPECT_EQ(sink_.replies.size(), 1u);
  forever.Close(Status::Unavailable("the test is over"));
  EXPECT_EQ(sink_.replies.size(), 2u);
}

TEST_F(NodeLinkTest, AfterAFailureNobodyIsLetInBeforeTheNodeHasAnsweredTheGreeting) {
  options_.request_timeout_ms = 100;
  FakeNode node(&loop_, [](const FakeNode::Args&) { return "+OK\r\n"; });
  NodeLink link(&loop_, node.address(), &options_);
  ASSERT_TRUE(link.Send(Request({"GET", "k"}), &sink_, 1).ok());
  RunUntil(&link, [&] { return sink_.replies.size() == 1; });
  node.set_greets(false);
  node.DropConnections();
  RunUntil(&link, [&] { return !link.connected(); });
  RunUntil(&link, [&] { return link.connected(); });
  EXPECT_EQ(link.Send(Request({"GET", "k"}), &sink_, 2).code(), Code::kUnavailable);
  node.set_greets(true);
  RunUntil(&link, [&] { return link.Send(Request({"GET", "k"}), &sink_, 3).ok(); });
  RunUntil(&link, [&] { return sink_.replies.size() == 2; });
  EXPECT_EQ(sink_.replies[1], "3:+OK\r\n");
}

TEST_F(NodeLinkTest, GarbageAndUnaskedRepliesBreakTheLink) {
  for (const char* bytes : {"hello\r\n", "+extra\r\n"}) {
    SCOPED_TRACE(bytes);
    FakeNode node(&loop_, [](const FakeNode::Args&) { return "+OK\r\n"; });
    NodeLink link(&loop_, node.address(), &options_);
    sink_.replies.clear();
    ASSERT_TRUE(link.Send(Request({"GET", "k"}), &sink_, 1).ok());
    RunUntil(&link, [&] { return sink_.replies.size() == 1; });
    node.SendUnasked(bytes);
    RunUntil(&link, [&] { return !link.connected(); });
  }
}

TEST_F(NodeLinkTest, AReplyThatIsTooLargeIsSwallowedAndTheLinkGoesOn) {
  options_.max_reply_bytes = 20'000;
  const std::string value(30'000, 'v');
  FakeNode node(&loop_, [&](const FakeNode::Args& args) -> std::string {
    return args[0] == "GET" ? "*2\r\n$30000\r\n" : "+OK\r\n";
  });
  NodeLink link(&loop_, node.address(), &options_);
  ASSERT_TRUE(link.Send(Request({"GET", "k"}), &sink_, 1).ok());
  RunUntil(&link, [&] { return sink_.replies.size() == 1; });
  EXPECT_EQ(sink_.replies[0], "1!too_large sent") << "as soon as it is known";
  ASSERT_TRUE(link.Send(Request({"PING"}), &sink_, 2).ok());
  RunUntil(&link, [&] { return node.requests().size() == 2; });
  EXPECT_EQ(sink_.replies.size(), 1U);
  // The fake node has answered PING inside of the reply, which is part of the value.
  node.SendUnasked(value.substr(5) + "\r\n:1\r\n");
  ASSERT_TRUE(link.Send(Request({"PING"}), &sink_, 3).ok());
  RunUntil(&link, [&] { return node.requests().size() == 3; });
  RunUntil(&link, [&] { return sink_.replies.size() == 2; });
  EXPECT_EQ(sink_.replies[1], "2:+OK\r\n");
  EXPECT_EQ(link.stats().dropped_replies, 1U);
  EXPECT_EQ(link.stats().connects, 1U);
}

TEST_F(NodeLinkTest, TooManyRequestsInFlightAreRefused) {
  options_.max_in_flight = 3;
  FakeNode node(&loop_, [](const FakeNode::Args&) { return ""; });
  NodeLink link(&loop_, node.address(), &options_);
  for (uint32_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(link.Send(Request({"GET", "k"}), &sink_, i).ok());
  }
  EXPECT_EQ(link.Send(Request({"GET", "k"}), &sink_, 3).code(), Code::kBusy);
}

#if defined(__linux__)

// Returns the descriptor of this process that is connected to the port.
int ConnectionTo(uint16_t port) {
  const std::string name = "127.0.0.1:" + std::to_string(port);
  for (int fd = 0; fd < 1024; ++fd) {
    if (PeerName(fd) == name) {
      return fd;
    }
  }
  return -1;
}

int TcpOption(int fd, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(::getsockopt(fd, IPPROTO_TCP, name, &value, &size), 0);
  return value;
}

TEST_F(NodeLinkTest, TheKernelGivesUpASilentNode) {
  options_.request_timeout_ms = 700;
  options_.keepalive_seconds = 33;
  FakeNode node(&loop_, [](const FakeNode::Args&) { return "+OK\r\n"; });
  NodeLink link(&loop_, node.address(), &options_);
  ASSERT_TRUE(link.Send(Request({"GET", "k"}), &sink_, 1).ok());
  RunUntil(&link, [&] { return link.connected(); });
  const int fd = ConnectionTo(node.address().port);
  ASSERT_GE(fd, 0);
  EXPECT_EQ(TcpOption(fd, TCP_USER_TIMEOUT), 1400);
  EXPECT_EQ(TcpOption(fd, TCP_KEEPIDLE), 33);
}

#endif

// More than the kernel takes for a peer that does not read.
constexpr size_t kMoreThanSockets = size_t{12} << 20;

// A link and a node on a loop whose clock only the test moves.
class LinkWaitTest : public testing::Test {
 protected:
  // Notes the waits as "tag: queue link" in milliseconds.
  class WaitSink : public ReplySink {
   public:
    void OnReply(uint32_t tag, const ReplyFrame& /*frame*/) override { Note(tag, ""); }
    void OnFailure(uint32_t tag, const Status& /*status*/, bool /*sent*/) override {
      Note(tag, "!");
    }
    std::vector<std::string> waits;

   private:
    void Note(uint32_t tag, std::string_view mark) {
      waits.push_back(std::to_string(tag) + ":" + std::string(mark) + " " +
                      std::to_string(link_wait().queue / 1000) + " " +
                      std::to_string(link_wait().link / 1000));
    }
  };
  using Waits = std::vector<std::string>;

  LinkWaitTest() { options_.request_timeout_ms = 100; }
  void Connect() {
    Send(0);
    RunUntil([&] { return node_.requests().size() == 1; });
    Answer(1);
    sink_.waits.clear();
  }
  void Send(uint32_t tag, size_t value_size = 1) {
    std::string request;
    EncodeRequest({"SET", "k", std::string(value_size, 'v')}, &request);
    ASSERT_TRUE(link_.Send(request, &sink_, tag).ok());
  }
  // Lets `count` replies come, in one piece.
  void Answer(size_t count) {
    const size_t before = sink_.waits.size();
    std::string replies;
    for (size_t i = 0; i < count; ++i) {
      replies += "+OK\r\n";
    }
    node_.SendUnasked(replies);
    RunUntil([&] { return sink_.waits.size() == before + count; });
  }
  // The loop's turn is another one from now on.
  void Pass(int64_t ms) {
    clock_.AdvanceMicros(ms * 1000);
    loop_.RunOnce(0);
  }
  template <typename Done>
  void RunUntil(Done done) {
    const auto deadline =
        std::chrono::steady_clock::now() + std::chrono::seconds(30) * kSlownessFactor;
    while (!done() && std::chrono::steady_clock::now() < deadline) {
      if (link_.needs_flush()) {
        link_.Flush();
      }
      loop_.RunOnce(1);
    }
    ASSERT_TRUE(done());
  }

  ManualClock clock_;
  EventLoop loop_{"test", &clock_};
  LinkOptions options_;
  FakeNode node_{&loop_, [](const FakeNode::Args&) { return ""; }};
  WaitSink sink_;
  NodeLink link_{&loop_, node_.address(), &options_};
};

TEST_F(LinkWaitTest, ARequestWaitsInTheQueueUntilThereIsAConnection) {
  Send(1);
  clock_.AdvanceMicros(30'000);
  RunUntil([&] { return node_.requests().size() == 1 && link_.in_flight() == 1; });
  Pass(5);
  Answer(1);
  EXPECT_EQ(sink_.waits, Waits{"1: 30 0"});
}

TEST_F(LinkWaitTest, ARequestWaitsBehindTheGreeting) {
  node_.set_greets(false);
  Send(1);
  RunUntil([&] { return node_.requests().size() == 1; });
  Pass(40);
  node_.SendUnasked("+OK\r\n");
  RunUntil([&] { return link_.in_flight() == 1; });
  Pass(7);
  Answer(1);
  EXPECT_EQ(sink_.waits, Waits{"1: 0 40"});
}

TEST_F(LinkWaitTest, ARequestWaitsBehindEarlierOnesUntilTheirRepliesHaveCome) {
  Connect();
  Send(1);
  link_.Flush();
  Pass(20);
  Send(2);
  Send(3);
  RunUntil([&] { return node_.requests().size() == 4; });
  Pass(10);
  Answer(1);
  Pass(5);
  Answer(2);
  // The third reply came together with the second, so all of its time was the second's.
  EXPECT_EQ(sink_.waits, (Waits{"1: 0 0", "2: 0 10", "3: 0 15"}));
  Pass(50);
  Send(4);
  link_.Flush();
  Pass(30);
  Answer(1);
  EXPECT_EQ(sink_.waits.back(), "4: 0 0") << "nobody was before it";
}

TEST_F(LinkWaitTest, WhatTheSocketDoesNotTakeWaitsInTheQueueAndWhatItTookDoesNot) {
  Connect();
  Send(1);
  Send(2, kMoreThanSockets);
  Send(3);
  link_.Flush();
  clock_.AdvanceMicros(25'000);
  RunUntil([&] { return node_.requests().size() == 4; });
  Answer(3);
  EXPECT_EQ(sink_.waits, (Waits{"1: 0 0", "2: 25 0", "3: 25 0"}));
}

TEST_F(LinkWaitTest, FailuresTellTheirWaitsToo) {
  Connect();
  Send(1);
  link_.Flush();
  Pass(10);
  Send(2);
  link_.Flush();
  Send(3);
  Pass(200);
  link_.CheckDeadlines();
  EXPECT_EQ(sink_.waits, (Waits{"1:! 0 0", "2:! 0 200", "3:! 200 0"}));
}

TEST_F(LinkWaitTest, ABrokenLinkCountsAnew) {
  Connect();
  Send(1);
  Send(2, kMoreThanSockets);
  link_.Flush();
  Pass(10);
  link_.Close(Status::Unavailable("test"));
  EXPECT_EQ(sink_.waits, (Waits{"1:! 0 0", "2:! 10 0"}));
}

class LinkPoolTest : public NodeLinkTest {
 protected:
  template <typename Done>
  void RunUntilDone(LinkPool* pool, Done done) {
    for (int i = 0; i < 2000 && !done(); ++i) {
      pool->FlushAll();
      Turn();
      pool->CheckDeadlines();
    }
    ASSERT_TRUE(done());
  }
};

TEST_F(LinkPoolTest, ANodeThatIsRemovedStillAnswersWhatItWasAsked) {
  FakeNode node(&loop_, [](const FakeNode::Args& args) -> std::string {
    return args[0] == "SLOW" ? "" : "+fast\r\n";
  });
  LinkPool pool(&loop_, options_);
  ASSERT_TRUE(pool.Get(node.address())->Send(Request({"FAST", "k"}), &sink_, 1).ok());
  ASSERT_TRUE(pool.Get(node.address())->Send(Request({"SLOW", "k"}), &sink_, 2).ok());
  NodeLink* const link = pool.Get(node.address());
  pool.Retain({});  // Before anything has been sent.
  EXPECT_EQ(pool.retired_count(), 1U);
  // If the node returns it keeps its link: another one could overtake what is in flight.
  pool.Retain({node.address()});
  EXPECT_EQ(pool.retired_count(), 0U);
  EXPECT_EQ(pool.Get(node.address()), link);
  pool.Retain({});
  RunUntilDone(&pool, [&] { return node.requests().size() == 2 && sink_.replies.size() == 1; });
  EXPECT_EQ(pool.retired_count(), 1U);
  node.SendUnasked("+slow\r\n");
  RunUntilDone(&pool, [&] { return pool.retired_count() == 0; });
  EXPECT_EQ(sink_.replies, (std::vector<std::string>{"1:+fast\r\n", "2:+slow\r\n"}));
  EXPECT_TRUE(pool.links().empty());
}

TEST_F(LinkPoolTest, ANodeThatIsRemovedAndBreaksIsNotDialledAgain) {
  FakeNode node(&loop_, [](const FakeNode::Args&) { return ""; });
  LinkPool pool(&loop_, options_);
  ASSERT_TRUE(pool.Get(node.address())->Send(Request({"GET", "k"}), &sink_, 1).ok());
  RunUntilDone(&pool, [&] { return node.requests().size() == 1; });
  pool.Retain({});
  node.DropConnections();
  RunUntilDone(&pool, [&] { return pool.retired_count() == 0; });
  EXPECT_EQ(sink_.replies, (std::vector<std::string>{"1!unavailable sent"}));
  // Without anything in flight a link goes at once.
  ASSERT_NE(pool.Get(node.address()), nullptr);
  pool.Retain({});
  EXPECT_EQ(pool.retired_count(), 0U);
}

}  // namespace
}  // namespace kvs
