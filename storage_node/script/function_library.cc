#include "storage_node/script/function_library.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "common/base/strings.h"

namespace kvs {
namespace {

// What a library, or a function, takes beside its texts.
constexpr size_t kOverhead = 256;
constexpr std::string_view kEngine = "lua";

size_t BytesOf(const Function& function) {
  return function.name.size() + (function.description ? function.description->size() : 0) +
         kOverhead;
}

// "name=..." in any case.
Status TakeWord(std::string_view word, std::optional<std::string>* name) {
  constexpr std::string_view kName = "name=";
  if (!EqualsIgnoreCase(word.substr(0, kName.size()), kName)) {
    return Status::InvalidArgument(fmt::format("Invalid metadata value given: {}", word));
  }
  if (name->has_value()) {
    return Status::InvalidArgument(
        "Invalid metadata value, name argument was given multiple times");
  }
  name->emplace(word.substr(kName.size()));
  return Status::Ok();
}

}  // namespace

Function::Function(std::string its_name, std::optional<std::string> its_description,
                   FunctionFlags its_flags)
    : name(std::move(its_name)), description(std::move(its_description)), flags(its_flags) {
  no_writes = (flags & kNoWritesFlag) != 0;
  allows_cross_slot_keys = (flags & kCrossSlotFlag) != 0;
  refuses_read_only = !no_writes;
}

const Function* FunctionLibrary::Find(std::string_view function) const {
  const auto found = std::find_if(functions.begin(), functions.end(),
                                  [&](const Function& one) { return one.name == function; });
  return found == functions.end() ? nullptr : &*found;
}

size_t FunctionLibrary::bytes() const {
  size_t bytes = name.size() + text.size() + kOverhead;
  for (const Function& function : functions) {
    bytes += BytesOf(function);
  }
  return bytes;
}

bool IsFunctionName(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

Result<std::shared_ptr<FunctionLibrary>> MakeLibrary(std::string_view text) {
  if (!text.starts_with("#!")) {
    return Status::InvalidArgument("Missing library metadata");
  }
  const size_t end = text.find('\n');
  std::vector<std::string> words;
  if (end == std::string_view::npos || !SplitArguments(text.substr(0, end), &words) ||
      words.empty()) {
    return Status::InvalidArgument("Invalid library metadata");
  }
  const std::string_view engine = std::string_view(words.front()).substr(2);
  std::optional<std::string> name;
  for (size_t i = 1; i < words.size(); ++i) {
    KVS_RETURN_IF_ERROR(TakeWord(words[i], &name));
  }
  if (!name.has_value()) {
    return Status::InvalidArgument("Library name was not given");
  }
  if (!IsFunctionName(*name)) {
    return Status::InvalidArgument(std::string(kBadFunctionName));
  }
  if (!EqualsIgnoreCase(engine, kEngine)) {
    return Status::InvalidArgument(fmt::format("Engine '{}' not found", engine));
  }
  auto library = std::make_shared<FunctionLibrary>();
  library->name = *std::move(name);
  library->text = text;
  library->code_begin = end;
  return library;
}

LibraryPtr FunctionSet::FindLibrary(std::string_view name) const {
  const auto found = libraries_.find(name);
  return found == libraries_.end() ? nullptr : found->second;
}

std::optional<FoundFunction> FunctionSet::Find(std::string_view name) const {
  const auto found = functions_.find(ToLower(name));
  return found == functions_.end() ? std::nullopt : std::optional(found->second);
}

Status FunctionSet::Add(const LibraryPtr& library, size_t max_bytes) {
  const LibraryPtr before = FindLibrary(library->name);
  const size_t freed = before == nullptr ? 0 : before->bytes();
  for (const Function& function : library->functions) {
    const auto found = functions_.find(ToLower(function.name));
    if (found != functions_.end() && found->second.library != before) {
      return Status::InvalidArgument(fmt::format("Function {} already exists", function.name));
    }
  }
  if (bytes_ - freed + library->bytes() > max_bytes) {
    return Status::TooLarge(
        fmt::format("the libraries of functions would take {} bytes, and function-memory-limit is "
                    "{}: delete some, or give them more",
                    bytes_ - freed + library->bytes(), max_bytes));
  }
  Remove(library->name);
  for (const Function& function : library->functions) {
    functions_.try_emplace(ToLower(function.name),
                           FoundFunction{.library = library, .function = &function});
  }
  bytes_ += library->bytes();
  libraries_.emplace(library->name, library);
  return Status::Ok();
}

bool FunctionSet::Remove(std::string_view name) {
  const auto found = libraries_.find(name);
  if (found == libraries_.end()) {
    return false;
  }
  const LibraryPtr library = found->second;
  for (const Function& function : library->functions) {
    functions_.erase(ToLower(function.name));
  }
  bytes_ -= library->bytes();
  libraries_.erase(found);
  return true;
}

}  // namespace kvs
