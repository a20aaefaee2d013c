#!/usr/bin/env bash
# Measures kvstore beside redis, twemproxy and haproxy; see bench.py --help.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 scripts/bench/bench.py "$@"
