#include "common/http/http_server.h"

#include <sys/socket.h>

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/http/standard_routes.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

// The server and its clients share one thread: a client writes, the loop turns, a client reads.
class HttpServerTest : public testing::Test {
 protected:
  void StartServer(HttpServerOptions options = {}) {
    Result<UniqueFd> fd = ListenTcp("127.0.0.1", 0, {});
    ASSERT_TRUE(fd.ok());
    server_ = std::make_unique<HttpServer>(&loop_, *std::move(fd), options);
    server_->AddRoute("GET", "/now", [](const HttpRequest&, const HttpResponder& responder) {
      responder.Send(TextResponse("now"));
    });
    server_->AddRoute("POST", "/echo", [](const HttpRequest& request, const HttpResponder& r) {
      r.Send(TextResponse(request.body));
    });
    server_->AddRoute("GET", "/later", [this](const HttpRequest&, const HttpResponder& responder) {
      waiting_.push_back(responder);
    });
    AddStandardRoutes(server_.get(), {[] { return Status::Ok(); },
                                      [] { return Status::Unavailable("not yet; wait"); },
                                      [] { return std::string("metric 1\n"); }});
    ASSERT_TRUE(server_->Start().ok());
  }

  UniqueFd Connect() {
    Result<UniqueFd> fd = StartConnect("127.0.0.1", server_->port());
    KVS_CHECK(fd.ok());
    Turn();
    return *std::move(fd);
  }

  void Turn() {
    for (int i = 0; i < 4; ++i) {
      loop_.RunOnce(0);
    }
  }

  // Sends and returns what came back; "<closed>" stands for the end of the stream.
  std::string Talk(const UniqueFd& fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      bytes.remove_prefix(sent > 0 ? static_cast<size_t>(sent) : 0);
      Turn();
    }
    return Receive(fd);
  }

  std::string Receive(const UniqueFd& fd) {
    std::string text;
    char buffer[4096];
    for (int idle = 0; idle < 3;) {
      Turn();
      const ssize_t got = ::recv(fd.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
      if (got == 0) {
        return text + "<closed>";
      }
      if (got < 0) {
        ++idle;
      } else {
        text.append(buffer, static_cast<size_t>(got));
      }
    }
    return text;
  }

  static std::string Get(const std::string& path, const std::string& headers = "") {
    return "GET " + path + " HTTP/1.1\r\nHost: h\r\n" + headers + "\r\n";
  }

  ManualClock clock_;
  EventLoop loop_{"test", &clock_};
  std::vector<HttpResponder> waiting_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpServerTest, AConnectionServesOneRequestAfterTheOther) {
  StartServer();
  const UniqueFd fd = Connect();
  for (int i = 0; i < 3; ++i) {
    const std::string answer = Talk(fd, Get("/now"));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(answer, EndsWith("\r\n\r\nnow"));
  }
}

