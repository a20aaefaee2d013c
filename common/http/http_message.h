// HttpRequest and HttpResponse: what a handler is given and what it answers.
//
// Errors are JSON everywhere: {"code", "message", "remedy"}.  A Status whose message reads
// "what is wrong; what to do" fills both texts.
//
// Threads: values.
// Owner:   the caller.

#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/json/json.h"

namespace kvs {

using HttpFields = std::vector<std::pair<std::string, std::string>>;

struct HttpRequest {
  std::string method;  // As sent, "GET".
  std::string path;    // Before '?', still percent-encoded.
  HttpFields query;    // Decoded, in order.
  HttpFields headers;  // Names as sent.
  std::string body;
  HttpFields params;  // The {name} segments of the route's pattern, decoded.
  std::string peer;   // "host:port" of the client.
  bool keep_alive = true;

  // Return the first value of that name, or nullptr.  Header names match in any case.
  const std::string* Header(std::string_view name) const;
  const std::string* Query(std::string_view name) const;
  // REQUIRES: the route's pattern has {name}
  const std::string& Param(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  std::string content_type = "application/json";
  std::string body;
  HttpFields headers;  // Besides those that the server writes itself.
};

// Returns "Not Found" for 404; "Unknown" for a number that we never send.
std::string_view HttpReason(int status);
// Returns the HTTP status for an error code: kNotFound is 404, kInvalidArgument 400, ...
int HttpStatusOf(Code code);

HttpResponse JsonResponse(const Json& body, int status = 200);
HttpResponse TextResponse(std::string body, int status = 200);
// Returns {code, message, remedy}.
HttpResponse ErrorResponse(int status, std::string_view code, std::string_view message,
                           std::string_view remedy);
// As above.  Of a message "a; b", a is the message and b the remedy; without ';' the remedy is a
// general one for the code.
// REQUIRES: !status.ok()
HttpResponse ErrorResponse(const Status& status);

// Appends the bytes of a response.  With `head_only` the body is announced and left out.
void EncodeResponse(const HttpResponse& response, bool keep_alive, bool head_only,
                    std::string* out);

// Decodes %XX, and '+' as a space if `plus_is_space`.
// Returns false if an escape is incomplete or stands for a NUL byte.
bool PercentDecode(std::string_view text, bool plus_is_space, std::string* out);

}  // namespace kvs
