#include "common/http/http_message.h"

#include <fmt/format.h>

#include <iterator>

#include "common/base/strings.h"

namespace kvs {
namespace {

struct Reason {
  int status;
  std::string_view text;
};

constexpr Reason kReasons[] = {{200, "OK"},
                               {201, "Created"},
                               {202, "Accepted"},
                               {204, "No Content"},
                               {400, "Bad Request"},
                               {401, "Unauthorized"},
                               {403, "Forbidden"},
                               {404, "Not Found"},
                               {405, "Method Not Allowed"},
                               {409, "Conflict"},
                               {413, "Payload Too Large"},
                               {429, "Too Many Requests"},
                               {431, "Request Header Fields Too Large"},
                               {500, "Internal Server Error"},
                               {501, "Not Implemented"},
                               {503, "Service Unavailable"},
                               {504, "Gateway Timeout"},
                               {505, "HTTP Version Not Supported"},
                               {507, "Insufficient Storage"}};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  const char lower = static_cast<char>(c | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string_view GeneralRemedy(Code code) {
  switch (code) {
    case Code::kNotFound:
      return "check the name; a list of what exists is one path up";
    case Code::kInvalidArgument:
    case Code::kTooLarge:
    case Code::kUnsupported:
      return "correct the request";
    case Code::kBusy:
    case Code::kUnavailable:
    case Code::kTimeout:
    case Code::kTryAgain:
    case Code::kAborted:
      return "try again";
    default:
      return "see the server's log";
  }
}

}  // namespace

const std::string* HttpRequest::Header(std::string_view name) const {
  for (const auto& [field, value] : headers) {
    if (EqualsIgnoreCase(field, name)) {
      return &value;
    }
  }
  return nullptr;
}

const std::string* HttpRequest::Query(std::string_view name) const {
  for (const auto& [field, value] : query) {
    if (field == name) {
      return &value;
    }
  }
  return nullptr;
}

const std::string& HttpRequest::Param(std::string_view name) const {
  for (const auto& [field, value] : params) {
    if (field == name) {
      return value;
    }
  }
  KVS_CHECK(false && "the route has no such segment");
}

std::string_view HttpReason(int status) {
  for (const Reason& reason : kReasons) {
    if (reason.status == status) {
      return reason.text;
    }
  }
  return "Unknown";
}

int HttpStatusOf(Code code) {
  switch (code) {
    case Code::kOk:
      return 200;
    case Code::kNotFound:
      return 404;
    case Code::kInvalidArgument:
    case Code::kCrossSlot:
      return 400;
    case Code::kWrongType:
    case Code::kAborted:
    case Code::kAlreadyExists:
      return 409;
    case Code::kTooLarge:
      return 413;
    case Code::kUnauthenticated:
      return 401;
    case Code::kNoPermission:
    case Code::kReadOnly:
      return 403;
    case Code::kOutOfMemory:
      return 507;
    case Code::kUnavailable:
    case Code::kMisconf:
    case Code::kNoReplicas:
    case Code::kLoading:
    case Code::kTryAgain:
      return 503;
    case Code::kBusy:
      return 429;
    case Code::kTimeout:
      return 504;
    case Code::kUnsupported:
      return 501;
    case Code::kIncomplete:
    case Code::kCorruption:
    case Code::kIoError:
      return 500;
  }
  return 500;
}

HttpResponse JsonResponse(const Json& body, int status) {
  return {status, "application/json", body.ToPrettyString(), {}};
}

HttpResponse TextResponse(std::string body, int status) {
  return {status, "text/plain; charset=utf-8", std::move(body), {}};
}

HttpResponse ErrorResponse(int status, std::string_view code, std::string_view message,
                           std::string_view remedy) {
  Json body = Json::MakeObject();
  body.Set("code", code);
  body.Set("message", message);
  body.Set("remedy", remedy);
  return JsonResponse(body, status);
}

HttpResponse ErrorResponse(const Status& status) {
  KVS_CHECK(!status.ok());
  std::string_view message = status.message();
  std::string_view remedy = GeneralRemedy(status.code());
  const size_t semicolon = message.find("; ");
  if (semicolon != std::string_view::npos) {
    remedy = message.substr(semicolon + 2);
    message = message.substr(0, semicolon);
  }
  return ErrorResponse(HttpStatusOf(status.code()), CodeName(status.code()), message, remedy);
}

void EncodeResponse(const HttpResponse& response, bool keep_alive, bool head_only,
                    std::string* out) {
  fmt::format_to(std::back_inserter(*out),
                 "HTTP/1.1 {} {}\r\n"
                 "Content-Type: {}\r\n"
                 "Content-Length: {}\r\n"
                 "Connection: {}\r\n"
                 "Cache-Control: no-store\r\n"
                 "X-Content-Type-Options: nosniff\r\n",
                 response.status, HttpReason(response.status), response.content_type,
                 response.body.size(), keep_alive ? "keep-alive" : "close");
  for (const auto& [name, value] : response.headers) {
    fmt::format_to(std::back_inserter(*out), "{}: {}\r\n", name, value);
  }
  out->append("\r\n");
  if (!head_only) {
    out->append(response.body);
  }
}

bool PercentDecode(std::string_view text, bool plus_is_space, std::string* out) {
  out->clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out->push_back(plus_is_space && text[i] == '+' ? ' ' : text[i]);
      continue;
    }
    if (i + 2 >= text.size()) {
      return false;
    }
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0 || high + low == 0) {
      return false;
    }
    out->push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return true;
}

}  // namespace kvs
