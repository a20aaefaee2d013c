// RequestParser: finds one request of a client, multibulk or inline, in bytes that arrive in
// pieces.
//
// It keeps offsets, never pointers, between calls, so the caller may move and grow its buffer; and
// it goes on where it stopped, so a request costs time proportional to its size however it is cut.
// Arguments are views into the caller's bytes: nothing is copied, and once the storage has grown to
// the usual number of arguments nothing is allocated.
//
//   switch (parser.Parse(unread)) {
//     case Outcome::kRequest:  Serve(parser.args()); Consume(parser.frame_size()); parser.Reset();
//     case Outcome::kEmpty:    Consume(parser.frame_size()); parser.Reset();
//     case Outcome::kNeedMore: read more; parser.size_hint() says how much is surely missing
//     case Outcome::kError:    reply "ERR " + parser.error() and close
//   }
//
// What Redis tolerates is tolerated: the bytes after a '\r' and after a bulk are skipped unread.
//
// Threads: loop-owned.
// Owner:   the session whose input it parses.

#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvs {

struct RequestLimits {
  size_t max_bulk_bytes = size_t{512} << 20;   // proto-max-bulk-len
  size_t max_inline_bytes = size_t{64} << 10;  // Also of a line that holds a length.
  size_t max_args = size_t{1} << 20;           // Each one costs 32 bytes while it is parsed.
  size_t max_request_bytes = size_t{1} << 30;  // All arguments and their framing.
  bool authenticated = true;                   // false: at most 10 arguments of 16 KiB.
};

class RequestParser {
 public:
  enum class Outcome : uint8_t { kRequest, kEmpty, kNeedMore, kError };

  explicit RequestParser(const RequestLimits& limits = {}) : limits_(limits) {}

  // Parses the request whose first byte is input[0].  After kNeedMore the next call gets the same
  // bytes, possibly elsewhere in memory, and more behind them.  After any other outcome Reset()
  // comes before the next call.
  //   kEmpty: an empty line or a count below 1: not a request, and no reply is due
  Outcome Parse(std::string_view input);

  // Forgets the request, to start on the next one.
  void Reset();

  // Gives back what is kept for the next request, unless one is half there.
  void ReleaseIfIdle();

  // After kRequest or kEmpty: the bytes to consume.
  size_t frame_size() const { return position_; }
  // After kRequest: at least one argument.  They point into the input of the last Parse(), those of
  // an inline request into the parser; valid until Reset().
  std::span<const std::string_view> args() const { return args_; }
  bool is_inline() const { return !inline_args_.empty(); }
  // After kNeedMore: a lower bound of the frame's size, above what was there.  A client chose it:
  // never reserve that much at once.
  size_t size_hint() const { return size_hint_; }
  // After kError: the text that Redis sends behind "-ERR ".
  const std::string& error() const { return error_; }

  const RequestLimits& limits() const { return limits_; }
  // Takes effect at once, also for a request that is half there.
  void set_limits(const RequestLimits& limits) { limits_ = limits; }
  void set_authenticated(bool authenticated) { limits_.authenticated = authenticated; }

 private:
  struct Piece {
    size_t offset;
    size_t size;
  };

  Outcome ParseInline(std::string_view input);
  Outcome ParseCount(std::string_view input);
  Outcome ParseBulks(std::string_view input);
  Outcome ReadLength(std::string_view input, const char* overlong, int64_t* value, bool* valid);
  Outcome NeedMore(size_t size_hint);
  Outcome Fail(std::string text);

  RequestLimits limits_;
  size_t position_ = 0;  // First byte not yet understood.
  size_t scanned_ = 0;   // No line ends before this.
  size_t missing_args_ = 0;
  size_t size_hint_ = 0;
  std::vector<Piece> pieces_;  // The arguments of a multibulk request so far.
  std::vector<std::string_view> args_;
  std::vector<std::string> inline_args_;  // What args_ points into for an inline request.
  std::string error_;
};

}  // namespace kvs
