#include "storage_node/script/script_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "common/base/strings.h"
#include "common/digest/digest.h"

namespace kvs {
namespace {

// What a script takes beside its text.
constexpr size_t kOverhead = 256;

size_t BytesOf(const Script& script) {
  return script.text.size() + kOverhead;
}

// Redis has more flags, which say what is always so here: no slave and no full memory stops a
// script that only reads.
constexpr std::string_view kFlagsWithoutEffect[] = {"allow-oom", "allow-stale", "no-cluster"};

Status TakeFlags(std::string_view flags, Script* script) {
  for (const std::string_view flag : Split(flags, ',')) {
    if (flag == "no-writes") {
      script->no_writes = true;
    } else if (flag == "allow-cross-slot-keys") {
      script->allows_cross_slot_keys = true;
    } else if (std::find(std::begin(kFlagsWithoutEffect), std::end(kFlagsWithoutEffect), flag) ==
                   std::end(kFlagsWithoutEffect) &&
               !flag.empty()) {
      return Status::InvalidArgument(fmt::format("Unexpected flag in script shebang: {}", flag));
    }
  }
  return Status::Ok();
}

// "#!lua flags=a,b"
Status TakeFirstLine(std::string_view line, Script* script) {
  std::vector<std::string_view> words = Split(line, ' ');
  std::erase(words, std::string_view());
  if (words.front() != "#!lua") {
    return Status::InvalidArgument(
        fmt::format("Unexpected engine in script shebang: {}", words.front()));
  }
  constexpr std::string_view kFlags = "flags=";
  for (size_t i = 1; i < words.size(); ++i) {
    if (!words[i].starts_with(kFlags)) {
      return Status::InvalidArgument(fmt::format("Unknown lua shebang option: {}", words[i]));
    }
    KVS_RETURN_IF_ERROR(TakeFlags(words[i].substr(kFlags.size()), script));
  }
  return Status::Ok();
}

}  // namespace

Result<ScriptPtr> MakeScript(std::string_view text) {
  auto script = std::make_shared<Script>();
  script->sha = Sha1Hex(text);
  script->text = text;
  if (text.starts_with("#!")) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      return Status::InvalidArgument("Invalid script shebang");
    }
    script->code_begin = end;
    KVS_RETURN_IF_ERROR(TakeFirstLine(text.substr(0, end), script.get()));
    script->refuses_read_only = !script->no_writes;
  } else {
    // Redis allows scripts without a first line what it always has.
    script->allows_cross_slot_keys = true;
  }
  return ScriptPtr(std::move(script));
}

ScriptPtr ScriptCache::Find(std::string_view sha) const {
  const std::string lower = ToLower(sha);
  const MutexLock lock(&mu_);
  const auto found = scripts_.find(lower);
  return found == scripts_.end() ? nullptr : found->second.script;
}

Status ScriptCache::Add(const ScriptPtr& script, bool loaded) {
  const MutexLock lock(&mu_);
  const auto found = scripts_.find(script->sha);
  if (found != scripts_.end()) {
    if (loaded && !found->second.loaded) {
      evaluated_.erase(found->second.place);
      found->second.loaded = true;
    }
    return Status::Ok();
  }
  while (bytes_ + BytesOf(*script) > max_bytes_ && !evaluated_.empty()) {
    const auto oldest = scripts_.find(evaluated_.front());
    evaluated_.pop_front();
    bytes_ -= BytesOf(*oldest->second.script);
    scripts_.erase(oldest);
  }
  if (bytes_ + BytesOf(*script) > max_bytes_) {
    return loaded ? Status::TooLarge(
                        "the scripts that were loaded fill script-cache-size: send SCRIPT FLUSH, "
                        "or give it more")
                  : Status::Ok();
  }
  Entry entry{.script = script, .loaded = loaded, .place = evaluated_.end()};
  if (!loaded) {
    entry.place = evaluated_.insert(evaluated_.end(), script->sha);
  }
  bytes_ += BytesOf(*script);
  scripts_.emplace(script->sha, std::move(entry));
  return Status::Ok();
}

void ScriptCache::Flush() {
  const MutexLock lock(&mu_);
  evaluated_.clear();
  scripts_.clear();
  bytes_ = 0;
}

size_t ScriptCache::count() const {
  const MutexLock lock(&mu_);
  return scripts_.size();
}

size_t ScriptCache::bytes() const {
  const MutexLock lock(&mu_);
  return bytes_;
}

}  // namespace kvs
