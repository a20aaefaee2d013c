// RunningScripts: what the loops know of the script that runs beside them.
//
// A script that takes longer than a loop may be held up runs in a thread of its own (ScriptWorker);
// at most one at a time does.  Here others see how long it has run, and ask it to stop.
//
// Threads: thread-safe.
// Owner:   NodeServer.

#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"

namespace kvs {

enum class ScriptKind : uint8_t { kScript, kFunction };

class RunningScripts {
 public:
  // What runs.
  struct One {
    ScriptKind kind = ScriptKind::kScript;
    std::string name;                  // The function's; a script has none.
    std::vector<std::string> command;  // Of a function: as the client sent it.
    int64_t since_ms = 0;
  };
  // Around each script of the worker's.
  void Begin(One one) KVS_EXCLUDES(mu_);
  // Returns false if the script was asked to stop and has not noticed.
  bool End() KVS_EXCLUDES(mu_);
  // The script has committed something on its way: stopping it would leave half of it.
  void NoteCommitted() KVS_EXCLUDES(mu_);

  // Asked by the script's host, again and again.
  bool asked_to_stop() const { return stop_.load(std::memory_order_relaxed); }

  enum class Killed : uint8_t { kOk, kNoneRuns, kHasCommitted, kIsOfOtherKind };
  Killed Kill(ScriptKind kind) KVS_EXCLUDES(mu_);
  // Returns nothing if none runs.
  std::optional<One> Now() const KVS_EXCLUDES(mu_);
  // Of what runs, or ran last.
  ScriptKind kind() const { return kind_.load(std::memory_order_relaxed); }
  // Stops the one that runs and all that come: the process ends.
  void Close() KVS_EXCLUDES(mu_);

  bool runs() const { return since_ms_.load(std::memory_order_relaxed) != 0; }
  // Whether one runs for longer than `limit_ms`.
  bool IsBusy(int64_t now_ms, int64_t limit_ms) const {
    const int64_t since = since_ms_.load(std::memory_order_relaxed);
    return since != 0 && now_ms - since > limit_ms;
  }

 private:
  mutable Mutex mu_;
  One one_ KVS_GUARDED_BY(mu_);
  bool committed_ KVS_GUARDED_BY(mu_) = false;
  bool closed_ KVS_GUARDED_BY(mu_) = false;
  std::atomic<int64_t> since_ms_{0};  // 0: none runs.
  std::atomic<bool> stop_{false};
  std::atomic<ScriptKind> kind_{ScriptKind::kScript};
};

}  // namespace kvs
