// Migration: what one MIGRATE says to its target, what the answers mean, and what becomes of it.
//
// First the greeting, AUTH and SELECT if they are asked for; only when that was answered well, one
// RESTORE a key, some ahead of their answers.  A key whose RESTORE was acknowledged is no longer
// needed here, whatever comes after it.  What goes wrong first is what the client is told.
//
// Threads: one owner; no sockets, clock or keys of its own.
// Owner:   MigrateWorker.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/command/migrate_request.h"

namespace kvs {

// How the target was lost: with kConnecting it has no address.
enum class TargetLoss : uint8_t { kConnecting, kWriting, kReading };

class Migration {
 public:
  // The words of the request outlive it.
  explicit Migration(const MigrateRequest& request);

  // Returns what the target gets first, which may be nothing.
  std::string Greet();
  // Whether what was said first has been answered well.
  bool greeted() const { return greeted_; }

  // Whether a key is to be sent now: one of those that follow, or none because enough is under way.
  bool WantsKey() const;
  // REQUIRES, for the following: WantsKey()
  std::string_view next_key() const { return request_.keys[next_]; }
  // Returns the RESTORE of the next key.  `ttl_ms` of 0: it does not expire.
  std::string SendKey(int64_t ttl_ms, std::string_view payload);
  // It is not there (any more).
  void SkipKey() { ++next_; }
  // It cannot be sent.  `error` is what a client reads.
  void RefuseKey(std::string_view error);

  // Takes the answers at the front of `*input` off it.  A target that does not speak as it has to
  // is lost; what was understood before that holds.
  void TakeAnswers(std::string* input);
  void Lose(TargetLoss loss);
  // Ends it with an error, unless there is one.
  void Fail(std::string_view error);

  // Whether any of the keys was there.
  bool found_any() const { return found_any_; }
  // Whether there is nothing more to do: all is answered, or nothing more will be.
  bool done() const;
  // The keys that the target has, in the order of the request.
  const std::vector<std::string_view>& acknowledged() const { return acknowledged_; }
  // What a client reads; empty: all went well.
  const std::string& error() const { return error_; }

  // As many bytes may be under way, or one key of any size.
  static constexpr size_t kMaxUnderWay = size_t{1} << 20;
  // No answer is longer.
  static constexpr size_t kMaxAnswer = 16 * 1024;

 private:
  // What an answer is waited for.
  struct Asked {
    bool is_key;
    std::string_view key;
    size_t bytes;
  };
  void OnAnswer(std::string_view line);

  const MigrateRequest request_;
  std::deque<Asked> asked_;
  size_t under_way_ = 0;  // Bytes.
  size_t next_ = 0;       // Of the keys.
  bool found_any_ = false;
  bool greeted_ = false;
  bool over_ = false;  // Nothing more is said or heard.
  std::vector<std::string_view> acknowledged_;
  std::string error_;
};

}  // namespace kvs
