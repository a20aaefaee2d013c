#include "proxy/app/takeover.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <utility>

#include "common/base/file.h"
#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

constexpr int kOwnerOnly = 0600;
constexpr time_t kPeerSeconds = 5;
constexpr size_t kMaxSockets = 4096;
constexpr size_t kMaxTextBytes = 64 * kMaxSockets;
constexpr std::string_view kEnd = "end";
constexpr std::string_view kReady = "ready\n";

// One message holds so many sockets: many messages would fill the unix socket's buffer.
constexpr size_t kBatch = 64;

union Control {
  char bytes[CMSG_SPACE(kBatch * sizeof(int))];
  cmsghdr header;  // For its alignment.
};

// Sends `text` with the descriptors.  Never waits.
Status SendMessage(int peer, std::string text, const std::vector<int>& fds) {
  iovec part = {text.data(), text.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Control control{};
  if (!fds.empty()) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
    std::memcpy(CMSG_DATA(header), fds.data(), fds.size() * sizeof(int));
  }
  const ssize_t sent = ::sendmsg(peer, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent == static_cast<ssize_t>(text.size()) ? Status::Ok()
                                                   : Status::FromErrno("hand sockets over", errno);
}

Status SendSockets(int peer, const std::vector<ListeningSocket>& sockets) {
  std::string text;
  std::vector<int> fds;
  for (const ListeningSocket& socket : sockets) {
    text += socket.purpose + "\n";
    fds.push_back(socket.fd.get());
    if (fds.size() == kBatch) {
      KVS_RETURN_IF_ERROR(SendMessage(peer, std::exchange(text, {}), std::exchange(fds, {})));
    }
  }
  return SendMessage(peer, text + std::string(kEnd) + "\n", fds);
}

void TakeDescriptors(cmsghdr* header, std::vector<UniqueFd>* fds) {
  if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) {
    return;
  }
  const size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
  for (size_t i = 0; i < count; ++i) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(fd));
    fds->emplace_back(fd);
  }
}

// Reads once; appends the bytes, and the descriptors if some came.
Result<size_t> ReceiveSome(int peer, std::string* text, std::vector<UniqueFd>* fds) {
  char bytes[4096];
  iovec part = {bytes, sizeof(bytes)};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  Control control{};
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  const ssize_t got = ::recvmsg(peer, &message, MSG_CMSG_CLOEXEC);
  if (got < 0) {
    return Status::FromErrno("receive the sockets of the running process", errno);
  }
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    TakeDescriptors(header, fds);
  }
  text->append(bytes, static_cast<size_t>(got));
  return static_cast<size_t>(got);
}

Result<UniqueFd> ConnectUnix(const std::string& path) {
  KVS_ASSIGN_OR_RETURN(const sockaddr_un address, UnixAddress(path));
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return Status::FromErrno("create a socket", errno);
  }
  const timeval limit = {kPeerSeconds, 0};
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) {
      return Status::NotFound("no process listens there");
    }
    return Status::FromErrno(fmt::format("connect to {}", path), errno);
  }
  return fd;
}

}  // namespace

Result<std::unique_ptr<Successor>> Successor::Ask(const std::string& path) {
  KVS_ASSIGN_OR_RETURN(UniqueFd fd, ConnectUnix(path));
  std::unique_ptr<Successor> successor(new Successor(std::move(fd)));
  KVS_RETURN_IF_ERROR(successor->Receive().WithContext(path));
  return successor;
}

Status Successor::Receive() {
  std::string text;
  std::vector<UniqueFd> fds;
  const std::string end = std::string(kEnd) + "\n";
  while (text != end && !text.ends_with("\n" + end)) {
    KVS_ASSIGN_OR_RETURN(const size_t got, ReceiveSome(fd_.get(), &text, &fds));
    if (got == 0) {
      return Status::Unavailable("the running process hands nothing over now; try again");
    }
    if (text.size() > kMaxTextBytes || fds.size() > kMaxSockets) {
      return Status::Corruption("what the running process says is no hand-over of sockets");
    }
  }
  const std::vector<std::string_view> words = Split(text, '\n');
  if (words.size() != fds.size() + 2) {  // And "end", and what is behind the last line end.
    return Status::Corruption(
        fmt::format("{} sockets came with {} lines", fds.size(), words.size() - 1));
  }
  for (size_t i = 0; i < fds.size(); ++i) {
    sockets_.push_back({std::string(words[i]), std::move(fds[i])});
  }
  return Status::Ok();
}

