#!/usr/bin/env bash
# Makes a package, unpacks it elsewhere, and uses it as somebody would who has nothing else: the
# loader may take libraries from the package and from libc alone.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

work=$(mktemp -d)
# All ports that follow from it stay below 32768, where outgoing connections get theirs.
port=$((12000 + RANDOM % 10000))
passed=0
finish() {
  local script="$work/kvstore-0.0.1-test/kv_store.sh"
  if [ -x "$script" ]; then
    "$script" stop --port "$port" >/dev/null 2>&1 || true
  fi
  rm -rf "$work"
}
trap finish EXIT
ok() { passed=$((passed + 1)); echo "ok: $1"; }

scripts/make_package.sh 0.0.1-test "$work" >/dev/null
tar -C "$work" -xzf "$work/kvstore-0.0.1-test.tar.gz"
top="$work/kvstore-0.0.1-test"

for entry in kv_store.sh test_all bin lib conf doc; do
  [ -e "$top/$entry" ] || { echo "FAILED: no $entry in the package"; exit 1; }
done
ok "the package has its parts"

for program in "$top"/bin/*; do
  foreign=$(LD_TRACE_LOADED_OBJECTS=1 "$program" | awk '$2 == "=>" {print $1, $3}' |
    grep -vE '^(linux-vdso|ld-linux|libc|libm|libdl|librt|libpthread|libresolv)[.-]' |
    grep -vF " $top/bin/../lib/" | grep -vF " $top/lib/" || true)
  [ -z "$foreign" ] || { echo "FAILED: $program takes from the machine: $foreign"; exit 1; }
done
ok "libraries come from the package"
[ "$(find "$top/lib/licences" -type f | wc -l)" -gt 3 ] || { echo "FAILED: no licences"; exit 1; }
ok "licences are there"
[[ "$("$top/bin/kv_node" --version)" == "kv_node 0.0.1-test"* ]] ||
  { echo "FAILED: --version does not say 0.0.1-test"; exit 1; }
ok "programs tell the package's version"

cd "$top"
run() { env -i PATH="$PATH" HOME="$work" "$@" || { echo "FAILED: $*"; exit 1; }; }
run ./kv_store.sh start --port "$port"
ok "the cluster starts"
run ./test_all -p "$port"
ok "test_all passes against it"
run ./kv_store.sh restart proxy-1 --port "$port"
ok "another process takes the proxy over"
run ./kv_store.sh stop --port "$port"
ok "the cluster stops"
run ./kv_store.sh stop --wipe --port "$port"
[ ! -e "$top/data" ] || { echo "FAILED: --wipe left data"; exit 1; }
ok "the data are deleted"
echo "[  PASSED  ] $passed tests."
