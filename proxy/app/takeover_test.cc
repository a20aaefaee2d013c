#include "proxy/app/takeover.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <atomic>
#include <cstring>
#include <string>

#include "gtest/gtest.h"

#include "common/base/file.h"
#include "common/base/random.h"
#include "common/base/thread.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

class TakeoverTest : public testing::Test {
 protected:
  TakeoverTest() : path_(testing::TempDir() + "kvs_takeover_" + RandomHex(8)) {}
  ~TakeoverTest() override { (void)RemoveFile(path_).ok(); }

  // Offers a listening socket on a port of its own; returns the port.
  uint16_t Offer(int count = 1) {
    std::vector<ListeningSocket> sockets;
    uint16_t port = 0;
    for (int i = 0; i < count; ++i) {
      Result<UniqueFd> fd = ListenTcp("127.0.0.1", 0, {});
      KVS_CHECK(fd.ok());
      port = LocalPort(fd->get());
      sockets.push_back({"purpose-" + std::to_string(i), *std::move(fd)});
    }
    predecessor_ =
        std::make_unique<Predecessor>(&loop_, std::move(sockets),
                                      Predecessor::Hooks{.on_taken = [this] { ++taken_; },
                                                         .on_replaced = [this] { ++replaced_; }});
    KVS_CHECK(predecessor_->Start(path_).ok());
    return port;
  }
  // Runs the predecessor's loop while `body`, the other process, blocks.
  void Beside(const std::function<void()>& body) {
    std::atomic<bool> done{false};
    Thread thread("successor", [&] {
      body();
      done = true;
    });
    while (!done) {
      loop_.RunOnce(10);
    }
    thread.Join();
    loop_.RunOnce(0);
  }
  UniqueFd ConnectTo(const std::string& path) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    KVS_CHECK(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    return fd;
  }

  const std::string path_;
  EventLoop loop_{"test"};
  std::unique_ptr<Predecessor> predecessor_;
  int taken_ = 0;
  int replaced_ = 0;
};

TEST_F(TakeoverTest, WithoutAPredecessorThereIsNothingToTake) {
  EXPECT_EQ(Successor::Ask(path_).status().code(), Code::kNotFound);
  { const Result<UniqueFd> left_behind = ListenUnix(path_, 0600, {}); }
  EXPECT_EQ(Successor::Ask(path_).status().code(), Code::kNotFound);
  EXPECT_FALSE(Successor::Ask(std::string(500, 'x')).ok());
}

// A connection that waits in the backlog over the whole change is the successor's to accept.
TEST_F(TakeoverTest, SocketsChangeTheirProcessWithWhoWaitsInThem) {
  const uint16_t port = Offer();
  const Result<UniqueFd> client = StartConnect("127.0.0.1", port);
  ASSERT_TRUE(client.ok());
  std::vector<ListeningSocket> sockets;
  Beside([&] {
    Result<std::unique_ptr<Successor>> successor = Successor::Ask(path_);
    ASSERT_TRUE(successor.ok()) << successor.status().ToString();
    sockets = std::move(*(*successor)->sockets());
    ASSERT_EQ((*successor)->Confirm().ToString(), "ok");
  });
  EXPECT_EQ(taken_, 1);
  predecessor_.reset();
  ASSERT_EQ(sockets.size(), 1U);
  EXPECT_EQ(sockets[0].purpose, "purpose-0");
  EXPECT_EQ(LocalPort(sockets[0].fd.get()), port);
  EXPECT_TRUE(UniqueFd(::accept(sockets[0].fd.get(), nullptr, nullptr)).valid());
  EXPECT_TRUE(FileExists(path_)) << "it is the successor's path now";
}

TEST_F(TakeoverTest, ManySocketsKeepTheirPurposes) {
  Offer(300);
  Beside([&] {
    Result<std::unique_ptr<Successor>> successor = Successor::Ask(path_);
    ASSERT_TRUE(successor.ok()) << successor.status().ToString();
    ASSERT_EQ((*successor)->sockets()->size(), 300U);
    for (size_t i = 0; i < 300; ++i) {
      EXPECT_EQ((*(*successor)->sockets())[i].purpose, "purpose-" + std::to_string(i));
    }
  });
}

TEST_F(TakeoverTest, ASuccessorThatFailsChangesNothing) {
  Offer();
  Beside([&] {
    EXPECT_TRUE(Successor::Ask(path_).ok());  // And is gone.
  });
  EXPECT_EQ(taken_, 0);
  for (const std::string_view said : {"readz\n", "ready\nready\n", "\n"}) {
    Beside([&] {
      const UniqueFd odd = ConnectTo(path_);
      ASSERT_EQ(::send(odd.get(), said.data(), said.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(said.size()));
      char bytes[256];
      while (::recv(odd.get(), bytes, sizeof(bytes), 0) > 0) {
      }
    });
    EXPECT_EQ(taken_, 0) << said;
  }
  Beside([&] {
    Result<std::unique_ptr<Successor>> successor = Successor::Ask(path_);
    ASSERT_TRUE(successor.ok());
    EXPECT_TRUE((*successor)->Confirm().ok());
  });
  EXPECT_EQ(taken_, 1);
}

// It had said that it serves, but it did not live to hear the answer.
TEST_F(TakeoverTest, ASuccessorThatDiesInTheMiddleIsReplaced) {
  Offer();
  {
    const UniqueFd dying = ConnectTo(path_);
    loop_.RunOnce(1000);
    const Result<UniqueFd> in_its_place = ListenUnix(path_, 0600, {});
    ASSERT_EQ(::send(dying.get(), "ready\n", 6, MSG_NOSIGNAL), 6);
  }
  loop_.RunOnce(1000);
  EXPECT_EQ(taken_, 0);
  EXPECT_EQ(replaced_, 1);
  Beside([&] {
    Result<std::unique_ptr<Successor>> successor = Successor::Ask(path_);
    ASSERT_TRUE(successor.ok()) << successor.status().ToString();
    EXPECT_TRUE((*successor)->Confirm().ok());
  });
  EXPECT_EQ(taken_, 1);
  EXPECT_EQ(replaced_, 1);
}

TEST_F(TakeoverTest, OneSuccessorAtATime) {
  Offer();
  Beside([&] {
    const Result<std::unique_ptr<Successor>> first = Successor::Ask(path_);
    ASSERT_TRUE(first.ok());
    EXPECT_EQ(Successor::Ask(path_).status().code(), Code::kUnavailable);
  });
  EXPECT_EQ(taken_, 0);
}

TEST_F(TakeoverTest, TheSocketIsForTheOwnUserAndGoesWithItsProcess) {
  Offer();
  struct stat info {};
  ASSERT_EQ(::stat(path_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0600U);
  predecessor_.reset();
  EXPECT_FALSE(FileExists(path_));
}

}  // namespace
}  // namespace kvs
