// The part of RandomCommands that is about sets and HyperLogLogs.
//
// Members come from a pool of a few dozen, integers and others, so that sets meet; what is drawn at
// random is asked for in such a number that it is all there is.

#include "test_all/random/random_commands.h"

namespace kvs {
namespace {

// More members than any set has.
constexpr const char* kAll = "1000000";

constexpr uint64_t kWeightKeyCount = 60;

// Of a member.
std::string WeightKeyName(uint64_t n) {
  return "weight:w" + std::to_string(n);
}

}  // namespace

std::vector<std::string> RandomCommands::WeightKeys() {
  std::vector<std::string> keys;
  for (uint64_t n = 0; n < kWeightKeyCount; ++n) {
    keys.push_back(WeightKeyName(n));
  }
  return keys;
}

std::string RandomCommands::Member() {
  switch (random_.Uniform(8)) {
    case 0:
      return Number();
    case 1:
      return Bytes(random_.Uniform(100));
    case 2:
    case 3:
      return "w" + std::to_string(random_.Uniform(60));
    default:
      return std::to_string(random_.Uniform(60));
  }
}

void RandomCommands::AppendMembers(Words* words) {
  // Now and then as many as make a set leave what is packed.
  for (uint64_t n = random_.OneIn(20) ? random_.Uniform(200) : random_.Uniform(5); n > 0; --n) {
    words->push_back(Member());
  }
  words->push_back(Member());
}

void RandomCommands::AddToSet() {
  const std::string key = SetKey();
  switch (random_.Uniform(16)) {
    case 0:
    case 1:
    case 2: {
      Words words = {"srem", key};
      AppendMembers(&words);
      return Add(std::move(words));
    }
    case 3:
    case 4:
      return Add({"smove", key, SetKey(), Member()});
    case 5:
      return random_.OneIn(8) ? Add({"del", key}) : Add({"scard", key});
    case 6:
      return random_.OneIn(8) ? Add({"spop", key, kAll}, ReplyMatch::kUnordered)
                              : Add({"spop", key, Pick({"0", "-1", "x", "1.5", ""})});
    default:
      break;
  }
  Words words = {"sadd", key};
  AppendMembers(&words);
  Add(std::move(words));
}

void RandomCommands::AddSetRead() {
  const std::string key = SetKey();
  switch (random_.Uniform(8)) {
    case 0:
      return Add({"smembers", key}, ReplyMatch::kUnordered);
    case 1:
      return Add({"scard", key});
    case 2: {
      Words words = {"smismember", key};
      AppendMembers(&words);
      return Add(std::move(words));
    }
    case 3:
      return Add({"srandmember", key, kAll}, ReplyMatch::kUnordered);
    case 4:
      return Add({"sscan", key, "0", AnyCase("count"), kAll, AnyCase("match"),
                  Pick({"*", "w*", "1?", "none", "[0-4]*"})},
                 ReplyMatch::kUnordered);
    case 5:
      return Add({"object", "encoding", key}, ReplyMatch::kShape);
    default:
      return Add({"sismember", key, Member()});
  }
}

void RandomCommands::AddSetJoin() {
  Words words = {Pick(
      {"sinter", "sunion", "sdiff", "sinterstore", "sunionstore", "sdiffstore", "sintercard"})};
  const bool counts = words[0] == "sintercard";
  const bool replies_with_members = !counts && !words[0].ends_with("store");
  const uint64_t count = 1 + random_.Uniform(4);
  if (counts) {
    words.push_back(random_.OneIn(10) ? Number() : std::to_string(count));
  } else if (!replies_with_members) {
    words.push_back(SetKey());
  }
  for (uint64_t n = count; n > 0; --n) {
    words.push_back(SetKey());
  }
  if (counts && random_.OneIn(2)) {
    words.insert(words.end(), {AnyCase("limit"),
                               random_.OneIn(10) ? Number() : std::to_string(random_.Uniform(20))});
  }
  Add(std::move(words), replies_with_members ? ReplyMatch::kUnordered : ReplyMatch::kBytes);
}

void RandomCommands::AppendSortOptions(Words* words) {
  if (random_.OneIn(2)) {
    words->push_back(AnyCase(Pick({"asc", "desc"})));
  }
  for (uint64_t n = random_.OneIn(3) ? 1 + random_.Uniform(3) : 0; n > 0; --n) {
    words->insert(words->end(), {AnyCase("get"), Pick({"#", "weight:*", "weight:*->f", "none"})});
  }
}

// A set is in an order of its own, which shows where nothing sorts it, or where texts are equal
// that it is sorted by; equal numbers stand in the order of the members.  Patterns name keys of
// their own, none of which fades.
void RandomCommands::AddSort() {
  if (random_.OneIn(2)) {
    return Add({"set", OneOf(&WeightKeyName, kWeightKeyCount),
                random_.OneIn(8) ? Bytes(8) : std::to_string(random_.Uniform(9))});
  }
  Words words = {random_.OneIn(3) ? "sort_ro" : "sort", random_.OneIn(2) ? SetKey() : Key()};
  const bool may_store = words[0] == "sort" && random_.OneIn(4);
  const bool alpha = random_.OneIn(2);
  const uint64_t by = random_.Uniform(8);
  // Elements that are shown are equal if they are so up to a zero byte.
  const bool ordered = by > 3 ? !alpha || may_store : by > 0 && !alpha;
  if (by < 4) {
    words.insert(words.end(), {AnyCase("by"), by == 0 ? "nosort" : Pick({"weight:*", "none*"})});
  }
  if (alpha) {
    words.push_back(AnyCase("alpha"));
  } else {
    // Redis 7.0 takes what an earlier number has left in errno for this command's; this clears it.
    Add({"incrbyfloat", OneOf(&WeightKeyName, kWeightKeyCount), "none"});
  }
  AppendSortOptions(&words);
  if (ordered && random_.OneIn(2)) {
    words.insert(words.end(), {AnyCase("limit"), Index(), Index()});
  }
  if (ordered && may_store) {
    words.insert(words.end(), {AnyCase("store"), Key()});
  }
  Add(std::move(words), ordered ? ReplyMatch::kBytes : ReplyMatch::kUnordered);
}

// No other command writes to these keys: what PFADD leaves of a damaged string differs.  PFCOUNT
// names two keys: of one, Redis writes what it has counted into the string.
void RandomCommands::AddHyperLogLog() {
  const std::string key = HyperLogLogKey();
  switch (random_.Uniform(8)) {
    case 0:
      return Add({"pfcount", key, HyperLogLogKey()});
    case 1:
      return Add({"pfmerge", key, HyperLogLogKey(), HyperLogLogKey()});
    case 2:
      return random_.OneIn(10) ? Add({"del", key}) : Add({"get", key});
    case 3:
      return random_.OneIn(4) ? Add({"copy", key, HyperLogLogKey(), "replace"})
                              : Add({"pfcount", key, Key()});
    default:
      break;
  }
  Words words = {"pfadd", key};
  const uint64_t first = random_.Uniform(20'000);
  for (uint64_t n = random_.OneIn(10) ? 300 : random_.Uniform(5); n > 0; --n) {
    words.push_back(std::to_string(first + n));
  }
  Add(std::move(words));
}

}  // namespace kvs
