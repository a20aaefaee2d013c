#include "test_all/harness/http_call.h"

#include "common/base/strings.h"
#include "test_all/harness/resp_client.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int64_t kAnswerMillis = 5000;
constexpr std::string_view kStatusLine = "HTTP/1.1 200 ";

}  // namespace

Result<HttpAnswer> CallHttp(uint16_t port, const std::string& method, const std::string& path,
                            const std::string& body) {
  KVS_ASSIGN_OR_RETURN(RespClient client, RespClient::Connect(port));
  KVS_RETURN_IF_ERROR(client.Send(method + " " + path +
                                  " HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
                                  "Content-Type: application/json\r\nContent-Length: " +
                                  std::to_string(body.size()) + "\r\n\r\n" + body));
  bool closed = false;
  const std::string text = client.ReadUntilQuiet(kAnswerMillis * kSlownessFactor, &closed);
  if (!closed) {
    return Status::Timeout("no whole answer to " + method + " " + path);
  }
  const size_t head = text.find("\r\n\r\n");
  int64_t status = 0;
  if (head == std::string::npos || !text.starts_with("HTTP/1.1 ") ||
      !ParseInt64(text.substr(kStatusLine.size() - 4, 3), &status)) {
    return Status::Corruption("'" + text.substr(0, 200) + "' is no HTTP answer");
  }
  HttpAnswer answer;
  answer.status = static_cast<int>(status);
  answer.body = text.substr(head + 4);
  if (Result<Json> json = Json::Parse(answer.body); json.ok()) {
    answer.json = *std::move(json);
  }
  return answer;
}

}  // namespace kvs
