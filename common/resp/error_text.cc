#include "common/resp/error_text.h"

#include "common/base/check.h"

namespace kvs {
namespace {

// A code's prefix, and the message for a Status that came without one.
struct Row {
  std::string_view prefix;
  std::string_view message;
};

// A switch and no array: the compiler then refuses a code without a row.
Row Find(Code code) {
  switch (code) {
    case Code::kOk:
    case Code::kIncomplete:
      return {};
    case Code::kWrongType:
      return {"WRONGTYPE", "Operation against a key holding the wrong kind of value"};
    case Code::kUnauthenticated:
      return {"NOAUTH", "Authentication required."};
    case Code::kNoPermission:
      return {"NOPERM", "this user has no permissions to run this command"};
    case Code::kReadOnly:
      return {"READONLY", "You can't write against a read only replica."};
    case Code::kOutOfMemory:
      return {"OOM", "command not allowed when used memory > 'maxmemory'."};
    case Code::kUnavailable:
      return {"CLUSTERDOWN", "Hash slot not served"};
    case Code::kMisconf:
      return {"MISCONF", "Errors writing to the log file"};
    case Code::kNoReplicas:
      return {"NOREPLICAS", "Not enough good replicas to write."};
    case Code::kLoading:
      return {"LOADING", "Redis is loading the dataset in memory"};
    case Code::kTryAgain:
      return {"TRYAGAIN", "Multiple keys request during rehashing of slot"};
    case Code::kCrossSlot:
      return {"CROSSSLOT", "Keys in request don't hash to the same slot"};
    case Code::kAborted:
      return {"EXECABORT", "Transaction discarded because of previous errors."};
    case Code::kBusy:
      return {"ERR", "overloaded, retry later"};
    case Code::kTimeout:
      return {"ERR", "timeout"};
    case Code::kUnsupported:
      return {"ERR", "unknown command"};
    case Code::kNotFound:
      return {"ERR", "not found"};
    case Code::kAlreadyExists:
      return {"ERR", "already exists"};
    case Code::kInvalidArgument:
    case Code::kTooLarge:
    case Code::kCorruption:
    case Code::kIoError:
      return {"ERR", CodeName(code)};
  }
  return {};
}

}  // namespace

std::string_view ErrorPrefix(Code code) {
  const std::string_view prefix = Find(code).prefix;
  KVS_CHECK(!prefix.empty());
  return prefix;
}

std::string ErrorText(const Status& status) {
  std::string text(ErrorPrefix(status.code()));
  text.push_back(' ');
  AppendErrorLine(status.message().empty() ? Find(status.code()).message : status.message(), &text);
  return text;
}

void AppendErrorLine(std::string_view text, std::string* out) {
  const size_t start = out->size();
  out->append(text);
  for (size_t i = start; i < out->size(); ++i) {
    if ((*out)[i] == '\r' || (*out)[i] == '\n') {
      (*out)[i] = ' ';
    }
  }
}

}  // namespace kvs
