#include "common/resp/reply_scanner.h"

#include <algorithm>
#include <utility>

#include "common/resp/reply_token.h"

namespace kvs {
namespace {

// A line that has not ended lacks at least so many bytes; a string that lacks more has a length.
constexpr size_t kLineEnd = 2;

bool IsBlob(char type) {
  return type == '$' || type == '!' || type == '=';
}

}  // namespace

ReplyScanner::Outcome ReplyScanner::Scan(std::string_view input) {
  if (input.size() >= 4 && position_ == 0 && depth_ == 0 && !forgot_) {
    type_ = input[0];
    // Most replies are +OK and small integers; their line is judged here at once.
    if (input.starts_with("+OK\r\n") || (input[0] == ':' && input[1] >= '0' && input[1] <= '9' &&
                                         input[2] == '\r' && input[3] == '\n')) {
      position_ = input[0] == '+' ? 5 : 4;
      return position_ <= limits_.max_bytes ? Outcome::kReply : Fail("too big a reply");
    }
  }
  return ScanTokens(input);
}

void ReplyScanner::Reset() {
  position_ = 0;
  scanned_ = 0;
  skip_ = 0;
  elements_ = 0;
  size_hint_ = 0;
  error_ = nullptr;
  depth_ = 0;
  type_ = 0;
  done_ = false;
  forgot_ = false;
}

size_t ReplyScanner::Forget(std::string_view input) {
  size_t dropped = position_;
  if (skip_ > 0) {
    skip_ -= input.size();
    dropped = input.size();
  } else if (position_ < input.size() && IsBlob(input[position_]) &&
             size_hint_ > input.size() + kLineEnd) {
    skip_ = size_hint_ - input.size();
    dropped = input.size();
  }
  forgot_ = true;
  position_ = 0;
  return dropped;
}

ReplyScanner::Outcome ReplyScanner::ScanTokens(std::string_view input) {
  if (skip_ > 0) {
    if (input.size() < skip_) {
      size_hint_ = skip_;
      return Outcome::kNeedMore;
    }
    position_ = std::exchange(skip_, 0);
    CloseFinished();
  }
  while (!done_) {
    ReplyToken token;
    TokenProgress progress{.scanned = scanned_};
    const TokenOutcome outcome = ReadReplyToken(input.substr(position_), &token, &progress);
    if (position_ == 0 && !input.empty() && !forgot_) {
      type_ = input[0];
    }
    if (outcome == TokenOutcome::kError) {
      return Fail(progress.error);
    }
    if (outcome == TokenOutcome::kNeedMore) {
      scanned_ = progress.scanned;
      size_hint_ = position_ + progress.needed;
      return size_hint_ > limits_.max_bytes ? Fail("too big a reply") : Outcome::kNeedMore;
    }
    position_ += token.size;
    scanned_ = 0;
    if (position_ > limits_.max_bytes) {
      return Fail("too big a reply");
    }
    if (token.type == '>' && depth_ > 0) {
      return Fail("a push inside of a reply");
    }
    if (IsAggregate(token.type) && !token.null) {
      if (!Open(token.children, token.type)) {
        return Outcome::kError;
      }
    } else {
      CloseFinished();
    }
  }
  return Outcome::kReply;
}

// Notes the elements of an aggregate.  An attribute precedes the value that it describes, so it
// counts as an aggregate with that value as its last element.
bool ReplyScanner::Open(uint64_t children, char type) {
  if (type == '|') {
    ++children;
  }
  if (children == 0) {
    CloseFinished();
    return true;
  }
  if (children > limits_.max_elements - elements_) {
    Fail("too many elements");
    return false;
  }
  if (depth_ >= std::min(limits_.max_depth, kMaxReplyDepth)) {
    Fail("nested too deep");
    return false;
  }
  elements_ += children;
  missing_[static_cast<size_t>(depth_)] = children;
  ++depth_;
  return true;
}

// An element ended.  It may be the last of its aggregate, and that the last of the next.
void ReplyScanner::CloseFinished() {
  while (depth_ > 0) {
    uint64_t& missing = missing_[static_cast<size_t>(depth_ - 1)];
    if (--missing > 0) {
      return;
    }
    --depth_;
  }
  done_ = true;
}

ReplyScanner::Outcome ReplyScanner::Fail(const char* error) {
  error_ = error;
  return Outcome::kError;
}

}  // namespace kvs
