#include "proxy/backend/node_link.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/build_info.h"
#include "common/base/logging.h"
#include "common/base/strings.h"
#include "common/net/socket.h"
#include "common/resp/reply_tree.h"
#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

// A request fails after so many times its time-out, even if the node goes on answering others.
constexpr int64_t kMaxWaits = 10;
constexpr size_t kReadBudget = 512 * 1024;
constexpr int64_t kFirstRetryMs = 50;
// A refused connection costs microseconds; a node that is back should not wait long for its keys.
constexpr int64_t kMaxRetryMs = 500;
// What a reply may have even if the memory budget is exhausted.
constexpr size_t kSmallReply = 64 * 1024;

}  // namespace

NodeLink::NodeLink(EventLoop* loop, NodeAddress address, const LinkOptions* options)
    : loop_(loop),
      address_(std::move(address)),
      shared_name_(std::make_shared<const std::string>(FormatAddress(address_))),
      name_(*shared_name_),
      options_(options),
      random_(Random::FromKernel()) {}

NodeLink::~NodeLink() {
  Close(Status::Unavailable("the proxy is stopping"));
}

Status NodeLink::Unavailable() const {
  return Status::Unavailable(fmt::format("node {} is not reachable{}{}", name_,
                                         last_error_.ok() ? "" : ": ", last_error_.message()));
}

// Decides whether a request may be queued now, and dials if there is no connection.
Status NodeLink::Admit() {
  if (state_ == State::kWaiting) {
    if (loop_->now_ms() < retry_at_ms_) {
      return Unavailable();
    }
    state_ = State::kIdle;
  }
  if (state_ == State::kIdle) {
    Dial();
    if (state_ != State::kConnecting) {
      return Unavailable();
    }
  }
  // Until a node that has failed has answered the greeting, nobody waits for the outcome.
  if (failures_in_row_ > 0) {
    return Unavailable();
  }
  if (silent_) {
    return Status::Unavailable(fmt::format("node {} is not reachable: it has been silent for {} ms",
                                           name_, loop_->now_ms() - last_heard_ms_));
  }
  if (in_flight_.size() >= options_->max_in_flight ||
      output_.size() >= options_->max_output_bytes) {
    return Status::Busy(fmt::format("node {} is overloaded, retry later", name_));
  }
  return Status::Ok();
}

Status NodeLink::Send(std::string_view request, ReplySink* sink, uint32_t tag) {
  if (!open()) {
    KVS_RETURN_IF_ERROR(Admit());
  }
  output_.Append(request);
  Enqueue(sink, tag, request.size());
  return Status::Ok();
}

Status NodeLink::Send(const Slice& request, ReplySink* sink, uint32_t tag) {
  KVS_RETURN_IF_ERROR(Admit());
  output_.Append(request);
  Enqueue(sink, tag, request.size);
  return Status::Ok();
}

Status NodeLink::SendBlock(std::string_view requests, uint32_t count, ReplySink* sink) {
  KVS_RETURN_IF_ERROR(Admit());
  output_.Append(requests);
  for (uint32_t tag = 0; tag < count; ++tag) {
    Enqueue(sink, tag, tag == 0 ? requests.size() : 0);
  }
  return Status::Ok();
}

Status NodeLink::Tell(std::string_view request, Urgency urgency) {
  KVS_CHECK(listener_ != nullptr);
  const bool has_connection = state_ == State::kReady || state_ == State::kConnecting;
  if (urgency == Urgency::kUsual || !has_connection) {
    KVS_RETURN_IF_ERROR(Admit());
  }
  output_.Append(request);
  queued_bytes_ += request.size();
  return Status::Ok();
}

void NodeLink::Enqueue(ReplySink* sink, uint32_t tag, size_t bytes) {
  queued_bytes_ += bytes;
  in_flight_.push_back({sink, tag, kUnwritten, loop_->now_micros(), queued_bytes_});
  ++unwritten_;
  ++stats_.requests;
}

// What is left in the output ends with the latest request, and a greeting is before all of them.
void NodeLink::NoteWritten() {
  unwritten_ = std::min(unwritten_, in_flight_.size());  // A node may answer what it has not got.
  while (unwritten_ > 0) {
    Waiting& waiting = in_flight_[in_flight_.size() - unwritten_];
    if (output_.size() > queued_bytes_ - waiting.end) {
      return;
    }
    waiting.queued_micros = static_cast<uint32_t>(
        std::min<int64_t>(loop_->now_micros() - waiting.sent_micros, kUnwritten - 1));
    --unwritten_;
  }
}

