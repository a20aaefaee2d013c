#include "proxy/session/proxy_session.h"

#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

constexpr size_t kReadBudget = 256 * 1024;

}  // namespace

ProxySession::ProxySession(SessionHost* host, UniqueFd fd, std::shared_ptr<ClientInfo> info)
    : host_(host), fd_(std::move(fd)) {
  client_.info = std::move(info);
}

ProxySession::~ProxySession() {
  Close();
}

Status ProxySession::Start() {
  RequestLimits limits = host_->limits().request;
  limits.authenticated = client_.authenticated;
  parser_.set_limits(limits);
  table_ = host_->router()->table();
  last_active_ms_ = host_->loop()->now_ms();
  KVS_ASSIGN_OR_RETURN(watch_, host_->loop()->Watch(fd_.get(), this, kReadable));
  return Status::Ok();
}

void ProxySession::Close() {
  if (std::exchange(closed_, true)) {
    return;
  }
  if (watch_ != nullptr) {
    host_->loop()->Unwatch(watch_);
    watch_ = nullptr;
  }
  fd_.reset();
  for (Exchange* exchange : std::exchange(in_flight_, {})) {
    if (exchange->done()) {
      host_->exchanges()->Written(exchange);
    } else {
      exchange->Orphan();
    }
  }
  host_->OnClosed(this);
}

void ProxySession::OnReady(bool readable, bool writable) {
  if (writable) {
    blocked_ = false;
    host_->MarkDirty(this);
  }
  if (!readable) {
    return;
  }
  if (!HasRoom() || eof_) {
    // Not interested in more, yet the socket reports something: perhaps a peer that is gone.
    if (PeerIsGone(fd_.get())) {
      Close();
    }
    return;
  }
  const size_t before = input_.size();
  const size_t hint = before > 0 ? parser_.size_hint() : 0;
  if (input_.ReadFrom(fd_.get(), kReadBudget, hint) == IoResult::kClosed) {
    // A client may close its side and still read: it gets the replies that are due.
    eof_ = true;
    closing_ = !starved_;
    return closing_ && idle() ? Close() : UpdateInterest();
  }
  host_->counters()->input_bytes += input_.size() - before;
  NoteActivity();
  ProcessInput();
}

void ProxySession::NoteActivity() {
  last_active_ms_ = host_->loop()->now_ms();
  client_.info->last_active_ms.store(last_active_ms_, std::memory_order_relaxed);
}

// A change of the map takes effect for a session when nothing of it is in flight, so that its
// commands on one key never travel to two nodes at the same time.
bool ProxySession::HasRoom() const {
  return !closing_ && !closed_ && !paused_ && in_flight_.size() < host_->limits().max_pipeline &&
         output_.size() + waiting_bytes_ < host_->limits().max_output &&
         (in_flight_.empty() || table_ == host_->router()->table());
}

void ProxySession::ProcessInput() {
  while (HasRoom() && input_.size() > 0) {
    if (in_flight_.empty() && table_ != host_->router()->table()) {
      table_ = host_->router()->table();
    }
    const RequestParser::Outcome outcome = parser_.Parse(input_.unread());
    if (outcome == RequestParser::Outcome::kNeedMore) {
      break;
    }
    if (outcome == RequestParser::Outcome::kError) {
      OnProtocolError();
      break;
    }
    const size_t size = parser_.frame_size();
    if (outcome == RequestParser::Outcome::kRequest) {
      const bool is_inline = parser_.is_inline();
      if (!Execute(parser_.args(),
                   is_inline ? std::string_view() : input_.unread().substr(0, size))) {
        parser_.Reset();  // Parsed again when it may run.
        paused_ = true;
        host_->ResumeAfterPause(this);
        break;
      }
    }
    input_.Consume(size);
    parser_.Reset();
    closing_ |= client_.close_after_reply;
  }
  if (!closed_) {
    starved_ = input_.size() > 0 && !closing_ && !HasRoom();
    closing_ |= eof_ && !starved_;
    input_.ReleaseIfEmpty();
    host_->MarkDirty(this);
  }
}

bool ProxySession::Execute(CommandArgs args, std::string_view frame) {
  ServiceContext* service = host_->service();
  bool known = true;
  if (!service->renames->empty()) {
    known = service->renames->Translate(&args, &renamed_);
    frame = {};  // Nodes know the names of Redis: encoded again.
  }
  const CommandSpec* spec = known ? ResolveCommand(args) : nullptr;
  const bool may_run = spec != nullptr && MayRun(*spec, client_);
  if (may_run &&
      service->pause->Holds(*spec, [service] { return service->clock->MonotonicMillis(); })) {
    return false;
  }
  ++host_->counters()->requests;
  muted_ = TakeMute(&client_);
  if (spec == nullptr) {
    RefuseUnknown(args, known ? CommandError(args) : UnknownNameError(args));
    return true;
  }
  if (!may_run) {
    ReplyError(kNoAuthError);
    return true;
  }
  if (NeedsCluster(*spec, *service)) {
    ReplyError(kClusterDisabledError);
    return true;
  }
  client_.info->last_command.store(static_cast<int>(IdOf(*spec)), std::memory_order_relaxed);
  if (spec->route == Route::kProxy) {
    AnswerHere(*spec, args);
  } else {
    Forward(*spec, args, frame);
  }
  service->monitors->OnCommand(*spec, args, *client_.info, service->clock);
  return true;
}

void ProxySession::Resume() {
  paused_ = false;
  host_->MarkDirty(this);
}

