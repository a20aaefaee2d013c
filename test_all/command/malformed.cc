#include "test_all/command/malformed.h"

#include "common/base/check.h"
#include "common/base/strings.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

constexpr int64_t kQuietMillis = 30;
constexpr int64_t kCloseMillis = 5000;

}  // namespace

std::vector<MalformedCase> MalformedCases() {
  std::vector<MalformedCase> cases;
  const std::vector<std::string_view> lines = Split(EmbeddedText("malformed.txt"), '\n');
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    if (!lines[i].starts_with("> ")) {
      continue;
    }
    std::vector<std::string> words;
    KVS_CHECK(SplitArguments(lines[i].substr(2), &words) && words.size() == 1);
    cases.push_back({.shown = std::string(lines[i].substr(2)),
                     .bytes = words[0],
                     .outcome = std::string(lines[i + 1])});
  }
  return cases;
}

std::string TryMalformed(const Target& target, const MalformedCase& test) {
  Result<RespClient> client = OpenClient(target, 2);
  if (!client.ok()) {
    return client.status().ToString();
  }
  if (Status status = client->Send(test.bytes); !status.ok()) {
    return status.ToString();
  }
  bool closed = false;
  std::string reply;
  if (test.outcome.starts_with("closed")) {
    reply = client->ReadUntilQuiet(kCloseMillis * kSlownessFactor, &closed);
  } else {
    // The reply may take its time; what comes behind it may not.
    while (OnOneLine(reply).size() + 5 < test.outcome.size()) {
      const std::string byte = client->ReadBytes(1);
      if (byte.empty()) {
        break;
      }
      reply += byte;
    }
    reply += client->ReadUntilQuiet(kQuietMillis, &closed);
  }
  return (closed ? "closed" : "open") + (reply.empty() ? "" : " " + OnOneLine(reply));
}

}  // namespace kvs
