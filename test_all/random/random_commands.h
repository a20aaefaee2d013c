// RandomCommands: a seeded stream of commands on strings, keys and times of expiry, for two servers
// that must answer alike.
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
  kShape,        // The type alone: the encoding of a value that was changed is our own matter.
};

struct RandomCommand {
  std::vector<std::string> words;
  ReplyMatch match = ReplyMatch::kBytes;
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
  void AddEncoding();
  void AddMistake();
  void AddRare();
  void AddFade();

  std::string Key();
  // One of the keys whose values stay short, for commands that cost the product of two lengths.
  std::string SmallKey();
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
  std::map<std::string, uint64_t> fading_;  // The pipeline in which a key began to.
  std::vector<RandomCommand> commands_;
};

}  // namespace kvs
