// NameBook: which address each name stands for now, and which names are to be looked up when.
//
// A name is looked up once it is used, again after each interval, and at once when a connection to
// its address fails, but never more often than the rate allows.  The address in use stays as long
// as the name has it, in whatever order DNS gives them; one that fails makes room for the next
// address of its name.  What cannot be looked up keeps the addresses that it had.
//
// Threads: loop-owned; no clock, socket or thread of its own.
// Owner:   who routes by names, with a Resolver beside it.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace kvs {

class NameBook {
 public:
  // Between two lookups of one name, and between two changes of its address after failures.
  static constexpr int64_t kMinGapMs = 1000;

  explicit NameBook(int64_t interval_ms) : interval_ms_(interval_ms) {}

  // How old an answer may become; 0: as old as it likes.
  void set_interval_ms(int64_t interval_ms) { interval_ms_ = interval_ms; }
  // These hosts are in use from now on; numeric ones need nothing.  Others are forgotten.
  void Use(const std::vector<std::string>& hosts);
  // Returns the names that are to be looked up now, and takes each for asked until OnAnswer().
  std::vector<std::string> TakeDue(int64_t now_ms);
  // Returns whether the address of a name has changed.  Names that are not in use are ignored.
  bool OnAnswer(const std::string& host, const Result<std::vector<std::string>>& addresses);
  // A connection to a numeric address has failed.  Returns whether the address of a name has
  // changed.
  bool OnFailure(const std::string& address, int64_t now_ms);
  // Returns a numeric address; or the name itself as long as nothing has been found.
  std::string AddressOf(const std::string& host) const;
  // Whether each name has been answered, be it with an error.
  bool complete() const;

 private:
  static constexpr int64_t kNever = INT64_MIN / 2;
  struct Name {
    std::vector<std::string> addresses;
    size_t chosen = 0;
    bool asked = false;
    bool answered = false;
    bool urgent = false;  // A connection has failed.
    int64_t asked_ms = kNever;
    int64_t moved_ms = kNever;  // When a failure changed the address.
  };
  bool IsDue(const Name& name, int64_t now_ms) const;

  int64_t interval_ms_;
  std::map<std::string, Name> names_;
};

}  // namespace kvs
