// What the command line of the suite says to every test.
//
// Threads: set by main before the tests run.

#pragma once

namespace kvs {

// --short: fewer loops, for builds that are slow.
bool ShortRun();
void SetShortRun(bool short_run);

// Returns `full`, or `brief` in a short run.
inline int Loops(int full, int brief) {
  return ShortRun() ? brief : full;
}

}  // namespace kvs