LinkWait NodeLink::WaitOf(const Waiting& waiting, bool first) const {
  const int64_t now = loop_->now_micros();
  const int64_t written =
      waiting.queued_micros == kUnwritten ? now : waiting.sent_micros + waiting.queued_micros;
  const int64_t turn = first ? std::max(written, last_reply_micros_) : now;
  return {.queue = written - waiting.sent_micros, .link = turn - written};
}

void NodeLink::Dial() {
  dialled_ms_ = loop_->now_ms();
  ++stats_.connects;
  Result<UniqueFd> fd = StartConnect(address_.host, address_.port);
  if (!fd.ok()) {
    return Break(fd.status());
  }
  fd_ = *std::move(fd);
  Result<IoWatch*> watch = loop_->Watch(fd_.get(), this, kWritable);
  if (!watch.ok()) {
    return Break(watch.status());
  }
  watch_ = *watch;
  state_ = State::kConnecting;
}

void NodeLink::OnConnected() {
  if (Status status = ConnectError(fd_.get()); !status.ok()) {
    return Break(status);
  }
  SetKeepAlive(fd_.get(), options_->keepalive_seconds);
  SetUserTimeout(fd_.get(), static_cast<int>(2 * options_->request_timeout_ms));
  state_ = State::kReady;
  last_heard_ms_ = loop_->now_ms();
  loop_->SetInterest(watch_, kReadable);
  SendHandshake();
  Flush();
}

// HELLO goes before what was queued while the connection was made.
void NodeLink::SendHandshake() {
  std::string hello;
  if (options_->password.empty()) {
    EncodeRequest({"HELLO", "3", "SETNAME", kProxyClientName}, &hello);
  } else {
    EncodeRequest(
        {"HELLO", "3", "AUTH", "default", options_->password, "SETNAME", kProxyClientName}, &hello);
  }
  OutputQueue first;
  first.Append(hello);
  first.Append(std::move(output_));
  output_.Clear();
  output_.Append(std::move(first));
  // As old as the oldest: deadlines are checked from the front.
  const int64_t since = in_flight_.empty() ? loop_->now_micros() : in_flight_.front().sent_micros;
  in_flight_.push_front({nullptr, 0, 0, since, 0});
  greeting_ = true;
}

void NodeLink::Flush() {
  if (state_ != State::kReady || output_.empty()) {
    return;
  }
  const IoResult result = output_.WriteTo(fd_.get());
  NoteWritten();
  switch (result) {
    case IoResult::kProgress:
      blocked_ = false;
      loop_->SetInterest(watch_, kReadable);
      return;
    case IoResult::kWouldBlock:
      blocked_ = true;
      loop_->SetInterest(watch_, kReadable | kWritable);
      return;
    case IoResult::kClosed:
      return Break(Status::Unavailable("the connection broke while writing"));
  }
}

void NodeLink::OnReady(bool readable, bool writable) {
  if (state_ == State::kConnecting) {
    return OnConnected();
  }
  if (writable) {
    if (std::exchange(blocked_, false)) {
      last_heard_ms_ = loop_->now_ms();
    }
    Flush();
  }
  if (readable && state_ == State::kReady) {
    const IoResult result =
        input_.ReadFrom(fd_.get(), kReadBudget, swallowing_ ? 0 : scanner_.size_hint());
    last_heard_ms_ = loop_->now_ms();
    silent_ = false;
    if (result == IoResult::kClosed) {
      return Break(Status::Unavailable("the node closed the connection"));
    }
    ReadReplies();
  }
}

// With thousands in flight each sink is out of the processor's caches when its reply comes.
void NodeLink::PrefetchSink() const {
  constexpr size_t kAhead = 2;
  constexpr size_t kLine = 64;
  if (in_flight_.size() > kAhead && in_flight_[kAhead].sink != nullptr) {
    const char* const sink = reinterpret_cast<const char*>(in_flight_[kAhead].sink);
    for (size_t line = 0; line < 4; ++line) {
      __builtin_prefetch(sink + line * kLine, 1);
    }
  }
}

