// Sockets: make, connect, name.  Everything is non-blocking and close-on-exec.
//
// Threads: pure functions on the caller's descriptor.
// Owner:   the caller owns what is returned.

#pragma once

#include <sys/un.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/base/unique_fd.h"

namespace kvs {

struct ListenOptions {
  int backlog = 511;
  bool reuse_port = false;  // Several listeners on one port; the kernel spreads connections.
};

// Returns the address of a unix socket.  kInvalidArgument: the path is too long for the kernel
Result<sockaddr_un> UnixAddress(const std::string& path);

// Listens on `host` (a numeric address or a name, resolved here: not for a loop) and `port` (0: any
// free one).  Returns kIoError with the address and a remedy, for example if the port is taken.
Result<UniqueFd> ListenTcp(const std::string& host, uint16_t port, const ListenOptions& options);
// The first half of ListenTcp(): the socket has its address, but nobody can connect to it yet.
Result<UniqueFd> BindTcp(const std::string& host, uint16_t port, const ListenOptions& options);
// The second half, which changes nothing for a socket that listens already.
Status ListenOnBound(int fd, const ListenOptions& options);
// Listens on a unix socket; an old socket file is replaced.  `mode` is its permission bits.
Result<UniqueFd> ListenUnix(const std::string& path, int mode, const ListenOptions& options);

// Returns the permission bits that are written in octal digits: 700 is 0700.
//   kInvalidArgument: a digit is above 7
Result<int> ModeFromOctalDigits(int64_t digits);

// Starts to connect.  The socket is writable when it is connected or has failed; ConnectError()
// tells which.  `host` must be a numeric address: nothing is looked up here.
Result<UniqueFd> StartConnect(const std::string& host, uint16_t port);
// Returns OK once a connect has succeeded, else its error.
Status ConnectError(int fd);

// Returns the numeric addresses of a name.  Blocks; not for a loop.
Result<std::vector<std::string>> ResolveHost(const std::string& host);

void SetNoDelay(int fd);
// Keeps what is written until it is off again; what is there at close() leaves together with the
// end of the connection, so the peer sees both at once.
void SetCork(int fd, bool on);
// Turns keep-alive on: probes after `idle_seconds`, then dead after about as long again.
void SetKeepAlive(int fd, int idle_seconds);
// Breaks the connection if sent bytes stay unacknowledged for this long.
void SetUserTimeout(int fd, int milliseconds);

// Returns "host:port" ("[host]:port" for IPv6, "path:0" for unix sockets), or "" if unknown.
std::string PeerName(int fd);
std::string LocalName(int fd);
// Returns the port that a listening socket got.
uint16_t LocalPort(int fd);
// Returns whether the peer has closed or broken the connection and left nothing to read.
bool PeerIsGone(int fd);
// Returns whether bytes wait to be read.
bool HasInput(int fd);
// Returns whether the peer is on this machine (loopback or unix socket).
bool PeerIsLocal(int fd);

}  // namespace kvs
