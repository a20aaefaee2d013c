#!/usr/bin/env bash
# install.sh DIR: puts the JavaScript clients, in the versions of package-lock.json, into DIR, and
# DIR/node, a link to a Node.js that they run on.
set -euo pipefail
DIR="${1:?usage: install.sh DIR}"
cd "$(dirname "${BASH_SOURCE[0]}")"

# What the clients ask for, and what is installed where the machine has an older one.
NODE_MAJOR=20
NODE_VERSION=20.20.2

if [ -x "$DIR/node" ] && cmp -s package-lock.json "$DIR/package-lock.json" && [ -e "$DIR/complete" ]; then
  exit 0
fi
for tool in node npm; do
  command -v "$tool" >/dev/null || { echo "install.sh: no $tool on the PATH; run ./build.sh deps" >&2; exit 1; }
done
echo "== installing the clients of test_all/clients"
rm -rf "$DIR"
mkdir -p "$DIR"
cp package.json package-lock.json .npmrc "$DIR/"
(cd "$DIR" && npm ci --no-audit --no-fund --loglevel=error)

node=$(command -v node)
if [ "$("$node" -p 'process.versions.node.split(".")[0]')" -lt "$NODE_MAJOR" ]; then
  npm install --prefix "$DIR/own" --no-save --no-audit --no-fund --loglevel=error "node@$NODE_VERSION"
  node=$(realpath "$DIR/own/node_modules/node/bin/node")
fi
"$node" -e '' # It runs.
ln -sfn "$node" "$DIR/node"
touch "$DIR/complete"