void NodeLink::ReadReplies() {
  while (input_.size() > 0 && state_ == State::kReady) {
    const ReplyScanner::Outcome outcome = scanner_.Scan(input_.unread());
    if (outcome == ReplyScanner::Outcome::kNeedMore) {
      return SwallowIfTooLarge();
    }
    if (outcome == ReplyScanner::Outcome::kError) {
      return Break(Status::Unavailable(
          fmt::format("the node sent something that is not a reply ({})", scanner_.error())));
    }
    const size_t size = scanner_.frame_size();
    const char type = scanner_.type();
    scanner_.Reset();
    swallowing_ = false;
    const bool unasked = in_flight_.empty() && listener_ != nullptr;
    if (type == '>' || unasked) {
      if (unasked && type != '>') {
        listener_->OnUnasked(this, ReplyFrame(&input_, size));
      } else if (listener_ != nullptr) {
        listener_->OnPush(this, ReplyFrame(&input_, size));
      }
      input_.Consume(size);
      continue;
    }
    if (in_flight_.empty()) {
      return Break(Status::Unavailable("the node sent a reply that nobody asked for"));
    }
    const Waiting waiting = in_flight_.front();
    in_flight_.pop_front();
    PrefetchSink();
    const LinkWait wait = WaitOf(waiting, /*first=*/true);
    last_reply_micros_ = loop_->now_micros();
    if (std::exchange(greeting_, false)) {
      OnHandshakeReply(input_.unread().substr(0, size));
    } else {
      failures_in_row_ = 0;
      if (waiting.sink != nullptr) {
        waiting.sink->set_link_wait(wait);
        waiting.sink->OnReply(waiting.tag, ReplyFrame(&input_, size));
      }
    }
    if (state_ == State::kReady) {
      input_.Consume(size);
    }
  }
  input_.ReleaseIfEmpty();
}

void NodeLink::FailTooLarge(size_t limit, bool exhausted) {
  if (in_flight_.empty()) {
    return Break(Status::Unavailable("the node sent a reply that nobody asked for"));
  }
  Waiting& waiting = in_flight_.front();
  if (ReplySink* sink = std::exchange(waiting.sink, nullptr)) {
    ++stats_.dropped_replies;
    sink->set_link_wait(WaitOf(waiting, /*first=*/true));
    sink->OnFailure(waiting.tag,
                    Status::TooLarge(fmt::format(
                        "the reply of node {} is dropped: it has more than {} bytes{}", name_,
                        limit, exhausted ? ", and buffer-memory-limit is reached" : "")),
                    true);
  }
}

// The end of the reply must be found to know where the next one begins, but not kept.
void NodeLink::SwallowIfTooLarge() {
  const size_t known = std::max(scanner_.size_hint(), input_.size());
  if (!swallowing_) {
    const bool exhausted = options_->budget != nullptr && options_->budget->exhausted();
    const size_t limit =
        exhausted ? std::min(kSmallReply, options_->max_reply_bytes) : options_->max_reply_bytes;
    if (known <= limit) {
      return;
    }
    if (scanner_.type() == '>' && listener_ != nullptr) {
      return Break(Status::TooLarge(
          fmt::format("node {} sent a message of more than {} bytes{}", name_, limit,
                      exhausted ? ", and buffer-memory-limit is reached" : "")));
    }
    swallowing_ = true;
    if (scanner_.type() != '>') {
      FailTooLarge(limit, exhausted);
    }
  }
  if (state_ == State::kReady) {
    input_.Consume(scanner_.Forget(input_.unread()));
    input_.ReleaseIfEmpty();
  }
}

void NodeLink::OnHandshakeReply(std::string_view reply) {
  if (reply[0] != '-') {
    last_error_ = Status::Ok();
    failures_in_row_ = 0;
    const Result<Reply> hello = ParseReply(reply);
    const Reply* const id = hello.ok() ? hello->Find("id") : nullptr;
    peer_id_ = id != nullptr ? id->integer : 0;
    return;
  }
  const std::string_view text = TrimSpaces(reply.substr(1));
  if (text.starts_with("NOAUTH") || text.starts_with("WRONGPASS")) {
    return Break(Status::Unavailable(
        fmt::format("the node refuses our password ({}); check backend-auth", text)));
  }
  last_error_ = Status::Ok();
  failures_in_row_ = 0;
  // A server older than Redis 6: it speaks RESP2, whose replies are RESP3's too but for its nulls.
  KVS_LOG(kInfo, "node {} does not speak RESP3: {}", name_, text);
}

