#include <sys/epoll.h>

#include <array>
#include <cerrno>

#include "common/base/unique_fd.h"
#include "common/net/poller.h"

namespace kvs {
namespace {

// Events taken in one turn: enough to batch, few enough that a turn stays short.
constexpr int kMaxEvents = 512;

uint32_t ToEpoll(uint8_t interest) {
  return ((interest & kReadable) != 0 ? EPOLLIN | EPOLLRDHUP : 0U) |
         ((interest & kWritable) != 0 ? EPOLLOUT : 0U);
}

class EpollPoller : public Poller {
 public:
  EpollPoller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) { KVS_CHECK(epoll_.valid()); }

  Status Add(int fd, void* data, uint8_t interest) override {
    epoll_event event = Event(data, interest);
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) != 0) {
      return Status::FromErrno("epoll add", errno);
    }
    return Status::Ok();
  }

  void Modify(int fd, void* data, uint8_t /*before*/, uint8_t interest) override {
    epoll_event event = Event(data, interest);
    KVS_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0);
  }

  void Remove(int fd, uint8_t /*interest*/) override {
    KVS_CHECK(::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr) == 0);
  }

  void Wait(int timeout_ms, std::vector<PollEvent>* events) override {
    events->clear();
    const int n = ::epoll_wait(epoll_.get(), ready_.data(), kMaxEvents, timeout_ms);
    for (int i = 0; i < n; ++i) {
      const epoll_event& event = ready_[static_cast<size_t>(i)];
      const bool broken = (event.events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP)) != 0;
      events->push_back({event.data.ptr, broken || (event.events & EPOLLIN) != 0,
                         (event.events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0});
    }
  }

 private:
  static epoll_event Event(void* data, uint8_t interest) {
    epoll_event event{};
    event.events = ToEpoll(interest);
    event.data.ptr = data;
    return event;
  }

  UniqueFd epoll_;
  std::array<epoll_event, kMaxEvents> ready_;
};

}  // namespace

std::unique_ptr<Poller> Poller::Create() {
  return std::make_unique<EpollPoller>();
}

}  // namespace kvs
