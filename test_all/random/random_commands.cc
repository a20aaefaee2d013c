#include "test_all/random/random_commands.h"

#include <algorithm>
#include <utility>

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr uint64_t kKeyCount = 40;
constexpr uint64_t kSmallKeyCount = 8;
constexpr uint64_t kSetKeyCount = 6;
constexpr uint64_t kHyperLogLogKeyCount = 4;
constexpr uint64_t kGeoKeyCount = 4;
constexpr uint64_t kLongKeyCount = 3;
constexpr size_t kMostFading = 6;

// Some keys share a slot, some are empty, binary or long.
std::string KeyName(uint64_t n) {
  switch (n) {
    case 0:
      return "";
    case 1:
      return std::string("\0\r\n\xff{", 5);
    case 2:
      return std::string(3000, 'k');
    default:
      break;
  }
  const std::string number = std::to_string(n);
  return n % 3 == 0 ? "{same}" + number : "key:" + number;
}

std::string SmallKeyName(uint64_t n) {
  return "small:" + std::to_string(n);
}

std::string SetKeyName(uint64_t n) {
  return (n % 2 == 0 ? "{sets}" : "set:") + std::to_string(n);
}

std::string HyperLogLogKeyName(uint64_t n) {
  return "{hll}" + std::to_string(n);
}

std::string GeoKeyName(uint64_t n) {
  return "{geo}" + std::to_string(n);
}

std::string LongKeyName(uint64_t n) {
  return "{long}" + std::to_string(n);
}

}  // namespace

bool RandomCommands::IsSmall(const std::string& key) {
  return key.starts_with("small:");
}

std::string RandomCommands::StreamKeyName(uint64_t n) {
  return "{stream}" + std::to_string(n);
}

std::vector<std::string> RandomCommands::Keys() {
  std::vector<std::string> keys;
  for (uint64_t n = 0; n < kKeyCount; ++n) {
    keys.push_back(KeyName(n));
  }
  for (uint64_t n = 0; n < kSmallKeyCount; ++n) {
    keys.push_back(SmallKeyName(n));
  }
  for (uint64_t n = 0; n < kSetKeyCount; ++n) {
    keys.push_back(SetKeyName(n));
  }
  for (uint64_t n = 0; n < kHyperLogLogKeyCount; ++n) {
    keys.push_back(HyperLogLogKeyName(n));
  }
  for (uint64_t n = 0; n < kGeoKeyCount; ++n) {
    keys.push_back(GeoKeyName(n));
  }
  for (uint64_t n = 0; n < kLongKeyCount; ++n) {
    keys.push_back(LongKeyName(n));
  }
  for (uint64_t n = 0; n < kStreamKeyCount; ++n) {
    keys.push_back(StreamKeyName(n));
  }
  for (uint64_t n = 0; n < kHashKeyCount; ++n) {
    keys.push_back(HashKeyName(n));
  }
  for (uint64_t n = 0; n < kZSetKeyCount; ++n) {
    keys.push_back(ZSetKeyName(n));
  }
  keys.emplace_back(kJoinedKey);
  keys.emplace_back(kLexKey);
  keys.emplace_back(kDistanceKey);
  const std::vector<std::string> weights = WeightKeys();
  keys.insert(keys.end(), weights.begin(), weights.end());
  return keys;
}

uint64_t RandomCommands::FadedBy() const {
  uint64_t faded = 0;
  for (const auto& [key, since] : fading_) {
    if (since + kFadePipelines <= pipeline_ + 1) {
      faded = std::max(faded, since);
    }
  }
  return faded;
}

std::vector<RandomCommand> RandomCommands::NextPipeline(size_t size, bool may_fade) {
  ++pipeline_;
  may_fade_ = may_fade;
  std::erase_if(fading_,
                [this](const auto& item) { return item.second + kFadePipelines <= pipeline_; });
  while (commands_.size() < size) {
    AddStep();
  }
  return std::exchange(commands_, {});
}

