#include "test_all/harness/resp_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "common/base/strings.h"
#include "common/resp/resp_writer.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr size_t kReadSize = size_t{64} << 10;

std::string AsText(const Result<Reply>& reply) {
  return reply.ok() ? reply->ToString() : "<" + reply.status().ToString() + ">";
}

std::vector<std::string_view> Views(const std::vector<std::string>& words) {
  return {words.begin(), words.end()};
}

}  // namespace

std::string EncodeWords(const std::vector<std::string>& words) {
  std::string bytes;
  EncodeRequest(std::span<const std::string_view>(Views(words)), &bytes);
  return bytes;
}

Result<RespClient> RespClient::Connect(const std::string& host, uint16_t port, int64_t timeout_ms) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  const std::string numeric = host == "localhost" ? "127.0.0.1" : host;
  if (::inet_pton(AF_INET, numeric.c_str(), &address.sin_addr) != 1) {
    return Status::InvalidArgument("'" + host + "' is not an IPv4 address");
  }
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) {
    return Status::FromErrno("socket", errno);
  }
  const int on = 1;
  (void)::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const int rc = ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  if (rc != 0 && errno != EINPROGRESS) {
    return Status::FromErrno("connect", errno);
  }
  RespClient client(std::move(fd));
  int error = 0;
  socklen_t size = sizeof(error);
  if ((client.Poll(POLLOUT, timeout_ms) & (POLLOUT | POLLERR | POLLHUP)) == 0) {
    return Status::Timeout("connect");
  }
  (void)::getsockopt(client.fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) {
    return Status::FromErrno("connect", error);
  }
  return client;
}

short RespClient::Poll(short events, int64_t timeout_ms) {
  pollfd item = {.fd = fd_.get(), .events = events, .revents = 0};
  const int64_t deadline = NowMillis() + timeout_ms;
  while (true) {
    const int64_t left = std::max<int64_t>(deadline - NowMillis(), 0);
    const int rc = ::poll(&item, 1, static_cast<int>(left));
    if (rc > 0) {
      return item.revents;
    }
    if (rc == 0 && left == 0) {
      return 0;
    }
  }
}

Status RespClient::Failed(Status status) {
  fd_.reset();
  return status;
}

bool RespClient::ReadSome() {
  std::array<char, kReadSize> chunk;
  const ssize_t n = ::recv(fd_.get(), chunk.data(), chunk.size(), 0);
  if (n > 0) {
    input_.append(chunk.data(), static_cast<size_t>(n));
    return true;
  }
  return n < 0 && (errno == EAGAIN || errno == EINTR);
}

Status RespClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!connected()) {
      return Status::Unavailable("not connected");
    }
    const ssize_t n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n > 0) {
      bytes.remove_prefix(static_cast<size_t>(n));
    } else if (errno != EAGAIN && errno != EINTR) {
      return Failed(Status::Unavailable("the server closed the connection"));
    } else if (Poll(POLLOUT, timeout_ms_ * kSlownessFactor) == 0) {
      return Failed(Status::Timeout("the server does not read"));
    }
  }
  return Status::Ok();
}

void RespClient::FinishSending() {
  (void)::shutdown(fd_.get(), SHUT_WR);
}

Result<std::string> RespClient::TakeFrame() {
  const std::string_view rest = std::string_view(input_).substr(input_begin_);
  if (rest.empty()) {
    return Status::Incomplete();
  }
  switch (scanner_.Scan(rest)) {
    case ReplyScanner::Outcome::kNeedMore:
      return Status::Incomplete();
    case ReplyScanner::Outcome::kError:
      return Status::Corruption(scanner_.error());
    case ReplyScanner::Outcome::kReply:
      break;
  }
  std::string frame(rest.substr(0, scanner_.frame_size()));
  input_begin_ += frame.size();
  scanner_.Reset();
  if (input_begin_ == input_.size() || input_begin_ > kReadSize * 16) {
    input_.erase(0, input_begin_);
    input_begin_ = 0;
  }
  return frame;
}

Result<std::string> RespClient::ReadFrame() {
  const int64_t deadline = NowMillis() + timeout_ms_ * kSlownessFactor;
  while (true) {
    Result<std::string> frame = TakeFrame();
    if (frame.ok() || frame.status().code() != Code::kIncomplete) {
      return frame;
    }
    if (!connected()) {
      return Status::Unavailable("not connected");
    }
    if (Poll(POLLIN, deadline - NowMillis()) == 0) {
      return Failed(Status::Timeout("no reply"));
    }
    if (!ReadSome()) {
      return Failed(Status::Unavailable("the server closed the connection"));
    }
  }
}

