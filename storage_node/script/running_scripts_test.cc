#include "storage_node/script/running_scripts.h"

#include <gtest/gtest.h>

namespace kvs {
namespace {

using Killed = RunningScripts::Killed;

TEST(RunningScriptsTest, EachKindIsKilledByItsOwnCommand) {
  RunningScripts running;
  EXPECT_EQ(running.Kill(ScriptKind::kFunction), Killed::kNoneRuns);
  EXPECT_FALSE(running.Now().has_value());

  running.Begin({.kind = ScriptKind::kFunction, .name = "f", .command = {"fcall"}, .since_ms = 5});
  EXPECT_EQ(running.Kill(ScriptKind::kScript), Killed::kIsOfOtherKind);
  EXPECT_FALSE(running.asked_to_stop());
  EXPECT_EQ(running.Now()->name, "f");
  EXPECT_EQ(running.Kill(ScriptKind::kFunction), Killed::kOk);
  EXPECT_TRUE(running.asked_to_stop());
  EXPECT_FALSE(running.End());

  running.Begin({.kind = ScriptKind::kScript, .name = "", .command = {}, .since_ms = 6});
  EXPECT_FALSE(running.asked_to_stop());
  EXPECT_EQ(running.Kill(ScriptKind::kFunction), Killed::kIsOfOtherKind);
  EXPECT_TRUE(running.End());
}

TEST(RunningScriptsTest, WhatHasCommittedIsNotKilled) {
  RunningScripts running;
  running.Begin({.kind = ScriptKind::kFunction, .name = "f", .command = {}, .since_ms = 5});
  running.NoteCommitted();

  EXPECT_EQ(running.Kill(ScriptKind::kFunction), Killed::kHasCommitted);
  EXPECT_TRUE(running.End());
}

}  // namespace
}  // namespace kvs
