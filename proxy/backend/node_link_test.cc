#include "proxy/backend/node_link.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "gtest/gtest.h"

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
      loop_.RunOnce(5);
      link->CheckDeadlines();
    }
    ASSERT_TRUE(done());
  }

  EventLoop loop_{"test"};
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

class LinkPoolTest : public NodeLinkTest {
 protected:
  template <typename Done>
  void RunUntilDone(LinkPool* pool, Done done) {
    for (int i = 0; i < 2000 && !done(); ++i) {
      pool->FlushAll();
      loop_.RunOnce(5);
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
