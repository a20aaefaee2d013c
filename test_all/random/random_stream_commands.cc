// The part of RandomCommands that is about streams and their groups.
//
// Ids are given by the client, and grow slowly, so that both servers have the same and entries are
// met again.  What depends on when it was asked is told in such a way that it does not matter: a
// minimum of idle time is none, or more than any entry has.  A consumer is made before it asks for
// anything, because Redis 7.0 makes none that gets nothing.

#include "test_all/random/random_commands.h"

namespace kvs {

std::string RandomCommands::StreamKey() {
  return random_.OneIn(40) ? Key() : OneOf(&StreamKeyName, kStreamKeyCount);
}

std::string RandomCommands::StreamId() {
  if (random_.OneIn(30)) {
    return Pick({"0", "-", "+", "$", ">", "x", "0-0", "1-2-3", "18446744073709551615-1",
                 "18446744073709551615-18446744073709551615", ""});
  }
  const uint64_t back = random_.Uniform(random_.OneIn(4) ? 300 : 30);
  const std::string ms = std::to_string(stream_ms_ > back ? stream_ms_ - back : 0);
  return random_.OneIn(2) ? ms : ms + "-" + std::to_string(random_.Uniform(3));
}

std::string RandomCommands::GroupName() {
  return Pick({"g", "g", "h"});
}

std::string RandomCommands::MakeConsumer(const std::string& key, const std::string& group) {
  std::string consumer = Pick({"a", "b", "consumer"});
  Add({"xgroup", "createconsumer", key, group, consumer});
  return consumer;
}

void RandomCommands::AddStream() {
  const std::string key = StreamKey();
  switch (random_.Uniform(16)) {
    case 0: {
      Words words = {"xdel", key};
      for (uint64_t n = 1 + random_.Uniform(4); n > 0; --n) {
        words.push_back(StreamId());
      }
      return Add(std::move(words));
    }
    case 1: {
      const bool by_count = random_.OneIn(2);
      return Add({"xtrim", key, AnyCase(by_count ? "maxlen" : "minid"),
                  by_count ? std::to_string(random_.Uniform(200)) : StreamId()});
    }
    case 2:
      return random_.OneIn(3) ? Add({"del", key}) : Add({"xlen", key});
    case 3:
      return Add({"xrange", key, random_.OneIn(2) ? "-" : StreamId(), StreamId()});
    case 4:
      return Add({"xrevrange", key, random_.OneIn(2) ? "+" : StreamId(), StreamId(), "count",
                  std::to_string(random_.Uniform(20))});
    case 5:
      return Add({"xread", "count", std::to_string(random_.Uniform(5)), "streams", key, StreamKey(),
                  StreamId(), StreamId()});
    case 6:
      // 7.0 lets an id be set that is below what was deleted; this one is not.
      return Add({"xsetid", key, std::to_string(++stream_ms_)});
    default:
      break;
  }
  Words words = {"xadd", key};
  if (random_.OneIn(10)) {
    words.push_back(AnyCase("nomkstream"));
  }
  if (random_.OneIn(10)) {
    words.insert(words.end(), {AnyCase("maxlen"), std::to_string(random_.Uniform(150))});
  }
  stream_ms_ += random_.Uniform(3);
  words.push_back(random_.OneIn(20) ? StreamId() : std::to_string(stream_ms_) + "-*");
  for (uint64_t n = 1 + random_.Uniform(3); n > 0; --n) {
    words.push_back(Pick({"field", "f", "g"}));
    words.push_back(Value(key));
  }
  Add(std::move(words));
}

void RandomCommands::AddGroup() {
  const std::string key = StreamKey();
  const std::string group = GroupName();
  switch (random_.Uniform(13)) {
    case 0:
    case 12: {
      Words words = {"xgroup", AnyCase("create"), key, group, StreamId()};
      if (random_.OneIn(2)) {
        words.push_back(AnyCase("mkstream"));
      }
      if (random_.OneIn(4)) {
        words.insert(words.end(), {"entriesread", std::to_string(random_.Uniform(50))});
      }
      return Add(std::move(words));
    }
    case 1:
      return random_.OneIn(6) ? Add({"xgroup", "destroy", key, group})
                              : Add({"xgroup", "setid", key, group, StreamId()});
    case 2:
      return random_.OneIn(4) ? Add({"xgroup", "delconsumer", key, group, Pick({"a", "b"})})
                              : Add({"xinfo", "groups", key});
    case 3:
      return random_.OneIn(2)
                 ? Add({"xpending", key, group})
                 : Add({"xpending", key, group, StreamId(), StreamId(), "10"}, ReplyMatch::kShape);
    case 4:
    case 5:
      return AddClaim(key, group);
    case 6:
    case 7: {
      Words words = {"xack", key, group};
      for (uint64_t n = 1 + random_.Uniform(6); n > 0; --n) {
        words.push_back(StreamId());
      }
      return Add(std::move(words));
    }
    default:
      break;
  }
  const std::string consumer = MakeConsumer(key, group);
  Words words = {"xreadgroup", AnyCase("group"), group,
                 consumer,     AnyCase("count"), std::to_string(1 + random_.Uniform(12))};
  if (random_.OneIn(6)) {
    words.push_back(AnyCase("noack"));
  }
  words.insert(words.end(), {AnyCase("streams"), key, random_.OneIn(4) ? StreamId() : ">"});
  Add(std::move(words));
}

void RandomCommands::AddClaim(const std::string& key, const std::string& group) {
  const std::string consumer = MakeConsumer(key, group);
  const std::string idle = random_.OneIn(5) ? "1000000000" : "0";
  const bool many = random_.OneIn(3);
  Words words = {many ? "xautoclaim" : "xclaim", key, group, consumer, idle, StreamId()};
  if (many) {
    words.insert(words.end(), {AnyCase("count"), std::to_string(1 + random_.Uniform(8))});
  } else {
    for (uint64_t n = random_.Uniform(5); n > 0; --n) {
      words.push_back(StreamId());
    }
    if (random_.OneIn(3)) {
      words.push_back(AnyCase("force"));
    }
    if (random_.OneIn(5)) {
      words.insert(words.end(), {AnyCase("lastid"), StreamId()});
    }
  }
  if (random_.OneIn(3)) {
    words.push_back(AnyCase("justid"));
  }
  Add(std::move(words));
}

}  // namespace kvs
