// Any text is either a good ACL file or a clear error, and what is good is printed and read again
// as the same.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "common/acl/acl_rules.h"
#include "common/base/check.h"
#include "common/base/strings.h"

namespace {

void CheckRoundTrip(const kvs::AclUser& user, kvs::DefaultChannels channels) {
  const std::string line = AclUserLine(user);
  const auto again = kvs::ParseAclFile(line, "again", channels);
  KVS_CHECK(again.ok() && again->size() == 1);
  KVS_CHECK(AclUserLine(again->front()) == line);
  KVS_CHECK(again->front().passwords == user.passwords);
  for (size_t i = 0; i < user.selectors.size(); ++i) {
    const kvs::AclSelector& before = user.selectors[i];
    const kvs::AclSelector& after = again->front().selectors[i];
    KVS_CHECK(before.commands == after.commands);
    KVS_CHECK(before.all_keys == after.all_keys && before.keys.size() == after.keys.size());
    KVS_CHECK(before.all_channels == after.all_channels && before.channels == after.channels);
    KVS_CHECK(before.first_args.size() == after.first_args.size());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto channels = size % 2 == 0 ? kvs::DefaultChannels::kNone : kvs::DefaultChannels::kAll;
  const auto users = kvs::ParseAclFile(text, "fuzz", channels);
  if (users.ok()) {
    for (const kvs::AclUser& user : *users) {
      CheckRoundTrip(user, channels);
    }
  }
  // As ACL SETUSER has them: words may hold anything.
  kvs::AclUser user = kvs::MakeAclUser("u", channels);
  const auto rules = kvs::JoinSelectors(kvs::Split(text, '\n'));
  if (rules.ok()) {
    for (const std::string& rule : *rules) {
      kvs::AclUser next = user;
      if (kvs::ApplyAclRule(rule, channels, &next).ok()) {
        user = std::move(next);
      }
    }
    CheckRoundTrip(user, channels);
  }
  return 0;
}
