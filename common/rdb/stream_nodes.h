// The nodes of a stream in RDB files: a listpack each, of entries that share most of their fields.
//
// Entries tell their ids relative to that of the node, and need not repeat fields that are those
// of the node's first entry.  One that has been deleted may still be there, with a flag.
//
// Threads: pure functions; a StreamNodeWriter is a value.
// Format:  redis/src/t_stream.c, above streamAppendItem()

#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "common/base/status.h"
#include "common/rdb/compact_lists.h"
#include "common/rdb/rdb_value.h"

namespace kvs {

inline constexpr size_t kStreamNodeIdSize = 16;

// Appends the entries of a node that has these elements.  What its fields take when they are
// repeated is taken off `*room`.
//   kInvalidArgument: not a node; kTooLarge: more than the room
Status ReadStreamNode(RdbStreamId node_id, const std::vector<std::string>& elements, size_t* room,
                      std::vector<RdbStreamEntry>* entries);

// Makes nodes out of entries that come in their order.
class StreamNodeWriter {
 public:
  struct Node {
    RdbStreamId id;
    std::string listpack;
  };
  void Add(const RdbStreamEntry& entry);
  // Returns all nodes.
  std::vector<Node> Take();

 private:
  void Begin(const RdbStreamEntry& entry);
  void End();

  std::vector<Node> nodes_;
  RdbStreamId id_;
  std::vector<std::string> fields_;
  ListpackWriter entries_;
  size_t count_ = 0;
};

}  // namespace kvs
