// kv_reference: prints doc/reference/commands.md from the command table.  Not part of a package.

#include <cstdio>

#include "common/command/command_docs.h"

int main() {
  const std::string page = kvs::CommandsMarkdown();
  std::fwrite(page.data(), 1, page.size(), stdout);
  return 0;
}