Status Successor::Confirm() {
  if (::send(fd_.get(), kReady.data(), kReady.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(kReady.size())) {
    return Status::FromErrno("tell the predecessor", errno);
  }
  char byte = 0;
  const ssize_t got = ::recv(fd_.get(), &byte, 1, 0);
  return got == 0 ? Status::Ok() : Status::Timeout("the predecessor does not let go");
}

// The connection of a successor.
class Predecessor::Peer : public IoHandler {
 public:
  Peer(Predecessor* owner, UniqueFd fd) : owner_(owner), loop_(owner->loop_), fd_(std::move(fd)) {}
  ~Peer() override {
    if (watch_ != nullptr) {
      loop_->Unwatch(watch_);
    }
  }
  Status Start() {
    KVS_RETURN_IF_ERROR(SendSockets(fd_.get(), owner_->sockets_));
    KVS_ASSIGN_OR_RETURN(watch_, loop_->Watch(fd_.get(), this, kReadable));
    return Status::Ok();
  }
  void OnReady(bool /*readable*/, bool /*writable*/) override {
    char bytes[64];
    ssize_t got = 0;
    do {
      got = ::recv(fd_.get(), bytes, sizeof(bytes), MSG_DONTWAIT);
      heard_.append(bytes, static_cast<size_t>(std::max<ssize_t>(got, 0)));
    } while (got > 0 && kReady.starts_with(heard_));
    const bool lives = got < 0 && (errno == EAGAIN || errno == EINTR);
    if (!lives || heard_ == kReady) {
      owner_->OnPeerDone(lives);
    }
  }

 private:
  Predecessor* const owner_;
  EventLoop* const loop_;
  const UniqueFd fd_;
  IoWatch* watch_ = nullptr;
  std::string heard_;
};

namespace {

// Returns what tells a file from another of the same name; 0 if there is none.
uint64_t FileNumber(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 ? info.st_ino : 0;
}

}  // namespace

Predecessor::Predecessor(EventLoop* loop, std::vector<ListeningSocket> sockets, Hooks hooks)
    : loop_(loop), sockets_(std::move(sockets)), hooks_(std::move(hooks)) {}

Predecessor::~Predecessor() {
  if (listener_ != nullptr && FileNumber(path_) == file_number_) {
    (void)RemoveFile(path_).ok();  // Not another process's, which may have come since.
  }
}

Status Predecessor::Start(const std::string& path) {
  // By a rename, so that at any time somebody listens there: this process or the one before it.
  const std::string beside = path + ".new";
  KVS_ASSIGN_OR_RETURN(UniqueFd socket, ListenUnix(beside, kOwnerOnly, {}));
  if (std::rename(beside.c_str(), path.c_str()) != 0) {
    return Status::FromErrno(path, errno);
  }
  path_ = path;
  file_number_ = FileNumber(path);
  listener_ = std::make_unique<Listener>(loop_, std::move(socket),
                                         [this](UniqueFd fd) { OnAccept(std::move(fd)); });
  return listener_->Start();
}

void Predecessor::OnAccept(UniqueFd fd) {
  if (peer_ != nullptr) {
    return;  // It sees the end of the stream instead of sockets.
  }
  auto peer = std::make_unique<Peer>(this, std::move(fd));
  if (Status status = peer->Start(); !status.ok()) {
    KVS_LOG(kError, "another process wanted to take over: {}", status.message());
    return;
  }
  KVS_LOG(kInfo, "another process is about to take over");
  peer_ = std::move(peer);
}

void Predecessor::OnPeerDone(bool serves) {
  if (!serves) {
    KVS_LOG(kWarning, "the process that was about to take over is gone; serving goes on");
    loop_->DeleteLater(std::move(peer_));
    if (FileNumber(path_) != file_number_) {  // It had put its own socket there.
      listener_->Stop();
      loop_->DeleteLater(std::move(listener_));
      if (Status status = Start(path_); !status.ok()) {
        KVS_LOG(kError, "nobody can take over from now on: {}", status.message());
      }
      hooks_.on_replaced();
    }
    return;
  }
  KVS_LOG(kInfo, "another process has taken over");
  listener_->Stop();
  loop_->DeleteLater(std::move(listener_));  // The path is the successor's now.
  sockets_.clear();
  hooks_.on_taken();
  loop_->DeleteLater(std::move(peer_));
}

}  // namespace kvs
