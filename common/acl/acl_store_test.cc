#include "common/acl/acl_store.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "common/base/file.h"
#include "common/base/random.h"

namespace kvs {
namespace {

using Words = std::vector<std::string_view>;

class AclStoreTest : public testing::Test {
 protected:
  AclStoreTest() : dir_(testing::TempDir() + "acl_store_" + RandomHex(8)) {
    EXPECT_TRUE(CreateDirs(dir_).ok());
    path_ = dir_ + "/users.acl";
  }
  ~AclStoreTest() override { (void)RemoveTree(dir_).ok(); }

  Status Set(std::string_view name, const Words& rules) { return store_.Set(name, rules); }
  std::string Line(std::string_view name) {
    const AclUserPtr user = store_.Find(name);
    return user == nullptr ? "" : AclUserLine(*user);
  }

  const std::string dir_;
  std::string path_;
  AclStore store_;
};

TEST_F(AclStoreTest, AtFirstThereIsOneUserWhoMayDoEverything) {
  EXPECT_EQ(Line("default"), "user default on nopass ~* &* +@all");
  EXPECT_TRUE(store_.is_open());
  EXPECT_GT(store_.generation(), 0U);
}

TEST_F(AclStoreTest, AChangeIsMadeAltogetherOrNotAtAll) {
  ASSERT_TRUE(Set("a", {"on", "+get"}).ok());
  const uint64_t generation = store_.generation();

  const Status status = Set("a", {"off", "+set", "+nosuch"});

  EXPECT_EQ(status.message(),
            "Error in ACL SETUSER modifier '+nosuch': Unknown command or category name in ACL");
  EXPECT_EQ(Line("a"), "user a on resetchannels -@all +get");
  EXPECT_EQ(store_.generation(), generation);
}

TEST_F(AclStoreTest, TheDefaultUserStays) {
  ASSERT_TRUE(Set("a", {}).ok());
  EXPECT_EQ(store_.Delete(Words{"default", "a", "a", "nosuch"}), 1U);
  EXPECT_EQ(Line("a"), "");
  EXPECT_NE(Line("default"), "");
}

TEST_F(AclStoreTest, RequirepassIsThePasswordOfTheDefaultUser) {
  store_.SetDefaultPassword("secret");
  EXPECT_FALSE(store_.is_open());
  EXPECT_TRUE(store_.Find("default")->Accepts("secret"));
  EXPECT_FALSE(store_.Find("default")->Accepts("other"));
  ASSERT_TRUE(Set("default", {">other"}).ok());
  store_.SetDefaultPassword("new");
  EXPECT_FALSE(store_.Find("default")->Accepts("other"));
  EXPECT_TRUE(store_.Find("default")->Accepts("new"));
  store_.SetDefaultPassword("");
  EXPECT_TRUE(store_.is_open());
  ASSERT_TRUE(Set("default", {"off"}).ok());
  EXPECT_FALSE(store_.is_open());
}

TEST_F(AclStoreTest, WhatIsSavedIsLoadedAgain) {
  ASSERT_TRUE(WriteFileAtomic(path_, "").ok());
  ASSERT_TRUE(store_.Open(path_, DefaultChannels::kNone, "").ok());
  ASSERT_TRUE(
      Set("a", {"on", ">x", "~k*", "%R~r", "&c", "+@all", "-@dangerous", "(+get ~s)"}).ok());
  ASSERT_TRUE(Set("b", {"+client", "-client|kill", "+select|0"}).ok());
  ASSERT_TRUE(store_.Save().ok());

  AclStore again;
  ASSERT_TRUE(again.Open(path_, DefaultChannels::kNone, "").ok());

  for (const auto& [name, user] : store_.users()->by_name) {
    ASSERT_NE(again.Find(name), nullptr);
    EXPECT_EQ(AclUserLine(*again.Find(name)), AclUserLine(*user));
    EXPECT_EQ(again.Find(name)->root().commands, user->root().commands);
  }
  struct stat status = {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST_F(AclStoreTest, ABadFileChangesNothing) {
  ASSERT_TRUE(WriteFileAtomic(path_, "user a on\n").ok());
  ASSERT_TRUE(store_.Open(path_, DefaultChannels::kNone, "").ok());
  ASSERT_TRUE(WriteFileAtomic(path_, "user b on\nuser c +nosuch\n").ok());
  EXPECT_FALSE(store_.Load().ok());
  EXPECT_EQ(Line("a"), "user a on resetchannels -@all");
  EXPECT_EQ(Line("b"), "");
  AclStore missing;
  const Status status = missing.Open(dir_ + "/nosuch", DefaultChannels::kNone, "");
  EXPECT_TRUE(status.message().starts_with("Error loading ACLs, opening file '"))
      << status.message();
}

// Redis lets everybody in then.
TEST_F(AclStoreTest, AFileWithoutTheDefaultUserLeavesThePassword) {
  ASSERT_TRUE(WriteFileAtomic(path_, "user a on\n").ok());
  ASSERT_TRUE(store_.Open(path_, DefaultChannels::kNone, "secret").ok());
  EXPECT_FALSE(store_.is_open());
  EXPECT_TRUE(store_.Find("default")->Accepts("secret"));
}

TEST_F(AclStoreTest, ListenersHearOfEachChange) {
  int changes = 0;
  store_.AddListener([&changes] { ++changes; });
  ASSERT_TRUE(Set("a", {}).ok());
  EXPECT_FALSE(Set("a", {"+nosuch"}).ok());
  EXPECT_EQ(store_.Delete(Words{"a"}), 1U);
  EXPECT_EQ(store_.Delete(Words{"a"}), 0U);
  store_.SetDefaultPassword("x");
  EXPECT_EQ(changes, 3);
}

TEST_F(AclStoreTest, AnIdentityNoticesWhatChanges) {
  AclIdentity identity;
  EXPECT_FALSE(identity.may_do_all(store_));
  identity.BecomeDefault(store_);
  EXPECT_TRUE(identity.may_do_all(store_));
  ASSERT_TRUE(Set("a", {"on", "+get"}).ok());
  EXPECT_FALSE(identity.may_do_all(store_));  // Somebody has changed; it has to look.
  EXPECT_TRUE(identity.Renew(store_));
  EXPECT_TRUE(identity.may_do_all(store_));

  identity.Become(store_.Find("a"), store_.generation());
  EXPECT_FALSE(identity.may_do_all(store_));
  ASSERT_TRUE(Set("a", {"+@all", "~*", "&*"}).ok());
  EXPECT_TRUE(identity.Renew(store_));
  EXPECT_TRUE(identity.may_do_all(store_));
  EXPECT_EQ(store_.Delete(Words{"a"}), 1U);
  EXPECT_FALSE(identity.Renew(store_));
  EXPECT_FALSE(identity.may_do_all(store_));
}

// The rights of a new user are not those of sessions that were another one of the same name.
TEST_F(AclStoreTest, AUserThatIsMadeAnewIsAnother) {
  ASSERT_TRUE(Set("a", {"on"}).ok());
  AclIdentity identity;
  identity.Become(store_.Find("a"), store_.generation());
  EXPECT_EQ(store_.Delete(Words{"a"}), 1U);
  ASSERT_TRUE(Set("a", {"on", "+@all", "~*", "&*"}).ok());
  EXPECT_FALSE(identity.Renew(store_));
}

}  // namespace
}  // namespace kvs
