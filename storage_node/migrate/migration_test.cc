#include "storage_node/migrate/migration.h"

#include <memory>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace kvs {
namespace {

constexpr std::string_view kReadError = "IOERR error or timeout reading to target instance";

class MigrationTest : public testing::Test {
 protected:
  void Begin(const std::vector<std::string_view>& options) {
    words_ = {"migrate", "h", "7", "", "0", "1000"};
    words_.insert(words_.end(), options.begin(), options.end());
    Make();
  }
  void BeginInDb(std::string_view db, const std::vector<std::string_view>& options) {
    Begin(options);
    words_[4] = db;
    Make();
  }
  void Hear(std::string_view bytes) {
    input_ += bytes;
    migration_->TakeAnswers(&input_);
  }
  std::string Send(std::string_view payload = "x") { return migration_->SendKey(0, payload); }
  std::vector<std::string> Acknowledged() const {
    return {migration_->acknowledged().begin(), migration_->acknowledged().end()};
  }

  std::vector<std::string_view> words_;
  std::string input_;
  std::unique_ptr<Migration> migration_;

 private:
  void Make() { migration_ = std::make_unique<Migration>(*ParseMigrate(words_)); }
};

using Keys = std::vector<std::string>;

TEST_F(MigrationTest, AKeyOfDatabaseZeroNeedsNoGreeting) {
  Begin({"keys", "a"});

  EXPECT_EQ(migration_->Greet(), "");
  ASSERT_TRUE(migration_->WantsKey());
  EXPECT_EQ(migration_->next_key(), "a");
  EXPECT_EQ(migration_->SendKey(5, "xy"),
            "*4\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$1\r\n5\r\n$2\r\nxy\r\n");
  EXPECT_FALSE(migration_->done());
  Hear("+OK\r\n");

  EXPECT_TRUE(migration_->done());
  EXPECT_EQ(migration_->error(), "");
  EXPECT_EQ(Acknowledged(), (Keys{"a"}));
}

TEST_F(MigrationTest, NoKeyLeavesBeforeTheGreetingIsAnswered) {
  BeginInDb("3", {"replace", "auth2", "u", "p", "keys", "a"});

  EXPECT_EQ(migration_->Greet(),
            "*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n*2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n");
  EXPECT_FALSE(migration_->WantsKey());
  Hear("+OK\r\n+O");
  EXPECT_FALSE(migration_->WantsKey());
  Hear("K\r\n");
  EXPECT_TRUE(migration_->WantsKey());
  EXPECT_EQ(Send(), "*5\r\n$7\r\nRESTORE\r\n$1\r\na\r\n$1\r\n0\r\n$1\r\nx\r\n$7\r\nREPLACE\r\n");
}

TEST_F(MigrationTest, ARefusedGreetingEndsIt) {
  BeginInDb("3", {"auth", "p", "keys", "a"});
  EXPECT_TRUE(migration_->Greet().starts_with("*2\r\n$4\r\nAUTH\r\n$1\r\np\r\n"));

  Hear("-WRONGPASS no\r\n");

  EXPECT_TRUE(migration_->done());
  EXPECT_FALSE(migration_->WantsKey());
  EXPECT_EQ(migration_->error(), "ERR Target instance replied with error: WRONGPASS no");
}

TEST_F(MigrationTest, TheFirstErrorIsToldAndTheOtherKeysGoAllTheSame) {
  Begin({"keys", "a", "b", "c"});
  migration_->Greet();
  Send();
  Send();
  Send();

  Hear("-BUSYKEY Target key name already exists.\r\n+OK\r\n-ERR other\r\n");

  EXPECT_TRUE(migration_->done());
  EXPECT_EQ(migration_->error(),
            "ERR Target instance replied with error: BUSYKEY Target key name already exists.");
  EXPECT_EQ(Acknowledged(), (Keys{"b"}));
}

TEST_F(MigrationTest, WhatWasAcknowledgedBeforeALossHolds) {
  Begin({"keys", "a", "b"});
  migration_->Greet();
  Send();
  Send();
  Hear("+OK\r\n");

  migration_->Lose(TargetLoss::kReading);

  EXPECT_TRUE(migration_->done());
  EXPECT_EQ(migration_->error(), kReadError);
  EXPECT_EQ(Acknowledged(), (Keys{"a"}));
}

TEST_F(MigrationTest, AnErrorOfTheTargetIsToldRatherThanALossBehindIt) {
  Begin({"keys", "a", "b"});
  migration_->Greet();
  Send();
  Send();
  Hear("-OOM no\r\n");

  migration_->Lose(TargetLoss::kReading);

  EXPECT_EQ(migration_->error(), "ERR Target instance replied with error: OOM no");
}

TEST_F(MigrationTest, EachLossHasItsWords) {
  const auto told = [this](TargetLoss loss) {
    Begin({"keys", "a"});
    migration_->Lose(loss);
    return migration_->error();
  };

  EXPECT_EQ(told(TargetLoss::kConnecting), "IOERR error or timeout connecting to the client");
  EXPECT_EQ(told(TargetLoss::kWriting), "IOERR error or timeout writing to target instance");
  EXPECT_EQ(told(TargetLoss::kReading), kReadError);
}

TEST_F(MigrationTest, KeysThatAreGoneOrTooLargeArePassedBy) {
  Begin({"keys", "a", "b", "c"});
  migration_->Greet();

  migration_->SkipKey();
  migration_->RefuseKey("ERR too large");
  EXPECT_EQ(migration_->next_key(), "c");
  Send();
  Hear("+OK\r\n");

  EXPECT_TRUE(migration_->done());
  EXPECT_EQ(migration_->error(), "ERR too large");
  EXPECT_EQ(Acknowledged(), (Keys{"c"}));
}

TEST_F(MigrationTest, NothingToSendIsDoneAtOnce) {
  Begin({"keys", "a"});
  migration_->Greet();

  migration_->SkipKey();

  EXPECT_TRUE(migration_->done());
  EXPECT_EQ(migration_->error(), "");
}

TEST_F(MigrationTest, LittleIsUnderWayAtATime) {
  Begin({"keys", "a", "b", "c"});
  migration_->Greet();

  Send(std::string(Migration::kMaxUnderWay, 'x'));
  EXPECT_FALSE(migration_->WantsKey());
  Hear("+OK\r\n");
  EXPECT_TRUE(migration_->WantsKey());
  Send();
  EXPECT_TRUE(migration_->WantsKey());
}

TEST_F(MigrationTest, ATargetThatSpeaksOtherwiseAcknowledgesNothing) {
  const std::string_view lines[] = {"$2\r\nOK\r\n", ":1\r\n", "HTTP/1.1 400\r\n",
                                    "+QUEUED\r\n",  "\r\n",   ">"};
  for (const std::string_view line : lines) {
    SCOPED_TRACE(line);
    Begin({"keys", "a", "b"});
    input_.clear();
    migration_->Greet();
    Send();

    Hear(line);

    EXPECT_TRUE(migration_->done());
    EXPECT_EQ(migration_->error(), kReadError);
    EXPECT_EQ(Acknowledged(), Keys{});
  }
}

TEST_F(MigrationTest, AnAnswerWithoutAQuestionEndsIt) {
  Begin({"keys", "a", "b"});
  migration_->Greet();
  Send();

  Hear("+OK\r\n+OK\r\n");

  EXPECT_EQ(migration_->error(), kReadError);
  EXPECT_EQ(Acknowledged(), (Keys{"a"}));
}

TEST_F(MigrationTest, AnEndlessAnswerIsRefused) {
  Begin({"keys", "a"});
  migration_->Greet();
  Send();

  Hear("-" + std::string(Migration::kMaxAnswer - 1, 'x'));
  EXPECT_FALSE(migration_->done());
  Hear("xx");

  EXPECT_EQ(migration_->error(), kReadError);
}

// The stream may be cut anywhere.
TEST_F(MigrationTest, AnswersMayComeByteByByte) {
  Begin({"keys", "a", "b"});
  migration_->Greet();
  Send();
  Send();

  for (const char c : std::string_view("+OK\r\n-ERR x\r\n")) {
    EXPECT_FALSE(migration_->done());
    Hear(std::string_view(&c, 1));
  }

  EXPECT_TRUE(migration_->done());
  EXPECT_EQ(Acknowledged(), (Keys{"a"}));
}

}  // namespace
}  // namespace kvs
