#include "common/net/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <utility>

namespace kvs {

bool IsNumericHost(const std::string& host) {
  in6_addr bytes;
  return ::inet_pton(AF_INET, host.c_str(), &bytes) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

Resolver::Resolver(EventLoop* loop, NameLookup lookup)
    : loop_(loop), lookup_(std::move(lookup)), self_(std::make_shared<Resolver*>(this)) {}

Resolver::~Resolver() {
  self_.reset();
  {
    const MutexLock lock(&mu_);
    stopping_ = true;
    questions_.clear();
  }
  wake_.NotifyOne();
  if (thread_.joinable()) {
    thread_.Join();
  }
}

void Resolver::Resolve(const std::string& host, Answer answer) {
  loop_->AssertInLoop();
  if (!thread_.joinable()) {
    thread_ = Thread("resolver", [this, weak = std::weak_ptr(self_)] { Run(weak); });
  }
  {
    const MutexLock lock(&mu_);
    questions_.push_back({host, std::move(answer)});
  }
  wake_.NotifyOne();
}

void Resolver::Run(const std::weak_ptr<Resolver*>& weak) {
  while (true) {
    Question question;
    {
      const MutexLock lock(&mu_);
      while (questions_.empty() && !stopping_) {
        wake_.Wait(&mu_);
      }
      if (stopping_) {
        return;
      }
      question = std::move(questions_.front());
      questions_.pop_front();
    }
    loop_->PostAlways(
        [weak, answer = std::move(question.answer), addresses = lookup_(question.host)] {
          if (!weak.expired()) {
            answer(addresses);
          }
        });
  }
}

}  // namespace kvs
