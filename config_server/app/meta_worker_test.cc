#include "config_server/app/meta_worker.h"

#include <memory>
#include <vector>

#include "gtest/gtest.h"

#include "config_server/meta/memory_meta_store.h"

namespace kvs {
namespace {

TEST(MetaWorkerTest, AnswersComeOnTheLoopInOrder) {
  EventLoop loop("test");
  MemoryMetaStore store;
  MetaWorker worker(&loop, &store);
  std::vector<Code> codes;
  const MetaTransaction create{{{"a", std::nullopt}}, {{"a", "1"}}, {}};
  for (int i = 0; i < 2; ++i) {
    worker.Commit(create, [&](const Status& status, int64_t micros) {
      loop.AssertInLoop();
      EXPECT_GE(micros, 0);
      codes.push_back(status.code());
    });
  }
  while (codes.size() < 2) {
    loop.RunOnce(100);
  }
  EXPECT_EQ(codes, (std::vector<Code>{Code::kOk, Code::kAborted}));
}

TEST(MetaWorkerTest, WhatWasHandedOverIsCommittedButNotAnsweredAfterTheEnd) {
  EventLoop loop("test");
  MemoryMetaStore store;
  auto worker = std::make_unique<MetaWorker>(&loop, &store);
  bool answered = false;
  for (const char* key : {"a", "b", "c"}) {
    worker->Commit({{}, {{key, "1"}}, {}}, [&](const Status&, int64_t) { answered = true; });
  }
  worker.reset();
  loop.RunOnce(0);
  EXPECT_FALSE(answered);
  EXPECT_EQ(store.List("")->size(), 3U);
}

}  // namespace
}  // namespace kvs
