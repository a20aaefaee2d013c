// RenamedCommands: the option rename-command: commands that have another name here, or none.
//
// Only the names by which clients call are changed; everything behind knows the names of the table.
//
// Threads: immutable.
// Owner:   the server.

#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/status.h"
#include "common/command/command_table.h"

namespace kvs {

class RenamedCommands {
 public:
  // Each element is "name=new-name"; without a new name the command is gone.
  //   kInvalidArgument: no such command, or the new name is taken
  static Result<RenamedCommands> Make(const std::vector<std::string>& renames);

  bool empty() const { return renames_.empty(); }
  // Makes `*args` a request of the table; `*scratch` keeps the words.  Returns false if nobody may
  // call the command by this name.  REQUIRES: !args->empty()
  bool Translate(CommandArgs* args, std::vector<std::string_view>* scratch) const;

 private:
  // From a name in lower case to the table's name; empty: not to be called so.
  std::unordered_map<std::string, std::string_view> renames_;
};

}  // namespace kvs
