// Status and Result: how functions say that the world did not do what was asked.
//
// A Status is a code and a message.  OK is a null pointer: it allocates nothing and costs one
// comparison.  Result<T> is a value or a Status that is not OK.  Both must be looked at.
//
// A message names the thing and the remedy, in lower case, without a full stop.  Where a message
// goes to a client as it is, it is Redis's own text and may break that rule.
//
// Threads: immutable; copies may be used anywhere.
// Owner:   the caller, by value.

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "common/base/check.h"

namespace kvs {

// What went wrong, in kinds that callers act on.  common/resp turns them into error replies.
enum class Code : uint8_t {
  kOk,
  kNotFound,
  kInvalidArgument,
  kWrongType,
  kTooLarge,
  kUnauthenticated,
  kNoPermission,
  kReadOnly,
  kOutOfMemory,
  kUnavailable,
  kBusy,
  kMisconf,
  kNoReplicas,
  kLoading,
  kTryAgain,
  kCrossSlot,
  kIncomplete,  // A parser wants more bytes; never leaves the process.
  kTimeout,
  kAborted,
  kUnsupported,
  kCorruption,
  kIoError,
  kAlreadyExists,
};
inline constexpr int kCodeCount = static_cast<int>(Code::kAlreadyExists) + 1;

// Returns the name of a code in snake case, such as "not_found"; used as a metric label.
std::string_view CodeName(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;
  Status(Code code, std::string_view message);

  Status(const Status& other) { *this = other; }
  Status& operator=(const Status& other);
  Status(Status&&) noexcept = default;
  Status& operator=(Status&&) noexcept = default;
  ~Status() = default;

  static Status Ok() { return {}; }
  static Status NotFound(std::string_view m = "not found") { return {Code::kNotFound, m}; }
  static Status InvalidArgument(std::string_view m) { return {Code::kInvalidArgument, m}; }
  static Status WrongType();
  static Status TooLarge(std::string_view m) { return {Code::kTooLarge, m}; }
  static Status Unauthenticated(std::string_view m) { return {Code::kUnauthenticated, m}; }
  static Status NoPermission(std::string_view m) { return {Code::kNoPermission, m}; }
  static Status ReadOnly(std::string_view m) { return {Code::kReadOnly, m}; }
  static Status Unavailable(std::string_view m) { return {Code::kUnavailable, m}; }
  static Status Busy(std::string_view m) { return {Code::kBusy, m}; }
  static Status Misconf(std::string_view m) { return {Code::kMisconf, m}; }
  static Status TryAgain(std::string_view m) { return {Code::kTryAgain, m}; }
  static Status CrossSlot();
  static Status Incomplete() { return {Code::kIncomplete, ""}; }
  static Status Timeout(std::string_view m) { return {Code::kTimeout, m}; }
  static Status Aborted(std::string_view m) { return {Code::kAborted, m}; }
  static Status Unsupported(std::string_view m) { return {Code::kUnsupported, m}; }
  static Status Corruption(std::string_view m) { return {Code::kCorruption, m}; }
  static Status IoError(std::string_view m) { return {Code::kIoError, m}; }
  static Status AlreadyExists(std::string_view m) { return {Code::kAlreadyExists, m}; }
  // Returns kIoError with "what: strerror(error_number)".
  static Status FromErrno(std::string_view what, int error_number);

  bool ok() const { return rep_ == nullptr; }
  Code code() const { return rep_ == nullptr ? Code::kOk : rep_->code; }
  std::string_view message() const {
    return rep_ == nullptr ? std::string_view() : std::string_view(rep_->message);
  }
  // Returns "ok" or "code: message", for logs.
  std::string ToString() const;
  // Returns this status with "context: " before the message; OK stays OK.
  Status WithContext(std::string_view context) const;

 private:
  struct Rep {
    Code code;
    std::string message;
  };
  std::unique_ptr<Rep> rep_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}         // NOLINT: implicit on purpose
  Result(Status status) : status_(std::move(status)) {  // NOLINT: implicit on purpose
    KVS_CHECK(!status_.ok());
  }

  bool ok() const { return value_.has_value(); }
  const Status& status() const& { return status_; }
  Status status() && { return std::move(status_); }

  // REQUIRES: ok()
  T& operator*() & { return Value(); }
  const T& operator*() const& {
    KVS_CHECK(ok());
    return *value_;
  }
  // By value: a loop over *Function() keeps what it walks.
  T operator*() && { return std::move(Value()); }
  T* operator->() { return &Value(); }
  const T* operator->() const {
    KVS_CHECK(ok());
    return &*value_;
  }

 private:
  T& Value() {
    KVS_CHECK(ok());
    return *value_;
  }

  std::optional<T> value_;
  Status status_;
};

}  // namespace kvs

// Returns the status of `expression` from the enclosing function unless it is OK.
#define KVS_RETURN_IF_ERROR(expression)       \
  do {                                        \
    ::kvs::Status kvs_status_ = (expression); \
    if (!kvs_status_.ok()) [[unlikely]] {     \
      return kvs_status_;                     \
    }                                         \
  } while (false)

#define KVS_CONCAT_INNER(a, b) a##b
#define KVS_CONCAT(a, b) KVS_CONCAT_INNER(a, b)

// Assigns the value of a Result to `declaration`, or returns its status.
#define KVS_ASSIGN_OR_RETURN(declaration, expression) \
  KVS_ASSIGN_OR_RETURN_IMPL(KVS_CONCAT(kvs_result_, __LINE__), declaration, expression)
#define KVS_ASSIGN_OR_RETURN_IMPL(result, declaration, expression) \
  auto result = (expression);                                      \
  if (!result.ok()) [[unlikely]] {                                 \
    return std::move(result).status();                             \
  }                                                                \
  declaration = *std::move(result)
