#include "common/command/command_categories.h"

#include <array>

#include "common/base/strings.h"

namespace kvs {
namespace {

constexpr std::array<std::string_view, 21> kNames = {
    "keyspace", "read",   "write",       "set",       "sortedset",  "list",        "hash",
    "string",   "bitmap", "hyperloglog", "geo",       "stream",     "pubsub",      "admin",
    "fast",     "slow",   "blocking",    "dangerous", "connection", "transaction", "scripting"};

constexpr CommandCategories Bit(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) {
      return CommandCategories{1} << i;
    }
  }
  return 0;
}

struct Named {
  AclCategories row;
  CommandCategories bit;
};
constexpr Named kOfRows[] = {{Acl::kKeyspace, Bit("keyspace")},
                             {Acl::kString, Bit("string")},
                             {Acl::kDangerous, Bit("dangerous")},
                             {Acl::kConnection, Bit("connection")},
                             {Acl::kHash, Bit("hash")},
                             {Acl::kTransaction, Bit("transaction")},
                             {Acl::kSet, Bit("set")},
                             {Acl::kHyperLogLog, Bit("hyperloglog")},
                             {Acl::kGeo, Bit("geo")},
                             {Acl::kSortedSet, Bit("sortedset")},
                             {Acl::kBitmap, Bit("bitmap")},
                             {Acl::kList, Bit("list")},
                             {Acl::kStream, Bit("stream")},
                             {Acl::kScripting, Bit("scripting")},
                             {Acl::kAdmin, Bit("admin")}};

struct Implied {
  CommandFlags flag;
  CommandCategories bits;
};
constexpr Implied kOfFlags[] = {
    {Cmd::kRead, Bit("read")},         {Cmd::kWrite, Bit("write")},
    {Cmd::kPubSub, Bit("pubsub")},     {Cmd::kAdmin, Bit("admin") | Bit("dangerous")},
    {Cmd::kBlocking, Bit("blocking")}, {Cmd::kFast, Bit("fast")}};

}  // namespace

std::span<const std::string_view> CategoryNames() {
  return kNames;
}

std::optional<CommandCategories> FindCategory(std::string_view name) {
  for (size_t i = 0; i < kNames.size(); ++i) {
    if (EqualsIgnoreCase(kNames[i], name)) {
      return CommandCategories{1} << i;
    }
  }
  return std::nullopt;
}

CommandCategories CategoriesOf(const CommandSpec& spec) {
  CommandCategories categories = spec.Has(Cmd::kFast) ? 0 : Bit("slow");
  for (const Named& named : kOfRows) {
    categories |= (spec.acl & named.row) != 0 ? named.bit : 0;
  }
  for (const Implied& implied : kOfFlags) {
    categories |= spec.Has(implied.flag) ? implied.bits : 0;
  }
  return categories;
}

}  // namespace kvs
