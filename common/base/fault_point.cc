#include "common/base/fault_point.h"

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <string>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/base/thread.h"

namespace kvs {
namespace {

struct Plan {
  std::string action;
  int64_t first = 1;
  int64_t passes = 0;
};

struct Plans {
  Mutex mu;
  std::map<std::string, Plan, std::less<>> by_name KVS_GUARDED_BY(mu);
  bool any = false;
};

Plans* Load() {
  auto* plans = new Plans();
  const char* text = std::getenv("KVS_FAULT");
  if (text == nullptr) {
    return plans;
  }
  const MutexLock lock(&plans->mu);
  for (const std::string_view item : Split(text, ',')) {
    const size_t equals = item.find('=');
    if (equals == std::string_view::npos) {
      continue;
    }
    Plan plan;
    std::string_view action = item.substr(equals + 1);
    const size_t at = action.find('@');
    if (at != std::string_view::npos) {
      ParseInt64(action.substr(at + 1), &plan.first);
      action = action.substr(0, at);
    }
    plan.action = action;
    plans->by_name.emplace(item.substr(0, equals), plan);
    plans->any = true;
  }
  return plans;
}

}  // namespace

bool HitFaultPoint(std::string_view name) {
  static Plans* const plans = Load();
  if (!plans->any) {
    return false;
  }
  std::string action;
  {
    const MutexLock lock(&plans->mu);
    const auto found = plans->by_name.find(name);
    if (found == plans->by_name.end() || ++found->second.passes < found->second.first) {
      return false;
    }
    action = found->second.action;
  }
  if (action == "exit") {
    ::kill(::getpid(), SIGKILL);
  }
  int64_t milliseconds = 0;
  if (action.starts_with("pause:") && ParseInt64(action.substr(6), &milliseconds)) {
    SleepMicros(milliseconds * 1000);
  }
  return action == "error";
}

}  // namespace kvs