bool ProxySession::at_boundary() const {
  return idle() && input_.size() == 0 && !HasInput(fd_.get());
}

void ProxySession::Push(std::string_view text) {
  muted_ = false;
  Reply(text);
  host_->MarkDirty(this);
}

void ProxySession::RefuseUnknown(CommandArgs args, std::string_view error) {
  if (EqualsIgnoreCase(args[0], "post") || EqualsIgnoreCase(args[0], "host:")) {
    // A browser was made to talk to us; what follows would be somebody else's commands.
    KVS_LOG(kWarning, "closed a connection that speaks HTTP from {}", client_.info->address);
    closing_ = true;
    return;
  }
  ReplyError(client_.authenticated ? error : kNoAuthError);
}

void ProxySession::Forward(const CommandSpec& spec, CommandArgs args, std::string_view frame) {
  Exchange* exchange =
      host_->exchanges()->New(this, &spec, client_.protocol, host_->loop()->now_micros());
  if (muted_) {
    exchange->Mute();
  }
  if (host_->service()->diagnostics->slow_log.enabled()) {
    exchange->sample()->Take(spec, args);
  }
  in_flight_.push_back(exchange);
  host_->router()->Start(exchange, args, frame, frame.empty() ? nullptr : &input_,
                         client_.knows_topology ? Router::Scope::kShare : Router::Scope::kAll);
}

void ProxySession::AnswerHere(const CommandSpec& spec, CommandArgs args) {
  ServiceContext* service = host_->service();
  const int64_t start = service->clock->MonotonicMicros();
  scratch_.clear();
  const bool failed = AnswerConnectionCommand(spec, args, service, &client_, &scratch_, &muted_);
  const int64_t micros = service->clock->MonotonicMicros() - start;
  parser_.set_authenticated(client_.authenticated);
  host_->counters()->error_replies += failed ? 1 : 0;
  host_->CountCommand(spec, micros, failed);
  service->diagnostics->OnCommand(spec, args, {.engine = micros}, *client_.info, service->clock);
  Reply(scratch_);
  host_->UpdateMonitor(this);
}

// A reply of our own waits its turn behind the replies that are due before it.
void ProxySession::Reply(std::string_view text) {
  if (muted_) {
    return;
  }
  if (in_flight_.empty()) {
    output_.Append(text);
    return;
  }
  Exchange* exchange = host_->exchanges()->New(this, &GetCommand(CommandId::kPing),
                                               client_.protocol, host_->loop()->now_micros());
  in_flight_.push_back(exchange);
  exchange->Answer(std::string(text));
}

void ProxySession::ReplyError(std::string_view text) {
  ++host_->counters()->error_replies;
  std::string reply;
  RespWriter(client_.protocol, &reply).Error(text);
  Reply(reply);
}

void ProxySession::OnProtocolError() {
  ++host_->counters()->protocol_errors;
  muted_ = TakeMute(&client_);
  ReplyError("ERR " + parser_.error());
  closing_ = true;
}

OutputQueue* ProxySession::DirectOutput(const Exchange* exchange) {
  const bool next = !in_flight_.empty() && in_flight_.front() == exchange;
  return next && !exchange->muted() ? &output_ : nullptr;
}

void ProxySession::OnDone(Exchange* exchange, bool written) {
  if (exchange->spec()->route != Route::kProxy) {
    const int64_t micros = host_->loop()->now_micros() - exchange->started_micros();
    host_->CountCommand(*exchange->spec(), micros, exchange->failed());
    host_->service()->diagnostics->OnCommand(*exchange->sample(), {.node = micros}, *client_.info,
                                             host_->service()->clock);
    host_->counters()->error_replies += exchange->failed() ? 1 : 0;
  }
  if (written) {
    in_flight_.pop_front();
    host_->exchanges()->Written(exchange);
    WriteFinished();
  } else {
    waiting_bytes_ += exchange->held_bytes();
  }
  host_->MarkDirty(this);
}

void ProxySession::WriteFinished() {
  while (!in_flight_.empty() && in_flight_.front()->done()) {
    Exchange* exchange = in_flight_.front();
    in_flight_.pop_front();
    waiting_bytes_ -= exchange->held_bytes();
    if (!exchange->muted()) {
      exchange->WriteTo(&output_);
    }
    host_->exchanges()->Written(exchange);
  }
}

void ProxySession::OnTurnEnd() {
  if (closed_) {
    return;
  }
  WriteFinished();
  Flush();
  if (!closed_ && starved_ && HasRoom()) {
    ProcessInput();
  }
  if (!closed_) {
    UpdateInterest();
  }
}

void ProxySession::Flush() {
  if (!blocked_ && !output_.empty()) {
    const size_t before = output_.size();
    const IoResult result = output_.WriteTo(fd_.get());
    if (output_.size() < before) {
      host_->counters()->output_bytes += before - output_.size();
      NoteActivity();  // Whoever takes a large reply bit by bit is not idle.
    }
    if (result == IoResult::kClosed) {
      return Close();
    }
    blocked_ = result == IoResult::kWouldBlock;
  }
  client_.info->output_bytes.store(output_.size() + waiting_bytes_, std::memory_order_relaxed);
  if (closing_ && idle()) {
    Close();
  }
}

void ProxySession::UpdateInterest() {
  host_->loop()->SetInterest(watch_, static_cast<uint8_t>((HasRoom() && !eof_ ? kReadable : 0) |
                                                          (blocked_ ? kWritable : 0)));
}

}  // namespace kvs
