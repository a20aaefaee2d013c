// FunctionLibrary and FunctionSet: the libraries of functions that a node knows.
//
// A library is a program that registers functions, which FCALL runs by name.  Its text begins with
// a line "#!lua name=...".  A set is what one moment knows: it is copied, changed and published as
// a whole, and its libraries are shared with the set before.
//
// Threads: immutable once shared.
// Owner:   shared; a FunctionPtr keeps its library alive.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "common/base/status.h"
#include "storage_node/script/runnable.h"

namespace kvs {

// Bits of Function::flags.
using FunctionFlags = uint32_t;
struct FunctionFlag {
  FunctionFlags bit;
  std::string_view name;
};
inline constexpr FunctionFlags kNoWritesFlag = 1u << 0;
inline constexpr FunctionFlags kNoClusterFlag = 1u << 3;
inline constexpr FunctionFlags kCrossSlotFlag = 1u << 4;
// In the order in which FUNCTION LIST shows them.
inline constexpr FunctionFlag kFunctionFlags[] = {{kNoWritesFlag, "no-writes"},
                                                  {1u << 1, "allow-oom"},
                                                  {1u << 2, "allow-stale"},
                                                  {kNoClusterFlag, "no-cluster"},
                                                  {kCrossSlotFlag, "allow-cross-slot-keys"}};

struct Function : Runnable {
  Function(std::string its_name, std::optional<std::string> its_description,
           FunctionFlags its_flags);

  const std::string name;
  const std::optional<std::string> description;
  const FunctionFlags flags;
};

// A library registers at most so many functions.
inline constexpr size_t kMaxFunctionsOfLibrary = 10'000;

struct FunctionLibrary {
  std::string name;
  std::string text;  // All of it.
  // Where the code begins in `text`: at the end of the first line, so that lines count from that.
  size_t code_begin = 0;
  std::deque<Function> functions;  // In the order in which they were registered.

  std::string_view code() const { return std::string_view(text).substr(code_begin); }
  // Returns nullptr if there is none of exactly this name.
  const Function* Find(std::string_view function) const;
  // What it takes in memory, about.
  size_t bytes() const;
};
using LibraryPtr = std::shared_ptr<const FunctionLibrary>;

// A function together with the library that it is in.
struct FoundFunction {
  LibraryPtr library;
  const Function* function = nullptr;
};

// Whether a library or a function may have the name; then it is letters, digits and underscores.
bool IsFunctionName(std::string_view name);
inline constexpr std::string_view kBadFunctionName =
    "Library names can only contain letters, numbers, or underscores(_) and must be at least one "
    "character long";

// Reads the first line of a library's text.  It has no functions yet.
//   kInvalidArgument: in Redis's words
Result<std::shared_ptr<FunctionLibrary>> MakeLibrary(std::string_view text);

class FunctionSet {
 public:
  using Libraries = std::map<std::string, LibraryPtr, std::less<>>;
  const Libraries& libraries() const { return libraries_; }
  // Returns nullptr if there is none.
  LibraryPtr FindLibrary(std::string_view name) const;
  // `name` in any case, as in Redis.
  std::optional<FoundFunction> Find(std::string_view name) const;

  // Adds a library, in place of one of the same name if there is one.
  //   kInvalidArgument: a function of another library has the name of one of its functions
  //   kTooLarge: all libraries would take more than `max_bytes`
  // The set is as before then.
  Status Add(const LibraryPtr& library, size_t max_bytes);
  // Returns whether there was one.
  bool Remove(std::string_view name);

  size_t function_count() const { return functions_.size(); }
  size_t bytes() const { return bytes_; }

 private:
  Libraries libraries_;
  std::unordered_map<std::string, FoundFunction> functions_;  // By the name in lower case.
  size_t bytes_ = 0;
};
using FunctionSetPtr = std::shared_ptr<const FunctionSet>;

}  // namespace kvs
