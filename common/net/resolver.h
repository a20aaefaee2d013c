// Resolver: looks names up in a thread of its own, because a DNS server may take seconds and no
// loop may wait for one.
//
// Lookups are done one after the other, in the order in which they were asked for.
//
// Threads: loop-owned; `lookup` runs in the resolver's thread.
// Owner:   an object of the loop.

#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/base/thread.h"
#include "common/net/event_loop.h"
#include "common/net/socket.h"

namespace kvs {

// Returns the numeric addresses of a name, the best ones first.
using NameLookup = std::function<Result<std::vector<std::string>>(const std::string& host)>;

// Whether `host` is an address, which needs no lookup.
bool IsNumericHost(const std::string& host);

class Resolver {
 public:
  using Answer = std::function<void(const Result<std::vector<std::string>>& addresses)>;

  explicit Resolver(EventLoop* loop, NameLookup lookup = &ResolveHost);
  // Waits for a lookup that is under way; no answer comes any more.
  ~Resolver();

  // Calls `answer` in the loop, in a later turn.
  void Resolve(const std::string& host, Answer answer);

 private:
  struct Question {
    std::string host;
    Answer answer;
  };
  void Run(const std::weak_ptr<Resolver*>& weak);

  EventLoop* const loop_;
  const NameLookup lookup_;
  // An answer is posted to the loop and finds this gone if the resolver is.
  std::shared_ptr<Resolver*> self_;
  Mutex mu_;
  CondVar wake_;
  std::deque<Question> questions_ KVS_GUARDED_BY(mu_);
  bool stopping_ KVS_GUARDED_BY(mu_) = false;
  Thread thread_;  // Starts with the first question.
};

}  // namespace kvs
