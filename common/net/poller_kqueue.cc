// The BSD and macOS poller.  CI runs on Linux and does not exercise this file: keep it small.

#include <sys/event.h>
#include <sys/time.h>
#include <sys/types.h>

#include <array>
#include <cerrno>

#include "common/base/unique_fd.h"
#include "common/net/poller.h"

namespace kvs {
namespace {

constexpr int kMaxEvents = 512;

class KqueuePoller : public Poller {
 public:
  KqueuePoller() : kqueue_(::kqueue()) { KVS_CHECK(kqueue_.valid()); }

  Status Add(int fd, void* data, uint8_t interest) override {
    return Change(fd, data, kNoInterest, interest);
  }
  void Modify(int fd, void* data, uint8_t before, uint8_t interest) override {
    KVS_CHECK(Change(fd, data, before, interest).ok());
  }
  void Remove(int fd, uint8_t interest) override {
    KVS_CHECK(Change(fd, nullptr, interest, kNoInterest).ok());
  }

  void Wait(int timeout_ms, std::vector<PollEvent>* events) override {
    events->clear();
    timespec timeout{timeout_ms / 1000, (timeout_ms % 1000) * 1'000'000L};
    const int n = ::kevent(kqueue_.get(), nullptr, 0, ready_.data(), kMaxEvents,
                           timeout_ms < 0 ? nullptr : &timeout);
    for (int i = 0; i < n; ++i) {
      const struct kevent& event = ready_[static_cast<size_t>(i)];
      events->push_back({event.udata, event.filter == EVFILT_READ, event.filter == EVFILT_WRITE});
    }
  }

 private:
  Status Change(int fd, void* data, uint8_t before, uint8_t after) {
    std::array<struct kevent, 2> changes;
    int count = 0;
    const auto add = [&](uint8_t bit, short filter) {
      if ((before & bit) != (after & bit)) {
        EV_SET(&changes[static_cast<size_t>(count++)], static_cast<uintptr_t>(fd), filter,
               (after & bit) != 0 ? EV_ADD : EV_DELETE, 0, 0, data);
      }
    };
    add(kReadable, EVFILT_READ);
    add(kWritable, EVFILT_WRITE);
    if (::kevent(kqueue_.get(), changes.data(), count, nullptr, 0, nullptr) != 0) {
      return Status::FromErrno("kevent", errno);
    }
    return Status::Ok();
  }

  UniqueFd kqueue_;
  std::array<struct kevent, kMaxEvents> ready_;
};

}  // namespace

std::unique_ptr<Poller> Poller::Create() {
  return std::make_unique<KqueuePoller>();
}

}  // namespace kvs
