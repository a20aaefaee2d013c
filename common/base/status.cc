#include "common/base/status.h"

#include <array>
#include <cstring>

namespace kvs {
namespace {

constexpr std::array<std::string_view, kCodeCount> kNames = {"ok",
                                                             "not_found",
                                                             "invalid_argument",
                                                             "wrong_type",
                                                             "too_large",
                                                             "unauthenticated",
                                                             "no_permission",
                                                             "read_only",
                                                             "out_of_memory",
                                                             "unavailable",
                                                             "busy",
                                                             "misconf",
                                                             "no_replicas",
                                                             "loading",
                                                             "try_again",
                                                             "cross_slot",
                                                             "incomplete",
                                                             "timeout",
                                                             "aborted",
                                                             "unsupported",
                                                             "corruption",
                                                             "io_error",
                                                             "already_exists"};

}  // namespace

std::string_view CodeName(Code code) {
  return kNames[static_cast<size_t>(code)];
}

Status::Status(Code code, std::string_view message)
    : rep_(std::make_unique<Rep>(Rep{code, std::string(message)})) {
  KVS_CHECK(code != Code::kOk);
}

Status& Status::operator=(const Status& other) {
  if (this != &other) {
    rep_ = other.rep_ == nullptr ? nullptr : std::make_unique<Rep>(*other.rep_);
  }
  return *this;
}

Status Status::WrongType() {
  return {Code::kWrongType, "Operation against a key holding the wrong kind of value"};
}

Status Status::CrossSlot() {
  return {Code::kCrossSlot, "Keys in request don't hash to the same slot"};
}

Status Status::FromErrno(std::string_view what, int error_number) {
  std::string message(what);
  message += ": ";
  char buffer[256];
  message += strerror_r(error_number, buffer, sizeof(buffer));
  return {Code::kIoError, message};
}

std::string Status::ToString() const {
  if (ok()) {
    return "ok";
  }
  std::string text(CodeName(code()));
  text += ": ";
  text += message();
  return text;
}

Status Status::WithContext(std::string_view context) const {
  if (ok()) {
    return {};
  }
  std::string text(context);
  text += ": ";
  text += message();
  return {code(), text};
}

}  // namespace kvs
