// CommandSample: the first arguments of a request, kept after its bytes are gone.
//
// What becomes slow only after it was executed (by a commit, by a node far away) is to be named all
// the same.  A sample is small and keeps its storage, so that taking one costs a short copy.
//
// Threads: one owner.
// Owner:   whoever waits for the command.

#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "common/command/command_table.h"

namespace kvs {

class CommandSample {
 public:
  static constexpr size_t kArguments = 4;
  static constexpr size_t kBytes = 64;  // Of each.

  void Take(const CommandSpec& spec, CommandArgs args);
  void Clear() { spec_ = nullptr; }
  // nullptr: nothing was taken.
  const CommandSpec* spec() const { return spec_; }
  // Returns the arguments, with texts about what is left out.
  std::vector<std::string> Arguments() const;

 private:
  const CommandSpec* spec_ = nullptr;
  size_t count_ = 0;
  std::array<size_t, kArguments> sizes_{};  // In the request.
  std::string text_;
};

// Returns at most `max_arguments` arguments, cut to `max_bytes` each, and texts about what
// is missing.
std::vector<std::string> TrimArguments(CommandArgs args, size_t max_arguments, size_t max_bytes);

}  // namespace kvs