Result<std::string> RespClient::Exchange(std::span<const std::string_view> args) {
  std::string bytes;
  EncodeRequest(args, &bytes);
  KVS_RETURN_IF_ERROR(Send(bytes));
  return ReadFrame();
}

Result<Reply> RespClient::Do(std::span<const std::string_view> args) {
  KVS_ASSIGN_OR_RETURN(const std::string frame, Exchange(args));
  return ParseReply(frame);
}

Result<Reply> RespClient::Do(std::initializer_list<std::string_view> args) {
  return Do(std::span<const std::string_view>(args.begin(), args.size()));
}

Result<Reply> RespClient::Do(const std::vector<std::string>& args) {
  return Do(std::span<const std::string_view>(Views(args)));
}

std::string RespClient::Ask(std::initializer_list<std::string_view> args) {
  return AsText(Do(args));
}

std::string RespClient::Ask(const std::vector<std::string>& args) {
  return AsText(Do(args));
}

Status RespClient::SendPiece(std::string_view* rest, const std::function<size_t()>& next_size) {
  const size_t size =
      std::min(next_size ? std::max<size_t>(next_size(), 1) : kReadSize, rest->size());
  const ssize_t n = ::send(fd_.get(), rest->data(), size, MSG_NOSIGNAL);
  if (n > 0) {
    rest->remove_prefix(static_cast<size_t>(n));
  } else if (errno != EAGAIN && errno != EINTR) {
    return Failed(Status::Unavailable("the server closed the connection"));
  }
  return Status::Ok();
}

Result<std::vector<std::string>> RespClient::Pipeline(std::string_view bytes, size_t reply_count,
                                                      const std::function<size_t()>& next_size) {
  std::vector<std::string> replies;
  while (replies.size() < reply_count) {
    if (!connected()) {
      return Status::Unavailable("not connected");
    }
    const short wanted = static_cast<short>(POLLIN | (bytes.empty() ? 0 : POLLOUT));
    const short ready = Poll(wanted, timeout_ms_ * kSlownessFactor);
    if (ready == 0) {
      return Failed(Status::Timeout("the pipeline has stopped after " +
                                    std::to_string(replies.size()) + " replies"));
    }
    if ((ready & POLLOUT) != 0 && !bytes.empty()) {
      KVS_RETURN_IF_ERROR(SendPiece(&bytes, next_size));
    }
    if ((ready & (POLLIN | POLLHUP | POLLERR)) != 0 && !ReadSome()) {
      return Failed(Status::Unavailable("the server closed the connection after " +
                                        std::to_string(replies.size()) + " replies"));
    }
    Result<std::string> frame = TakeFrame();
    for (; frame.ok(); frame = TakeFrame()) {
      replies.push_back(*std::move(frame));
    }
    if (frame.status().code() != Code::kIncomplete) {
      return std::move(frame).status();
    }
  }
  return replies;
}

std::string RespClient::ReadUntilQuiet(int64_t quiet_ms, bool* closed) {
  *closed = false;
  while (connected() && Poll(POLLIN, quiet_ms) != 0) {
    if (!ReadSome()) {
      *closed = true;
      fd_.reset();
    }
  }
  std::string bytes = input_.substr(input_begin_);
  input_.clear();
  input_begin_ = 0;
  return bytes;
}

std::string RespClient::ReadBytes(size_t size) {
  const int64_t deadline = NowMillis() + timeout_ms_ * kSlownessFactor;
  while (input_.size() - input_begin_ < size && connected()) {
    if (Poll(POLLIN, deadline - NowMillis()) == 0) {
      break;
    }
    if (!ReadSome()) {
      fd_.reset();
    }
  }
  std::string bytes = input_.substr(input_begin_, size);
  input_begin_ += bytes.size();
  return bytes;
}

int64_t InfoNumber(RespClient* client, std::string_view field) {
  int64_t value = -1;
  const Result<Reply> info = client->Do({"info", "everything"});
  if (!info.ok()) {
    return value;
  }
  for (std::string_view line : Split(info->text, '\n')) {
    if (line.starts_with(field) && line.substr(field.size()).starts_with(":")) {
      line.remove_prefix(field.size() + 1);
      ParseInt64(line.substr(0, line.find('\r')), &value);
    }
  }
  return value;
}

}  // namespace kvs
