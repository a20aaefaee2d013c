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
  return !closing_ && !closed_ && !stalled_ &&
         output_.size() - sent_ < ToInt(worker_->options().client_output_soft_limit);
}

void NodeSession::ProcessInput() {
  while (HasRoom() && input_.size() > 0) {
    switch (parser_.Parse(input_.unread())) {
      case RequestParser::Outcome::kRequest: {
        worker_->EnterTurn(this);
        if (worker_->Execute(this, parser_.args()) == IoWorker::Outcome::kHeld) {
          parser_.Reset();  // Parsed again when it may run.
          stalled_ = true;
          break;
        }
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
    starved_ = input_.size() > 0 && !closing_ && !stalled_ && !HasRoom();
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
  worker_->loop()->SetInterest(watch_, static_cast<uint8_t>((HasRoom() && !eof_ ? kReadable : 0) |
                                                            (blocked_output ? kWritable : 0)));
}

}  // namespace kvs
