#!/usr/bin/env bash
# check.sh [--all]: what a machine can check of doc/style.md.  Sizes are reported, the rest fails.
#
# clang-tidy looks at the files that differ from the commit before, with --all at every one.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
passed=0
failed=0
ok() { passed=$((passed + 1)); echo "ok: $1"; }
bad() { failed=$((failed + 1)); echo "FAILED: $1"; }
verdict() { if [ -z "$2" ]; then ok "$1"; else echo "$2" | head -100; bad "$1"; fi; }

mapfile -t sources < <(git ls-files '*.cc' '*.h')
mapfile -t scripts < <(git ls-files '*.sh' .ci/run)

verdict "layout (clang-format)" "$(clang-format --dry-run "${sources[@]}" 2>&1 | grep 'warning:' || true)"
verdict "scripts (shellcheck)" "$(shellcheck "${scripts[@]}" 2>&1 || true)"

# What differs.  diff exits with 1 when it finds something, which a verdict judges by the output, and
# with 2 when it could not compare.
differences() { diff "$@" 2>&1 || [ $? -eq 1 ] || echo "diff failed"; }

only() { # only PATTERN ALLOWED_PATH_REGEX: an include that belongs to one module
  git grep -lE "#include [<\"]$1" -- '*.cc' '*.h' | grep -vE "$2" || true
}
verdict "leveldb stays in its modules" "$(only 'leveldb/' '^(storage_node/engine|config_server/meta)/')"
verdict "rapidjson stays in common/json" "$(only 'rapidjson/' '^common/json/')"
verdict "hiredis stays in the harness" "$(only 'hiredis/' '^(test_all|client_lib/src)/')"
verdict "threads, sleeps and detach live in common/base" \
  "$(git grep -nE 'std::(jthread|thread )|sleep_for|\bdetach\(|\bvolatile\b|using namespace' -- '*.cc' '*.h' |
    grep -vE '^common/base/' || true)"
verdict "every fault point is tried by the suite" \
  "$(differences <(git grep -hoE 'KVS_FAULT_POINT\("[a-z_.]+"' -- common storage_node ':!*_test.cc' ':!*.h' | grep -oE '[a-z_]+\.[a-z_]+' | sort -u) \
    <(grep -oE '^ *"[a-z_]+\.[a-z_]+"|"[a-z_]+\.[a-z_]+",' test_all/crash/fault_suite.cc | grep -oE '[a-z_]+\.[a-z_]+' | sort -u))"
verdict "no relative includes" "$(git grep -nE '#include "\.\.?/' -- '*.cc' '*.h' || true)"
verdict "headers begin with what they are" \
  "$(for f in $(git ls-files '*.h'); do
    { head -1 "$f" | grep -q '^// .' && grep -q '^// Threads:' "$f"; } || echo "$f"; done)"
verdict "headers have a guard" "$(git ls-files '*.h' | xargs grep -L '^#pragma once' || true)"
verdict "no open TODO without an issue" "$(git grep -nE '\bTODO\b' -- '*.cc' '*.h' '*.sh' | grep -vE 'TODO\(#[0-9]+\)|scripts/check.sh' || true)"

reference=$(mktemp -d)
trap 'rm -rf "$reference"' EXIT
scripts/gen_reference.sh "$reference"
verdict "doc/reference/ is fresh (./build.sh reference)" "$(differences -rq "$reference" doc/reference)"

links=$(git grep -noE '\]\([^)#: ]+\.md' -- '*.md' | while IFS=: read -r file _ link; do
  target="$(dirname "$file")/${link#](}"
  [ -e "$target" ] || echo "$file: $target"
done)
verdict "links between pages lead somewhere" "$links"

if [ "${1:-}" = --all ]; then
  mapfile -t tidy < <(git ls-files '*.cc' | grep -v poller_kqueue)
else
  mapfile -t tidy < <(git diff --name-only --diff-filter=d HEAD~1 -- '*.cc' 2>/dev/null | grep -v poller_kqueue | head -20)
fi
if [ "${#tidy[@]}" -gt 0 ]; then
  verdict "clang-tidy on ${#tidy[@]} files" \
    "$(printf '%s\n' "${tidy[@]}" | xargs -P "$(nproc)" -n 4 clang-tidy -p build/release --quiet 2>/dev/null | grep -E '(error|warning):' | sort -u || true)"
fi

echo "-- sizes to think about (not failures)"
ctags -x --_xformat='%{end} %{line} %{name} %{input}' --fields=+ne --languages=C++ --kinds-C++=f "${sources[@]}" 2>/dev/null |
  awk '$1 - $2 > 70 {printf "function of %d lines: %s (%s)\n", $1 - $2, $3, $4}' | head -20
for f in "${sources[@]}"; do
  lines=$(wc -l <"$f")
  case "$f" in
    *_test.cc) ;;
    *.h) [ "$lines" -le 300 ] || echo "header of $lines lines: $f" ;;
    *) [ "$lines" -le 700 ] || echo "file of $lines lines: $f" ;;
  esac
done

echo "[  PASSED  ] $passed tests."
if [ "$failed" -gt 0 ]; then
  echo " $failed FAILED TESTS"
  exit 1
fi
