#include "common/command/renamed_commands.h"

#include <fmt/format.h>

#include "common/base/strings.h"

namespace kvs {
namespace {

Status Refuse(std::string_view rename, std::string_view why) {
  return Status::InvalidArgument(fmt::format("'{}' for 'rename-command': {}", rename, why));
}

}  // namespace

Result<RenamedCommands> RenamedCommands::Make(const std::vector<std::string>& renames) {
  RenamedCommands made;
  for (const std::string& rename : renames) {
    const size_t equals = rename.find('=');
    if (equals == std::string::npos) {
      return Refuse(rename, "use name=new-name, or name= for a command that nobody may call");
    }
    const CommandSpec* spec = FindCommand(rename.substr(0, equals));
    if (spec == nullptr || IsSubcommand(*spec)) {
      return Refuse(rename, "there is no such command");
    }
    if (!made.renames_.emplace(spec->name, std::string_view()).second) {
      return Refuse(rename, "the command is renamed twice");
    }
  }
  for (const std::string& rename : renames) {
    const size_t equals = rename.find('=');
    const std::string name = ToLower(rename.substr(equals + 1));
    if (name.empty()) {
      continue;
    }
    const auto found = made.renames_.find(name);
    const bool taken =
        found == made.renames_.end() ? FindCommand(name) != nullptr : !found->second.empty();
    if (taken) {
      return Refuse(rename, "the new name is taken");
    }
    made.renames_[name] = FindCommand(rename.substr(0, equals))->name;
  }
  return made;
}

bool RenamedCommands::Translate(CommandArgs* args, std::vector<std::string_view>* scratch) const {
  const auto found = renames_.find(ToLower((*args)[0]));
  if (found == renames_.end()) {
    return true;
  }
  if (found->second.empty()) {
    return false;
  }
  scratch->assign(args->begin(), args->end());
  scratch->front() = found->second;
  *args = *scratch;
  return true;
}

}  // namespace kvs
