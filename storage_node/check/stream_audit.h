// StreamAudit: whether the records of one stream agree with each other and with its metadata.
//
// Of its groups it keeps what grows with the consumers, and of the pending entries counts and sums
// alone: those by id and those by consumer are the same if both are.
//
// Threads: one owner.
// Owner:   DataChecker.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "storage_node/keys/stream_codec.h"
#include "storage_node/keys/stream_group_codec.h"

namespace kvs {

class StreamAudit {
 public:
  // Takes the elements of a version, in their order, whosever they are.
  void Add(std::string_view name, std::string_view value);
  // Returns what is wrong with a stream that counts so many entries and has that header, or "".
  std::string Verdict(uint64_t count, const StreamHeader& header) const;

  // The same for the elements of a packed one.
  static std::string VerdictOfPacked(std::string_view packed, uint64_t count,
                                     const StreamHeader& header);

 private:
  // What the elements tell of a consumer.
  struct ConsumerFindings {
    std::optional<StreamConsumer> told;
    bool named = false;
    uint64_t pending_count = 0;  // In the group's list,
    uint64_t pending_sum = 0;
    uint64_t own_count = 0;  // ...and in its own.
    uint64_t own_sum = 0;
  };
  struct GroupFindings {
    std::optional<StreamGroupState> told;
    uint64_t pending_count = 0;
    uint64_t name_count = 0;  // Of consumers.
    std::map<uint64_t, ConsumerFindings> consumers;
  };

  // Return false if it is no such element.
  bool AddEntry(std::string_view name, std::string_view value);
  bool AddOfGroup(std::string_view name, std::string_view value);
  bool AddConsumerName(const StreamGroupElement& element, std::string_view value);
  bool AddPending(const StreamGroupElement& element, std::string_view value);
  std::string VerdictOnGroups(const StreamHeader& header) const;
  static std::string VerdictOnGroup(const GroupFindings& group);

  bool is_strange_ = false;  // There is an element that no stream has.
  uint64_t count_ = 0;
  StreamId first_;
  StreamId last_;
  std::optional<StreamGroupCount> group_count_;
  std::map<uint64_t, GroupFindings> groups_;
};

}  // namespace kvs