TEST_F(HttpServerTest, StandardRoutesTellHealthReadinessAndMetrics) {
  StartServer();
  const UniqueFd fd = Connect();
  EXPECT_THAT(Talk(fd, Get("/healthz")), EndsWith("\r\n\r\nok\n"));
  const std::string ready = Talk(fd, Get("/readyz"));
  EXPECT_THAT(ready, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(ready, HasSubstr("\"remedy\": \"wait\""));
  EXPECT_THAT(Talk(fd, Get("/metrics")), EndsWith("\r\n\r\nmetric 1\n"));
}

TEST_F(HttpServerTest, HeadHasTheLengthAndNoBody) {
  StartServer();
  const UniqueFd fd = Connect();
  const std::string answer = Talk(fd, "HEAD /now HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST_F(HttpServerTest, LateAnswersKeepTheOrderOfTheRequests) {
  StartServer();
  const UniqueFd fd = Connect();
  EXPECT_EQ(Talk(fd, Get("/later") + Get("/later") + Get("/now")), "");
  ASSERT_EQ(waiting_.size(), 2U);

  waiting_[1].Send(TextResponse("second"));
  EXPECT_EQ(Receive(fd), "");
  waiting_[0].Send(TextResponse("first"));
  const std::string answers = Receive(fd);

  const size_t first = answers.find("\r\n\r\nfirst");
  const size_t second = answers.find("\r\n\r\nsecond");
  const size_t third = answers.find("\r\n\r\nnow");
  EXPECT_LT(first, second);
  EXPECT_LT(second, third);
  EXPECT_NE(third, std::string::npos);
}

TEST_F(HttpServerTest, AnAnswerForAClosedConnectionIsDropped) {
  StartServer();
  {
    const UniqueFd fd = Connect();
    Talk(fd, Get("/later"));
    const linger reset{1, 0};
    ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
  }
  Turn();
  ASSERT_EQ(waiting_.size(), 1U);
  waiting_[0].Send(TextResponse("too late"));
  Turn();
  EXPECT_EQ(server_->connection_count(), 0U);
}

TEST_F(HttpServerTest, AnAnswerMayComeAfterTheServerIsGone) {
  StartServer();
  const UniqueFd fd = Connect();
  Talk(fd, Get("/later"));
  server_.reset();
  ASSERT_EQ(waiting_.size(), 1U);
  waiting_[0].Send(TextResponse("too late"));
}

TEST_F(HttpServerTest, AClientThatClosedItsSideGetsItsAnswer) {
  StartServer();
  const UniqueFd fd = Connect();
  Talk(fd, Get("/later"));
  ::shutdown(fd.get(), SHUT_WR);
  EXPECT_EQ(Receive(fd), "");
  waiting_.at(0).Send(TextResponse("late"));
  EXPECT_THAT(Receive(fd), EndsWith("\r\n\r\nlate<closed>"));
}

TEST_F(HttpServerTest, AllRequestsBeforeTheClientsEndAreServed) {
  StartServer({.max_pipeline = 2});
  const UniqueFd fd = Connect();
  std::string requests;
  for (int i = 0; i < 5; ++i) {
    requests += Get("/later");
  }
  Talk(fd, requests);
  ::shutdown(fd.get(), SHUT_WR);
  Turn();
  for (size_t i = 0; i < 5; ++i) {
    ASSERT_LT(i, waiting_.size());
    const HttpResponder responder = waiting_[i];
    responder.Send(TextResponse("answer"));
    Turn();
  }
  EXPECT_THAT(Receive(fd), EndsWith("\r\n\r\nanswer<closed>"));
}

TEST_F(HttpServerTest, ConnectionCloseIsObeyed) {
  StartServer();
  const UniqueFd fd = Connect();
  EXPECT_THAT(Talk(fd, Get("/now", "Connection: close\r\n")), EndsWith("\r\n\r\nnow<closed>"));
}

TEST_F(HttpServerTest, PipelinesAreBounded) {
  StartServer({.max_pipeline = 2});
  const UniqueFd fd = Connect();
  Talk(fd, Get("/later") + Get("/later") + Get("/later"));
  EXPECT_EQ(waiting_.size(), 2U);
  const HttpResponder first = waiting_[0];
  first.Send(TextResponse("1"));
  EXPECT_THAT(Receive(fd), EndsWith("\r\n\r\n1"));
  EXPECT_EQ(waiting_.size(), 3U);
}

TEST_F(HttpServerTest, AnErrorWaitsForTheAnswersBeforeItAndEndsTheConnection) {
  StartServer();
  const UniqueFd fd = Connect();
  const std::string answer = Talk(fd, Get("/now") + "nonsense\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("\r\n\r\nnowHTTP/1.1 400 Bad Request\r\n"));
  EXPECT_THAT(answer, HasSubstr("\"code\": \"invalid_argument\""));
  EXPECT_THAT(answer, EndsWith("<closed>"));
}

TEST_F(HttpServerTest, TheAnswerToATooLargeBodyArrivesAlthoughTheClientGoesOnSending) {
  StartServer();
  const UniqueFd fd = Connect();
  const std::string answer =
      Talk(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 2000000\r\n\r\n" +
                   std::string(2'000'000, 'x'));
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 413 "));
  EXPECT_THAT(answer, EndsWith("<closed>"));
}

TEST_F(HttpServerTest, ALargeBodyGoesBothWays) {
  StartServer();
  const UniqueFd fd = Connect();
  const std::string body(1 << 20, 'x');
  std::string answer =
      Talk(fd, "POST /echo HTTP/1.1\r\nHost: h\r\nContent-Length: 1048576\r\n\r\n" + body);
  answer += Receive(fd);
  EXPECT_THAT(answer, EndsWith("\r\n\r\n" + body));
}

TEST_F(HttpServerTest, ClientsThatWaitForContinueGetIt) {
  StartServer();
  const UniqueFd fd = Connect();
  EXPECT_EQ(Talk(fd,
                 "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n"
                 "Content-Length: 2\r\n\r\n"),
            "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(Talk(fd, "ok"), EndsWith("\r\n\r\nok"));
}

TEST_F(HttpServerTest, PagesOfOtherSitesCannotChangeAnything) {
  StartServer();
  const UniqueFd fd = Connect();
  const std::string post = "POST /echo HTTP/1.1\r\nHost: h:1\r\nContent-Length: 0\r\n";
  EXPECT_THAT(Talk(fd, post + "Origin: http://evil\r\n\r\n"), StartsWith("HTTP/1.1 403 "));
  EXPECT_THAT(Talk(fd, post + "Origin: http://h:1\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpServerTest, IdleAndSlowConnectionsAreClosedButNotThoseThatWaitForUs) {
  StartServer({.idle_timeout_ms = 5000});
  const UniqueFd idle = Connect();
  const UniqueFd slow = Connect();
  const UniqueFd waiting = Connect();
  Talk(waiting, Get("/later"));
  for (int i = 0; i < 6; ++i) {
    clock_.AdvanceMicros(1'000'000);
    Talk(slow, "G");
  }
  EXPECT_EQ(Receive(idle), "<closed>");
  EXPECT_EQ(server_->connection_count(), 1U);
  waiting_.at(0).Send(TextResponse("late"));
  EXPECT_THAT(Receive(waiting), EndsWith("late"));
}

TEST_F(HttpServerTest, ConnectionsAboveTheLimitAreToldSo) {
  StartServer({.max_connections = 1});
  const UniqueFd first = Connect();
  const UniqueFd second = Connect();
  const std::string answer = Receive(second);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(answer, EndsWith("<closed>"));
  EXPECT_THAT(Talk(first, Get("/now")), EndsWith("now"));
}

}  // namespace
}  // namespace kvs
