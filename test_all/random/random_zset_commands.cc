// The part of RandomCommands that is about sorted sets.
//
// Scores are eighths below a million, and infinities: Redis 7.0 and 7.2 print those alike, and a
// sum of them is exact.  Ranges of members mean something only where all scores are equal, which
// they are under one key.

#include "test_all/random/random_commands.h"

namespace kvs {
namespace {

// More members than any sorted set has.
constexpr const char* kAll = "1000000";
constexpr uint64_t kMemberCount = 1500;

}  // namespace

std::string RandomCommands::ZSetKeyName(uint64_t n) {
  return (n % 2 == 0 ? "{zsets}" : "zset:") + std::to_string(n);
}

std::string RandomCommands::ZSetKey() {
  return random_.OneIn(40) ? Key() : OneOf(&ZSetKeyName, kZSetKeyCount);
}

std::string RandomCommands::ZSetMember() {
  return random_.OneIn(5) ? Member() : "m" + std::to_string(random_.Uniform(kMemberCount));
}

std::string RandomCommands::Score() {
  static constexpr const char* kEighths[] = {"",   ".125", ".25", ".375",
                                             ".5", ".625", ".75", ".875"};
  if (random_.OneIn(20)) {
    return Pick({"inf", "-inf", "+inf", "nan", "x", "", "1e", "0x10", "1e3"});
  }
  // Often one of few: equal scores are ordered by their members.
  const uint64_t whole = random_.Uniform(random_.OneIn(2) ? 10 : 1'000'000);
  return (random_.OneIn(3) && whole > 0 ? "-" : "") + std::to_string(whole) +
         kEighths[random_.OneIn(2) ? 0 : random_.Uniform(8)];
}

std::string RandomCommands::ScoreBound() {
  return (random_.OneIn(3) ? "(" : "") + (random_.OneIn(6) ? Pick({"-inf", "+inf"}) : Score());
}

std::string RandomCommands::LexBound() {
  return random_.OneIn(4) ? Pick({"-", "+", "m", ""}) : Pick({"[", "("}) + ZSetMember();
}

void RandomCommands::AddZSetRead() {
  const std::string key = ZSetKey();
  switch (random_.Uniform(12)) {
    case 0:
      return Add({"zcard", key});
    case 1: {
      Words words = {"zmscore", key};
      for (uint64_t n = 1 + random_.Uniform(5); n > 0; --n) {
        words.push_back(ZSetMember());
      }
      return Add(std::move(words));
    }
    case 2:
      return Add({"zcount", key, ScoreBound(), ScoreBound()});
    case 3:
      return Add({"zlexcount", kLexKey, LexBound(), LexBound()});
    case 4:
      return random_.OneIn(2)
                 ? Add({"zrandmember", key, kAll}, ReplyMatch::kUnordered)
                 : Add({"zrandmember", key, kAll, AnyCase("withscores")}, ReplyMatch::kUnordered);
    case 5:
      return Add({"zscan", key, "0", AnyCase("count"), kAll, AnyCase("match"),
                  Pick({"*", "m*", "m1?", "none", "[0-4]*"})},
                 ReplyMatch::kUnordered);
    case 6:
      return Add({"object", "encoding", key}, ReplyMatch::kShape);
    case 7:
    case 8:
      return Add({Pick({"zrank", "zrevrank"}), key, ZSetMember()});
    default:
      return Add({"zscore", key, ZSetMember()});
  }
}

// The key and the range of ZRANGE.
void RandomCommands::AppendZSetRange(Words* words) {
  const uint64_t by = random_.Uniform(3);
  words->push_back(by == 2 ? kLexKey : ZSetKey());
  for (int end = 0; end < 2; ++end) {
    words->push_back(by == 0 ? Index() : by == 1 ? ScoreBound() : LexBound());
  }
  if (by > 0) {
    words->push_back(AnyCase(by == 1 ? "byscore" : "bylex"));
  }
  if (random_.OneIn(3)) {
    words->push_back(AnyCase("rev"));
  }
  if (random_.OneIn(3)) {
    words->insert(words->end(), {AnyCase("limit"), Index(), Index()});
  }
}

void RandomCommands::AddZSetRange() {
  const std::string key = ZSetKey();
  Words words;
  switch (random_.Uniform(8)) {
    case 0:
      return Add({"zrevrange", key, Index(), Index()});
    case 1:
      words = {Pick({"zrangebyscore", "zrevrangebyscore"}), key, ScoreBound(), ScoreBound()};
      break;
    case 2:
      words = {Pick({"zrangebylex", "zrevrangebylex"}), kLexKey, LexBound(), LexBound()};
      break;
    case 3:
      words = {"zrangestore", kJoinedKey};
      AppendZSetRange(&words);
      return Add(std::move(words));
    default:
      words = {"zrange"};
      AppendZSetRange(&words);
      break;
  }
  const bool is_old = words[0] != "zrange";
  if (is_old && random_.OneIn(3)) {
    words.insert(words.end(), {AnyCase("limit"), Index(), Index()});
  }
  if (random_.OneIn(3)) {
    words.push_back(AnyCase("withscores"));
  }
  Add(std::move(words));
}

void RandomCommands::AddZSetWrite() {
  const std::string key = ZSetKey();
  switch (random_.Uniform(10)) {
    case 0:
      return Add({"zincrby", key, Score(), ZSetMember()});
    case 1: {
      Words words = {"zadd", kLexKey};
      for (uint64_t n = random_.OneIn(10) ? 200 : 1 + random_.Uniform(5); n > 0; --n) {
        words.insert(words.end(), {"0", ZSetMember()});
      }
      return Add(std::move(words));
    }
    default:
      break;
  }
  Words words = {"zadd", key};
  bool adds_up = false;
  for (uint64_t n = random_.OneIn(3) ? 1 + random_.Uniform(2) : 0; n > 0; --n) {
    words.push_back(AnyCase(Pick({"nx", "xx", "gt", "lt", "ch", "incr"})));
    adds_up |= words.back().size() == 4;
  }
  // Now and then as many as make a sorted set leave what is packed, and its rank index grow.
  const uint64_t most = random_.OneIn(20) ? 300 : 5;
  for (uint64_t n = adds_up && !random_.OneIn(4) ? 1 : 1 + random_.Uniform(most); n > 0; --n) {
    words.push_back(Score());
    words.push_back(ZSetMember());
  }
  Add(std::move(words));
}

void RandomCommands::AddZSetRemoval() {
  const std::string key = ZSetKey();
  // Few members at a time, or nothing would be left to look at.
  const std::string from = std::to_string(random_.Uniform(300));
  switch (random_.Uniform(8)) {
    case 0:
      return Add({"zremrangebyrank", key, from, std::to_string(random_.Uniform(300))});
    case 1:
      return Add({"zremrangebyscore", key, "(" + from, std::to_string(random_.Uniform(300))});
    case 2:
      return Add({"zremrangebylex", kLexKey, LexBound(), LexBound()});
    case 3: {
      Words words = {"zmpop", "2", key, ZSetKey(), AnyCase(Pick({"min", "max"}))};
      if (random_.OneIn(2)) {
        words.insert(words.end(), {AnyCase("count"), Pick({"0", "1", "3", "x"})});
      }
      return Add(std::move(words));
    }
    case 4:
      return random_.OneIn(10)
                 ? Add({"del", key})
                 : Add({Pick({"zpopmin", "zpopmax"}), key, Pick({"0", "1", "7", "-1", "x"})});
    case 5:
      return Add({Pick({"zpopmin", "zpopmax"}), key});
    default: {
      Words words = {"zrem", key};
      for (uint64_t n = 1 + random_.Uniform(random_.OneIn(10) ? 200 : 4); n > 0; --n) {
        words.push_back(ZSetMember());
      }
      return Add(std::move(words));
    }
  }
}

void RandomCommands::AddZSetJoin() {
  Words words = {Pick(
      {"zinter", "zunion", "zdiff", "zinterstore", "zunionstore", "zdiffstore", "zintercard"})};
  const std::string name = words[0];
  const bool stores = name.ends_with("store");
  const uint64_t count = 1 + random_.Uniform(3);
  if (stores) {
    words.emplace_back(kJoinedKey);
  }
  words.push_back(random_.OneIn(20) ? Number() : std::to_string(count));
  for (uint64_t n = count; n > 0; --n) {
    words.push_back(random_.OneIn(4) ? SetKey() : ZSetKey());
  }
  if (name == "zintercard") {
    if (random_.OneIn(2)) {
      words.insert(words.end(), {AnyCase("limit"), std::to_string(random_.Uniform(20))});
    }
    return Add(std::move(words));
  }
  if (!name.starts_with("zdiff") && random_.OneIn(2)) {
    words.push_back(AnyCase("weights"));
    for (uint64_t n = count; n > 0; --n) {
      words.push_back(Pick({"0", "1", "-1", "2", "0.5", "inf", "x"}));
    }
  }
  if (!name.starts_with("zdiff") && random_.OneIn(2)) {
    words.insert(words.end(), {AnyCase("aggregate"), AnyCase(Pick({"sum", "min", "max"}))});
  }
  if (!stores && random_.OneIn(2)) {
    words.push_back(AnyCase("withscores"));
  }
  Add(std::move(words));
}

}  // namespace kvs
