#include "test_all/command/case_runner.h"

#include <regex.h>

#include <set>

#include "common/base/check.h"
#include "common/base/strings.h"
#include "common/command/command_table.h"

namespace kvs {
namespace {

// Puts `prefix` before the keys of a request and collects them.
std::vector<std::string> WithPrefix(const std::vector<std::string>& words,
                                    const std::string& prefix, std::set<std::string>* keys) {
  std::vector<std::string> changed = words;
  const std::vector<std::string_view> args(words.begin(), words.end());
  const CommandSpec* spec = ResolveCommand(args);
  if (prefix.empty() || spec == nullptr || !spec->has_keys()) {
    return changed;
  }
  const KeyPositions positions = FindKeys(*spec, args);
  for (size_t i = 0; i < positions.count; ++i) {
    std::string& key = changed[positions.index(i)];
    key.insert(0, prefix);
    keys->insert(key);
  }
  return changed;
}

// The types and sizes in a reply: "*2($,:)".  Strings and numbers may have any value.
std::string Shape(const Reply& reply) {
  std::string shape = std::to_string(static_cast<int>(reply.type));
  if (reply.elements.empty()) {
    return shape;
  }
  shape += "(";
  for (const Reply& element : reply.elements) {
    shape += Shape(element) + ",";
  }
  return shape + ")";
}

std::string ShapeOf(const std::string& frame) {
  const Result<Reply> reply = ParseReply(frame);
  return reply.ok() ? Shape(*reply) : "not RESP";
}

// Whether all of `text` matches a POSIX extended expression.  The C library's matcher, because
// std::regex recurses once per character.
bool MatchesWhole(const std::string& text, const std::string& expression) {
  regex_t compiled;
  KVS_CHECK(regcomp(&compiled, ("^(" + expression + ")$").c_str(), REG_EXTENDED | REG_NOSUB) == 0);
  const bool matches = regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  regfree(&compiled);
  return matches;
}

std::string Where(const Case& test, const CaseStep& step) {
  return test.table + ":" + std::to_string(step.line) + ": " + test.name + ": " + step.request;
}

std::string Difference(const std::string& where, std::string_view expected,
                       std::string_view found) {
  return where + "\n  expected " + std::string(expected) + "\n  got      " + std::string(found);
}

}  // namespace

Result<RespClient> OpenClient(const Target& target, int protocol) {
  KVS_ASSIGN_OR_RETURN(RespClient client, RespClient::Connect(target.host, target.port));
  Result<Reply> reply = Status::Unavailable("not asked");
  if (!target.password.empty()) {
    KVS_ASSIGN_OR_RETURN(reply, client.Do({"auth", target.password}));
    if (!reply->is_ok()) {
      return Status::Unauthenticated(reply->text);
    }
  }
  if (protocol == 3) {
    KVS_ASSIGN_OR_RETURN(reply, client.Do({"hello", "3"}));
    if (reply->type != Reply::Type::kMap) {
      return Status::Unsupported("HELLO 3: " + reply->ToString());
    }
  }
  return client;
}

namespace {

// Takes the prefix off the keys that a reply names: bulk strings that begin with it, and what an
// error quotes.
std::string WithoutPrefix(std::string reply, const std::string& prefix) {
  if (reply.starts_with('-') && !prefix.empty()) {
    for (size_t at = reply.find(prefix); at != std::string::npos; at = reply.find(prefix, at)) {
      reply.erase(at, prefix.size());
    }
    return reply;
  }
  size_t at = prefix.empty() ? std::string::npos : reply.find(prefix);
  while (at != std::string::npos) {
    const size_t header = reply.rfind('$', at);
    int64_t size = 0;
    if (header == std::string::npos || at < header + 3 || reply.compare(at - 2, 2, "\r\n") != 0 ||
        !ParseInt64(reply.substr(header + 1, at - header - 3), &size)) {
      break;
    }
    const std::string shorter =
        "$" + std::to_string(size - static_cast<int64_t>(prefix.size())) + "\r\n";
    reply.replace(header, at + prefix.size() - header, shorter);
    at = reply.find(prefix, header);
  }
  return reply;
}

}  // namespace

Result<std::vector<std::string>> RunCase(const Target& target, const Case& test,
                                         const RunOptions& options) {
  KVS_ASSIGN_OR_RETURN(RespClient client, OpenClient(target, options.protocol));
  if (options.key_prefix.empty() && test.needs_empty_server()) {
    KVS_ASSIGN_OR_RETURN(const Reply flushed, client.Do({"flushall"}));
    if (!flushed.is_ok()) {
      return Status::Unavailable("flushall: " + flushed.ToString());
    }
  }
  std::set<std::string> keys;
  std::vector<std::string> replies;
  for (const CaseStep& step : test.steps) {
    const std::string bytes = EncodeWords(WithPrefix(step.args, options.key_prefix, &keys));
    Status status = client.Send(bytes);
    Result<std::string> reply = status.ok() ? client.ReadFrame() : Result<std::string>(status);
    if (!reply.ok()) {
      return reply.status().WithContext(Where(test, step));
    }
    replies.push_back(WithoutPrefix(*std::move(reply), options.key_prefix));
  }
  if (!keys.empty()) {
    std::vector<std::string> clean_up = {"del"};
    clean_up.insert(clean_up.end(), keys.begin(), keys.end());
    KVS_ASSIGN_OR_RETURN(RespClient cleaner, OpenClient(target, 2));
    KVS_ASSIGN_OR_RETURN(const Reply deleted, cleaner.Do(clean_up));
    if (deleted.is_error()) {
      return Status::Unavailable("del: " + deleted.ToString());
    }
  }
  return replies;
}

std::string CompareWithTable(const Case& test, const std::vector<std::string>& replies) {
  for (size_t i = 0; i < test.steps.size(); ++i) {
    const CaseStep& step = test.steps[i];
    const std::string found = OnOneLine(replies[i]);
    const bool equal =
        step.is_pattern() ? MatchesWhole(found, step.reply.substr(1)) : found == step.reply;
    if (!equal) {
      return Difference(Where(test, step), step.reply, found);
    }
  }
  return "";
}

std::string CompareServers(const Case& test, const std::vector<std::string>& expected,
                           const std::vector<std::string>& found) {
  for (size_t i = 0; i < test.steps.size(); ++i) {
    const CaseStep& step = test.steps[i];
    const bool equal =
        step.is_pattern() ? ShapeOf(expected[i]) == ShapeOf(found[i]) : expected[i] == found[i];
    if (!equal) {
      return Difference(Where(test, step), OnOneLine(expected[i]), OnOneLine(found[i]));
    }
  }
  return "";
}

}  // namespace kvs
