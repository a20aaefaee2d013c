#include "common/command/command_sample.h"

#include <fmt/format.h>

#include <algorithm>

namespace kvs {
namespace {

void NoteBytes(size_t missing, std::string* argument) {
  if (missing > 0) {
    *argument += fmt::format("... ({} more bytes)", missing);
  }
}

std::string ArgumentsNote(size_t missing) {
  return fmt::format("... ({} more arguments)", missing);
}

}  // namespace

void CommandSample::Take(const CommandSpec& spec, CommandArgs args) {
  spec_ = &spec;
  count_ = args.size();
  text_.clear();
  for (size_t i = 0; i < std::min(count_, kArguments); ++i) {
    sizes_[i] = args[i].size();
    text_.append(args[i].substr(0, kBytes));
  }
}

std::vector<std::string> CommandSample::Arguments() const {
  std::vector<std::string> arguments;
  size_t offset = 0;
  for (size_t i = 0; i < std::min(count_, kArguments); ++i) {
    const size_t kept = std::min(sizes_[i], kBytes);
    arguments.push_back(text_.substr(offset, kept));
    NoteBytes(sizes_[i] - kept, &arguments.back());
    offset += kept;
  }
  if (count_ > kArguments) {
    arguments.push_back(ArgumentsNote(count_ - kArguments));
  }
  return arguments;
}

// As Redis: the note takes the place of an argument.
std::vector<std::string> TrimArguments(CommandArgs args, size_t max_arguments, size_t max_bytes) {
  const bool too_many = args.size() > max_arguments;
  const size_t kept = too_many ? max_arguments - 1 : args.size();
  std::vector<std::string> trimmed;
  for (const std::string_view argument : args.first(kept)) {
    trimmed.emplace_back(argument.substr(0, max_bytes));
    NoteBytes(argument.size() - trimmed.back().size(), &trimmed.back());
  }
  if (too_many) {
    trimmed.push_back(ArgumentsNote(args.size() - kept));
  }
  return trimmed;
}

}  // namespace kvs
