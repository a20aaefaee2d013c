#include "storage_node/migrate/migration.h"

#include <fmt/format.h>

#include "common/base/check.h"
#include "common/resp/resp_writer.h"

namespace kvs {
namespace {

// Redis's words.
std::string_view ErrorOf(TargetLoss loss) {
  switch (loss) {
    case TargetLoss::kConnecting:
      return "IOERR error or timeout connecting to the client";
    case TargetLoss::kWriting:
      return "IOERR error or timeout writing to target instance";
    case TargetLoss::kReading:
      return "IOERR error or timeout reading to target instance";
  }
  return "";
}

}  // namespace

Migration::Migration(const MigrateRequest& request) : request_(request) {}

std::string Migration::Greet() {
  std::string out;
  if (request_.password.has_value()) {
    if (request_.username.has_value()) {
      EncodeRequest({"AUTH", *request_.username, *request_.password}, &out);
    } else {
      EncodeRequest({"AUTH", *request_.password}, &out);
    }
    asked_.push_back({.is_key = false, .key = {}, .bytes = 0});
  }
  if (request_.db != 0) {
    EncodeRequest({"SELECT", std::to_string(request_.db)}, &out);
    asked_.push_back({.is_key = false, .key = {}, .bytes = 0});
  }
  greeted_ = asked_.empty();
  return out;
}

bool Migration::WantsKey() const {
  return greeted_ && !over_ && next_ < request_.keys.size() &&
         (asked_.empty() || under_way_ < kMaxUnderWay);
}

std::string Migration::SendKey(int64_t ttl_ms, std::string_view payload) {
  KVS_CHECK(WantsKey());
  const std::string_view key = request_.keys[next_++];
  found_any_ = true;
  const std::string ttl = std::to_string(ttl_ms);
  std::string out;
  out.reserve(payload.size() + key.size() + 128);
  if (request_.replace) {
    EncodeRequest({"RESTORE", key, ttl, payload, "REPLACE"}, &out);
  } else {
    EncodeRequest({"RESTORE", key, ttl, payload}, &out);
  }
  asked_.push_back({.is_key = true, .key = key, .bytes = out.size()});
  under_way_ += out.size();
  return out;
}

void Migration::RefuseKey(std::string_view error) {
  KVS_CHECK(WantsKey());
  ++next_;
  found_any_ = true;
  if (error_.empty()) {
    error_ = error;
  }
}

void Migration::TakeAnswers(std::string* input) {
  size_t taken = 0;
  while (!over_) {
    const std::string_view rest = std::string_view(*input).substr(taken);
    const size_t end = rest.find("\r\n");
    const bool is_line = rest.empty() || rest[0] == '+' || rest[0] == '-';
    if (!is_line || (end == std::string_view::npos ? rest.size() : end) > kMaxAnswer ||
        (asked_.empty() && !rest.empty())) {
      return Lose(TargetLoss::kReading);
    }
    if (end == std::string_view::npos) {
      break;
    }
    OnAnswer(rest.substr(0, end));
    taken += end + 2;
  }
  input->erase(0, taken);
}

void Migration::OnAnswer(std::string_view line) {
  const Asked asked = asked_.front();
  asked_.pop_front();
  under_way_ -= asked.bytes;
  if (line[0] == '-') {
    if (error_.empty()) {
      error_ = fmt::format("ERR Target instance replied with error: {}", line.substr(1));
    }
    over_ = !asked.is_key;  // Keys would come into the wrong database, or to somebody else.
  } else if (line != "+OK") {
    Lose(TargetLoss::kReading);
  } else if (asked.is_key) {
    acknowledged_.push_back(asked.key);
  } else {
    greeted_ = asked_.empty();
  }
}

void Migration::Lose(TargetLoss loss) {
  Fail(ErrorOf(loss));
}

void Migration::Fail(std::string_view error) {
  if (error_.empty()) {
    error_ = error;
  }
  over_ = true;
}

bool Migration::done() const {
  return over_ || (greeted_ && asked_.empty() && next_ == request_.keys.size());
}

}  // namespace kvs
