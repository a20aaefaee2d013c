#include "common/http/http_session.h"

#include <sys/socket.h>

#include <utility>

#include "common/base/strings.h"
#include "common/http/http_server.h"
#include "common/net/socket.h"

namespace kvs {
namespace {

constexpr size_t kReadBudget = 64 * 1024;
// With more unsent bytes than this no further request is taken up.
constexpr size_t kMaxOutput = size_t{4} << 20;
// So much of what a client still sends after a refused request is read and dropped.
constexpr size_t kMaxDrain = size_t{4} << 20;

// A page of another site can make a browser send a request, but cannot hide where it comes from.
bool IsForeign(const HttpRequest& request) {
  const std::string* const origin = request.Header("Origin");
  if (origin == nullptr || request.method == "GET" || request.method == "HEAD") {
    return false;
  }
  const std::string* const host = request.Header("Host");
  return host == nullptr || (*origin != "http://" + *host && *origin != "https://" + *host);
}

std::string_view CodeOf(int status) {
  switch (status) {
    case 413:
    case 431:
      return "too_large";
    case 501:
    case 505:
      return "unsupported";
    default:
      return "invalid_argument";
  }
}

}  // namespace

HttpSession::HttpSession(HttpServer* server, UniqueFd fd)
    : server_(server),
      loop_(server->loop_),
      fd_(std::move(fd)),
      peer_(PeerName(fd_.get())),
      parser_(server->options_.limits),
      progress_ms_(loop_->now_ms()) {}

HttpSession::~HttpSession() {
  KVS_CHECK(watch_ == nullptr);
}

Status HttpSession::Start() {
  KVS_ASSIGN_OR_RETURN(watch_, loop_->Watch(fd_.get(), this, kReadable));
  return Status::Ok();
}

void HttpSession::Close() {
  if (std::exchange(closed_, true)) {
    return;
  }
  if (watch_ != nullptr) {
    loop_->Unwatch(std::exchange(watch_, nullptr));
  }
  for (const std::shared_ptr<HttpExchange>& exchange : exchanges_) {
    exchange->session = nullptr;
  }
  fd_.reset();
  server_->OnSessionClosed(this);
}

bool HttpSession::IsIdle(int64_t time_ms) const {
  const bool handler_is_late = !exchanges_.empty() && output_.empty();
  return !handler_is_late && progress_ms_ <= time_ms;
}

void HttpSession::OnReady(bool readable, bool /*writable*/) {
  loop_->AssertInLoop();
  if (readable) {
    ReadInput();
  }
  if (!closed_) {
    Pump();
  }
}

void HttpSession::ReadInput() {
  if ((!HasRoom() || eof_) && !draining_) {
    // Nothing was asked for, so this is a hang-up or an error: nobody is left to answer.
    return Close();
  }
  const size_t before = input_.size();
  const IoResult result = input_.ReadFrom(fd_.get(), kReadBudget);
  if (draining_) {
    drained_ += input_.size() - before;
    input_.Consume(input_.size());
  }
  if (result == IoResult::kClosed) {
    // A client may close its side after the last request and wait for the answer.
    if (draining_ || (exchanges_.empty() && output_.empty() && input_.size() == before)) {
      return Close();
    }
    eof_ = true;
  } else if (drained_ > kMaxDrain) {
    Close();
  }
}

void HttpSession::OnAnswer() {
  loop_->AssertInLoop();
  if (!pumping_ && !closed_) {
    Pump();
  }
}

void HttpSession::Pump() {
  pumping_ = true;
  while (!closed_ && (ParseRequests() || WriteAnswers() || Flush())) {
  }
  pumping_ = false;
  closing_ = closing_ || (eof_ && HasRoom());  // With room left, the input has no request left.
  if (!closed_ && closing_ && exchanges_.empty() && output_.empty()) {
    Finish();
  }
  if (!closed_) {
    UpdateInterest();
  }
}

bool HttpSession::HasRoom() const {
  return !closing_ && exchanges_.size() < server_->options_.max_pipeline &&
         output_.size() < kMaxOutput;
}

// Starts the complete requests of the input.  Returns whether there was one.
bool HttpSession::ParseRequests() {
  bool moved = false;
  while (HasRoom() && input_.size() > 0) {
    size_t consumed = 0;
    const HttpParser::Outcome outcome = parser_.Parse(input_.unread(), &consumed);
    input_.Consume(consumed);
    if (outcome == HttpParser::Outcome::kError) {
      AnswerError(parser_.error_status(), parser_.error());
      return true;
    }
    if (outcome == HttpParser::Outcome::kNeedMore) {
      if (exchanges_.empty() && parser_.TakeExpectation()) {
        output_.Append("HTTP/1.1 100 Continue\r\n\r\n");
        moved = true;
      }
      break;
    }
    progress_ms_ = loop_->now_ms();
    StartExchange(parser_.Take());
    moved = true;
  }
  input_.ReleaseIfEmpty();
  return moved;
}

void HttpSession::StartExchange(HttpRequest request) {
  auto exchange = std::make_shared<HttpExchange>();
  exchange->session = this;
  exchange->keep_alive = request.keep_alive;
  exchange->head_only = request.method == "HEAD";
  exchanges_.push_back(exchange);
  closing_ = closing_ || !request.keep_alive;
  request.peer = peer_;
  const HttpResponder responder(std::move(exchange));
  if (IsForeign(request)) {
    return responder.Send(
        ErrorResponse(403, "no_permission", "the request comes from a page of another site",
                      "send it without an Origin, or from the server's own page"));
  }
  server_->router_.Dispatch(std::move(request), responder);
}

// Framing is lost: there is no next request in this stream.  The error waits its turn.
void HttpSession::AnswerError(int status, std::string_view message) {
  auto exchange = std::make_shared<HttpExchange>();
  exchange->keep_alive = false;
  exchange->done = true;
  exchange->response = ErrorResponse(status, CodeOf(status), message, "correct the request");
  exchanges_.push_back(std::move(exchange));
  closing_ = true;
  broken_ = true;
  input_.Consume(input_.size());
  progress_ms_ = loop_->now_ms();
}

bool HttpSession::WriteAnswers() {
  bool moved = false;
  while (!exchanges_.empty() && exchanges_.front()->done) {
    const HttpExchange& exchange = *exchanges_.front();
    std::string text;
    EncodeResponse(exchange.response, exchange.keep_alive, exchange.head_only, &text);
    output_.Append(text);
    exchanges_.pop_front();
    moved = true;
  }
  return moved;
}

bool HttpSession::Flush() {
  if (output_.empty()) {
    return false;
  }
  const size_t before = output_.size();
  if (output_.WriteTo(fd_.get()) == IoResult::kClosed) {
    Close();
    return false;
  }
  if (output_.size() == before) {
    return false;
  }
  progress_ms_ = loop_->now_ms();
  return true;
}

// All is said.  After a refused request the client may still be sending; closing at once would
// reset the connection and could take the answer from it.
void HttpSession::Finish() {
  if (!broken_) {
    return Close();
  }
  if (!std::exchange(draining_, true) && ::shutdown(fd_.get(), SHUT_WR) != 0) {
    Close();
  }
}

void HttpSession::UpdateInterest() {
  const uint8_t read = (HasRoom() && !eof_) || draining_ ? kReadable : kNoInterest;
  const uint8_t write = output_.empty() ? kNoInterest : kWritable;
  loop_->SetInterest(watch_, static_cast<uint8_t>(read | write));
}

}  // namespace kvs
