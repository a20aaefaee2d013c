#include "common/control/control_client.h"

#include <algorithm>
#include <utility>

#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/net/socket.h"
#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

constexpr size_t kReadBudget = 1 << 20;

}  // namespace

ControlClient::ControlClient(EventLoop* loop, ControlClientOptions options)
    : loop_(loop),
      options_(std::move(options)),
      random_(Random::FromKernel()),
      scanner_(limits_),
      resolver_(loop, options_.lookup) {
  KVS_CHECK(!options_.servers.empty() && options_.on_map != nullptr);
  status_.namespace_name = options_.known_namespace;
  status_.epoch = options_.known_epoch;
}

ControlClient::~ControlClient() {
  Stop();
}

void ControlClient::Start() {
  loop_->AssertInLoop();
  KVS_CHECK(state_ == State::kStopped);
  status_.since_ms = loop_->now_ms();
  pause_ms_ = options_.min_pause_ms;
  Attempt();
}

void ControlClient::Stop() {
  loop_->AssertInLoop();
  CloseLink();
  loop_->Cancel(std::exchange(pause_, kNoTimer));
  state_ = State::kStopped;
}

void ControlClient::Attempt() {
  const NodeAddress& server = options_.servers[next_server_];
  status_.server = FormatAddress(server);
  ++status_.attempts;
  state_ = State::kResolving;
  if (IsNumericHost(server.host)) {
    return OnAddresses(std::vector<std::string>{server.host});
  }
  resolver_.Resolve(server.host, [this, attempt = status_.attempts](const auto& addresses) {
    if (state_ == State::kResolving && attempt == status_.attempts) {
      OnAddresses(addresses);
    }
  });
}

void ControlClient::OnAddresses(const Result<std::vector<std::string>>& addresses) {
  if (!addresses.ok()) {
    return Fail(addresses.status());
  }
  addresses_.assign(addresses->rbegin(), addresses->rend());
  Connect();
}

void ControlClient::Connect() {
  state_ = State::kConnecting;
  const std::string host = addresses_.back();
  addresses_.pop_back();
  Result<UniqueFd> fd = StartConnect(host, options_.servers[next_server_].port);
  if (!fd.ok()) {
    return OnNoConnection(fd.status());
  }
  fd_ = *std::move(fd);
  Result<IoWatch*> watch = loop_->Watch(fd_.get(), this, kWritable);
  if (!watch.ok()) {
    return Fail(watch.status());
  }
  watch_ = *watch;
  deadline_ = loop_->After(options_.deadline_ms, [this] {
    deadline_ = kNoTimer;
    OnNoConnection(Status::Timeout("no connection in time"));
  });
}

void ControlClient::OnNoConnection(const Status& status) {
  if (addresses_.empty()) {
    return Fail(status);
  }
  CloseLink();
  Connect();
}

void ControlClient::OnConnected() {
  const Status status = ConnectError(fd_.get());
  if (!status.ok()) {
    return OnNoConnection(status);
  }
  addresses_.clear();
  SetKeepAlive(fd_.get(), static_cast<int>(options_.deadline_ms / 1000) + 1);
  state_ = State::kGreeting;
  Send({"HELLO", "3", "AUTH", kControlUser, options_.secret});
}

void ControlClient::SendRegistration() {
  Registration registration;
  registration.kind = options_.kind;
  registration.id = options_.id;
  registration.address = options_.address;
  registration.namespace_name = options_.namespace_name;
  registration.version = options_.version;
  registration.map_namespace = status_.epoch > 0 ? status_.namespace_name : "";
  registration.epoch = status_.epoch;
  state_ = State::kRegistering;
  Send({"CONTROL", "REGISTER", registration.ToJson().ToString()});
}

void ControlClient::SendHeartbeat() {
  if (awaiting_reply_) {
    return;  // The deadline of the last one decides.
  }
  Heartbeat heartbeat;
  heartbeat.epoch = status_.epoch;
  if (options_.stats != nullptr) {
    heartbeat.stats = options_.stats();
  }
  Send({"CONTROL", "HEARTBEAT", heartbeat.ToJson().ToString()});
}

// One request is under way at a time; its reply is due before the deadline.
void ControlClient::Send(std::initializer_list<std::string_view> request) {
  KVS_CHECK(!awaiting_reply_);
  std::string bytes;
  EncodeRequest(request, &bytes);
  output_.Append(bytes);
  awaiting_reply_ = true;
  loop_->Cancel(deadline_);
  deadline_ = loop_->After(options_.deadline_ms, [this] {
    deadline_ = kNoTimer;
    Fail(Status::Timeout("no reply in time"));
  });
  Flush();
}

void ControlClient::Flush() {
  if (output_.WriteTo(fd_.get()) == IoResult::kClosed) {
    return Fail(Status::IoError("the connection broke"));
  }
  const int interest = kReadable | (output_.empty() ? kNoInterest : kWritable);
  loop_->SetInterest(watch_, static_cast<uint8_t>(interest));
}

void ControlClient::OnReady(bool readable, bool writable) {
  loop_->AssertInLoop();
  if (state_ == State::kConnecting) {
    return OnConnected();
  }
  if (writable) {
    Flush();
  }
  if (!readable || watch_ == nullptr) {
    return;
  }
  const size_t hint = input_.size() > 0 ? scanner_.size_hint() : 0;
  const IoResult result = input_.ReadFrom(fd_.get(), kReadBudget, hint);
  ProcessInput();
  if (result == IoResult::kClosed && watch_ != nullptr) {
    Fail(Status::IoError("the server closed the connection"));
  }
}

