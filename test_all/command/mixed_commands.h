// MixedCommands: a random stream of commands with the reply that each must get, from a model.
//
// The stream mixes reads, writes, commands over many keys, connection commands, inline requests and
// mistakes, so that a reply that comes out of turn is noticed at once.  Nothing in it depends on
// time.  The same seed gives the same stream.
//
// Threads: one owner.
// Owner:   the test.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/random.h"

namespace kvs {

class MixedCommands {
 public:
  // `protocol` is that of the replies.  All keys begin with `key_prefix`, and nobody else may write
  // them.
  MixedCommands(uint64_t seed, int protocol, std::string key_prefix);

  // Adds `count` requests to bytes() and their replies to replies().
  void Add(int count);

  const std::string& bytes() const { return bytes_; }
  const std::vector<std::string>& replies() const { return replies_; }
  // Every key that the stream may have made, for a clean-up.
  std::vector<std::string> Keys() const;

 private:
  using Words = std::vector<std::string>;

  void AddOne();
  void AddRead();
  void AddWrite();
  void AddNumber();
  void AddMany();
  void AddMset();
  void AddMistake();
  void Request(const Words& words, std::string reply);
  std::string Bulk(const std::optional<std::string>& value) const;
  std::optional<std::string> Get(const std::string& key) const;
  std::string Key();
  std::string Value();

  Random random_;
  int protocol_;
  std::string prefix_;
  std::map<std::string, std::string> model_;
  std::string bytes_;
  std::vector<std::string> replies_;
};

}  // namespace kvs
