#include "common/net/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace kvs {
namespace {

using AddressList = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

Result<AddressList> Lookup(const std::string& host, uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  const int error = ::getaddrinfo(host.empty() ? nullptr : host.c_str(),
                                  std::to_string(port).c_str(), &hints, &list);
  if (error != 0) {
    return Status::InvalidArgument(
        fmt::format("cannot resolve host '{}': {}", host, ::gai_strerror(error)));
  }
  return AddressList(list, &::freeaddrinfo);
}

void SetOption(int fd, int level, int name, int value) {
  // Tuning only: a kernel that refuses it still serves.
  (void)::setsockopt(fd, level, name, &value, sizeof(value));
}

std::string FormatAddress(const sockaddr_storage& address) {
  char host[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    ::inet_ntop(AF_INET, &v4.sin_addr, host, sizeof(host));
    return fmt::format("{}:{}", host, ntohs(v4.sin_port));
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof(host));
    return fmt::format("[{}]:{}", host, ntohs(v6.sin6_port));
  }
  if (address.ss_family == AF_UNIX) {
    const auto& local = reinterpret_cast<const sockaddr_un&>(address);
    return fmt::format("{}:0", local.sun_path);
  }
  return "";
}

}  // namespace

namespace {

// Of bind() or listen(): the one reports what the other overlooks.
Status CannotListen(const std::string& address) {
  const char* remedy = errno == EADDRINUSE ? " (another process listens there: stop it or choose "
                                             "another port)"
                                           : "";
  return Status::IoError(
      fmt::format("cannot listen on {}: {}{}", address, std::strerror(errno), remedy));
}

}  // namespace

Result<UniqueFd> BindTcp(const std::string& host, uint16_t port, const ListenOptions& options) {
  KVS_ASSIGN_OR_RETURN(const AddressList list, Lookup(host, port, AI_PASSIVE));
  const addrinfo* address = list.get();
  UniqueFd fd(::socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return Status::FromErrno("create a socket", errno);
  }
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address->ai_family == AF_INET6) {
    SetOption(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  }
  if (options.reuse_port) {
    SetOption(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  }
  if (::bind(fd.get(), address->ai_addr, address->ai_addrlen) != 0) {
    return CannotListen(fmt::format("{}:{}", host, port));
  }
  return fd;
}

Status ListenOnBound(int fd, const ListenOptions& options) {
  return ::listen(fd, options.backlog) == 0 ? Status::Ok() : CannotListen(LocalName(fd));
}

Result<UniqueFd> ListenTcp(const std::string& host, uint16_t port, const ListenOptions& options) {
  KVS_ASSIGN_OR_RETURN(UniqueFd fd, BindTcp(host, port, options));
  KVS_RETURN_IF_ERROR(ListenOnBound(fd.get(), options));
  return fd;
}

Result<sockaddr_un> UnixAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Status::InvalidArgument(fmt::format("unix socket path '{}' is longer than {} bytes",
                                               path, sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Result<UniqueFd> ListenUnix(const std::string& path, int mode, const ListenOptions& options) {
  KVS_ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return Status::FromErrno("create a socket", errno);
  }
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0 && S_ISSOCK(info.st_mode)) {
    ::unlink(path.c_str());
  }
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::chmod(path.c_str(), static_cast<mode_t>(mode)) != 0 ||
      ::listen(fd.get(), options.backlog) != 0) {
    return Status::FromErrno(fmt::format("listen on unix socket '{}'", path), errno);
  }
  return fd;
}

Result<int> ModeFromOctalDigits(int64_t digits) {
  int mode = 0;
  int shift = 0;
  for (int64_t rest = digits; rest > 0; rest /= 10) {
    if (rest % 10 > 7) {
      return Status::InvalidArgument(
          fmt::format("'{}' are no permission bits in octal digits, such as 700", digits));
    }
    mode |= static_cast<int>(rest % 10) << shift;
    shift += 3;
  }
  return mode;
}

Result<UniqueFd> StartConnect(const std::string& host, uint16_t port) {
  KVS_ASSIGN_OR_RETURN(const AddressList list, Lookup(host, port, AI_NUMERICHOST));
  UniqueFd fd(::socket(list->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return Status::FromErrno("create a socket", errno);
  }
  SetNoDelay(fd.get());
  if (::connect(fd.get(), list->ai_addr, list->ai_addrlen) != 0 && errno != EINPROGRESS) {
    return Status::FromErrno(fmt::format("connect to {}:{}", host, port), errno);
  }
  return fd;
}

Status ConnectError(int fd) {
  int error = 0;
  socklen_t size = sizeof(error);
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0) {
    error = errno;
  }
  return error == 0 ? Status::Ok() : Status::FromErrno("connect", error);
}

Result<std::vector<std::string>> ResolveHost(const std::string& host) {
  KVS_ASSIGN_OR_RETURN(const AddressList list, Lookup(host, 0, 0));
  std::vector<std::string> hosts;
  for (const addrinfo* entry = list.get(); entry != nullptr; entry = entry->ai_next) {
    char text[INET6_ADDRSTRLEN] = "";
    const void* bytes =
        entry->ai_family == AF_INET
            ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(entry->ai_addr)->sin_addr)
            : &reinterpret_cast<sockaddr_in6*>(entry->ai_addr)->sin6_addr;
    ::inet_ntop(entry->ai_family, bytes, text, sizeof(text));
    if (std::find(hosts.begin(), hosts.end(), text) == hosts.end()) {
      hosts.emplace_back(text);
    }
  }
  return hosts;
}

void SetNoDelay(int fd) {
  SetOption(fd, IPPROTO_TCP, TCP_NODELAY, 1);
}

void SetCork(int fd, bool on) {
#ifdef TCP_CORK
  SetOption(fd, IPPROTO_TCP, TCP_CORK, on ? 1 : 0);
#else
  SetOption(fd, IPPROTO_TCP, TCP_NOPUSH, on ? 1 : 0);
#endif
}

void SetKeepAlive(int fd, int idle_seconds) {
  if (idle_seconds <= 0) {
    return;
  }
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
#if defined(__linux__)
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle_seconds);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, std::max(1, idle_seconds / 3));
  SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
#endif
}

void SetUserTimeout(int fd, int milliseconds) {
#if defined(__linux__)
  SetOption(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, milliseconds);
#else
  (void)fd;
  (void)milliseconds;
#endif
}

std::string PeerName(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return "";
  }
  return FormatAddress(address);
}

std::string LocalName(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return "";
  }
  return FormatAddress(address);
}

uint16_t LocalPort(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  KVS_CHECK(::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  if (address.ss_family == AF_INET) {
    return ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port);
  }
  return address.ss_family == AF_INET6 ? ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port)
                                       : uint16_t{0};
}

bool PeerIsGone(int fd) {
  char byte = 0;
  const ssize_t n = ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return n == 0 || (n < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

bool HasInput(int fd) {
  char byte = 0;
  return ::recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool PeerIsLocal(int fd) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    return false;
  }
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return (ntohl(v4.sin_addr.s_addr) >> 24) == 127;
  }
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    return IN6_IS_ADDR_LOOPBACK(&v6.sin6_addr);
  }
  return address.ss_family == AF_UNIX;
}

}  // namespace kvs
