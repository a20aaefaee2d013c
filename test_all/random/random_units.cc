// The part of RandomCommands that is about what runs as one: scripts and transactions.

#include <algorithm>
#include <cstddef>
#include <iterator>

#include "test_all/random/random_commands.h"

namespace kvs {

// Each leaves several changes, which a server that dies keeps all or none of.
void RandomCommands::AddScript() {
  const std::string value = random_.OneIn(2) ? Number() : Value(SmallKey());
  switch (random_.Uniform(4)) {
    case 0:
      return Add({"eval",
                  "redis.pcall('rpush', KEYS[1], ARGV[1]) redis.pcall('sadd', KEYS[2], ARGV[1]) "
                  "return {redis.pcall('llen', KEYS[1]), redis.pcall('scard', KEYS[2])}",
                  "2", Key(), SetKey(), value});
    case 1:
      return Add({"eval",
                  "local moved = redis.call('hget', KEYS[1], ARGV[1]) if not moved then return 0 "
                  "end redis.call('hdel', KEYS[1], ARGV[1]) redis.call('hset', KEYS[2], ARGV[1], "
                  "moved) return 1",
                  "2", OneOf(&HashKeyName, kHashKeyCount), OneOf(&HashKeyName, kHashKeyCount),
                  Field()});
    case 2:
      return Add({"eval",
                  "for i = 1, 20 do redis.call('zadd', KEYS[1], i, ARGV[1] .. i) end "
                  "redis.call('zremrangebyrank', KEYS[1], 0, 19) "
                  "return redis.call('zcard', KEYS[1])",
                  "1", ZSetKey(), value});
    default:
      return Add({"eval", "redis.call('set', KEYS[1], ARGV[1]) return redis.call('incr', KEYS[1])",
                  "1", Key(), value});
  }
}

void RandomCommands::AddTransaction() {
  using Adder = void (RandomCommands::*)();
  static constexpr Adder kAdders[] = {
      &RandomCommands::AddWrite,     &RandomCommands::AddNumber,    &RandomCommands::AddMany,
      &RandomCommands::AddMove,      &RandomCommands::AddListWrite, &RandomCommands::AddListMove,
      &RandomCommands::AddToSet,     &RandomCommands::AddHashWrite, &RandomCommands::AddZSetWrite,
      &RandomCommands::AddZSetRange, &RandomCommands::AddStream,    &RandomCommands::AddBit,
      &RandomCommands::AddExpiry,    &RandomCommands::AddScript,
  };
  if (random_.OneIn(3)) {
    Add({"watch", Key(), SetKey()});
    if (random_.OneIn(2)) {
      AddWrite();
    }
  }
  Add({"multi"});
  const size_t begin = commands_.size();
  for (uint64_t n = random_.Uniform(6); n > 0; --n) {
    (this->*kAdders[random_.Uniform(std::size(kAdders))])();
  }
  // EXEC's reply is compared as a whole.
  commands_.erase(
      std::remove_if(
          commands_.begin() + static_cast<std::ptrdiff_t>(begin), commands_.end(),
          [](const RandomCommand& command) { return command.match != ReplyMatch::kBytes; }),
      commands_.end());
  Add({random_.OneIn(10) ? "discard" : "exec"});
  for (size_t i = begin; i < commands_.size(); ++i) {
    commands_[i].in_transaction = true;
  }
}

}  // namespace kvs
