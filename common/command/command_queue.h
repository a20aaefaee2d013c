// CommandQueue: the commands of a transaction, from MULTI to EXEC.
//
// They are kept as bytes, one behind the other, and told back as they came.
//
// Threads: one owner.
// Owner:   a session, while a transaction is open.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "common/command/command_table.h"

namespace kvs {

class CommandQueue {
 public:
  // Appends a command.  Returns false if the queue would become larger than `max_bytes`.
  bool Add(const CommandSpec& spec, CommandArgs args, size_t max_bytes);
  void Clear();
  size_t size() const { return commands_.size(); }
  bool empty() const { return commands_.empty(); }
  // Of the arguments, without what is noted of them.
  size_t bytes() const { return bytes_.size(); }

  // Calls `visit(spec, args)` for each command, in order.
  template <typename Visit>
  void ForEach(Visit visit) const {
    std::vector<std::string_view> args;
    size_t at = 0;
    size_t begin = 0;
    for (const Queued& queued : commands_) {
      args.clear();
      for (size_t i = 0; i < queued.arg_count; ++i, ++at) {
        args.push_back(std::string_view(bytes_).substr(begin, arg_sizes_[at]));
        begin += arg_sizes_[at];
      }
      visit(*queued.spec, CommandArgs(args));
    }
  }
  // Whether a command is among them for which `predicate(spec)` is true.
  template <typename Predicate>
  bool Any(Predicate predicate) const {
    for (const Queued& queued : commands_) {
      if (predicate(*queued.spec)) {
        return true;
      }
    }
    return false;
  }

 private:
  struct Queued {
    const CommandSpec* spec;
    size_t arg_count;
  };

  std::vector<Queued> commands_;
  std::vector<size_t> arg_sizes_;
  std::string bytes_;
};

// Whether a command is queued in an open transaction; the others say something about it or end it.
inline bool IsQueuedInMulti(const CommandSpec& spec) {
  switch (IdOf(spec)) {
    case CommandId::kDiscard:
    case CommandId::kExec:
    case CommandId::kMulti:
    case CommandId::kQuit:
    case CommandId::kReset:
    case CommandId::kWatch:
      return false;
    default:
      return true;
  }
}

// Words a refusal of the command `name`: one of EXEC discards the transaction.
std::string RefusalOf(std::string_view name, std::string_view error);

}  // namespace kvs
