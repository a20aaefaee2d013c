#include "test_all/harness/wait.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>

#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/thread.h"
#include "common/base/unique_fd.h"

namespace kvs {
namespace {

constexpr int kFirstPort = 20000;
constexpr int kPortCount = 12000;  // Linux gives outgoing connections ports from 32768 on.
constexpr int64_t kPollMicros = 2000;

bool CanListen(int port) {
  const UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  KVS_CHECK(fd.valid());
  const int on = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
}

}  // namespace

int64_t NowMillis() {
  return Clock::System()->MonotonicMillis();
}

bool WaitUntil(int64_t timeout_ms, const std::function<bool()>& done) {
  const int64_t deadline = NowMillis() + timeout_ms * kSlownessFactor;
  while (!done()) {
    if (NowMillis() > deadline) {
      return false;
    }
    SleepMicros(kPollMicros);
  }
  return true;
}

uint16_t FreePort() {
  // Two suites at a time start at different places.
  static std::atomic<int> next{(::getpid() * 37) % kPortCount};
  for (int tries = 0; tries < kPortCount; ++tries) {
    const int port = kFirstPort + next.fetch_add(1) % kPortCount;
    if (CanListen(port)) {
      return static_cast<uint16_t>(port);
    }
  }
  KVS_CHECK(false);
  return 0;
}

std::string BinaryPath(const std::string& name) {
  if (const char* dir = std::getenv("KVS_BIN_DIR"); dir != nullptr && *dir != '\0') {
    return std::string(dir) + "/" + name;
  }
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  return (self.parent_path() / name).string();
}

}  // namespace kvs
