#!/usr/bin/env bash
# make_package.sh VERSION [OUT_DIR]: makes kvstore-VERSION.tar.gz of the release build.
#
# The package carries the shared libraries that the programs need outside libc, and their licences,
# so that it runs on a machine that has none of them.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VERSION="${1:?usage: ./build.sh version X}"
OUT_DIR="${2:-$PWD}"
[[ "$VERSION" =~ ^[0-9A-Za-z][0-9A-Za-z.+~-]*$ ]] || { echo "bad version '$VERSION'" >&2; exit 2; }

# What every Debian has: these must come from the machine, because they belong to its kernel and
# loader.
FROM_MACHINE='^(linux-vdso|ld-linux|libc|libm|libdl|librt|libpthread|libresolv)[.-]'

KVS_VERSION="$VERSION" cmake --build build/release --parallel "$(nproc)" >/dev/null

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
top="$stage/kvstore-$VERSION"
mkdir -p "$top/bin" "$top/lib/licences" "$top/conf"
for program in kv_config kv_node kv_proxy test_all; do
  cp "build/release/bin/$program" "$top/bin/"
  strip --strip-debug "$top/bin/$program"
done
cp scripts/kv_store.sh "$top/kv_store.sh"
cat >"$top/test_all" <<'SCRIPT'
#!/bin/sh
exec "$(dirname "$0")/bin/test_all" "$@"
SCRIPT
chmod +x "$top/test_all"
for program in kv_config kv_node kv_proxy; do
  "build/release/bin/$program" --print-default-config >"$top/conf/$program.conf"
done
cp -r doc "$top/doc"
cp README.md CHANGELOG.md "$top/"

for program in "$top"/bin/*; do
  ldd "$program" | awk '$2 == "=>" && $3 ~ /^\// {print $1, $3}'
done | sort -u | while read -r name path; do
  [[ "$name" =~ $FROM_MACHINE ]] && continue
  cp -L "$path" "$top/lib/$name"
  # /lib is a link to /usr/lib, and packages know their files by either name.
  real=$(realpath "$path")
  package=$({ dpkg-query -S "$real" || dpkg-query -S "${real#/usr}"; } 2>/dev/null |
    head -1 | cut -d: -f1)
  [ -n "$package" ] || { echo "no package owns $real" >&2; exit 1; }
  cp -L "/usr/share/doc/$package/copyright" "$top/lib/licences/$package"
done
tar -C "$stage" -czf "$OUT_DIR/kvstore-$VERSION.tar.gz" "kvstore-$VERSION"
# The build folder goes back to the version of the tree.
cmake --build build/release --parallel "$(nproc)" >/dev/null
echo "$OUT_DIR/kvstore-$VERSION.tar.gz"
