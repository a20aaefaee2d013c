#include "common/net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "gtest/gtest.h"

namespace kvs {
namespace {

#if defined(__linux__)

int OptionOf(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof(value);
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0);
  return value;
}

TEST(SocketTest, SilentPeersAreProbedAndGivenUp) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM, 0));
  SetKeepAlive(fd.get(), 0);
  EXPECT_EQ(OptionOf(fd.get(), SOL_SOCKET, SO_KEEPALIVE), 0);
  SetKeepAlive(fd.get(), 60);
  EXPECT_EQ(OptionOf(fd.get(), SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(OptionOf(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE), 60);
  EXPECT_EQ(OptionOf(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL), 20);
  EXPECT_EQ(OptionOf(fd.get(), IPPROTO_TCP, TCP_KEEPCNT), 3);
  SetUserTimeout(fd.get(), 1500);
  EXPECT_EQ(OptionOf(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT), 1500);
}

#endif

TEST(SocketTest, BytesThatWaitAreSeenAndNotTaken) {
  int fds[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
  UniqueFd a(fds[0]);
  const UniqueFd b(fds[1]);
  EXPECT_FALSE(HasInput(b.get()));
  ASSERT_EQ(::send(a.get(), "x", 1, 0), 1);
  EXPECT_TRUE(HasInput(b.get()));
  EXPECT_TRUE(HasInput(b.get()));
  char byte = 0;
  ASSERT_EQ(::recv(b.get(), &byte, 1, 0), 1);
  EXPECT_FALSE(HasInput(b.get()));
  a.reset();
  EXPECT_FALSE(HasInput(b.get())) << "the end of the stream is nothing to read";
  EXPECT_TRUE(PeerIsGone(b.get()));
}

}  // namespace
}  // namespace kvs
