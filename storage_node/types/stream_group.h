// StreamGroup: a group of consumers of a stream, and which entries each of them has pending.
//
// It knows how the elements of the stream's collection make groups (stream_group_codec.h).  What
// is asked of it reads the few records that it is about; what is changed is staged, seen by what is
// asked next, and written by Save().  So a command that fails has written nothing.
//
//   KVS_ASSIGN_OR_RETURN(std::optional<StreamGroup> group, StreamGroup::Find(&stream, name));
//   KVS_RETURN_IF_ERROR(group->SetPending(id, {.consumer = number, ...}));
//   group->Save();
//
// Threads: one thread, for the duration of one command.
// Owner:   the command's handler; the Stream outlives it, and stays where it is.
// Format:  doc/formats/keys.md

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "storage_node/keys/stream_group_codec.h"
#include "storage_node/types/stream.h"

namespace kvs {

// The number of no consumer.
inline constexpr uint64_t kNoConsumer = 0;

class StreamGroups;

class StreamGroup {
 public:
  // Returns the stream's group of that name, or nothing.
  static Result<std::optional<StreamGroup>> Find(Stream* stream, std::string_view name);
  // Makes a group.  REQUIRES: the stream has none of that name
  static Result<StreamGroup> Create(Stream* stream, std::string_view name, StreamId last_id,
                                    int64_t entries_read);

  const std::string& name() const { return name_; }
  StreamId last_id() const { return state_.last_id; }
  int64_t entries_read() const { return state_.entries_read; }
  uint64_t pending_count() const { return state_.pending_count; }
  uint64_t consumer_count() const { return state_.consumer_count; }
  void SetPlace(StreamId last_id, int64_t entries_read);
  // It has delivered the stream's next entry.
  void Advance(StreamId id);
  // Returns how many entries it has still to deliver, or nothing if that is not known.
  std::optional<int64_t> Lag() const;

  // Returns the consumer's number, or kNoConsumer.
  Result<uint64_t> FindConsumer(std::string_view name) const;
  // REQUIRES: there is none of that name
  uint64_t AddConsumer(std::string_view name, int64_t now_ms);
  // As FindConsumer(), and it is there afterwards and has been seen now.
  Result<uint64_t> SeeConsumer(std::string_view name, int64_t now_ms);
  // Removes the consumer and all that it has pending; returns how much that is.
  Result<uint64_t> RemoveConsumer(uint64_t number);
  // Returns the consumer; the copy is not kept up to date.
  Result<StreamConsumer> GetConsumer(uint64_t number) const;
  Status SetTimes(uint64_t number, int64_t seen_ms, int64_t active_ms);
  // It has got something now.
  Status SetActive(uint64_t number, int64_t now_ms);
  // Returns the numbers of all consumers in the order of their names.
  // REQUIRES: none is staged
  Result<std::vector<uint64_t>> Consumers() const;

  Result<std::optional<StreamPending>> FindPending(StreamId id) const;
  // Adds a pending entry, or gives it what is told.  REQUIRES: its consumer is there
  Status SetPending(StreamId id, const StreamPending& pending);
  // Returns whether it was there.
  Result<bool> RemovePending(StreamId id);
  // Calls `visit(id, pending)`, which returns Result<bool>, for the pending entries of the range,
  // those of one consumer or, if that is kNoConsumer, all, until one says false.  It may change
  // the entry that it is called for.
  template <typename Visit>
  Status ForEachPending(const StreamRange& range, uint64_t consumer, Visit visit) const {
    return WalkPending(range, consumer, Erase(visit));
  }
  // Returns the id of the last pending entry; 0-0 if there is none.  REQUIRES: none is staged
  Result<StreamId> LastPending() const;

  // Writes what is staged, the stream's metadata included.
  void Save(Notice notice = Notice::kNone);

 private:
  friend class StreamGroups;

  struct Staged {
    std::optional<StreamPending> stored;
    std::optional<StreamPending> now;
  };
  struct StagedConsumer {
    StreamConsumer data;
    bool is_new = false;
    bool removed = false;
    bool changed = false;
  };
  // A visitor without its type, so that the walk is compiled once.
  struct Visitor {
    Result<bool> (*call)(void* visit, StreamId id, const StreamPending& pending);
    void* visit;
  };
  template <typename Visit>
  static Visitor Erase(Visit& visit) {
    return {[](void* erased, StreamId id, const StreamPending& pending) -> Result<bool> {
              return (*static_cast<Visit*>(erased))(id, pending);
            },
            &visit};
  }

  StreamGroup(Stream* stream, std::string_view name, const StreamGroupState& state)
      : stream_(stream), name_(name), state_(state) {}
  Collection* elements() const { return &stream_->elements_; }
  Result<std::optional<StreamPending>> FindStored(StreamId id) const;
  // Returns what is staged of the entry, after reading it if it must.
  Result<Staged*> Stage(StreamId id);
  Status Change(StreamId id, const std::optional<StreamPending>& pending);
  Result<StagedConsumer*> StageConsumer(uint64_t number);
  Status WalkPending(const StreamRange& range, uint64_t consumer, Visitor visitor) const;
  void SavePending(StreamId id, const Staged& staged);
  void SaveConsumer(uint64_t number, const StagedConsumer& consumer);

  Stream* stream_;
  std::string name_;
  StreamGroupState state_;
  bool state_changed_ = false;
  std::optional<StreamGroupCount> group_count_;  // Of a new one: what the stream has with it.
  std::map<StreamId, Staged> pending_;
  std::map<uint64_t, StagedConsumer> consumers_;
  std::map<std::string, uint64_t, std::less<>> new_names_;  // Of consumers.
};

// All groups of a stream.
class StreamGroups {
 public:
  explicit StreamGroups(Stream* stream) : stream_(stream) {}

  Result<uint64_t> Count() const;
  // Returns their names in their order.
  Result<std::vector<std::string>> Names() const;
  // Removes a group and all that it keeps.  Returns whether it was there.
  Result<bool> Destroy(std::string_view name);

 private:
  Stream* const stream_;
};

}  // namespace kvs
