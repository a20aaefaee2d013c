// ScriptCache: the scripts that a node knows, by the SHA-1 digest of their text.
//
// What SCRIPT LOAD has brought stays until SCRIPT FLUSH; what came with an EVAL goes, the longest
// known first, when the texts take too much memory.  A restart forgets all, as in Redis.
//
// Threads: thread-safe.
// Owner:   NodeServer.

#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "storage_node/script/runnable.h"

namespace kvs {

struct Script : Runnable {
  std::string sha;   // 40 lower-case hexadecimal digits.
  std::string text;  // All of it.
  // Where the code begins in `text`: behind the first line if that is "#!lua ...", but not behind
  // its line break, so that lines count from the first one.
  size_t code_begin = 0;

  std::string_view code() const { return std::string_view(text).substr(code_begin); }
};
using ScriptPtr = std::shared_ptr<const Script>;

// Reads the first line of a script.  Errors are in Redis's words.
Result<ScriptPtr> MakeScript(std::string_view text);

class ScriptCache {
 public:
  explicit ScriptCache(size_t max_bytes) : max_bytes_(max_bytes) {}

  // `sha` in any case.  Returns nullptr if there is none.
  ScriptPtr Find(std::string_view sha) const KVS_EXCLUDES(mu_);
  // Keeps the script, and for good if `loaded`.
  //   kTooLarge: there is no room among those that were loaded
  Status Add(const ScriptPtr& script, bool loaded) KVS_EXCLUDES(mu_);
  void Flush() KVS_EXCLUDES(mu_);

  size_t count() const KVS_EXCLUDES(mu_);
  size_t bytes() const KVS_EXCLUDES(mu_);

 private:
  struct Entry {
    ScriptPtr script;
    bool loaded;
    std::list<std::string_view>::iterator place;  // In evaluated_, unless loaded.
  };

  const size_t max_bytes_;
  mutable Mutex mu_;
  std::unordered_map<std::string_view, Entry> scripts_ KVS_GUARDED_BY(mu_);  // By script->sha.
  std::list<std::string_view> evaluated_ KVS_GUARDED_BY(mu_);                // The oldest first.
  size_t bytes_ KVS_GUARDED_BY(mu_) = 0;
};

}  // namespace kvs
