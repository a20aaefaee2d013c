// The part of RandomCommands that is about bits and places.

#include "test_all/random/random_commands.h"

namespace kvs {
namespace {

// Words of BITFIELD that a string of any length can be asked for.
constexpr uint64_t kFieldOffsets = 700;
// Bits of a string that a node keeps in several chunks.
constexpr uint64_t kFarBits = 8 * 150 * 1024;

}  // namespace

std::string RandomCommands::BitOffset(const std::string& key) {
  if (random_.OneIn(20)) {
    return Pick({"-1", "x", "4294967296", "9223372036854775807", ""});
  }
  if (!IsSmall(key) && random_.OneIn(10)) {
    return std::to_string(random_.Uniform(kFarBits));
  }
  return std::to_string(random_.Uniform(random_.OneIn(20) ? 80'000 : 400));
}

void RandomCommands::AppendBitRange(Words* words) {
  if (random_.OneIn(2)) {
    const int64_t reach = random_.OneIn(4) ? static_cast<int64_t>(kFarBits) : 200;
    for (int i = 0; i < 2; ++i) {
      words->push_back(std::to_string(
          static_cast<int64_t>(random_.Uniform(2 * static_cast<uint64_t>(reach))) - reach));
    }
    if (random_.OneIn(2)) {
      words->push_back(AnyCase(Pick({"bit", "byte"})));
    }
  }
}

void RandomCommands::AddBit() {
  const std::string key = random_.OneIn(3) ? LongKey() : Key();
  switch (random_.Uniform(8)) {
    case 0:
      return Add({"getbit", key, BitOffset(key)});
    case 1: {
      Words words = {"bitcount", key};
      AppendBitRange(&words);
      return Add(std::move(words));
    }
    case 2: {
      Words words = {"bitpos", key, random_.OneIn(2) ? "0" : "1"};
      AppendBitRange(&words);
      return Add(std::move(words));
    }
    case 3: {
      Words words = {"bitop", AnyCase(Pick({"and", "or", "xor", "not"})), SmallKey(), SmallKey()};
      if (random_.OneIn(4)) {
        words[2] = LongKey();
        words[3] = LongKey();
      }
      if (words[1].size() < 3 || !random_.OneIn(3)) {
        words.push_back(SmallKey());
      }
      return Add(std::move(words));
    }
    case 4:
    case 5:
      return AddBitField(key);
    default:
      return Add({"setbit", key, BitOffset(key), random_.OneIn(30) ? "2" : Pick({"0", "1"})});
  }
}

void RandomCommands::AddBitField(const std::string& key) {
  const bool reads = random_.OneIn(4);
  Words words = {reads ? "bitfield_ro" : "bitfield", key};
  for (uint64_t n = 1 + random_.Uniform(4); n > 0; --n) {
    const bool is_signed = random_.OneIn(2);
    const std::string type =
        (is_signed ? "i" : "u") + std::to_string(1 + random_.Uniform(is_signed ? 64 : 63));
    const std::string offset = random_.OneIn(3) ? "#" + std::to_string(random_.Uniform(10))
                               : !IsSmall(key) && random_.OneIn(10)
                                   ? std::to_string(random_.Uniform(kFarBits))
                                   : std::to_string(random_.Uniform(kFieldOffsets));
    if (reads || random_.OneIn(3)) {
      words.insert(words.end(), {AnyCase("get"), type, offset});
      continue;
    }
    if (random_.OneIn(2)) {
      words.insert(words.end(), {AnyCase("overflow"), AnyCase(Pick({"wrap", "sat", "fail"}))});
    }
    // Numbers that are far below what a type holds saturate at its largest one in Redis.
    const std::string value =
        random_.OneIn(20) ? Pick({"x", "", "9223372036854775808", "9223372036854775807"})
                          : std::to_string(static_cast<int64_t>(random_.Next() >> 3) - (1LL << 60));
    words.insert(words.end(), {AnyCase(Pick({"set", "incrby"})), type, offset, value});
  }
  Add(std::move(words));
}

// Near each other, so that searches find some.
void RandomCommands::AppendPlace(Words* words) {
  const auto degrees = [this](int64_t middle) {
    return std::to_string(middle + static_cast<int64_t>(random_.Uniform(6)) - 3) + "." +
           std::to_string(100'000 + random_.Uniform(900'000));
  };
  words->push_back(degrees(random_.OneIn(20) ? 176 : 15));
  words->push_back(degrees(random_.OneIn(20) ? -81 : 38));
}

void RandomCommands::AddGeo() {
  const std::string key = GeoKey();
  const std::string member = "w" + std::to_string(random_.Uniform(60));
  switch (random_.Uniform(8)) {
    case 0:
      return Add({"geodist", key, member, "w" + std::to_string(random_.Uniform(60)),
                  AnyCase(Pick({"m", "km", "ft", "mi"}))});
    case 1:
      return Add({random_.OneIn(2) ? "geopos" : "geohash", key, member, "none"});
    case 2:
    case 3:
      return AddGeoSearch(key);
    case 4:
      return AddGeoRadius(key);
    case 5:
      return random_.OneIn(20) ? Add({"del", key}) : Add({"zrem", key, member});
    default:
      break;
  }
  Words words = {"geoadd", key};
  if (random_.OneIn(4)) {
    words.push_back(AnyCase(Pick({"nx", "xx", "ch"})));
  }
  for (uint64_t n = random_.OneIn(10) ? 60 : random_.Uniform(4); n > 0; --n) {
    AppendPlace(&words);
    words.push_back("w" + std::to_string(random_.Uniform(60)));
  }
  AppendPlace(&words);
  words.push_back(member);
  Add(std::move(words));
}

void RandomCommands::AppendGeoOptions(Words* words, bool stores) {
  if (random_.OneIn(2)) {
    words->push_back(AnyCase(Pick({"asc", "desc"})));
  }
  if (random_.OneIn(3)) {
    words->insert(words->end(), {AnyCase("count"), std::to_string(1 + random_.Uniform(8))});
    if (random_.OneIn(3)) {
      words->push_back(AnyCase("any"));
    }
  }
  for (const char* option : {"withcoord", "withdist", "withhash"}) {
    if (!stores && random_.OneIn(3)) {
      words->push_back(AnyCase(option));
    }
  }
}

void RandomCommands::AddGeoSearch(const std::string& key) {
  const bool stores = random_.OneIn(4);
  const bool stores_distances = stores && random_.OneIn(2);
  Words words = {stores ? "geosearchstore" : "geosearch"};
  if (stores) {
    words.push_back(stores_distances ? kDistanceKey : GeoKey());
  }
  words.push_back(key);
  if (random_.OneIn(2)) {
    words.insert(words.end(), {AnyCase("frommember"), "w" + std::to_string(random_.Uniform(60))});
  } else {
    words.push_back(AnyCase("fromlonlat"));
    AppendPlace(&words);
  }
  const std::string length = std::to_string(random_.Uniform(random_.OneIn(3) ? 20'000 : 300));
  if (random_.OneIn(2)) {
    words.insert(words.end(), {AnyCase("byradius"), length, "km"});
  } else {
    words.insert(words.end(),
                 {AnyCase("bybox"), length, std::to_string(random_.Uniform(400)), "mi"});
  }
  AppendGeoOptions(&words, stores);
  if (stores_distances) {
    words.push_back(AnyCase("storedist"));
  }
  Add(std::move(words));
}

void RandomCommands::AddGeoRadius(const std::string& key) {
  const bool by_member = random_.OneIn(2);
  const bool reads = random_.OneIn(2);
  const bool stores = !reads && random_.OneIn(2);
  Words words = {std::string(by_member ? "georadiusbymember" : "georadius") + (reads ? "_ro" : ""),
                 key};
  if (by_member) {
    words.push_back("w" + std::to_string(random_.Uniform(60)));
  } else {
    AppendPlace(&words);
  }
  words.insert(words.end(), {std::to_string(random_.Uniform(1000)), Pick({"km", "mi"})});
  AppendGeoOptions(&words, stores);
  if (stores && random_.OneIn(2)) {
    words.insert(words.end(), {AnyCase("store"), GeoKey()});
  } else if (stores) {
    words.insert(words.end(), {AnyCase("storedist"), kDistanceKey});
  }
  Add(std::move(words));
}

}  // namespace kvs
