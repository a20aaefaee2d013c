#include "config_server/app/control_session.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/build_info.h"
#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/net/socket.h"
#include "common/resp/error_text.h"
#include "common/resp/resp_writer.h"
#include "config_server/app/config_metrics.h"
#include "config_server/app/control_server.h"

namespace kvs {
namespace {

constexpr size_t kReadBudget = 64 * 1024;

RequestLimits Limits(bool authenticated) {
  RequestLimits limits;
  limits.max_bulk_bytes = kMaxControlRequestBytes;
  limits.max_inline_bytes = kMaxControlRequestBytes;
  limits.max_args = 16;
  limits.max_request_bytes = 2 * kMaxControlRequestBytes;
  limits.authenticated = authenticated;
  return limits;
}

}  // namespace

ControlSession::ControlSession(ControlServer* server, LinkId link, UniqueFd fd)
    : server_(server),
      loop_(server->loop_),
      link_(link),
      fd_(std::move(fd)),
      peer_(PeerName(fd_.get())),
      parser_(Limits(/*authenticated=*/false)),
      connected_ms_(loop_->now_ms()),
      last_seen_ms_(connected_ms_),
      window_ms_(connected_ms_) {}

ControlSession::~ControlSession() {
  KVS_CHECK(watch_ == nullptr);
}

Status ControlSession::Start() {
  KVS_ASSIGN_OR_RETURN(watch_, loop_->Watch(fd_.get(), this, kReadable));
  return Status::Ok();
}

void ControlSession::Close() {
  if (std::exchange(closed_, true)) {
    return;
  }
  if (watch_ != nullptr) {
    loop_->Unwatch(std::exchange(watch_, nullptr));
  }
  fd_.reset();
  server_->OnSessionClosed(link_);
}

void ControlSession::Refuse(std::string_view reason) {
  if (!closed_) {
    KVS_LOG(kWarning, "control link of {} is closed: {}", peer_, reason);
    server_->metrics_->Increment(kConfig_control_refused_total);
    Close();
  }
}

bool ControlSession::IsLate(int64_t now_ms) const {
  switch (state_) {
    case State::kRegistering:
      return false;  // It waits for us.
    case State::kRegistered:
      return now_ms - last_seen_ms_ >= server_->options_.silence_ms;
    default:
      return now_ms - connected_ms_ >= server_->options_.greeting_ms;
  }
}

void ControlSession::OnReady(bool readable, bool writable) {
  loop_->AssertInLoop();
  if (writable) {
    Flush();
  }
  if (!readable || closed_) {
    return;
  }
  if (state_ == State::kRegistering) {
    return Close();  // Nothing is read now, so this is a hang-up.
  }
  const size_t hint = input_.size() > 0 ? parser_.size_hint() : 0;
  if (input_.ReadFrom(fd_.get(), kReadBudget, hint) == IoResult::kClosed) {
    return Close();
  }
  ProcessInput();
}

void ControlSession::ProcessInput() {
  while (!closed_ && input_.size() > 0 && state_ != State::kRegistering) {
    if (state_ == State::kClosing) {
      return input_.Consume(input_.size());
    }
    switch (parser_.Parse(input_.unread())) {
      case RequestParser::Outcome::kNeedMore:
        return;
      case RequestParser::Outcome::kError:
        return FailAndClose("ERR " + parser_.error());
      case RequestParser::Outcome::kRequest:
        if (!MayAsk()) {
          return FailAndClose("ERR too many requests");
        }
        last_seen_ms_ = loop_->now_ms();
        Execute(parser_.args());
        break;
      case RequestParser::Outcome::kEmpty:
        break;
    }
    if (!closed_) {
      input_.Consume(parser_.frame_size());
      parser_.Reset();
    }
  }
  input_.ReleaseIfEmpty();
}

// A heartbeat a second is all that an honest process sends.
bool ControlSession::MayAsk() {
  if (loop_->now_ms() - window_ms_ >= 1000) {
    window_ms_ = loop_->now_ms();
    window_requests_ = 0;
  }
  return ++window_requests_ <= kMaxControlRequestsPerSecond;
}

void ControlSession::Execute(Args args) {
  if (EqualsIgnoreCase(args[0], "HELLO")) {
    return Greet(args);
  }
  if (state_ == State::kStranger) {
    return Fail("NOAUTH Authentication required.");
  }
  if (EqualsIgnoreCase(args[0], "CONTROL")) {
    return Control(args);
  }
  Fail("ERR unknown command; nodes and proxies use HELLO and CONTROL here");
}

// HELLO 3 AUTH cluster <secret>
void ControlSession::Greet(Args args) {
  if (args.size() > 1 && args[1] != "3") {
    return Fail("NOPROTO unsupported protocol version");
  }
  if (args.size() != 5 || !EqualsIgnoreCase(args[2], "AUTH")) {
    return state_ == State::kStranger
               ? Fail(
                     "NOAUTH HELLO must be called with the cluster's secret: HELLO 3 AUTH cluster "
                     "<secret>")
               : Fail("ERR wrong arguments of HELLO");
  }
  if (args[3] != kControlUser || !EqualsConstantTime(args[4], server_->options_.secret)) {
    return FailAndClose("WRONGPASS wrong secret; compare the files of option cluster-secret-file");
  }
  if (state_ == State::kStranger) {
    state_ = State::kGreeted;
    parser_.set_limits(Limits(/*authenticated=*/true));
  }
  std::string reply;
  RespWriter writer(3, &reply);
  writer.Map(3);
  writer.Bulk("server");
  writer.Bulk("kv_config");
  writer.Bulk("version");
  writer.Bulk(kBuildVersion);
  writer.Bulk("proto");
  writer.Integer(3);
  Send(reply);
}

void ControlSession::Control(Args args) {
  if (args.size() == 3 && EqualsIgnoreCase(args[1], "REGISTER")) {
    return Register(args[2]);
  }
  if (args.size() == 3 && EqualsIgnoreCase(args[1], "HEARTBEAT")) {
    return Beat(args[2]);
  }
  Fail("ERR CONTROL knows REGISTER <json> and HEARTBEAT <json>");
}

void ControlSession::Register(std::string_view payload) {
  if (state_ != State::kGreeted) {
    return Fail("ERR this link is registered already");
  }
  const Result<Json> json = Json::Parse(payload);
  if (!json.ok()) {
    return Fail(ErrorText(json.status()));
  }
  const Result<Registration> registration = Registration::FromJson(*json);
  if (!registration.ok()) {
    return Fail(ErrorText(registration.status()));
  }
  state_ = State::kRegistering;
  server_->metrics_->Increment(kConfig_registrations_total);
  // The answer may come at once, or turns later.
  server_->host_->OnRegister(link_, *registration);
  if (!closed_) {
    UpdateInterest();
  }
}

void ControlSession::FinishRegistration(const Result<RegistrationReply>& reply) {
  KVS_CHECK(state_ == State::kRegistering);
  if (!reply.ok()) {
    return FailAndClose(ErrorText(reply.status()));
  }
  state_ = State::kRegistered;
  last_seen_ms_ = loop_->now_ms();
  Reply(reply->ToJson());
  // What was sent meanwhile; in a turn of its own, because the host may be in the middle of things.
  loop_->PostAlways([server = server_, alive = std::weak_ptr(server_->alive_), link = link_] {
    if (ControlSession* const session = alive.expired() ? nullptr : server->Find(link);
        session != nullptr) {
      session->ProcessInput();
    }
  });
}

void ControlSession::Beat(std::string_view payload) {
  if (state_ != State::kRegistered) {
    return Fail("ERR CONTROL REGISTER comes first");
  }
  const Result<Json> json = Json::Parse(payload);
  if (!json.ok()) {
    return Fail(ErrorText(json.status()));
  }
  Result<Heartbeat> heartbeat = Heartbeat::FromJson(*json);
  if (!heartbeat.ok()) {
    return Fail(ErrorText(heartbeat.status()));
  }
  server_->metrics_->Increment(kConfig_heartbeats_total);
  const uint64_t epoch = server_->host_->OnHeartbeat(link_, *std::move(heartbeat));
  Reply(Json::MakeObject({{"epoch", epoch}}));
}

void ControlSession::Reply(const Json& json) {
  std::string reply;
  RespWriter(3, &reply).Bulk(json.ToString());
  Send(reply);
}

void ControlSession::Fail(std::string_view error) {
  std::string reply;
  RespWriter(3, &reply).Error(error);
  Send(reply);
}

void ControlSession::FailAndClose(std::string_view error) {
  KVS_LOG(kWarning, "control link of {} is refused: {}", peer_, error);
  server_->metrics_->Increment(kConfig_control_refused_total);
  state_ = State::kClosing;
  Fail(error);
}

void ControlSession::Send(std::string_view bytes) {
  if (closed_) {
    return;
  }
  output_.Append(bytes);
  if (output_.size() > kMaxControlOutput) {
    return Refuse("it does not read what it is sent");
  }
  Flush();
}

void ControlSession::Flush() {
  const IoResult result = output_.WriteTo(fd_.get());
  if (result == IoResult::kClosed || (output_.empty() && state_ == State::kClosing)) {
    return Close();
  }
  UpdateInterest();
}

void ControlSession::UpdateInterest() {
  const uint8_t read = state_ == State::kRegistering ? kNoInterest : kReadable;
  const uint8_t write = output_.empty() ? kNoInterest : kWritable;
  loop_->SetInterest(watch_, static_cast<uint8_t>(read | write));
}

}  // namespace kvs
