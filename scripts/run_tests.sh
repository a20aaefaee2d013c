#!/usr/bin/env bash
# Runs the stages of `./build.sh test`, prints how long each took, and ends with the line
# "N passed, N failed".  A stage that cannot be built counts as one failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

ALL_STAGES="unit check suite package asan tsan fuzz"
FUZZ_SECONDS="${KVS_FUZZ_SECONDS:-5}"
passed=0
failed=0
summary=""
logs=build/test-logs
mkdir -p "$logs"

# Adds up googletest's closing lines in a log.
count() {
  local log="$1" p f
  p=$(sed -nE 's/.*\[  PASSED  \] ([0-9]+) tests?\..*/\1/p' "$log" | awk '{s += $1} END {print s + 0}')
  f=$(sed -nE 's/^[0-9]*:? ?([0-9]+) FAILED TESTS?$/\1/p; s/.* ([0-9]+) FAILED TESTS?$/\1/p' "$log" |
    awk '{s += $1} END {print s + 0}')
  passed=$((passed + p))
  failed=$((failed + f))
}

# run_stage NAME COMMAND...: the command's output goes to a log that is shown if it fails.
run_stage() {
  local name="$1" log="$logs/$1.log" start=$SECONDS rc=0 failed_before=$failed
  shift
  echo "== $name"
  "$@" >"$log" 2>&1 || rc=$?
  count "$log"
  if [ "$rc" != 0 ] && [ "$failed" = "$failed_before" ]; then
    failed=$((failed + 1)) # It broke before or beside its tests.
  fi
  if [ "$rc" != 0 ]; then
    grep -nE 'FAILED|Failure|error:|ERROR:|WARNING: ThreadSanitizer|check failed' "$log" | head -40 || true
    tail -n 40 "$log"
  fi
  summary+=$(printf '%-8s %4d s  %s' "$name" $((SECONDS - start)) "$([ "$rc" = 0 ] && echo ok || echo FAILED)")$'\n'
}

compile() {
  echo "-- building $1"
  cmake --preset "$1" >/dev/null && cmake --build "build/$1" --parallel "$(nproc)"
}

unit_tests() {
  ctest --test-dir "build/$1" --output-on-failure --verbose --parallel "$(nproc)" --label-regex unit
}

stage_unit() { compile release && unit_tests release; }

stage_check() { compile release && scripts/check.sh; }

stage_suite() { compile release && build/release/bin/test_all --suite; }

stage_package() { compile release && scripts/test_package.sh; }

# Sanitizers abort at the first finding; there are no suppressions.
stage_asan() {
  compile asan && ASAN_OPTIONS=detect_leaks=1:abort_on_error=1 UBSAN_OPTIONS=print_stacktrace=1 \
    unit_tests asan && build/asan/bin/test_all --suite --short
}

stage_tsan() {
  compile tsan && TSAN_OPTIONS=halt_on_error=1:abort_on_error=1 unit_tests tsan &&
    TSAN_OPTIONS=halt_on_error=1:abort_on_error=1 build/tsan/bin/test_all --suite --short
}

# Each target for a few seconds, from its corpus; what it finds stays in build/fuzz/new.
stage_fuzz() {
  cmake --preset fuzz >/dev/null
  cmake --build build/fuzz --parallel "$(nproc)" --target kvs_fuzz_targets
  local target name corpus
  for target in build/fuzz/fuzz/*_fuzz; do
    name=$(basename "$target" _fuzz)
    corpus=$(find . -path "./*/testdata/fuzz/$name" -not -path './build/*' -type d | head -1)
    mkdir -p "build/fuzz/new/$name"
    echo "-- $name"
    "$target" -max_total_time="$FUZZ_SECONDS" -rss_limit_mb=2048 -artifact_prefix="build/fuzz/new/$name/" \
      "build/fuzz/new/$name" "$corpus"
    echo "[  PASSED  ] 1 test."
  done
}

begin=$SECONDS
read -r -a stages <<<"${*:-$ALL_STAGES}"
for stage in "${stages[@]}"; do
  case " $ALL_STAGES " in
    *" $stage "*) run_stage "$stage" "stage_$stage" ;;
    *) echo "run_tests.sh: no stage '$stage'; there are: $ALL_STAGES" >&2; exit 2 ;;
  esac
done
echo
printf '%s' "$summary"
printf 'total    %4d s\n\n' $((SECONDS - begin))
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
