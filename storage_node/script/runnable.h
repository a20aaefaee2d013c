// Runnable: what a node has to know of a script, or of a function of a library, to run it.
//
// Threads: immutable but for what is learnt, which is atomic.
// Owner:   whoever shares it: ScriptCache, FunctionSet, those who run it.

#pragma once

#include <atomic>
#include <memory>

namespace kvs {

struct Runnable {
  bool no_writes = false;
  bool allows_cross_slot_keys = false;
  // A command that only reads may not run it: it has not said of itself that it does.
  bool refuses_read_only = false;

  // What was learnt by running it.
  // It has used keys that it was not called with: all of them are locked for it.
  mutable std::atomic<bool> uses_any_key{false};
  // It has called a command on all keys, which commits: a loop could not take it back.
  mutable std::atomic<bool> asks_for_all_keys{false};
  // It has taken longer than a loop should be held up.
  mutable std::atomic<bool> is_slow{false};
};
using RunnablePtr = std::shared_ptr<const Runnable>;

}  // namespace kvs