void ControlClient::ProcessInput() {
  while (watch_ != nullptr && input_.size() > 0) {
    const ReplyScanner::Outcome outcome = scanner_.Scan(input_.unread());
    if (outcome == ReplyScanner::Outcome::kNeedMore) {
      return;
    }
    if (outcome == ReplyScanner::Outcome::kError) {
      return Fail(Status::InvalidArgument(scanner_.error()).WithContext("not a reply"));
    }
    const Result<Reply> reply = ParseReply(input_.unread().substr(0, scanner_.frame_size()));
    input_.Consume(scanner_.frame_size());
    scanner_.Reset();
    if (!reply.ok()) {
      return Fail(reply.status());
    }
    if (reply->type == Reply::Type::kPush) {
      OnPush(*reply);
      continue;
    }
    const Status status = OnReply(*reply);
    if (!status.ok()) {
      return Fail(status);
    }
  }
  input_.ReleaseIfEmpty();
}

Status ControlClient::OnReply(const Reply& reply) {
  if (!std::exchange(awaiting_reply_, false)) {
    return Status::InvalidArgument("a reply to nothing");
  }
  loop_->Cancel(std::exchange(deadline_, kNoTimer));
  if (reply.is_error()) {
    return Status::Unavailable("the server refused: " + reply.text);
  }
  if (state_ == State::kGreeting) {
    SendRegistration();
  } else if (state_ == State::kRegistering) {
    return OnRegistered(reply);
  }
  return Status::Ok();
}

Status ControlClient::OnRegistered(const Reply& reply) {
  KVS_ASSIGN_OR_RETURN(const Json json, Json::Parse(reply.text));
  KVS_ASSIGN_OR_RETURN(const RegistrationReply answer, RegistrationReply::FromJson(json));
  state_ = State::kRegistered;
  pause_ms_ = options_.min_pause_ms;
  SetConnected(true);
  KVS_LOG(kInfo, "registered at config server {}: namespace '{}', epoch {}", status_.server,
          answer.namespace_name, answer.epoch);
  heartbeat_ = loop_->Every(kHeartbeatMillis, [this] { SendHeartbeat(); });
  return Status::Ok();
}

// A push that we cannot use must not cut the link: the same one would come after each registration.
void ControlClient::OnPush(const Reply& reply) {
  Result<ControlPush> push = ParseControlPush(reply);
  if (!push.ok()) {
    status_.last_error = push.status().message();
    KVS_LOG(kError, "config server {} pushed what cannot be used, the map before stays: {}",
            status_.server, push.status().message());
    return;
  }
  if (push->kind == ControlPush::Kind::kMap) {
    OnMap(std::move(push->map));
  } else if (push->kind == ControlPush::Kind::kProxies) {
    if (options_.on_proxies != nullptr && push->namespace_name == status_.namespace_name) {
      options_.on_proxies(push->proxies);
    }
  } else if (push->kind == ControlPush::Kind::kFree &&
             push->namespace_name == status_.namespace_name) {
    KVS_LOG(kWarning, "namespace '{}' needs this process no more", push->namespace_name);
    // Its epoch is kept: no older map of that namespace may ever come into force again.
    if (options_.on_free != nullptr) {
      options_.on_free(push->namespace_name);
    }
  }
}

void ControlClient::OnMap(SlotMapPtr map) {
  if (!options_.namespace_name.empty() && map->name() != options_.namespace_name) {
    KVS_LOG(kError, "config server {} pushed the map of '{}', but this process is for '{}' only",
            status_.server, map->name(), options_.namespace_name);
    return;
  }
  if (map->name() == status_.namespace_name && map->epoch() <= status_.epoch) {
    return;
  }
  status_.namespace_name = map->name();
  status_.epoch = map->epoch();
  options_.on_map(std::move(map));
}

void ControlClient::Fail(const Status& status) {
  CloseLink();
  if (status_.last_error != status.message() || state_ == State::kRegistered) {
    KVS_LOG(kWarning, "no link to config server {}: {}", status_.server, status.message());
  }
  status_.last_error = status.message();
  state_ = State::kPausing;
  next_server_ = (next_server_ + 1) % options_.servers.size();
  const auto half = static_cast<uint64_t>(pause_ms_ / 2);
  const int64_t jittered = pause_ms_ - static_cast<int64_t>(random_.Uniform(half + 1));
  pause_ms_ = std::min(pause_ms_ * 2, options_.max_pause_ms);
  pause_ = loop_->After(jittered, [this] {
    pause_ = kNoTimer;
    Attempt();
  });
}

void ControlClient::CloseLink() {
  if (watch_ != nullptr) {
    loop_->Unwatch(std::exchange(watch_, nullptr));
  }
  fd_.reset();
  loop_->Cancel(std::exchange(deadline_, kNoTimer));
  loop_->Cancel(std::exchange(heartbeat_, kNoTimer));
  input_.Consume(input_.size());
  input_.ReleaseIfEmpty();
  output_.Clear();
  scanner_.Reset();
  awaiting_reply_ = false;
  SetConnected(false);
}

void ControlClient::SetConnected(bool connected) {
  if (std::exchange(status_.connected, connected) != connected) {
    status_.since_ms = loop_->now_ms();
  }
}

}  // namespace kvs
