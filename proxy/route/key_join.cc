#include "proxy/route/key_join.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "common/base/strings.h"
#include "common/hyperloglog/hyperloglog.h"
#include "common/resp/reply_token.h"

namespace kvs {
namespace {

// The least that a member takes in a reply: "$0\r\n\r\n".
constexpr size_t kSmallestMember = 6;

Status NotWhatWasAskedFor() {
  return Status::InvalidArgument("a reply of the wrong shape");
}

bool TakeToken(std::string_view* reply, ReplyToken* token) {
  TokenProgress progress;
  if (ReadReplyToken(*reply, token, &progress) != TokenOutcome::kToken || token->null) {
    return false;
  }
  reply->remove_prefix(token->size);
  return true;
}

}  // namespace

void EncodeJoinRead(const JoinRequest& join, std::string_view key, std::string* out) {
  if (join.operation == JoinOperation::kDistinct) {
    return EncodeRequest({"GET", key}, out);
  }
  // A union of one key takes sets and sorted sets alike.
  join.scored ? EncodeRequest({"ZUNION", "1", key, "WITHSCORES"}, out)
              : EncodeRequest({"SMEMBERS", key}, out);
}

std::string_view KeyOfJoinRead(const JoinRequest& join, CommandArgs args) {
  return args[join.scored ? 2 : 1];
}

void CountDistinct(std::span<const std::string_view> replies, RespWriter* writer) {
  HyperLogLogRegisters registers;
  for (const std::string_view reply : replies) {
    ReplyToken token;
    TokenProgress progress;
    // What a scanner has accepted is a token, unless it is an aggregate.
    if (ReadReplyToken(reply, &token, &progress) != TokenOutcome::kToken ||
        (!token.null && (token.type != '$' || !IsHyperLogLog(token.text)))) {
      return writer->Error(kNoHyperLogLog);
    }
    if (!token.null && !registers.Merge(token.text)) {
      return writer->Error(kDamagedHyperLogLog);
    }
  }
  writer->Integer(static_cast<int64_t>(registers.Count()));
}

Result<JoinInput> JoinInput::Parse(const JoinRequest& join, std::string_view reply) {
  JoinInput input;
  ReplyToken header;
  if (!TakeToken(&reply, &header) || header.type != (join.scored ? '*' : '~') ||
      header.children > reply.size() / kSmallestMember) {
    return NotWhatWasAskedFor();
  }
  input.members_.reserve(header.children);
  for (uint64_t i = 0; i < header.children; ++i) {
    ReplyToken token;
    if (join.scored && (!TakeToken(&reply, &token) || token.type != '*' || token.children != 2)) {
      return NotWhatWasAskedFor();
    }
    if (!TakeToken(&reply, &token) || token.type != '$') {
      return NotWhatWasAskedFor();
    }
    Member member = {token.text, 0};
    if (join.scored && (!TakeToken(&reply, &token) || token.type != ',' ||
                        !ParseDouble(token.text, &member.score))) {
      return NotWhatWasAskedFor();
    }
    input.members_.push_back(member);
  }
  return reply.empty() ? Result<JoinInput>(std::move(input)) : NotWhatWasAskedFor();
}

// Joins the inputs of one request.
class KeyJoiner {
 public:
  KeyJoiner(const JoinRequest& join, std::span<const JoinInput* const> inputs) : join_(join) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      inputs_.push_back({&inputs[i]->members_, join.weight(i)});
    }
  }

  void Run() {
    if (join_.operation != JoinOperation::kDifference) {
      std::stable_sort(inputs_.begin(), inputs_.end(), [](const Weighted& a, const Weighted& b) {
        return a.members->size() < b.members->size();
      });
    }
    AddFirst();
    for (size_t i = 1; i < inputs_.size(); ++i) {
      for (const JoinInput::Member& member : *inputs_[i].members) {
        Meet(member.name, WeightedScore(member.score, inputs_[i].weight), i);
      }
    }
    if (join_.operation != JoinOperation::kUnion) {
      KeepOutcome();
    }
    places_.clear();
  }

  void Reply(RespWriter* writer) {
    if (join_.counts) {
      return writer->Integer(static_cast<int64_t>(std::min<uint64_t>(found_.size(), join_.limit)));
    }
    if (!join_.scored) {
      writer->Set(found_.size());
    } else {
      Sort();
      const bool flat = join_.with_scores && writer->protocol() == 2;
      writer->Array(found_.size() * (flat ? 2 : 1));
    }
    for (const Found& found : found_) {
      if (join_.with_scores && writer->protocol() >= 3) {
        writer->Array(2);
      }
      writer->Bulk(found.name);
      if (join_.with_scores) {
        writer->Score(found.score);
      }
    }
  }

 private:
  struct Weighted {
    const std::vector<JoinInput::Member>* members;
    double weight;
  };
  struct Found {
    std::string_view name;
    double score;
    size_t met;  // The latest input that has it.
  };

  void AddFirst() {
    const Weighted& first = inputs_.front();
    found_.reserve(first.members->size());
    for (const JoinInput::Member& member : *first.members) {
      if (places_.try_emplace(member.name, found_.size()).second) {
        found_.push_back({member.name, WeightedScore(member.score, first.weight), 0});
      }
    }
  }

  // A member of input `number`, which is not the first.
  void Meet(std::string_view name, double score, size_t number) {
    const auto place = places_.find(name);
    if (place == places_.end()) {
      if (join_.operation == JoinOperation::kUnion) {
        places_.emplace(name, found_.size());
        found_.push_back({name, score, number});
      }
      return;
    }
    Found& found = found_[place->second];
    if (join_.operation == JoinOperation::kDifference) {
      found.met = number;
    } else if (join_.operation == JoinOperation::kUnion || found.met + 1 == number) {
      found.score = JoinScores(found.score, score, join_.aggregate);
      found.met = number;
    }
  }

  // What all inputs have, or the first one alone.
  void KeepOutcome() {
    const size_t wanted = join_.operation == JoinOperation::kIntersection ? inputs_.size() - 1 : 0;
    std::erase_if(found_, [wanted](const Found& found) { return found.met != wanted; });
  }

  void Sort() {
    std::sort(found_.begin(), found_.end(), [](const Found& a, const Found& b) {
      return a.score != b.score ? a.score < b.score : a.name < b.name;
    });
  }

  const JoinRequest& join_;
  std::vector<Weighted> inputs_;
  std::unordered_map<std::string_view, size_t> places_;  // In found_.
  std::vector<Found> found_;
};

void JoinInputs(const JoinRequest& join, std::span<const JoinInput* const> inputs,
                RespWriter* writer) {
  KeyJoiner joiner(join, inputs);
  joiner.Run();
  joiner.Reply(writer);
}

}  // namespace kvs
