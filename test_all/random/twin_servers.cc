#include "test_all/random/twin_servers.h"

#include <algorithm>
#include <cstdlib>

#include "common/base/strings.h"
#include "test_all/command/case_table.h"
#include "test_all/harness/wait.h"

namespace kvs {
namespace {

// The two get a command at slightly different times; on a busy machine seconds apart.
constexpr int64_t kClockToleranceSeconds = 20;
constexpr size_t kRemembered = 20'000;
constexpr size_t kShownCommands = 12;
constexpr size_t kShownBytes = 160;
constexpr int64_t kCheckTimeoutMillis = 120'000;
constexpr const char* kNothing = "";

std::string Shown(const std::string& bytes) {
  std::string line = OnOneLine(bytes);
  if (line.size() > kShownBytes) {
    line = line.substr(0, kShownBytes) + "... (" + std::to_string(bytes.size()) + " bytes)";
  }
  return line;
}

std::string ShownWords(const std::vector<std::string>& words) {
  std::string line;
  for (const std::string& word : words) {
    line += (line.empty() ? "" : " ") + (word.empty() ? "''" : Shown(word));
  }
  return line;
}

std::string Encode(const std::vector<RandomCommand>& commands) {
  std::string bytes;
  for (const RandomCommand& command : commands) {
    bytes += EncodeWords(command.words);
  }
  return bytes;
}

void SortElements(Reply* reply) {
  for (Reply& element : reply->elements) {
    SortElements(&element);
  }
  std::sort(reply->elements.begin(), reply->elements.end(),
            [](const Reply& a, const Reply& b) { return a.ToString() < b.ToString(); });
}

// Whether both hold the same, in whatever order.
bool ElementsMatch(const std::string& one, const std::string& other) {
  Result<Reply> a = ParseReply(one);
  Result<Reply> b = ParseReply(other);
  if (!a.ok() || !b.ok() || one[0] != other[0]) {
    return one == other;
  }
  SortElements(&*a);
  SortElements(&*b);
  return a->ToString() == b->ToString();
}

bool TimesMatch(ReplyMatch match, const std::string& one, const std::string& other) {
  const auto number = [](const std::string& reply, int64_t* value) {
    return reply.size() > 3 && reply[0] == ':' &&
           ParseInt64(std::string_view(reply).substr(1, reply.size() - 3), value);
  };
  int64_t a = 0;
  int64_t b = 0;
  if (!number(one, &a) || !number(other, &b) || a < 0 || b < 0) {
    return one == other;
  }
  const bool in_millis = match == ReplyMatch::kPTtl || match == ReplyMatch::kPExpireTime;
  const int64_t unit = in_millis ? 1000 : 1;
  const bool is_date = match == ReplyMatch::kExpireTime || match == ReplyMatch::kPExpireTime;
  if (is_date && a >= RandomCommands::kFarSeconds * unit) {
    return a == b;
  }
  return std::abs(a - b) <= kClockToleranceSeconds * unit;
}

}  // namespace

bool RepliesMatch(ReplyMatch match, const std::string& one, const std::string& other) {
  switch (match) {
    case ReplyMatch::kBytes:
      return one == other;
    case ReplyMatch::kUnordered:
      return one == other || ElementsMatch(one, other);
    case ReplyMatch::kShape:
      return !one.empty() && !other.empty() && one[0] == other[0] &&
             one.starts_with("$-1") == other.starts_with("$-1");
    default:
      break;
  }
  return TimesMatch(match, one, other);
}

TwinServers::TwinServers(std::vector<std::string> keys) : keys_(std::move(keys)) {
  std::vector<std::string> all = {"exists"};
  all.insert(all.end(), keys_.begin(), keys_.end());
  questions_.push_back({.words = all});
  questions_.push_back({.words = {"dbsize"}});
  for (const std::string& key : keys_) {
    questions_.push_back({.words = {"type", key}});
    questions_.push_back({.words = {"get", key}});
    questions_.push_back({.words = {"lrange", key, "0", "-1"}});
    questions_.push_back({.words = {"strlen", key}});
    questions_.push_back({.words = {"zrange", key, "0", "-1", "withscores"}});
    questions_.push_back({.words = {"smembers", key}, .match = ReplyMatch::kUnordered});
    questions_.push_back({.words = {"hgetall", key}, .match = ReplyMatch::kUnordered});
    questions_.push_back({.words = {"xrange", key, "-", "+"}});
    questions_.push_back({.words = {"xinfo", "groups", key}});
    questions_.push_back({.words = {"xpending", key, "g"}});
    questions_.push_back({.words = {"xpending", key, "h"}});
    questions_.push_back({.words = {"pexpiretime", key}, .match = ReplyMatch::kPExpireTime});
    questions_.push_back({.words = {"object", "encoding", key}, .match = ReplyMatch::kShape});
  }
  node_ = MakeNode(dir_, "node");
  redis_ = MakeRedis(dir_, "redis");
  node_arguments_ = *node_->arguments();
}

void TwinServers::set_node_options(const Words& options) {
  *node_->arguments() = node_arguments_;
  node_->arguments()->insert(node_->arguments()->end(), options.begin(), options.end());
}

Status TwinServers::OpenClients(Server* server, RespClient* clients) {
  for (const int protocol : {2, 3}) {
    KVS_ASSIGN_OR_RETURN(RespClient client, RespClient::Connect(server->port()));
    client.set_timeout_ms(30'000);
    KVS_ASSIGN_OR_RETURN(const Reply reply, client.Do({"hello", std::to_string(protocol)}));
    if (reply.is_error()) {
      return Status::Unavailable(reply.text);
    }
    clients[protocol - 2] = std::move(client);
  }
  return Status::Ok();
}

Status TwinServers::Start() {
  KVS_RETURN_IF_ERROR(redis_->Start());
  KVS_RETURN_IF_ERROR(OpenClients(redis_.get(), redis_clients_));
  KVS_RETURN_IF_ERROR(node_->Start());
  return OpenClients(node_.get(), node_clients_);
}

void TwinServers::Remember(const RandomCommand& command, const std::string& reply) {
  past_.push_back({.words = command.words, .reply = reply.substr(0, 2 * kShownBytes)});
  for (std::string& word : past_.back().words) {
    if (word.size() > 4 * kShownBytes &&
        std::find(keys_.begin(), keys_.end(), word) == keys_.end()) {
      word.resize(2 * kShownBytes);  // A value: too many large ones to keep.
    }
  }
  if (past_.size() > kRemembered) {
    past_.pop_front();
  }
}

std::string TwinServers::History(const std::vector<std::string>& words) const {
  std::vector<std::string> lines;
  for (auto past = past_.rbegin(); past != past_.rend() && lines.size() < kShownCommands; ++past) {
    const bool names_it = std::any_of(keys_.begin(), keys_.end(), [&](const std::string& key) {
      return std::find(words.begin() + 1, words.end(), key) != words.end() &&
             std::find(past->words.begin() + 1, past->words.end(), key) != past->words.end();
    });
    const std::string name = ToLower(past->words[0]);
    if (names_it || name.starts_with("flush")) {
      lines.push_back("    " + ShownWords(past->words) + " -> " + Shown(past->reply) + "\n");
    }
  }
  std::string text = "  before that:\n";
  for (auto line = lines.rbegin(); line != lines.rend(); ++line) {
    text += *line;
  }
  return text;
}

std::string TwinServers::Difference(const RandomCommand& command, const std::string& redis,
                                    const std::string& node) const {
  return ShownWords(command.words) + "\n  redis " + Shown(redis) + "\n  node  " + Shown(node) +
         "\n" + History(command.words);
}

std::string TwinServers::Run(int protocol, const std::vector<RandomCommand>& commands) {
  const std::string bytes = Encode(commands);
  const auto redis = redis_clients_[protocol - 2].Pipeline(bytes, commands.size());
  const auto node = node_clients_[protocol - 2].Pipeline(bytes, commands.size());
  if (!redis.ok() || !node.ok()) {
    return "redis " + redis.status().ToString() + ", node " + node.status().ToString() + ": " +
           node_->process()->Output();
  }
  for (size_t i = 0; i < commands.size(); ++i) {
    if (!RepliesMatch(commands[i].match, (*redis)[i], (*node)[i])) {
      return Difference(commands[i], (*redis)[i], (*node)[i]);
    }
    Remember(commands[i], (*node)[i]);
  }
  return kNothing;
}

Result<TwinServers::Frames> TwinServers::Describe(RespClient* client) const {
  KVS_ASSIGN_OR_RETURN(Frames frames, client->Pipeline(Encode(questions_), questions_.size()));
  KVS_ASSIGN_OR_RETURN(const Reply listed, client->Do({"keys", "*"}));
  std::vector<std::string> names;
  for (const Reply& key : listed.elements) {
    names.push_back(key.text);
  }
  std::sort(names.begin(), names.end());
  frames.push_back(EncodeWords(names));
  KVS_ASSIGN_OR_RETURN(const Reply info, client->Do({"info", "keyspace"}));
  frames.push_back(info.text.substr(0, info.text.find(",avg_ttl")));
  return frames;
}

std::string TwinServers::CompareDescriptions(const Frames& redis, const Frames& node) const {
  for (size_t i = 0; i < questions_.size(); ++i) {
    if (!RepliesMatch(questions_[i].match, redis[i], node[i])) {
      return Difference(questions_[i], redis[i], node[i]);
    }
  }
  const size_t keys = questions_.size();
  if (redis[keys] != node[keys]) {
    return Difference({.words = {"keys", "*"}}, redis[keys], node[keys]);
  }
  if (redis.back() != node.back()) {
    return Difference({.words = {"info", "keyspace"}}, redis.back(), node.back());
  }
  return kNothing;
}

std::string TwinServers::CompareAll() {
  const Result<Frames> redis = Describe(&redis_clients_[0]);
  if (!redis.ok()) {
    return "redis: " + redis.status().ToString();
  }
  const Result<Frames> node = Describe(&node_clients_[0]);
  if (!node.ok()) {
    return "node: " + node.status().ToString();
  }
  return CompareDescriptions(*redis, *node);
}

std::string TwinServers::CheckAndStart(const std::string& how) {
  const Result<ToolResult> check =
      RunTool({BinaryPath("kv_node"), "--check", dir_.Join("node")}, kCheckTimeoutMillis);
  if (!check.ok() || check->exit_code != 0) {
    return how + ": kv_node --check: " + (check.ok() ? check->output : check.status().ToString());
  }
  Status status = node_->Start();
  if (status.ok()) {
    status = OpenClients(node_.get(), node_clients_);
  }
  return status.ok() ? kNothing : how + ": the node does not come back: " + status.ToString();
}

std::string TwinServers::StopNode() {
  const Result<int> exit_code = node_->Stop();
  if (!exit_code.ok() || *exit_code != 0) {
    return "the node does not stop as it should: " + node_->process()->Output();
  }
  return CheckAndStart("a stop");
}

std::string TwinServers::KillNode() {
  node_->Kill();
  return CheckAndStart("a kill");
}

std::string TwinServers::KillNodeInFlight(int protocol, const std::vector<RandomCommand>& commands,
                                          size_t least) {
  RespClient* const client = &node_clients_[protocol - 2];
  // How much further the node gets before it dies is the kernel's choice.
  (void)client->Send(Encode(commands)).ok();
  Frames acknowledged;
  Result<std::string> reply = client->ReadFrame();
  for (; reply.ok(); reply = client->ReadFrame()) {
    acknowledged.push_back(*std::move(reply));
    if (acknowledged.size() == least) {
      node_->Kill();
    }
  }
  node_->Kill();
  if (std::string failure = CheckAndStart("a kill in flight"); !failure.empty()) {
    return failure;
  }
  return FollowNode(protocol, commands, acknowledged);
}

std::string TwinServers::FollowNode(int protocol, const std::vector<RandomCommand>& commands,
                                    const Frames& acknowledged) {
  RespClient* const redis = &redis_clients_[protocol - 2];
  const Result<Frames> found = Describe(&node_clients_[protocol - 2]);
  if (!found.ok()) {
    return "node: " + found.status().ToString();
  }
  acknowledged_in_flight_ += static_cast<int64_t>(acknowledged.size());
  // Within a transaction nothing has changed since its MULTI, and redis-server answers nothing.
  const auto in_transaction = [&](size_t i) {
    return i < commands.size() && commands[i].in_transaction;
  };
  size_t least = acknowledged.size();
  while (in_transaction(least)) {
    --least;
  }
  std::string difference;
  for (size_t applied = 0; applied <= commands.size(); ++applied) {
    if (applied >= least && !in_transaction(applied)) {
      const Result<Frames> expected = Describe(redis);
      difference = expected.ok() ? CompareDescriptions(*expected, *found)
                                 : "redis: " + expected.status().ToString();
      if (difference.empty()) {
        applied_in_flight_ += static_cast<int64_t>(applied);
        // The node's client has lost what it watched.
        const Result<Reply> unwatched = redis->Do({"unwatch"});
        return unwatched.ok() ? kNothing : "redis: " + unwatched.status().ToString();
      }
    }
    if (applied == commands.size()) {
      break;
    }
    const auto replies = redis->Pipeline(EncodeWords(commands[applied].words), 1);
    if (!replies.ok()) {
      return "redis: " + replies.status().ToString();
    }
    if (applied < acknowledged.size() &&
        !RepliesMatch(commands[applied].match, replies->front(), acknowledged[applied])) {
      return Difference(commands[applied], replies->front(), acknowledged[applied]);
    }
    Remember(commands[applied], replies->front());
  }
  return "a kill with " + std::to_string(commands.size()) + " commands in flight, of which " +
         std::to_string(acknowledged.size()) +
         " were acknowledged, left what no beginning of them makes; after all of them: " +
         difference;
}

}  // namespace kvs