void RandomCommands::Add(Words words, ReplyMatch match) {
  words[0] = AnyCase(std::move(words[0]));
  commands_.push_back({.words = std::move(words), .match = match});
}

std::string RandomCommands::AnyCase(std::string name) {
  if (random_.OneIn(4)) {
    std::transform(name.begin(), name.end(), name.begin(), [this](char c) {
      return random_.OneIn(2) && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    });
  }
  return name;
}

std::string RandomCommands::Pick(const std::vector<std::string>& choices) {
  return choices[random_.Uniform(choices.size())];
}

std::string RandomCommands::SmallKey() {
  while (true) {
    std::string key = SmallKeyName(random_.Uniform(kSmallKeyCount));
    if (!fading_.contains(key)) {
      return key;
    }
  }
}

std::string RandomCommands::OneOf(std::string (*name)(uint64_t), uint64_t count) {
  while (true) {
    std::string key = name(random_.Uniform(count));
    if (!fading_.contains(key)) {
      return key;
    }
  }
}

std::string RandomCommands::SetKey() {
  return random_.OneIn(40) ? Key() : OneOf(&SetKeyName, kSetKeyCount);
}

std::string RandomCommands::HyperLogLogKey() {
  return OneOf(&HyperLogLogKeyName, kHyperLogLogKeyCount);
}

std::string RandomCommands::LongKey() {
  return OneOf(&LongKeyName, kLongKeyCount);
}

std::string RandomCommands::GeoKey() {
  return random_.OneIn(40) ? Key() : OneOf(&GeoKeyName, kGeoKeyCount);
}

std::string RandomCommands::Key() {
  if (random_.OneIn(5)) {
    return SmallKey();
  }
  if (random_.OneIn(20)) {
    return SetKey();
  }
  if (random_.OneIn(1000)) {  // What is put there instead of a stream stays for long.
    return StreamKey();
  }
  while (true) {
    std::string key = KeyName(random_.Uniform(kKeyCount));
    if (!fading_.contains(key)) {
      return key;
    }
  }
}

std::string RandomCommands::Bytes(uint64_t size) {
  std::string bytes;
  bytes.reserve(size + 8);
  const bool few = random_.OneIn(2);  // Letters that repeat: compressible, and common to others.
  while (bytes.size() < size) {
    uint64_t word = random_.Next();
    for (int i = 0; i < 8; ++i, word >>= 8) {
      bytes.push_back(few ? static_cast<char>('a' + (word & 3)) : static_cast<char>(word & 255));
    }
  }
  bytes.resize(size);
  return bytes;
}

std::string RandomCommands::Number() {
  switch (random_.Uniform(4)) {
    case 0:
      return Pick({"9223372036854775807", "-9223372036854775808", "9223372036854775808",
                   "-9223372036854775809", "2147483647", "-2147483648", "4294967296",
                   "18446744073709551615", "9223372036854775806", "-0", "00", "+1", " 1", "1 ",
                   "0x10", "1e3", "", "-", "99999999999999999999"});
    case 1:
      return std::to_string(static_cast<int64_t>(random_.Next()));
    default:
      return std::to_string(static_cast<int64_t>(random_.Uniform(2000)) - 1000);
  }
}

