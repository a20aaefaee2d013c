// Options of a proxy that change while clients use it: all or nothing, and nobody notices.

#include <gtest/gtest.h>
#include <signal.h>

#include "common/base/file.h"
#include "test_all/harness/cluster.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

// Two redis-servers, and a proxy with a file that names the first one.
class ReloadTest : public testing::Test {
 protected:
  ReloadTest()
      : first_(MakeRedis(dir_, "first")),
        second_(MakeRedis(dir_, "second")),
        file_(dir_.Join("proxy.conf")),
        port_(FreePort()) {}
  void SetUp() override {
    ASSERT_EQ(first_->Start().ToString(), "ok");
    ASSERT_EQ(second_->Start().ToString(), "ok");
    WriteFile("servers " + first_->address() + "\n");
    proxy_ =
        std::make_unique<Server>("proxy", port_, Words{BinaryPath("kv_proxy"), file_}, dir_.path());
    ASSERT_EQ(proxy_->Start().ToString(), "ok");
    client_ = proxy_->Connect();
  }
  void TearDown() override { first_->process()->Signal(SIGCONT); }

  void WriteFile(const std::string& more) const {
    ASSERT_TRUE(WriteFileAtomic(file_, "# mine\nport " + std::to_string(port_) +
                                           "\nhttp-port 0\nio-threads 1\nbackend-timeout 60s\n" +
                                           more)
                    .ok());
  }
  std::string both() const { return first_->address() + "," + second_->address(); }
  // Where a key is written that was not there before; 0 if nowhere.
  int HomeOf(const std::string& key) {
    if (!client_.Do({"set", key, "v"})->is_ok()) {
      return 0;
    }
    return first_->Connect().Do({"del", key})->integer == 1    ? 1
           : second_->Connect().Do({"del", key})->integer == 1 ? 2
                                                               : 0;
  }
  bool Logs(const std::string& text) const {
    return WaitUntil(10'000,
                     [&] { return proxy_->process()->Output().find(text) != std::string::npos; });
  }

  TempDir dir_;
  std::unique_ptr<Server> first_;
  std::unique_ptr<Server> second_;
  std::string file_;
  uint16_t port_;
  std::unique_ptr<Server> proxy_;
  RespClient client_;
};

