#include "common/acl/acl_store.h"

#include <fmt/format.h>

#include <utility>

#include "common/base/check.h"
#include "common/base/file.h"
#include "common/digest/digest.h"

namespace kvs {
namespace {

constexpr std::string_view kDefault = "default";

void SetPassword(std::string_view password, AclUser* user) {
  user->passwords.clear();
  user->no_password = password.empty();
  if (!password.empty()) {
    user->passwords.push_back(Sha256Hex(password));
  }
}

void Keep(AclUser user, std::map<std::string, AclUserPtr, std::less<>>* by_name) {
  std::string name = user.name;
  (*by_name)[std::move(name)] = std::make_shared<const AclUser>(std::move(user));
}

}  // namespace

AclUserPtr AclUsers::Find(std::string_view name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

AclStore::AclStore() {
  const MutexLock lock(&mu_);
  AclUser user = MakeDefaultAclUser();
  user.id = NewId();
  PublishLocked({{std::string(kDefault), std::make_shared<const AclUser>(std::move(user))}});
}

void AclStore::PublishLocked(std::map<std::string, AclUserPtr, std::less<>> by_name) {
  auto next = std::make_shared<AclUsers>();
  next->by_name = std::move(by_name);
  next->generation = generation_.load(std::memory_order_relaxed) + 1;
  const AclUserPtr user = next->Find(kDefault);
  KVS_CHECK(user != nullptr);
  is_open_.store(user->on && user->no_password, std::memory_order_release);
  const uint64_t generation = next->generation;
  users_ = std::move(next);
  generation_.store(generation, std::memory_order_release);
  for (const std::function<void()>& listener : listeners_) {
    listener();
  }
}

Status AclStore::Open(std::string file, DefaultChannels channels, std::string_view password) {
  const MutexLock lock(&mu_);
  channels_ = channels;
  default_password_ = password;
  file_ = std::move(file);
  if (!file_.empty()) {
    return LoadLocked();
  }
  AclUser user = *users_->Find(kDefault);
  SetPassword(password, &user);
  PublishLocked({{std::string(kDefault), std::make_shared<const AclUser>(std::move(user))}});
  return Status::Ok();
}

void AclStore::SetDefaultChannels(DefaultChannels channels) {
  const MutexLock lock(&mu_);
  channels_ = channels;
}

void AclStore::SetDefaultPassword(std::string_view password) {
  const MutexLock lock(&mu_);
  default_password_ = password;
  AclUser user = *users_->Find(kDefault);
  SetPassword(password, &user);
  auto by_name = users_->by_name;
  Keep(std::move(user), &by_name);
  PublishLocked(std::move(by_name));
}

AclUsersPtr AclStore::users() const {
  const MutexLock lock(&mu_);
  return users_;
}

Status AclStore::Set(std::string_view name, std::span<const std::string_view> rules) {
  if (!IsAclUserName(name)) {
    return Status::InvalidArgument("Usernames can't contain spaces or null characters");
  }
  const Result<std::vector<std::string>> joined = JoinSelectors(rules);
  if (!joined.ok()) {
    return Status::InvalidArgument(fmt::format(
        "Unmatched parenthesis in acl selector starting at '{}'.", joined.status().message()));
  }
  const MutexLock lock(&mu_);
  const AclUserPtr before = users_->Find(name);
  if (before == nullptr && users_->by_name.size() >= kMaxAclUsers) {
    return Status::InvalidArgument(fmt::format("There are {} users already", kMaxAclUsers));
  }
  AclUser user = before != nullptr ? *before : MakeAclUser(name, channels_);
  if (before == nullptr) {
    user.id = NewId();
  }
  for (const std::string& rule : *joined) {
    const Status status = ApplyAclRule(rule, channels_, &user);
    if (!status.ok()) {
      return Status::InvalidArgument(
          fmt::format("Error in ACL SETUSER modifier '{}': {}", rule, status.message()));
    }
  }
  auto by_name = users_->by_name;
  Keep(std::move(user), &by_name);
  PublishLocked(std::move(by_name));
  return Status::Ok();
}

size_t AclStore::Delete(std::span<const std::string_view> names) {
  const MutexLock lock(&mu_);
  auto by_name = users_->by_name;
  size_t deleted = 0;
  for (const std::string_view name : names) {
    deleted += name == kDefault ? 0 : by_name.erase(std::string(name));
  }
  if (deleted > 0) {
    PublishLocked(std::move(by_name));
  }
  return deleted;
}

bool AclStore::has_file() const {
  const MutexLock lock(&mu_);
  return !file_.empty();
}

Status AclStore::Load() {
  const MutexLock lock(&mu_);
  return LoadLocked();
}

Status AclStore::LoadLocked() {
  const Result<std::string> text = ReadFile(file_, kMaxAclFileBytes);
  if (!text.ok()) {
    return Status(text.status().code(), fmt::format("Error loading ACLs, opening file '{}': {}",
                                                    file_, text.status().message()));
  }
  KVS_ASSIGN_OR_RETURN(std::vector<AclUser> users, ParseAclFile(*text, file_, channels_));
  if (users.size() > kMaxAclUsers) {
    return Status::InvalidArgument(fmt::format("{} has more than {} users", file_, kMaxAclUsers));
  }
  std::map<std::string, AclUserPtr, std::less<>> by_name;
  for (AclUser& user : users) {
    const AclUserPtr before = users_->Find(user.name);
    user.id = before != nullptr ? before->id : NewId();
    Keep(std::move(user), &by_name);
  }
  if (!by_name.contains(kDefault)) {
    // Not one without a password where requirepass asks for one.
    AclUser user = MakeDefaultAclUser();
    user.id = users_->Find(kDefault)->id;
    SetPassword(default_password_, &user);
    Keep(std::move(user), &by_name);
  }
  PublishLocked(std::move(by_name));
  return Status::Ok();
}

Status AclStore::Save() {
  const MutexLock lock(&mu_);
  std::string text;
  for (const auto& [name, user] : users_->by_name) {
    text += AclUserLine(*user) + "\n";
  }
  // What could not be read again would keep the program from its next start.
  const Result<std::vector<AclUser>> again = ParseAclFile(text, file_, channels_);
  if (!again.ok() || text.size() > kMaxAclFileBytes) {
    return Status::InvalidArgument(
        fmt::format("the file would not be read again, so it is left as it is: {}",
                    again.ok() ? fmt::format("it would have more than {} bytes", kMaxAclFileBytes)
                               : std::string(again.status().message())));
  }
  // The hashes of passwords are nobody else's business.
  return WriteFileAtomic(file_, text, 0600);
}

void AclStore::AddListener(std::function<void()> listener) {
  const MutexLock lock(&mu_);
  listeners_.push_back(std::move(listener));
}

void AclIdentity::Become(AclUserPtr user, uint64_t generation) {
  user_ = std::move(user);
  seen_ = generation;
  open_at_ = user_->unrestricted() ? generation : 0;
}

void AclIdentity::BecomeDefault(const AclStore& store) {
  const AclUsersPtr users = store.users();
  Become(users->Find(kDefault), users->generation);
}

bool AclIdentity::Renew(const AclStore& store) {
  if (user_ == nullptr) {
    BecomeDefault(store);
    return true;
  }
  if (seen_ == store.generation()) {
    return true;
  }
  const AclUsersPtr users = store.users();
  AclUserPtr now = users->Find(user_->name);
  if (now == nullptr || now->id != user_->id) {
    open_at_ = 0;
    return false;
  }
  Become(std::move(now), users->generation);
  return true;
}

}  // namespace kvs
