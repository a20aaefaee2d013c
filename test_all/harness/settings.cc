#include "test_all/harness/settings.h"

namespace kvs {
namespace {

bool g_short_run = false;

}  // namespace

bool ShortRun() {
  return g_short_run;
}

void SetShortRun(bool short_run) {
  g_short_run = short_run;
}

}  // namespace kvs