std::string RandomCommands::Float() {
  switch (random_.Uniform(4)) {
    case 0:
      return Pick({"0.1",
                   "-0.1",
                   "1e5",
                   "1.5e-7",
                   "3.0",
                   "1e17",
                   "1e-17",
                   "-1e300",
                   "1e4000",
                   "inf",
                   "-inf",
                   "nan",
                   "1.",
                   ".5",
                   "0x1p3",
                   " 1.5",
                   "1.5 ",
                   "abc",
                   "",
                   "17179869184.000000001",
                   "99999999999999999999.5"});
    case 1:
      return Number();
    default:
      return std::to_string(static_cast<int64_t>(random_.Uniform(200'000)) - 100'000) + "." +
             std::to_string(random_.Uniform(10'000));
  }
}

std::string RandomCommands::Index() {
  switch (random_.Uniform(5)) {
    case 0:
      return Number();
    case 1:
      return std::to_string(static_cast<int64_t>(random_.Uniform(200'000)) - 100'000);
    default:
      return std::to_string(static_cast<int64_t>(random_.Uniform(60)) - 30);
  }
}

std::string RandomCommands::Value(const std::string& key) {
  switch (random_.Uniform(6)) {
    case 0:
      return Number();
    case 1:
      return Float();
    case 2:
      return std::string(43 + random_.Uniform(3), 'e');  // Where embstr ends.
    default:
      break;
  }
  if (!IsSmall(key) && random_.OneIn(100)) {
    return Bytes(random_.Uniform(random_.OneIn(4) ? 100 * 1024 : 5000));
  }
  return Bytes(random_.Uniform(random_.OneIn(4) ? 200 : 20));
}

std::string RandomCommands::Relative(bool in_seconds) {
  if (random_.OneIn(15)) {
    // None of these lets a key live, or it would be for a time that cannot be told from one that
    // was given.
    return Pick({"0", "-1", "-9223372036854775808", "9223372036854775807", "-100000000000000000",
                 in_seconds ? "9223372036854775" : "9223372036854775806", "x", "", "1.5",
                 "100000000000000000000"});
  }
  const int64_t seconds = static_cast<int64_t>(1 + random_.Uniform(1'000'000)) * kStepSeconds;
  return std::to_string(in_seconds ? seconds : seconds * 1000 + 500);
}

// Few distinct ones, so that GT and LT meet equal times.
std::string RandomCommands::Absolute(bool in_seconds) {
  if (random_.OneIn(15)) {
    return Pick({"0", "-1", "1", "1600000000", "-9223372036854775808", "9223372036854775807",
                 "9223372036854775", "9223372036854776", "x", "100000000000000000000"});
  }
  const auto seconds = kFarSeconds + static_cast<int64_t>(random_.Uniform(50));
  return std::to_string(
      in_seconds ? seconds : seconds * 1000 + static_cast<int64_t>(random_.Uniform(3)) * 499);
}

void RandomCommands::AppendTime(Words* words) {
  const bool in_seconds = random_.OneIn(2);
  if (random_.OneIn(2)) {
    words->push_back(AnyCase(in_seconds ? "ex" : "px"));
    words->push_back(Relative(in_seconds));
  } else {
    words->push_back(AnyCase(in_seconds ? "exat" : "pxat"));
    words->push_back(Absolute(in_seconds));
  }
}

void RandomCommands::AddStep() {
  using Adder = void (RandomCommands::*)();
  struct Kind {
    uint64_t weight;
    Adder add;
  };
  static constexpr Kind kKinds[] = {
      {18, &RandomCommands::AddRead},       {14, &RandomCommands::AddWrite},
      {12, &RandomCommands::AddSet},        {10, &RandomCommands::AddNumber},
      {10, &RandomCommands::AddMany},       {10, &RandomCommands::AddMove},
      {10, &RandomCommands::AddExpiry},     {8, &RandomCommands::AddTime},
      {4, &RandomCommands::AddGetEx},       {2, &RandomCommands::AddLcs},
      {2, &RandomCommands::AddMistake},     {2, &RandomCommands::AddEncoding},
      {1, &RandomCommands::AddFade},        {1, &RandomCommands::AddRare},
      {14, &RandomCommands::AddToSet},      {8, &RandomCommands::AddSetRead},
      {4, &RandomCommands::AddSetJoin},     {4, &RandomCommands::AddHyperLogLog},
      {8, &RandomCommands::AddListRead},    {14, &RandomCommands::AddListWrite},
      {4, &RandomCommands::AddListMove},    {8, &RandomCommands::AddBit},
      {6, &RandomCommands::AddGeo},         {12, &RandomCommands::AddStream},
      {14, &RandomCommands::AddGroup},      {6, &RandomCommands::AddGeo},
      {6, &RandomCommands::AddSort},        {8, &RandomCommands::AddHashRead},
      {14, &RandomCommands::AddHashWrite},  {6, &RandomCommands::AddZSetRead},
      {8, &RandomCommands::AddZSetRange},   {12, &RandomCommands::AddZSetWrite},
      {4, &RandomCommands::AddZSetRemoval}, {3, &RandomCommands::AddZSetJoin},
      {3, &RandomCommands::AddScript},      {4, &RandomCommands::AddTransaction},
  };
  uint64_t sum = 0;
  for (const Kind& kind : kKinds) {
    sum += kind.weight;
  }
  uint64_t at = random_.Uniform(sum);
  for (const Kind& kind : kKinds) {
    if (at < kind.weight) {
      return (this->*kind.add)();
    }
    at -= kind.weight;
  }
}

void RandomCommands::AddRead() {
  switch (random_.Uniform(8)) {
    case 0:
      return Add({"strlen", Key()});
    case 1:
      return Add({"type", Key()});
    case 2: {
      const std::string key = random_.OneIn(4) ? LongKey() : Key();
      return Add({random_.OneIn(2) ? "getrange" : "substr", key, Index(), Index()});
    }
    case 3:
      return Add({"exists", Key()});
    default:
      return Add({"get", Key()});
  }
}

void RandomCommands::AddWrite() {
  const std::string key = random_.OneIn(16) ? LongKey() : Key();
  switch (random_.Uniform(8)) {
    case 0:
      return Add({"append", key, Value(key)});
    case 1: {
      // Within 100 KiB, or so far that it is refused.
      const std::string offset =
          random_.OneIn(10) ? Pick({"-1", "536870912", "9223372036854775807", "x", "4294967296"})
                            : std::to_string(random_.Uniform(
                                  IsSmall(key) || !random_.OneIn(20) ? 100 : 100 * 1024));
      return Add({"setrange", key, offset, Value(key)});
    }
    case 2:
      return Add({"getset", key, Value(key)});
    case 3:
      return Add({"setnx", key, Value(key)});
    case 4:
      return Add({"getdel", key});
    case 5:
      return Add({"setex", key, Relative(true), Value(key)});
    case 6:
      return Add({"psetex", key, Relative(false), Value(key)});
    default:
      return Add({"set", key, Value(key)});
  }
}

void RandomCommands::AddSet() {
  const std::string key = Key();
  Words words = {"set", key, Value(key)};
  if (random_.OneIn(3)) {
    words.push_back(AnyCase(Pick({"nx", "xx"})));
  }
  if (random_.OneIn(4)) {
    words.push_back(AnyCase("get"));
  }
  if (random_.OneIn(4)) {
    words.push_back(AnyCase("keepttl"));
  }
  if (random_.OneIn(2)) {
    AppendTime(&words);
  }
  Add(std::move(words));
}

void RandomCommands::AddGetEx() {
  Words words = {"getex", Key()};
  if (random_.OneIn(4)) {
    words.push_back(AnyCase("persist"));
  }
  if (!random_.OneIn(4)) {
    AppendTime(&words);
  }
  Add(std::move(words));
}

void RandomCommands::AddNumber() {
  const std::string key = Key();
  switch (random_.Uniform(6)) {
    case 0:
      return Add({"incr", key});
    case 1:
      return Add({"decr", key});
    case 2:
      return Add({"incrby", key, Number()});
    case 3:
      return Add({"decrby", key, Number()});
    case 4:
      return Add({"set", key, Number()});
    default:
      return Add({"incrbyfloat", key, Float()});
  }
}

// Several keys, some of them twice.
void RandomCommands::AddMany() {
  Words keys;
  for (uint64_t n = 1 + random_.Uniform(6); n > 0; --n) {
    keys.push_back(Key());
  }
  Words words = {Pick({"mget", "mget", "mset", "msetnx", "exists", "touch", "del", "unlink"})};
  const bool with_values = words[0].starts_with("mset");
  for (const std::string& key : keys) {
    words.push_back(key);
    if (with_values) {
      words.push_back(Value(key));
    }
  }
  Add(std::move(words));
}

void RandomCommands::AddMove() {
  std::string from = random_.OneIn(16) ? LongKey() : Key();
  const std::string to = random_.OneIn(20) ? from : random_.OneIn(16) ? LongKey() : Key();
  if (IsSmall(to) && !IsSmall(from)) {
    from = SmallKey();
  }
  switch (random_.Uniform(3)) {
    case 0:
      return Add({"rename", from, to});
    case 1:
      return Add({"renamenx", from, to});
    default:
      break;
  }
  Words words = {"copy", from, to};
  if (random_.OneIn(2)) {
    words.push_back(AnyCase("replace"));
  }
  if (random_.OneIn(4)) {
    words.insert(words.end(), {"db", "0"});
  }
  Add(std::move(words));
}

void RandomCommands::AddExpiry() {
  if (random_.OneIn(6)) {
    return Add({"persist", Key()});
  }
  const bool in_seconds = random_.OneIn(2);
  const bool absolute = random_.OneIn(2);
  Words words = {std::string(in_seconds ? "" : "p") + "expire" + (absolute ? "at" : ""), Key(),
                 absolute ? Absolute(in_seconds) : Relative(in_seconds)};
  for (int i = 0; i < 2 && random_.OneIn(i == 0 ? 2 : 6); ++i) {
    words.push_back(AnyCase(Pick({"nx", "xx", "gt", "lt"})));
  }
  Add(std::move(words));
}

void RandomCommands::AddTime() {
  switch (random_.Uniform(4)) {
    case 0:
      return Add({"ttl", Key()}, ReplyMatch::kTtl);
    case 1:
      return Add({"pttl", Key()}, ReplyMatch::kPTtl);
    case 2:
      return Add({"expiretime", Key()}, ReplyMatch::kExpireTime);
    default:
      return Add({"pexpiretime", Key()}, ReplyMatch::kPExpireTime);
  }
}

void RandomCommands::AddLcs() {
  Words words = {"lcs", SmallKey(), SmallKey()};
  if (random_.OneIn(3)) {
    words.push_back(AnyCase("len"));
  } else if (random_.OneIn(2)) {
    words.push_back(AnyCase("idx"));
    if (random_.OneIn(2)) {
      words.insert(words.end(), {AnyCase("minmatchlen"), std::to_string(random_.Uniform(5))});
    }
    if (random_.OneIn(2)) {
      words.push_back(AnyCase("withmatchlen"));
    }
  }
  Add(std::move(words));
}

void RandomCommands::AddListRead() {
  const std::string key = Key();
  switch (random_.Uniform(5)) {
    case 0:
      return Add({"llen", key});
    case 1:
      return Add({"lindex", key, Index()});
    case 2: {
      Words words = {"lpos", key, Pick({"a", "b", "c"})};
      const std::pair<std::string, Words> options[] = {
          {"rank", {"1", "2", "-1", "-3", "0", "9223372036854775807", "x"}},
          {"count", {"0", "1", "3", "-1", "9223372036854775807", ""}},
          {"maxlen", {"0", "1", "10", "1000", "-5"}}};
      for (const auto& [name, choices] : options) {
        if (random_.OneIn(2)) {
          words.insert(words.end(), {AnyCase(name), Pick(choices)});
        }
      }
      return Add(std::move(words));
    }
    default:
      return Add({"lrange", key, Index(), Index()});
  }
}

void RandomCommands::AddListWrite() {
  const std::string key = Key();
  // Often one of few, which are then found again.
  const auto element = [&] { return random_.OneIn(2) ? Pick({"a", "b", "c"}) : Value(key); };
  switch (random_.Uniform(10)) {
    case 0:
      return Add(
          {"linsert", key, AnyCase(Pick({"before", "after"})), Pick({"a", "b", "c"}), element()});
    case 1:
      return Add({"lrem", key, Pick({"0", "1", "2", "-1", "-2", "9223372036854775807", "x"}),
                  Pick({"a", "b", "c"})});
    case 2:
      return Add({"lset", key, Index(), element()});
    case 3:
      if (random_.OneIn(4)) {
        return Add({"ltrim", key, Index(), Index()});
      }
      break;
    case 4:
    case 5: {
      Words words = {Pick({"lpop", "rpop"}), key};
      if (random_.OneIn(2)) {
        words.push_back(random_.OneIn(3) ? Number() : std::to_string(random_.Uniform(4)));
      }
      return Add(std::move(words));
    }
    default:
      break;
  }
  Words words = {Pick({"lpush", "rpush", "rpush", "lpushx", "rpushx"}), key};
  for (uint64_t n = 1 + random_.Uniform(random_.OneIn(20) ? 200 : 4); n > 0; --n) {
    words.push_back(element());
  }
  Add(std::move(words));
}

void RandomCommands::AddListMove() {
  const std::string from = Key();
  const std::string to = IsSmall(from) ? SmallKey() : Key();
  const Words ends = {"left", "right"};
  switch (random_.Uniform(3)) {
    case 0:
      return Add({"rpoplpush", from, IsSmall(to) && !IsSmall(from) ? from : to});
    case 1:
      return Add({"lmove", from, IsSmall(to) && !IsSmall(from) ? from : to, AnyCase(Pick(ends)),
                  AnyCase(Pick(ends))});
    default: {
      Words words = {"lmpop", "2", from, to, AnyCase(Pick(ends))};
      if (random_.OneIn(2)) {
        words.insert(words.end(), {"count", std::to_string(random_.Uniform(4))});
      }
      return Add(std::move(words));
    }
  }
}

void RandomCommands::AddEncoding() {
  const std::string key = Key();
  if (random_.OneIn(3)) {
    return Add({"object", "encoding", key}, ReplyMatch::kShape);
  }
  Add({"set", key, Value(key)});
  Add({"object", AnyCase("encoding"), key});
}

void RandomCommands::AddMistake() {
  switch (random_.Uniform(7)) {
    case 0:
      return Add({"get"});
    case 1:
      return Add({"set", Key(), "v", Pick({"bogus", "ex", "px", "get get", "nx xx"})});
    case 2:
      return Add({"set", Key(), "v", "ex", "1000", "px", "1000000"});
    case 3:
      return Add({"set", Key(), "v", "nx", "xx"});
    case 4:
      return Add({"mset", Key(), "v", Key()});
    case 5:
      return Add({"copy", Key(), Key(), "db", "x"});
    default:
      return Add({"getex", Key(), "ex", "1000", "persist"});
  }
}

// Whole key spaces.  The count is exact only once somebody has looked at every expired key.
void RandomCommands::AddRare() {
  if (random_.OneIn(30)) {
    Words words = {random_.OneIn(2) ? "flushall" : "flushdb"};
    if (random_.OneIn(2)) {
      words.push_back(Pick({"async", "sync", "bogus"}));
    }
    return Add(std::move(words));
  }
  if (fading_.empty()) {
    Words words = {"exists"};
    const Words keys = Keys();
    words.insert(words.end(), keys.begin(), keys.end());
    Add(std::move(words));
    Add({"dbsize"});
  }
}

void RandomCommands::AddFade() {
  if (!may_fade_ || fading_.size() >= kMostFading || !random_.OneIn(4)) {
    return;
  }
  const std::string key = Key();
  const std::string life = std::to_string(1 + random_.Uniform(static_cast<uint64_t>(kFadeMillis)));
  switch (random_.Uniform(4)) {
    case 0:
      Add({"set", key, Value(key), "px", life});
      break;
    case 1:
      Add({"psetex", key, life, Value(key)});
      break;
    case 2:
      Add({"pexpire", key, life});
      break;
    default:
      Add({"getex", key, "px", life});
      break;
  }
  fading_[key] = pipeline_;
}

}  // namespace kvs
