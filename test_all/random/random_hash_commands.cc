// The part of RandomCommands that is about hashes.
//
// Fields come from a pool of some hundred, so that they meet, and what is drawn at random is asked
// for in such a number that it is all there is.

#include "test_all/random/random_commands.h"

namespace kvs {
namespace {

// More fields than any hash has.
constexpr const char* kAll = "1000000";

}  // namespace

std::string RandomCommands::HashKeyName(uint64_t n) {
  return (n % 2 == 0 ? "{hashes}" : "hash:") + std::to_string(n);
}

std::string RandomCommands::HashKey() {
  return random_.OneIn(40) ? Key() : OneOf(&HashKeyName, kHashKeyCount);
}

std::string RandomCommands::Field() {
  return random_.OneIn(4) ? Member() : "f" + std::to_string(random_.Uniform(400));
}

void RandomCommands::AddHashRead() {
  const std::string key = HashKey();
  switch (random_.Uniform(12)) {
    case 0:
      return Add({Pick({"hgetall", "hkeys", "hvals"}), key}, ReplyMatch::kUnordered);
    case 1:
      return Add({"hlen", key});
    case 2: {
      Words words = {"hmget", key};
      for (uint64_t n = 1 + random_.Uniform(5); n > 0; --n) {
        words.push_back(Field());
      }
      return Add(std::move(words));
    }
    case 3:
      return random_.OneIn(4)
                 ? Add({"hrandfield", key, Pick({"0", "x", "1.5", "-9223372036854775809"})})
                 : Add({"hrandfield", key, kAll}, ReplyMatch::kUnordered);
    case 4:
      return Add({"hrandfield", key, kAll, AnyCase("withvalues")}, ReplyMatch::kUnordered);
    case 5:
      return Add({"hscan", key, "0", AnyCase("count"), kAll, AnyCase("match"),
                  Pick({"*", "f*", "f1?", "none", "[0-4]*"})},
                 ReplyMatch::kUnordered);
    case 6:
      return Add({"hexists", key, Field()});
    case 7:
      return Add({"hstrlen", key, Field()});
    case 8:
      return Add({"object", "encoding", key}, ReplyMatch::kShape);
    default:
      return Add({"hget", key, Field()});
  }
}

void RandomCommands::AddHashWrite() {
  const std::string key = HashKey();
  // A number where HINCRBY and HINCRBYFLOAT look for one.
  const auto value = [&] { return random_.OneIn(3) ? Number() : Value(key); };
  switch (random_.Uniform(14)) {
    case 0:
    case 1:
    case 2: {
      Words words = {"hdel", key};
      for (uint64_t n = random_.OneIn(20) ? random_.Uniform(200) : random_.Uniform(4); n > 0; --n) {
        words.push_back(Field());
      }
      words.push_back(Field());
      return Add(std::move(words));
    }
    case 3:
      return Add({"hsetnx", key, Field(), value()});
    case 4:
      return Add({"hincrby", key, Field(), Number()});
    case 5:
      return Add({"hincrbyfloat", key, Field(), Float()});
    case 6:
      return random_.OneIn(10) ? Add({"del", key}) : Add({"hset", key, Field()});
    default:
      break;
  }
  Words words = {Pick({"hset", "hset", "hset", "hmset"}), key};
  // Now and then as many as make a hash leave what is packed.
  for (uint64_t n = random_.OneIn(20) ? random_.Uniform(200) : random_.Uniform(4); n > 0; --n) {
    words.push_back(Field());
    words.push_back(value());
  }
  words.push_back(Field());
  words.push_back(value());
  Add(std::move(words));
}

}  // namespace kvs
