#include "test_all/command/mixed_commands.h"

#include <set>
#include <utility>

#include "common/base/strings.h"
#include "test_all/harness/resp_client.h"

namespace kvs {
namespace {

constexpr uint64_t kKeyCount = 200;

std::string Integer(int64_t value) {
  return ":" + std::to_string(value) + "\r\n";
}

std::string Length(const std::string& value) {
  return Integer(static_cast<int64_t>(value.size()));
}

}  // namespace

MixedCommands::MixedCommands(uint64_t seed, int protocol, std::string key_prefix)
    : random_(seed), protocol_(protocol), prefix_(std::move(key_prefix)) {}

void MixedCommands::Add(int count) {
  for (int i = 0; i < count; ++i) {
    AddOne();
  }
}

std::vector<std::string> MixedCommands::Keys() const {
  std::vector<std::string> keys;
  for (uint64_t i = 0; i < kKeyCount; ++i) {
    keys.push_back(prefix_ + std::to_string(i));
  }
  return keys;
}

void MixedCommands::Request(const Words& words, std::string reply) {
  bytes_ += EncodeWords(words);
  replies_.push_back(std::move(reply));
}

std::string MixedCommands::Bulk(const std::optional<std::string>& value) const {
  if (!value.has_value()) {
    return protocol_ == 2 ? "$-1\r\n" : "_\r\n";
  }
  return "$" + std::to_string(value->size()) + "\r\n" + *value + "\r\n";
}

std::optional<std::string> MixedCommands::Get(const std::string& key) const {
  const auto it = model_.find(key);
  return it == model_.end() ? std::nullopt : std::optional<std::string>(it->second);
}

std::string MixedCommands::Key() {
  return prefix_ + std::to_string(random_.Uniform(kKeyCount));
}

// Mostly short; sometimes with line breaks, and sometimes longer than one read of a socket.
std::string MixedCommands::Value() {
  if (random_.OneIn(3)) {
    return std::to_string(random_.Uniform(1000));
  }
  const uint64_t size = random_.OneIn(200) ? random_.Uniform(100'000) : random_.Uniform(64);
  std::string value;
  for (uint64_t i = 0; i < size; ++i) {
    value.push_back(static_cast<char>(random_.Uniform(256)));
  }
  return random_.OneIn(8) ? value + "\r\n+OK\r\n" : value;
}

void MixedCommands::AddOne() {
  switch (random_.Uniform(10)) {
    case 0:
    case 1:
    case 2:
      return AddRead();
    case 3:
    case 4:
    case 5:
      return AddWrite();
    case 6:
      return AddNumber();
    case 7:
      return AddMany();
    case 8:
      return AddMset();
    default:
      return AddMistake();
  }
}

void MixedCommands::AddRead() {
  const std::string key = Key();
  const std::optional<std::string> value = Get(key);
  switch (random_.Uniform(4)) {
    case 0:
      return Request({"GET", key}, Bulk(value));
    case 1:
      return Request({"strlen", key}, Length(value.value_or("")));
    case 2:
      return Request({"type", key}, value.has_value() ? "+string\r\n" : "+none\r\n");
    default:
      return Request({"getrange", key, "1", "20"},
                     Bulk(value.has_value() && value->size() > 1 ? value->substr(1, 20) : ""));
  }
}

void MixedCommands::AddWrite() {
  const std::string key = Key();
  const std::string value = Value();
  const std::optional<std::string> old = Get(key);
  switch (random_.Uniform(6)) {
    case 0:
      if (old.value_or("").size() < 10'000) {
        model_[key] += value;
        return Request({"append", key, value}, Length(model_[key]));
      }
      [[fallthrough]];
    case 1:
      model_[key] = value;
      return Request({"SET", key, value}, "+OK\r\n");
    case 2:
      model_[key] = value;
      return Request({"getset", key, value}, Bulk(old));
    case 3:
      model_.try_emplace(key, value);
      return Request({"setnx", key, value}, Integer(old.has_value() ? 0 : 1));
    case 4:
      model_.erase(key);
      return Request({"getdel", key}, Bulk(old));
    default:
      return Request({"persist", key}, Integer(0));
  }
}

void MixedCommands::AddNumber() {
  const std::string key = Key();
  int64_t number = 0;
  if (!ParseInt64(Get(key).value_or("0"), &number)) {
    return Request({"incr", key}, "-ERR value is not an integer or out of range\r\n");
  }
  const auto delta = static_cast<int64_t>(random_.Uniform(100)) - 50;
  model_[key] = std::to_string(number + delta);
  Request({"incrby", key, std::to_string(delta)}, Integer(number + delta));
}

// Many keys, some of them twice.
void MixedCommands::AddMany() {
  Words keys;
  for (uint64_t n = 1 + random_.Uniform(10); n > 0; --n) {
    keys.push_back(Key());
  }
  Words request = {"mget"};
  std::string values = "*" + std::to_string(keys.size()) + "\r\n";
  int64_t existing = 0;
  std::set<std::string> removed;
  for (const std::string& key : keys) {
    const std::optional<std::string> value = Get(key);
    values += Bulk(value);
    existing += value.has_value() ? 1 : 0;
    if (value.has_value()) {
      removed.insert(key);
    }
  }
  request.insert(request.end(), keys.begin(), keys.end());
  const uint64_t which = random_.Uniform(4);
  if (which == 0) {
    for (const std::string& key : removed) {
      model_.erase(key);
    }
    request[0] = random_.OneIn(2) ? "del" : "unlink";
    return Request(request, Integer(static_cast<int64_t>(removed.size())));
  }
  if (which == 1) {
    request[0] = random_.OneIn(2) ? "exists" : "touch";
    return Request(request, Integer(existing));
  }
  Request(request, values);
}

void MixedCommands::AddMset() {
  Words request = {"mset"};
  for (uint64_t n = 1 + random_.Uniform(6); n > 0; --n) {
    const std::string key = Key();
    const std::string value = Value();
    model_[key] = value;
    request.push_back(key);
    request.push_back(value);
  }
  Request(request, "+OK\r\n");
}

void MixedCommands::AddMistake() {
  switch (random_.Uniform(5)) {
    case 0:
      return Request({"get"}, "-ERR wrong number of arguments for 'get' command\r\n");
    case 1:
      return Request({"nosuch", "x"},
                     "-ERR unknown command 'nosuch', with args beginning with: 'x' \r\n");
    case 2: {
      const std::string text = Value();
      return Request({"echo", text}, Bulk(text));
    }
    case 3:
      bytes_ += "\r\nping\r\n";
      replies_.emplace_back("+PONG\r\n");
      return;
    default:
      return Request({"set", Key(), "v", "bogus"}, "-ERR syntax error\r\n");
  }
}

}  // namespace kvs
