#!/usr/bin/env bash
# The one front door of the project; --help says what there is.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

usage() {
  cat <<'TEXT'
usage: ./build.sh COMMAND

  deps [run|test|bench]   install the packages that are missing (test by default)
  build [PRESET]          build release, debug, asan, tsan or fuzz (release by default)
  test [STAGE...]         build and run everything, or the named stages:
                          unit check suite package asan tsan fuzz
  check [--all]           format, static checks, layers, generated pages; --all runs clang-tidy on
                          every file instead of the changed ones
  bench [ARGS]            measure against redis, twemproxy and haproxy (scripts/bench/run.sh --help)
  test_all [ARGS]         run the suite's program, for example: ./build.sh test_all -h HOST -p PORT
  version X               make kvstore-X.tar.gz
  reference               write doc/reference/ anew from the tables
  clean                   remove build/ and packages
TEXT
}

RUN_PACKAGES="g++ cmake ninja-build pkg-config make git ca-certificates procps libhiredis-dev
  rapidjson-dev libleveldb-dev libsnappy-dev libgtest-dev libgmock-dev libspdlog-dev libfmt-dev
  libboost-dev libjemalloc-dev libxxhash-dev prometheus-cpp-dev zlib1g-dev libssl-dev
  liblua5.1-0-dev lua-cjson-dev lua-bitop-dev ccache redis-tools curl"
TEST_PACKAGES="redis-server clang clang-format clang-tidy libclang-rt-14-dev universal-ctags strace
  shellcheck iproute2 python3 python3-redis"
BENCH_PACKAGES="nutcracker haproxy gnuplot-nox"

jobs_count() { nproc; }

# Installs what is missing.
deps() {
  local wanted="$RUN_PACKAGES"
  case "${1:-test}" in
    run) ;;
    test) wanted+=" $TEST_PACKAGES" ;;
    bench) wanted+=" $TEST_PACKAGES $BENCH_PACKAGES" ;;
    *) usage >&2; exit 2 ;;
  esac
  if [ "${1:-test}" != run ] && ! { command -v node && command -v npm; } >/dev/null; then
    wanted+=" nodejs npm"
  fi
  install_packages "$wanted"
  if [ "${1:-test}" != run ]; then
    test_all/clients/install.sh "$PWD/build/clients"
  fi
}

# Installs those of the packages that are missing.  One that would start a service is kept from it.
install_packages() {
  local missing="" package
  for package in $1; do
    if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" != installed ]; then
      missing+=" $package"
    fi
  done
  [ -n "$missing" ] || return 0
  local sudo=""
  if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || {
      echo "build.sh: missing packages:$missing; install them as root" >&2
      exit 1
    }
    sudo=sudo
  fi
  echo "== installing:$missing"
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $sudo tee "$policy" >/dev/null
    $sudo chmod +x "$policy"
    # shellcheck disable=SC2064  # The values of now are wanted.
    trap "$sudo rm -f $policy" EXIT
  fi
  $sudo apt-get update -qq
  # shellcheck disable=SC2086  # A list of words.
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends $missing \
    >/dev/null
  if [ -e "$policy" ] && [ "$(trap -p EXIT)" != "" ]; then
    $sudo rm -f "$policy"
    trap - EXIT
  fi
}

build() {
  local preset="${1:-release}"
  cmake --preset "$preset" >/dev/null
  cmake --build "build/$preset" --parallel "$(jobs_count)"
}

case "${1:-}" in
  deps) shift; deps "$@" ;;
  build) shift; deps run; build "$@" ;;
  test) shift; deps test; exec scripts/run_tests.sh "$@" ;;
  check) shift; deps test; build release; exec scripts/check.sh "$@" ;;
  bench) shift; deps bench; build release; exec scripts/bench/run.sh "$@" ;;
  test_all) shift; deps run; build release >/dev/null; exec build/release/bin/test_all "$@" ;;
  version) shift; deps run; build release; exec scripts/make_package.sh "$@" ;;
  reference) deps run; build release; exec scripts/gen_reference.sh ;;
  clean) rm -rf build kvstore-*.tar.gz ;;
  -h | --help | help) usage ;;
  *) usage >&2; exit 2 ;;
esac
