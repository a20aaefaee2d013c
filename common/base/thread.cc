#include "common/base/thread.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace kvs {
namespace {

constexpr int kBackgroundNice = 5;  // The kernel's weight for it is 335; that of 0 is 1024.

}  // namespace

Thread::Thread(std::string name, std::function<void()> body) {
  // Signals belong to the main loop: every other thread blocks them from its first instruction.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  thread_ = std::thread([name = std::move(name), body = std::move(body)] {
    pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
    body();
  });
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

Thread Thread::Background(std::string name, std::function<void()> body) {
  return {std::move(name), [body = std::move(body)] {
            // Of this thread alone, as the kernel sees it.  Without the right to it all is as
            // before.
            (void)::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kBackgroundNice);
            body();
          }};
}

Thread Thread::Batching(std::string name, std::function<void()> body) {
  return {std::move(name), [body = std::move(body)] {
            const sched_param none{};
            (void)::pthread_setschedparam(::pthread_self(), SCHED_BATCH, &none);
            body();
          }};
}

Thread::~Thread() {
  Join();
}

void Thread::Join() {
  if (thread_.joinable()) {
    thread_.join();
  }
}

int ProcessorCount() {
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

int64_t ThreadCount(int64_t wanted) {
  return wanted > 0 ? wanted : std::max(1, ProcessorCount() / 2);
}

void SleepMicros(int64_t microseconds) {
  std::this_thread::sleep_for(std::chrono::microseconds(microseconds));
}

}  // namespace kvs