// "a" has slot 15495, "b" 3300.
TEST_F(ReloadTest, ServersAndSlotsChangeAtOnceOrNotAtAll) {
  EXPECT_EQ(HomeOf("a"), 1);
  ASSERT_EQ(client_.Ask({"config", "set", "servers", both()}), "OK");
  EXPECT_TRUE(WaitUntil(10'000, [&] { return HomeOf("a") == 2; }));
  EXPECT_EQ(HomeOf("b"), 1);
  ASSERT_EQ(client_.Ask({"config", "set", "server-slots", "8192-16383,0-8191"}), "OK");
  EXPECT_TRUE(WaitUntil(10'000, [&] { return HomeOf("a") == 1; }));
  EXPECT_EQ(HomeOf("b"), 2);

  // One wrong value of several, and values that do not fit each other.
  for (const Words& wrong :
       {Words{"maxclients", "77", "servers", "nonsense"}, Words{"maxclients", "77", "port", "1"},
        Words{"maxclients", "77", "server-slots", "0-16383"},
        Words{"maxclients", "77", "servers", first_->address()},
        Words{"maxclients", "77", "servers", "", "server-slots", "", "config-servers",
              "127.0.0.1:1"}}) {
    Words words = {"config", "set"};
    words.insert(words.end(), wrong.begin(), wrong.end());
    EXPECT_TRUE(client_.Do(words)->is_error()) << wrong[2];
  }
  EXPECT_NE(client_.Ask({"config", "set", "port", "1"}).find("port"), std::string::npos);
  EXPECT_EQ(client_.Do({"config", "get", "maxclients"})->elements[1].text, "10000");
  EXPECT_EQ(HomeOf("a"), 1);

  ASSERT_EQ(client_.Ask({"config", "set", "servers", second_->address(), "server-slots", ""}),
            "OK");
  EXPECT_TRUE(WaitUntil(10'000, [&] { return HomeOf("a") == 2; }));
  EXPECT_EQ(HomeOf("b"), 2);

  // What is in force survives a restart.
  ASSERT_EQ(client_.Ask({"config", "set", "servers", both(), "server-slots", "8192-16383,0-8191"}),
            "OK");
  ASSERT_EQ(client_.Ask({"config", "rewrite"}), "OK");
  EXPECT_EQ(*proxy_->Stop(), 0);
  EXPECT_TRUE(ReadFile(file_)->starts_with("# mine\n"));
  ASSERT_EQ(proxy_->Start().ToString(), "ok");
  client_ = proxy_->Connect();
  EXPECT_EQ(HomeOf("a"), 1);
  EXPECT_EQ(HomeOf("b"), 2);
}

TEST_F(ReloadTest, AServerThatIsRemovedStillAnswersWhatItWasAsked) {
  ASSERT_EQ(client_.Ask({"set", "k", "from the first"}), "OK");
  ASSERT_EQ(second_->Connect().Ask({"set", "k", "from the second"}), "OK");
  RespClient waiting = proxy_->Connect();
  ASSERT_EQ(waiting.Do({"get", "k"})->text, "from the first");
  ASSERT_EQ(first_->process()->Pause().ToString(), "ok");
  ASSERT_TRUE(waiting.Send(EncodeWords({"get", "k"})).ok());
  ASSERT_TRUE(WaitUntil(10'000, [&] { return InfoNumber(&client_, "requests_in_flight") == 1; }));
  ASSERT_EQ(client_.Ask({"config", "set", "servers", second_->address()}), "OK");
  // INFO shows a table that the loop which answers has as well; a GET before would wait, too.
  ASSERT_TRUE(WaitUntil(10'000, [&] {
    return client_.Do({"info", "kvstore"})->text.find("address=" + second_->address()) !=
           std::string::npos;
  }));
  ASSERT_EQ(client_.Do({"get", "k"})->text, "from the second");
  // What comes behind waits for the answer and then goes to the other server.
  ASSERT_TRUE(waiting.Send(EncodeWords({"get", "k"})).ok());
  first_->process()->Signal(SIGCONT);
  EXPECT_EQ(*waiting.ReadFrame(), "$14\r\nfrom the first\r\n");
  EXPECT_EQ(*waiting.ReadFrame(), "$15\r\nfrom the second\r\n");
  EXPECT_TRUE(WaitUntil(10'000, [&] {
    return first_->Connect().Do({"client", "list"})->text.find("cmd=get") == std::string::npos;
  })) << "its connections are closed";
}

TEST_F(ReloadTest, AHangupReadsTheFileAgainAllOrNothing) {
  WriteFile("servers " + second_->address() + "\nmaxclients many\n");
  proxy_->process()->Signal(SIGHUP);
  EXPECT_TRUE(Logs("reload: no option was changed")) << proxy_->process()->Output();
  EXPECT_TRUE(Logs("maxclients"));
  EXPECT_EQ(HomeOf("a"), 1);

  WriteFile("servers " + second_->address() + "\nmaxclients 99\nio-threads 7\n");
  proxy_->process()->Signal(SIGHUP);
  EXPECT_TRUE(Logs("need a restart: io-threads")) << proxy_->process()->Output();
  EXPECT_TRUE(WaitUntil(10'000, [&] { return HomeOf("a") == 2; }));
  EXPECT_EQ(client_.Do({"config", "get", "maxclients"})->elements[1].text, "99");
}

TEST_F(ReloadTest, ServersMayHaveNames) {
  ASSERT_EQ(
      client_.Ask({"config", "set", "servers", "localhost:" + std::to_string(second_->port())}),
      "OK");
  EXPECT_TRUE(WaitUntil(10'000, [&] { return HomeOf("a") == 2; }));
  // A name that cannot be looked up costs its own keys only.  This one is no name at all: a label
  // has 63 bytes at most, so no server is asked.
  ASSERT_EQ(client_.Ask({"config", "set", "servers",
                         first_->address() + "," + std::string(70, 'x') + ":1"}),
            "OK");
  EXPECT_TRUE(WaitUntil(20'000, [&] { return HomeOf("b") == 1; }));
  EXPECT_TRUE(WaitUntil(10'000, [&] { return client_.Do({"get", "a"})->is_error(); }));
}

}  // namespace
}  // namespace kvs
