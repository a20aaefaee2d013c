#include "storage_node/server/node_session.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/net/socket.h"
#include "storage_node/server/io_worker.h"

namespace kvs {
namespace {

// Bytes read from one client in one turn: enough for a deep pipeline, little enough for the others.
constexpr size_t kReadBudget = 256 * 1024;
// An output string that grew larger than this is given back when it is sent.
constexpr size_t kKeptOutput = 64 * 1024;
// Nobody waits longer: 30 years.
constexpr int64_t kMaxWaitMs = 946'080'000'000;

}  // namespace

NodeSession::NodeSession(IoWorker* worker, UniqueFd fd, std::shared_ptr<ClientInfo> info)
    : worker_(worker), fd_(std::move(fd)) {
  client_.info = std::move(info);
}

NodeSession::~NodeSession() {
  Close();
}

Status NodeSession::Start() {
  parser_.set_limits(worker_->Limits(client_.authenticated));
  last_active_ms_ = worker_->loop()->now_ms();
  KVS_ASSIGN_OR_RETURN(watch_, worker_->loop()->Watch(fd_.get(), this, kReadable));
  return Status::Ok();
}

void NodeSession::Close() {
  if (closed_) {
    return;
  }
  closed_ = true;
  transaction_.reset();
  worker_->EndSubscriptions(this);
  EndTracking(&client_, worker_->tracking());
  worker_->loop()->Cancel(std::exchange(wait_timer_, kNoTimer));
  if (watch_ != nullptr) {
    worker_->loop()->Unwatch(watch_);
    watch_ = nullptr;
  }
  fd_.reset();
  worker_->OnClosed(this);
}

void NodeSession::OnReady(bool readable, bool writable) {
  if (writable) {
    Flush();
  }
  if (!readable || closed_) {
    return;
  }
  if (blocked()) {
    return ReadAhead();
  }
  const size_t before = input_.size();
  const size_t hint = before > 0 ? parser_.size_hint() : 0;
  if (HasRoom() && !eof_) {
    if (input_.ReadFrom(fd_.get(), kReadBudget, hint) == IoResult::kClosed) {
      // A client may close its side and still read: it gets the replies that are due.
      eof_ = true;
      closing_ = !starved_ && !stalled_;
      return closing_ && output_.empty() ? Close() : UpdateInterest();
    }
  } else {
    // Not interested in more, yet the socket reports something: a peer that is gone.
    if (PeerIsGone(fd_.get())) {
      return Close();
    }
  }
  worker_->metrics()->Add(kNode_input_bytes_total, static_cast<int64_t>(input_.size() - before));
  ClientInfo::Bump(&client_.info->total_input, input_.size() - before);
  NoteActivity();
  ProcessInput();
}

// A client that has gone, or closed its side, waits no more: what it would get could be lost.  One
// that sends more than a request may have is closed, as in Redis.
void NodeSession::ReadAhead() {
  const size_t before = input_.size();
  if (input_.ReadFrom(fd_.get(), kReadBudget, 0) == IoResult::kClosed ||
      input_.size() > ToInt(worker_->options().client_query_buffer_limit)) {
    return Close();
  }
  worker_->metrics()->Add(kNode_input_bytes_total, static_cast<int64_t>(input_.size() - before));
  ClientInfo::Bump(&client_.info->total_input, input_.size() - before);
  NoteActivity();
}

void NodeSession::BeginWait(WaitTicket ticket, int64_t timeout_ms) {
  wait_ticket_ = ticket;
  client_.info->blocked.store(true, std::memory_order_relaxed);
  if (timeout_ms > 0) {
    wait_timer_ = worker_->loop()->After(std::min(timeout_ms, kMaxWaitMs), [this] {
      wait_timer_ = kNoTimer;
      worker_->OnWaitTimeout(wait_ticket_);
    });
  }
}

void NodeSession::EndWait(const Unblocked& unblocked) {
  worker_->loop()->Cancel(std::exchange(wait_timer_, kNoTimer));
  wait_ticket_ = 0;
  client_.info->blocked.store(false, std::memory_order_relaxed);
  // The reply is about a turn of its own: it must not share the fate of what came before it.
  worker_->SettleTurn(this);
  BeginReply();
  output_.append(unblocked.reply);
  EndReply();
  FinishTurn(unblocked.lsn, 0);
  worker_->NoteUnblocked(kCommands[client_.info->last_command.load(std::memory_order_relaxed)],
                         unblocked.micros, unblocked.failed);
  Resume();
}

void NodeSession::NoteActivity() {
  last_active_ms_ = worker_->loop()->now_ms();
  client_.info->last_active_ms.store(last_active_ms_, std::memory_order_relaxed);
}

void NodeSession::Resume() {
  stalled_ = false;
  resume_posted_ = false;
  ProcessInput();
}

// The only back-pressure there is: a session without room is not read, and TCP makes the client
// wait.
bool NodeSession::HasRoom() const {
  return !closing_ && !closed_ && !stalled_ && !blocked() &&
         output_.size() - sent_ < ToInt(worker_->options().client_output_soft_limit);
}

void NodeSession::ProcessInput() {
  while (HasRoom() && input_.size() > 0) {
    switch (parser_.Parse(input_.unread())) {
      case RequestParser::Outcome::kRequest: {
        worker_->EnterTurn(this);
        if (worker_->dispatcher()->Execute(this, parser_.args()) == Dispatcher::Outcome::kHeld) {
          parser_.Reset();  // Parsed again when it may run.
          stalled_ = true;
          held_since_ms_ = held_since_ms_ == 0 ? worker_->loop()->now_ms() : held_since_ms_;
          break;
        }  // One that waits for its keys is done with its request.
        held_since_ms_ = 0;
        input_.Consume(parser_.frame_size());
        parser_.Reset();
        parser_.set_authenticated(client_.authenticated);
        break;
      }
      case RequestParser::Outcome::kEmpty:
        input_.Consume(parser_.frame_size());
        parser_.Reset();
        break;
      case RequestParser::Outcome::kNeedMore:
        starved_ = false;
        closing_ |= eof_;
        UpdateInterest();
        return;
      case RequestParser::Outcome::kError:
        OnProtocolError();
        break;
    }
    closing_ |= client_.close_after_reply;
  }
  if (!closed_) {
    if (blocked() && eof_) {
      return Close();  // Nobody is there to wait.
    }
    starved_ = input_.size() > 0 && !closing_ && !stalled_ && !blocked() && !HasRoom();
    closing_ |= eof_ && !starved_ && !stalled_;
    input_.ReleaseIfEmpty();
    UpdateInterest();
  }
}

void NodeSession::OnProtocolError() {
  worker_->metrics()->Increment(kNode_protocol_errors_total);
  worker_->EnterTurn(this);
  BeginReply();
  RespWriter(client_.protocol, &output_).Error("ERR " + parser_.error());
  EndReply();
  closing_ = true;
}

void NodeSession::BeginReply() {
  reply_start_ = output_.size();
  reply_turn_start_ = turn_start_;
  muted_ = TakeMute(&client_);
}

// A commit inside the command may have replaced the replies before it by errors.
size_t NodeSession::reply_start() const {
  return turn_start_ == reply_turn_start_ ? reply_start_ : turn_start_;
}

void NodeSession::EndReply() {
  if (muted_) {
    output_.resize(reply_start());
  } else {
    ++turn_replies_;
  }
}

void NodeSession::AbandonReply() {
  output_.resize(reply_start());
  ReturnMute(muted_, &client_);
}

Subscriptions* NodeSession::OpenSubscriptions() {
  if (subscriptions_ == nullptr) {
    subscriptions_ = std::make_unique<Subscriptions>();
  }
  return subscriptions_.get();
}

void NodeSession::NoteSubscriptions() {
  const auto count = [this](ChannelKind kind) {
    return subscriptions_ == nullptr ? 0 : subscriptions_->names(kind).size();
  };
  ClientInfo& info = *client_.info;
  info.channels.store(count(ChannelKind::kChannel), std::memory_order_relaxed);
  info.patterns.store(count(ChannelKind::kPattern), std::memory_order_relaxed);
  info.shard_channels.store(count(ChannelKind::kShard), std::memory_order_relaxed);
  client_.subscribed = info.subscribed();
  if (!client_.subscribed) {
    subscriptions_.reset();
  }
}

void NodeSession::OnMessage(const Delivery& delivery) {
  KeepMessage(delivery.Text(client_.protocol));
}

void NodeSession::OnInvalidation(const InvalidationOrder& order) {
  std::string text;
  if (client_.protocol > 2) {
    AppendInvalidationPush(*order.invalidation, &text);
  } else if (order.redirected && client_.subscribed) {
    AppendInvalidationMessage(*order.invalidation, &text);
  }
  KeepMessage(text);
}

void NodeSession::KeepMessage(std::string_view text) {
  worker_->EnterTurn(this);
  if (unsent() + messages_.size() + text.size() > ToInt(worker_->options().pubsub_output_limit)) {
    overflown_ = true;
  } else {
    messages_ += text;
  }
}

// Whoever does not read loses the connection and not single messages.
void NodeSession::AppendMessages() {
  if (overflown_) {
    KVS_LOG(kWarning,
            "closed {}: it has subscribed or tracks keys, and does not read (pubsub-output-limit)",
            client_.info->address);
    return Close();
  }
  if (!messages_.empty()) {
    output_ += messages_;
    messages_.clear();
    turn_start_ = output_.size();
  }
}

Transaction* NodeSession::OpenTransaction(KeyWatches* watches) {
  if (transaction_ == nullptr) {
    transaction_ = std::make_unique<Transaction>(watches);
  }
  return transaction_.get();
}

void NodeSession::EndTransaction() {
  transaction_.reset();
  NoteTransaction();
}

void NodeSession::SpoilTransaction() {
  if (transaction_ != nullptr) {
    transaction_->Spoil();
  }
}

void NodeSession::NoteTransaction() {
  const int64_t queued = in_multi() ? static_cast<int64_t>(transaction_->queue().size()) : -1;
  client_.info->multi.store(queued, std::memory_order_relaxed);
  client_.info->multi_bytes.store(in_multi() ? transaction_->queue().bytes() : 0,
                                  std::memory_order_relaxed);
}

void NodeSession::NoteTimes(const CommandSpec& spec, CommandArgs args, const StageTimes& times,
                            bool waits) {
  Diagnostics* diagnostics = worker_->diagnostics();
  const int64_t id =
      diagnostics->OnCommand(spec, args, times, *client_.info, worker_->loop()->clock());
  if (waits && diagnostics->slow_log.enabled()) {
    slow_.OnCommand(spec, args, times, id);
  }
}

void NodeSession::AppendMonitored(std::string_view lines) {
  output_.append(lines);
  if (turn_replies_ == 0) {
    turn_start_ = output_.size();  // They depend on no commit.
  }
}

void NodeSession::FinishTurn(uint64_t lsn, int64_t commit_micros) {
  const uint64_t wanted = std::max(lsn, observed_lsn_);
  if (wanted > worker_->watermark() && output_.size() > turn_start_) {
    Gate gate = {.begin = output_offset_ + turn_start_,
                 .lsn = wanted,
                 .slow = nullptr,
                 .commit_micros = commit_micros,
                 .since_micros = 0};
    if (!slow_.empty()) {
      gate.slow = std::make_unique<SlowTurn>(std::exchange(slow_, {}));
      gate.since_micros = worker_->loop()->clock()->MonotonicMicros();
    }
    gates_.push_back(std::move(gate));
    worker_->OnParked(this);
  } else if (wanted > worker_->watermark() && !gates_.empty()) {
    gates_.back().lsn = std::max(gates_.back().lsn, wanted);
  }
  if (!slow_.empty()) {
    slow_.Settle(worker_->diagnostics(), *client_.info, worker_->loop()->clock(), commit_micros, 0);
  }
  turn_start_ = output_.size();
  turn_replies_ = 0;
  depends_on_turn_ = false;
  observed_lsn_ = 0;
}

void NodeSession::FailTurn(const Status& status) {
  output_.resize(turn_start_);
  RespWriter reply(client_.protocol, &output_);
  for (size_t i = 0; i < turn_replies_; ++i) {
    reply.Error(status);
    worker_->metrics()->CountError(status.code());
  }
}

// Returns where in output_ the first closed gate stands; what is before it may leave.  Replies of
// the turn that runs are not among it: their record is not in the log yet.
size_t NodeSession::SendableEnd() {
  const uint64_t watermark = worker_->watermark();
  while (!gates_.empty() && gates_.front().lsn <= watermark) {
    OpenGate(gates_.front());
    gates_.pop_front();
  }
  return gates_.empty() ? turn_start_ : static_cast<size_t>(gates_.front().begin - output_offset_);
}

void NodeSession::OpenGate(const Gate& gate) {
  if (gate.slow != nullptr) {
    Clock* clock = worker_->loop()->clock();
    gate.slow->Settle(worker_->diagnostics(), *client_.info, clock, gate.commit_micros,
                      clock->MonotonicMicros() - gate.since_micros);
  }
}

void NodeSession::Flush() {
  if (closed_) {
    return;
  }
  const size_t sendable = SendableEnd();
  const size_t sent_before = sent_;
  while (sent_ < sendable) {
    const ssize_t n =
        ::send(fd_.get(), output_.data() + sent_, sendable - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) {
      continue;
    }
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      break;
    }
    if (n < 0) {
      return Close();
    }
    sent_ += static_cast<size_t>(n);
    worker_->metrics()->Add(kNode_output_bytes_total, n);
    ClientInfo::Bump(&client_.info->total_output, static_cast<uint64_t>(n));
  }
  if (sent_ > sent_before) {
    NoteActivity();  // Whoever takes a large reply bit by bit is not idle.
  }
  DropSent();
  if (!gates_.empty() && worker_->pipeline().frozen()) {
    return Close();  // What the client waits for can never be acknowledged.
  }
  if (starved_ && !resume_posted_ && !in_turn_ && HasRoom()) {
    resume_posted_ = true;
    worker_->ResumeSoon(this);
  }
  if (closing_ && output_.empty() && !in_turn_) {
    return Close();
  }
  client_.info->output_bytes.store(output_.size() - sent_, std::memory_order_relaxed);
  UpdateInterest();
}

// Gives the sent part of the output back, at once when it is all, else when it is the larger part.
void NodeSession::DropSent() {
  if (sent_ < output_.size() && sent_ < std::max(kKeptOutput, output_.size() / 2)) {
    return;
  }
  output_offset_ += sent_;
  turn_start_ -= std::min(turn_start_, sent_);
  if (sent_ == output_.size() && output_.capacity() > kKeptOutput) {
    std::string().swap(output_);
  } else {
    output_.erase(0, sent_);
  }
  sent_ = 0;
}

void NodeSession::UpdateInterest() {
  if (watch_ == nullptr) {
    return;
  }
  const bool blocked_output = sent_ < output_.size() && gates_.empty() && !in_turn_;
  worker_->loop()->SetInterest(
      watch_, static_cast<uint8_t>(((HasRoom() || blocked()) && !eof_ ? kReadable : 0) |
                                   (blocked_output ? kWritable : 0)));
}

}  // namespace kvs
