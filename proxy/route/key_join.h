// KeyJoin: the outcome of a union, intersection or difference of keys that live on several nodes.
//
// Each key is read whole from its node, and what the nodes have said is joined here by the rules by
// which one node joins its own keys: the smallest inputs first, scores in that order, so that even
// the last digit of a sum is the same.
//
// Threads: pure functions.
// Owner:   the caller; nothing outlives the call.

#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/status.h"
#include "common/command/join_request.h"
#include "common/resp/resp_writer.h"

namespace kvs {

// So many keys may be joined over several nodes; more of them are a request for many times its own
// memory.
inline constexpr size_t kMaxJoinedKeys = 4096;

// Appends the request that reads one key for a join, whatever of the types that fit it has.
void EncodeJoinRead(const JoinRequest& join, std::string_view key, std::string* out);
// Returns the key of such a request.
std::string_view KeyOfJoinRead(const JoinRequest& join, CommandArgs args);

// Returns what PFCOUNT says of keys whose values are these replies to EncodeJoinRead(); writes an
// error if one of them is no HyperLogLog.
void CountDistinct(std::span<const std::string_view> replies, RespWriter* writer);

// What one key holds, as its node has sent it.
class JoinInput {
 public:
  // Reads a reply to EncodeJoinRead(), in RESP3, which the input points into.
  //   kInvalidArgument: it is none
  static Result<JoinInput> Parse(const JoinRequest& join, std::string_view reply);

  size_t size() const { return members_.size(); }

 private:
  friend class KeyJoiner;
  struct Member {
    std::string_view name;
    double score;
  };
  std::vector<Member> members_;
};

// About how much memory a member takes while inputs are joined: in its input, in a hash table, and
// in the outcome.
inline constexpr size_t kJoinMemoryPerMember = 24 + 72 + 32;

// Writes the reply.  REQUIRES: as many inputs as keys, in their order; a key that is named twice
// has one input, twice
void JoinInputs(const JoinRequest& join, std::span<const JoinInput* const> inputs,
                RespWriter* writer);

}  // namespace kvs
