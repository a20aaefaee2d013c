// RandomCommands: a seeded stream of commands on every type of value, keys and times of expiry, of
// scripts and transactions, for two servers that must answer alike.
//
// There are few keys, so commands meet; and values of many shapes, since encodings and limits go by
// the value.  Times are far away, and relative ones differ by at least a quarter of an hour, so
// that a comparison of two (EXPIRE GT) falls out alike on two clocks.  Some keys are given a few
// milliseconds to live: such a key "fades", and nothing names it before it is surely gone, which
// every server must then agree on.  The same seed gives the same stream.
//
// Threads: one owner.
// Owner:   the test.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/random.h"

namespace kvs {

// How the replies of two servers to a command are compared.
enum class ReplyMatch : uint8_t {
  kBytes,
  kTtl,          // Seconds that depend on when the server was asked.
  kPTtl,         // As kTtl, in milliseconds.
  kExpireTime,   // As kTtl, but equal where the client gave the time itself.
  kPExpireTime,  // As kExpireTime, in milliseconds.
  kUnordered,    // The elements of arrays may have any order.
  kShape,        // The type alone: the encoding of a value that was changed is our own matter.
};

struct RandomCommand {
  std::vector<std::string> words;
  ReplyMatch match = ReplyMatch::kBytes;
  // Whether it stands between the MULTI and the EXEC of a transaction, or is that EXEC.
  bool in_transaction = false;
};

class RandomCommands {
 public:
  // The longest life of a key that fades.
  static constexpr int64_t kFadeMillis = 40;
  // So many pipelines later a key that fades is named again.
  static constexpr uint64_t kFadePipelines = 32;
  // Relative times have this granularity, and absolute ones begin here.
  static constexpr int64_t kStepSeconds = 1000;
  static constexpr int64_t kFarSeconds = 4'000'000'000;

  explicit RandomCommands(uint64_t seed) : random_(seed) {}

  // Returns about `size` commands, to be sent at once.  With `may_fade` keys may begin to fade.
  std::vector<RandomCommand> NextPipeline(size_t size, bool may_fade);
  // The number of pipelines so far.
  uint64_t pipeline() const { return pipeline_; }
  // The earliest pipeline in which a key began to fade that the next one may name: whoever sends
  // that one waits until kFadeMillis after the replies of this one.  0: nothing to wait for.
  uint64_t FadedBy() const;
  // Says that every key that fades is gone by now.
  void ForgetFading() { fading_.clear(); }

  // Where distances are stored.  They are no places, all of them near one: to search them would
  // show which of equally near members a server takes first.
  static constexpr const char* kDistanceKey = "{geo}distances";

  static constexpr uint64_t kStreamKeyCount = 4;
  static std::string StreamKeyName(uint64_t n);
  static constexpr uint64_t kHashKeyCount = 6;
  static std::string HashKeyName(uint64_t n);
  static constexpr uint64_t kZSetKeyCount = 6;
  static std::string ZSetKeyName(uint64_t n);
  // The sorted set whose scores are all 0.
  static constexpr const char* kLexKey = "{zsets}lex";
  // Where joined sorted sets are stored.  None of them is joined again: scores would grow for ever.
  static constexpr const char* kJoinedKey = "{zsets}joined";

  // The keys that patterns of SORT name.
  static std::vector<std::string> WeightKeys();
  // Every key that the stream may name.
  static std::vector<std::string> Keys();

 private:
  using Words = std::vector<std::string>;

  void Add(Words words, ReplyMatch match = ReplyMatch::kBytes);
  void AddStep();
  void AddRead();
  void AddWrite();
  void AddSet();
  void AddGetEx();
  void AddNumber();
  void AddMany();
  void AddMove();
  void AddExpiry();
  void AddTime();
  void AddLcs();
  void AddListRead();
  void AddListWrite();
  void AddListMove();
  void AddEncoding();
  void AddMistake();
  void AddRare();
  void AddFade();
  void AddToSet();
  void AddSetRead();
  void AddSetJoin();
  void AddHashRead();
  void AddHashWrite();
  void AddZSetRead();
  void AddZSetRange();
  void AddZSetWrite();
  void AddZSetRemoval();
  void AddZSetJoin();
  void AppendZSetRange(Words* words);
  void AddScript();
  void AddTransaction();
  void AddSort();
  void AppendSortOptions(Words* words);
  void AddHyperLogLog();
  void AddBit();
  void AddBitField(const std::string& key);
  void AddStream();
  void AddGroup();
  void AddClaim(const std::string& key, const std::string& group);
  void AddGeo();
  void AddGeoSearch(const std::string& key);
  void AddGeoRadius(const std::string& key);

  std::string Key();
  // One of the keys whose values stay short, for commands that cost the product of two lengths.
  std::string SmallKey();
  // Mostly one of the keys that sets are made under.
  std::string SetKey();
  // One of the keys with such names, of which there are so many.
  std::string OneOf(std::string (*name)(uint64_t), uint64_t count);
  std::string HashKey();
  std::string ZSetKey();
  std::string HyperLogLogKey();
  std::string GeoKey();
  // One of the keys whose strings a node mostly keeps in chunks.
  std::string LongKey();
  std::string StreamKey();
  std::string StreamId();
  std::string GroupName();
  // Sees to it that the group has a consumer, and returns its name.
  std::string MakeConsumer(const std::string& key, const std::string& group);
  static bool IsSmall(const std::string& key);
  std::string BitOffset(const std::string& key);
  void AppendBitRange(Words* words);
  void AppendPlace(Words* words);
  void AppendGeoOptions(Words* words, bool stores);
  std::string Member();
  void AppendMembers(Words* words);
  std::string Field();
  std::string ZSetMember();
  std::string Score();
  std::string ScoreBound();
  std::string LexBound();
  std::string Pick(const std::vector<std::string>& choices);
  std::string Value(const std::string& key);
  std::string Bytes(uint64_t size);
  std::string Number();
  std::string Float();
  std::string Index();
  // A word for EX, PX, EXAT or PXAT, or for an EXPIRE of that unit.
  std::string Relative(bool in_seconds);
  std::string Absolute(bool in_seconds);
  void AppendTime(Words* words);
  std::string AnyCase(std::string name);

  Random random_;
  uint64_t pipeline_ = 0;
  bool may_fade_ = false;
  uint64_t stream_ms_ = 0;                  // Of the last id.
  std::map<std::string, uint64_t> fading_;  // The pipeline in which a key began to.
  std::vector<RandomCommand> commands_;
};

}  // namespace kvs
