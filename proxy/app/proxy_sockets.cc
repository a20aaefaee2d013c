// The listening sockets of a ProxyServer: opened, or inherited from the process before it.

#include <fcntl.h>

#include "common/base/logging.h"
#include "common/net/socket.h"
#include "proxy/app/proxy_server.h"

namespace kvs {
namespace {

constexpr std::string_view kForClients = "client";
constexpr std::string_view kForHttp = "http";
constexpr int kHttpPortOffset = 100;

Result<UniqueFd> CopyOf(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  return copy.valid() ? Result<UniqueFd>(std::move(copy))
                      : Result<UniqueFd>(Status::FromErrno("copy a socket", errno));
}

// Whether a socket listens on one of the addresses and the port; 0 stands for any port.
bool ListensOn(int fd, const std::vector<std::string>& hosts, int64_t port) {
  const Result<NodeAddress> local = ParseAddress(LocalName(fd));
  return local.ok() && (port == 0 || local->port == port) &&
         std::find(hosts.begin(), hosts.end(), local->host) != hosts.end();
}

}  // namespace

Status ProxyServer::AskPredecessor() {
  if (start_options_->takeover_socket.empty()) {
    return Status::Ok();
  }
  Result<std::unique_ptr<Successor>> successor = Successor::Ask(start_options_->takeover_socket);
  if (successor.ok()) {
    successor_ = *std::move(successor);
    KVS_LOG(kInfo, "taking over {} listening sockets", successor_->sockets()->size());
    return Status::Ok();
  }
  return successor.status().code() == Code::kNotFound ? Status::Ok() : successor.status();
}

UniqueFd ProxyServer::TakeInherited(std::string_view purpose,
                                    const std::function<bool(int fd)>& fits) {
  if (successor_ == nullptr) {
    return UniqueFd();
  }
  std::vector<ListeningSocket>* sockets = successor_->sockets();
  const auto found =
      std::find_if(sockets->begin(), sockets->end(), [&](const ListeningSocket& socket) {
        return socket.purpose == purpose && fits(socket.fd.get());
      });
  if (found == sockets->end()) {
    return UniqueFd();
  }
  UniqueFd fd = std::move(found->fd);
  sockets->erase(found);
  return fd;
}

Status ProxyServer::AddSocket(size_t worker, UniqueFd socket) {
  KVS_ASSIGN_OR_RETURN(UniqueFd copy, CopyOf(socket.get()));
  copies_.push_back({std::string(kForClients), std::move(copy)});
  sockets_.emplace_back(worker % workers_.size(), std::move(socket));
  return Status::Ok();
}

Status ProxyServer::OpenSockets() {
  if (start_options_->bind.empty()) {
    return Status::InvalidArgument("no address to listen on: give --bind");
  }
  KVS_RETURN_IF_ERROR(AskPredecessor());
  port_ = static_cast<uint16_t>(start_options_->port);
  for (const std::string& host : start_options_->bind) {
    KVS_RETURN_IF_ERROR(OpenPort(host));
  }
  return start_options_->unixsocket.empty() ? Status::Ok() : OpenUnixSocket();
}

// Every loop has a listener of its own on the TCP port; the kernel spreads the connections.  Of a
// predecessor with more loops all sockets are served: connections wait in each of them.
Status ProxyServer::OpenPort(const std::string& host) {
  KVS_ASSIGN_OR_RETURN(const std::vector<std::string> hosts, ResolveHost(host));
  size_t count = 0;
  const auto inherit = [&] {
    return TakeInherited(kForClients, [&](int fd) { return ListensOn(fd, hosts, port_); });
  };
  for (UniqueFd socket = inherit(); socket.valid(); socket = inherit()) {
    port_ = LocalPort(socket.get());
    KVS_RETURN_IF_ERROR(AddSocket(count++, std::move(socket)));
  }
  // SO_REUSEPORT would let two programs share the port unnoticed: the first bind is exclusive.
  if (count == 0) {
    KVS_ASSIGN_OR_RETURN(const UniqueFd probe, ListenTcp(host, port_, {}));
    port_ = LocalPort(probe.get());
  }
  // While a predecessor serves, nobody may connect to a socket that only this process has: it would
  // wait until this process is ready, and be reset if that never comes.
  const auto open = successor_ == nullptr ? &ListenTcp : &BindTcp;
  while (count < workers_.size()) {
    KVS_ASSIGN_OR_RETURN(UniqueFd socket, open(host, port_, {.reuse_port = true}));
    KVS_RETURN_IF_ERROR(AddSocket(count++, std::move(socket)));
  }
  return Status::Ok();
}

Status ProxyServer::OpenUnixSocket() {
  const std::string& path = start_options_->unixsocket;
  UniqueFd socket =
      TakeInherited(kForClients, [&](int fd) { return LocalName(fd) == path + ":0"; });
  if (!socket.valid()) {
    KVS_ASSIGN_OR_RETURN(const int mode, ModeFromOctalDigits(start_options_->unixsocketperm));
    KVS_ASSIGN_OR_RETURN(socket, ListenUnix(path, mode, {}));
  }
  if (successor_ == nullptr) {
    unix_socket_ = path;  // Else it is the predecessor's until that has let go.
  }
  return AddSocket(0, std::move(socket));
}

Result<UniqueFd> ProxyServer::OpenHttp() {
  const std::string& host = start_options_->bind.front();
  int64_t port = start_options_->http_port;
  if (port < 0) {
    port = port_ + kHttpPortOffset <= 65535 ? port_ + kHttpPortOffset : 0;
  }
  KVS_ASSIGN_OR_RETURN(const std::vector<std::string> hosts, ResolveHost(host));
  UniqueFd socket = TakeInherited(kForHttp, [&](int fd) { return ListensOn(fd, hosts, port); });
  if (!socket.valid()) {
    KVS_ASSIGN_OR_RETURN(socket, ListenTcp(host, static_cast<uint16_t>(port), {}));
  }
  KVS_ASSIGN_OR_RETURN(UniqueFd copy, CopyOf(socket.get()));
  copies_.push_back({std::string(kForHttp), std::move(copy)});
  return socket;
}

}  // namespace kvs
