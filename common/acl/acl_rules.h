// The rules of ACL SETUSER and of ACL files: what they make of a user, and how a user is printed as
// rules again.
//
//   on off nopass >password <password #hash !hash resetpass       who may become the user
//   +command -command +command|subcommand +@category -@category   what it may run
//   ~pattern %R~pattern %W~pattern allkeys resetkeys              on which keys
//   &pattern allchannels resetchannels                            on which channels
//   (rules) clearselectors                                        or else this
//   reset                                                         as at first
//
// Rules about commands are kept in the order in which they were given, one that a later one makes
// superfluous left out, so that what is printed makes the same user again.
//
// Threads: pure functions.
// Format:  doc/formats/acl_file.md

#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/acl/acl_user.h"
#include "common/base/status.h"

namespace kvs {

inline constexpr size_t kMaxAclRuleBytes = 16384;
inline constexpr size_t kMaxAclUserName = 1024;
inline constexpr size_t kMaxAclPasswords = 256;   // Of a user.
inline constexpr size_t kMaxAclSelectors = 64;    // Of a user, the root included.
inline constexpr size_t kMaxAclPatterns = 1024;   // Of keys, and of channels, of a selector.
inline constexpr size_t kMaxAclFirstArgs = 1024;  // Of a selector.
inline constexpr size_t kMaxAclCommandRules = 4096;

enum class DefaultChannels : uint8_t { kNone, kAll };

// Returns a user as ACL SETUSER makes it: off, without rights but what acl-pubsub-default says.
AclUser MakeAclUser(std::string_view name, DefaultChannels channels);
// Returns the user "default" that may do everything without a password.
AclUser MakeDefaultAclUser();

// Whether somebody may be called so.
bool IsAclUserName(std::string_view name);

// Joins the words between brackets: "(+get", "~x)" is one rule.
//   kInvalidArgument: a bracket is never closed; the message is the word that opens it
Result<std::vector<std::string>> JoinSelectors(std::span<const std::string_view> words);

// Changes the user by one rule.
//   kInvalidArgument: why it is none, in Redis's words; the user may have changed in part
Status ApplyAclRule(std::string_view rule, DefaultChannels channels, AclUser* user);

// "+@all -get"
std::string CommandRulesText(const AclSelector& selector);
// "~a %R~b", "~*", or nothing.
std::string KeyRulesText(const AclSelector& selector);
// "&a &b", "&*", or nothing.
std::string ChannelRulesText(const AclSelector& selector);
// "on", "nopass", ...
std::vector<std::string_view> UserFlags(const AclUser& user);
// "user alice on nopass ~* resetchannels -@all +get", a line of ACL LIST and of an ACL file.
std::string AclUserLine(const AclUser& user);

// Reads the lines of an ACL file.
//   kInvalidArgument: what is wrong in which lines, in Redis's words; `path` stands in them
Result<std::vector<AclUser>> ParseAclFile(std::string_view text, std::string_view path,
                                          DefaultChannels channels);

}  // namespace kvs
