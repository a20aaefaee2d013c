// ReplyScanner: finds where one RESP2 or RESP3 reply ends, without building it.
//
// A proxy forwards replies as bytes and needs only their boundaries.  The scanner keeps, for each
// open aggregate, how many elements it still lacks: memory is bounded by the depth limit, nothing
// is allocated, and a reply that arrives in pieces is scanned once.
//
// Threads: loop-owned.
// Owner:   the connection whose input it scans.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvs {

// Redis's deepest reply, COMMAND DOCS, nests 9 levels; scripts may nest more.  An attribute takes
// one level like an aggregate.
inline constexpr int kMaxReplyDepth = 32;

struct ReplyLimits {
  int max_depth = kMaxReplyDepth;             // At most kMaxReplyDepth.
  uint64_t max_elements = uint64_t{1} << 26;  // In the whole reply, whatever the nesting.
  size_t max_bytes = size_t{1} << 30;
};

class ReplyScanner {
 public:
  enum class Outcome : uint8_t { kReply, kNeedMore, kError };

  explicit ReplyScanner(const ReplyLimits& limits = {}) : limits_(limits) {}

  // Scans the reply whose first byte is input[0].  After kNeedMore the next call gets the same
  // bytes, possibly elsewhere in memory, and more behind them.  After any other outcome Reset()
  // comes before the next call.
  Outcome Scan(std::string_view input);
  void Reset();
  // After kNeedMore, with the same bytes: returns how many of them are no longer needed to find the
  // end.  The caller drops them, and the next call gets what is behind them.  So the end of a reply
  // is found that is too large to be kept; frame_size() then tells of its last part.
  size_t Forget(std::string_view input);

  // After kReply: the bytes of the reply, with an attribute before it.
  size_t frame_size() const { return position_; }
  // Once a byte was there: the first one.  '>' is a push, '|' an attribute and its reply.
  char type() const { return type_; }
  // After kNeedMore: a lower bound of the frame's size, above what was there.
  size_t size_hint() const { return size_hint_; }
  // After kError: what is wrong, for logs; framing is lost.
  const char* error() const { return error_; }

 private:
  Outcome ScanTokens(std::string_view input);
  bool Open(uint64_t children, char type);
  void CloseFinished();
  Outcome Fail(const char* error);

  ReplyLimits limits_;
  size_t position_ = 0;  // First byte of the token not yet read.
  size_t scanned_ = 0;   // In that token: no line ends before this.
  size_t skip_ = 0;      // Bytes of a forgotten string that are still to come.
  uint64_t elements_ = 0;
  size_t size_hint_ = 0;
  const char* error_ = nullptr;
  int depth_ = 0;
  char type_ = 0;
  bool done_ = false;
  bool forgot_ = false;                           // The input begins inside of the reply.
  std::array<uint64_t, kMaxReplyDepth> missing_;  // Elements that the open aggregates lack.
};

}  // namespace kvs
