// kv_reference [compatibility]: prints doc/reference/commands.md, or compatibility.md, from the
// command table.  Not part of a package.

#include <cstdio>
#include <string>
#include <string_view>

#include "common/command/command_docs.h"
#include "common/command/compatibility.h"

int main(int argc, char** argv) {
  const bool compatibility = argc > 1 && std::string_view(argv[1]) == "compatibility";
  const std::string page = compatibility ? kvs::CompatibilityMarkdown() : kvs::CommandsMarkdown();
  std::fwrite(page.data(), 1, page.size(), stdout);
  return 0;
}