void NodeLink::CheckDeadlines() {
  const int64_t now = loop_->now_ms();
  if (state_ == State::kWaiting && now >= retry_at_ms_) {
    return Dial();  // So that the node is there again before the next request, not after it.
  }
  if (state_ == State::kConnecting && now - dialled_ms_ > options_->connect_timeout_ms) {
    return Break(
        Status::Timeout(fmt::format("no connection within {} ms", options_->connect_timeout_ms)));
  }
  if (state_ == State::kConnecting || patience_ms_ == kForever) {
    return;
  }
  const int64_t limit_ms = options_->request_timeout_ms + patience_ms_;
  bool late = false;
  // They hear of it afterwards: they may end the link.
  struct Late {
    ReplySink* sink;
    uint32_t tag;
    LinkWait wait;
  };
  std::vector<Late> senders;
  for (Waiting& waiting : in_flight_) {
    // They are answered in order: while the node sends at all, those behind a large backlog wait
    // for it, within reason.
    const int64_t age = now - waiting.sent_ms();
    const int64_t silence = std::min(age, now - last_heard_ms_);
    if (silence < limit_ms && age < kMaxWaits * options_->request_timeout_ms + patience_ms_) {
      break;  // Those behind were sent later.
    }
    late = true;
    if (ReplySink* sink = std::exchange(waiting.sink, nullptr)) {
      ++stats_.timeouts;
      senders.push_back({sink, waiting.tag, WaitOf(waiting, &waiting == &in_flight_.front())});
    }
  }
  silent_ = silent_ || (late && now - last_heard_ms_ >= limit_ms);
  for (const auto& [sink, tag, wait] : senders) {
    sink->set_link_wait(wait);
    sink->OnFailure(tag,
                    Status::Timeout(fmt::format("timeout: node {} did not answer within {} ms",
                                                name_, limit_ms)),
                    true);
  }
  if (late && !in_flight_.empty() &&
      now - last_heard_ms_ > limit_ms + options_->request_timeout_ms &&
      now - in_flight_.front().sent_ms() > limit_ms + options_->request_timeout_ms) {
    Break(Status::Timeout("the node has stopped answering"));
  }
}

void NodeLink::Close(const Status& status) {
  Break(status, /*quiet=*/true);
  state_ = State::kIdle;
}

// Ends the connection.  Everything in flight fails; what was sent may have been executed.
void NodeLink::Break(const Status& status, bool quiet) {
  if (watch_ != nullptr) {
    loop_->Unwatch(watch_);
    watch_ = nullptr;
  }
  const bool was_ready = state_ == State::kReady;
  if (failures_in_row_ == 0 && !quiet) {
    KVS_LOG(kWarning, "link to node {} failed: {}", name_, status.message());
  }
  fd_.reset();
  output_.Clear();
  input_.Consume(input_.size());
  input_.ReleaseIfEmpty();
  scanner_.Reset();
  swallowing_ = false;
  blocked_ = false;
  silent_ = false;
  last_error_ = status;
  ++failures_in_row_;
  const int64_t pause = std::min(kMaxRetryMs, kFirstRetryMs << std::min(failures_in_row_ - 1, 6));
  retry_at_ms_ = loop_->now_ms() + pause / 2 +
                 static_cast<int64_t>(random_.Uniform(static_cast<uint64_t>(pause)));
  state_ = State::kWaiting;
  std::deque<Waiting> lost;
  lost.swap(in_flight_);
  greeting_ = false;
  unwritten_ = 0;
  queued_bytes_ = 0;
  const Status failure = Unavailable();
  for (const Waiting& waiting : lost) {
    if (waiting.sink != nullptr) {
      ++stats_.failures;
      waiting.sink->set_link_wait(WaitOf(waiting, &waiting == &lost.front()));
      waiting.sink->OnFailure(waiting.tag, failure, was_ready);
    }
  }
  if (listener_ != nullptr) {
    listener_->OnBreak(this, failure);
  }
}

}  // namespace kvs
