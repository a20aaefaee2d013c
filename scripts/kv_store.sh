#!/usr/bin/env bash
# Starts and stops a whole kvstore cluster on this machine; --help says how.
set -euo pipefail

SELF="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

usage() {
  cat <<'TEXT'
usage: kv_store.sh start|stop|restart|status [OPTIONS]
       kv_store.sh start|stop|restart|kill NAME [OPTIONS]     NAME: config, node-1.., proxy-1

  --shards N   master nodes of a new cluster (2)
  --dir D      where data, logs and pids live (data/ beside this script's parent folder)
  --port P     port of the proxy (7400); the others follow from it:
               config server P-300 (HTTP P-400), nodes P-1029.. (HTTP +10000), proxy HTTP P+100
  --wipe       with stop: delete the data as well

start on a cluster with dead processes starts just those.  Data survive stop and start.
restart of a proxy starts the new process beside the old one, which hands its sockets over and ends
when its clients have gone: none of them sees an error.
Programs are taken from $KVS_BIN_DIR, else bin/ beside this script, else ../build/release/bin.
TEXT
}

die() { echo "kv_store.sh: $*" >&2; exit 1; }

COMMAND="" NAME="" SHARDS="" DIR="" PORT="" WIPE=no
while [ $# -gt 0 ]; do
  case "$1" in
    --shards) SHARDS="${2:?--shards wants a number}"; shift 2 ;;
    --dir) DIR="${2:?--dir wants a folder}"; shift 2 ;;
    --port) PORT="${2:?--port wants a number}"; shift 2 ;;
    --wipe) WIPE=yes; shift ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *)
      if [ -z "$COMMAND" ]; then COMMAND="$1"
      elif [ -z "$NAME" ]; then NAME="$1"
      else usage >&2; exit 2; fi
      shift ;;
  esac
done
[ -n "$COMMAND" ] || { usage >&2; exit 2; }

if [ -z "$DIR" ]; then
  # In a package the script stands at the top, in the source tree one folder below.
  if [ -d "$SELF/bin" ]; then DIR="$SELF/data"; else DIR="$(dirname "$SELF")/data"; fi
fi
mkdir -p "$DIR"
DIR="$(cd "$DIR" && pwd)"
RUN="$DIR/run" LOG="$DIR/log" CONF="$DIR/conf" CLUSTER="$DIR/cluster"

# What the cluster was made with; options of a later start may not contradict it.
if [ -f "$CLUSTER" ]; then
  saved_shards=$(sed -n 's/^shards //p' "$CLUSTER")
  saved_port=$(sed -n 's/^port //p' "$CLUSTER")
  [ -z "$SHARDS" ] || [ "$SHARDS" = "$saved_shards" ] ||
    die "the cluster in $DIR has $saved_shards shards; give another --dir for a new one"
  SHARDS="$saved_shards"
  PORT="${PORT:-$saved_port}"
fi
SHARDS="${SHARDS:-2}"
PORT="${PORT:-7400}"
in_range() { [[ "$1" =~ ^[0-9]+$ ]] && [ "$1" -ge "$2" ] && [ "$1" -le "$3" ]; }
in_range "$SHARDS" 1 100 || die "--shards must be 1 to 100"
in_range "$PORT" 2100 60000 || die "--port must be 2100 to 60000"

names() {
  echo config
  for ((i = 1; i <= SHARDS; i++)); do echo "node-$i"; done
  echo proxy-1
}

port_of() {
  case "$1" in
    config) echo $((PORT - 300)) ;;
    proxy-1) echo "$PORT" ;;
    node-*) echo $((PORT - 1030 + ${1#node-})) ;;
  esac
}

http_port_of() {
  case "$1" in
    config) echo $((PORT - 400)) ;;
    proxy-1) echo $((PORT + 100)) ;;
    node-*) echo $(((PORT - 1030 + ${1#node-} + 10000) % 65536)) ;;
  esac
}

program_of() {
  case "$1" in
    config) echo kv_config ;;
    proxy-1) echo kv_proxy ;;
    node-*) echo kv_node ;;
  esac
}

check_name() {
  names | grep -qx -- "$1" || die "there is no '$1'; there are: $(names | tr '\n' ' ')"
}

# Prints the pid of a running process of ours, or nothing.  A pid that another program has got
# meanwhile is not ours.
pid_of() {
  local file="$RUN/$1.pid" pid
  [ -f "$file" ] || return 0
  pid=$(cat "$file")
  if [ -n "$pid" ] && [ -r "/proc/$pid/cmdline" ] &&
    tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- "$CONF/$1.conf"; then
    echo "$pid"
  fi
}

find_programs() {
  if [ -n "${KVS_BIN_DIR:-}" ]; then
    BIN="$KVS_BIN_DIR"
  elif [ -d "$SELF/bin" ]; then
    BIN="$SELF/bin"
  else
    BIN="$SELF/../build/release/bin"
    if [ -x "$SELF/../build.sh" ]; then
      [ -x "$BIN/kv_node" ] || echo "building (this takes some minutes) ..."
      "$SELF/../build.sh" build release >"$DIR/build.log" 2>&1 ||
        { tail -n 30 "$DIR/build.log" >&2; die "the build failed; see $DIR/build.log"; }
    fi
  fi
  for program in kv_config kv_node kv_proxy; do
    [ -x "$BIN/$program" ] || die "no program $BIN/$program; set KVS_BIN_DIR"
  done
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Sends one inline command to a RESP port and prints the first line of the reply.
ask() {
  local port="$1" line=""
  shift
  {
    exec 3<>"/dev/tcp/127.0.0.1/$port" || return 0
    printf '%s\r\n' "$*" >&3
    read -r -t 3 line <&3 || true
    exec 3>&-
  } 2>/dev/null
  printf '%s' "${line%$'\r'}"
}

# wait_until SECONDS WHAT COMMAND...
wait_until() {
  local deadline=$((SECONDS + $1)) what="$2"
  shift 2
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || die "$what; the logs are in $LOG"
    sleep 0.1
  done
}

write_files() {
  mkdir -p "$RUN" "$LOG" "$CONF"
  if [ ! -f "$DIR/cluster-secret" ]; then
    (umask 077 && od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$DIR/cluster-secret")
  fi
  printf 'shards %s\nport %s\n' "$SHARDS" "$PORT" >"$CLUSTER"
  printf '{"name": "demo", "mode": "store", "shards": %s}\n' "$SHARDS" >"$CONF/bootstrap.json"
  local name
  for name in $(names); do
    {
      echo "# Written by kv_store.sh; your own lines go to $name.local.conf."
      echo "port $(port_of "$name")"
      echo "http-port $(http_port_of "$name")"
      echo "cluster-secret-file \"$DIR/cluster-secret\""
      echo "logfile \"$LOG/$name.log\""
      echo "pidfile \"$RUN/$name.pid\""
      case "$name" in
        config)
          echo "dir \"$DIR/config\""
          echo "bootstrap \"$CONF/bootstrap.json\"" ;;
        node-*)
          echo "dir \"$DIR/$name\""
          echo "config-servers 127.0.0.1:$(port_of config)" ;;
        proxy-1)
          echo "config-servers 127.0.0.1:$(port_of config)"
          echo "proxy-id-file \"$DIR/$name.id\""
          echo "map-cache-file \"$DIR/$name.map.json\""
          # The kernel's limit for the path of a unix socket.
          if [ "${#RUN}" -lt 85 ]; then echo "takeover-socket \"$RUN/$name.takeover\""; fi ;;
      esac
      if [ -f "$CONF/$name.local.conf" ]; then echo "include \"$CONF/$name.local.conf\""; fi
    } >"$CONF/$name.conf"
  done
}

is_up() { [ -n "$(pid_of "$1")" ]; }

# launch NAME [OLD]: starts a process, and waits until it is the one of the pid file, where OLD was.
launch() {
  local name="$1" old="${2:-}"
  if [ -z "$old" ] && is_up "$name"; then return 0; fi
  # A session of its own: the terminal's Ctrl-C is not for it.
  setsid "$BIN/$(program_of "$name")" "$CONF/$name.conf" </dev/null >>"$LOG/$name.out" 2>&1 9>&- &
  local started=$!
  disown "$started" 2>/dev/null || true
  is_new() { is_up "$name" && [ "$(pid_of "$name")" != "$old" ]; }
  up_or_dead() { is_new || ! kill -0 "$started" 2>/dev/null; }
  wait_until 20 "$name did not start" up_or_dead
  is_new || { tail -n 5 "$LOG/$name.out" >&2; die "$name did not start"; }
}

answers() {
  case "$1" in
    config) listens "$(port_of config)" ;;
    *) [ "$(ask "$(port_of "$1")" PING)" = "+PONG" ] ;;
  esac
}

# Every loop of the proxy has links of its own, and the kernel picks the loop of a connection.
all_shards_answer() {
  local i
  for i in 1 2 3 4 5 6 7 8; do
    [[ "$(ask "$PORT" DBSIZE)" == :* ]] || return 1
  done
}

check_ports() {
  local name p
  for name in "$@"; do
    is_up "$name" && continue
    for p in $(port_of "$name") $(http_port_of "$name"); do
      ! listens "$p" ||
        die "port $p, which $name needs, is taken by another process; choose another --port"
    done
  done
}

start_all() {
  find_programs
  # shellcheck disable=SC2046  # A list of names.
  check_ports $(names)
  write_files
  local name
  for name in $(names); do launch "$name"; done
  for name in $(names); do wait_until 60 "$name does not answer" answers "$name"; done
  wait_until 60 "the cluster does not answer" all_shards_answer
  cat <<TEXT
the cluster is up: $SHARDS shards, data in $DIR
  connect:  redis-cli -p $PORT
  status:   $0 status$ARGUMENTS
  stop:     $0 stop$ARGUMENTS
  HTTP:     http://127.0.0.1:$(http_port_of config)/api/v1/namespaces
TEXT
}

start_one() {
  check_name "$1"
  [ -f "$CLUSTER" ] || die "there is no cluster in $DIR; run start without a name first"
  find_programs
  check_ports "$1"
  write_files
  launch "$1"
  wait_until 60 "$1 does not answer" answers "$1"
  echo "$1 is up"
}

gone() { ! kill -0 "$1" 2>/dev/null || ! grep -qF -- "$CONF/" <(tr '\0' ' ' <"/proc/$1/cmdline" 2>/dev/null); }

stop_one() {
  local pid
  pid=$(pid_of "$1")
  if [ -n "$pid" ]; then
    kill -TERM "$pid"
    local deadline=$((SECONDS + 30))
    until gone "$pid"; do
      if [ "$SECONDS" -ge "$deadline" ]; then
        echo "$1 does not stop, killing it" >&2
        kill -KILL "$pid" 2>/dev/null || true
      fi
      sleep 0.05
    done
  fi
  rm -f "$RUN/$1.pid"
}

# A proxy that runs hands over to a new process; everything else stops and starts.
restart_one() {
  check_name "$1"
  local old
  old=$(pid_of "$1")
  if [ -z "$old" ] || [ ! -S "$RUN/$1.takeover" ]; then
    stop_one "$1"
    start_one "$1"
    return
  fi
  find_programs
  write_files
  launch "$1" "$old"
  wait_until 60 "$1 does not answer" answers "$1"
  wait_until 3660 "the $1 before this one does not end" gone "$old"
  echo "$1 is restarted"
}

stop_all() {
  local name
  for name in $(names | tac); do stop_one "$name"; done
  echo "stopped"
  if [ "$WIPE" = yes ]; then
    for name in $(names); do rm -rf "${DIR:?}/$name"; done
    rm -rf "$RUN" "$LOG" "$CONF" "$CLUSTER" "$DIR/cluster-secret" "$DIR"/proxy-*.id \
      "$DIR"/proxy-*.map.json "$DIR/build.log"
    rm -f "$DIR/.lock"
    rmdir "$DIR" 2>/dev/null || true
    echo "data deleted"
  fi
}

status_all() {
  [ -f "$CLUSTER" ] || { echo "no cluster in $DIR"; return 3; }
  local name pid state healthy=0
  printf '%-10s %-8s %-8s %s\n' NAME PID PORT STATE
  for name in $(names); do
    pid=$(pid_of "$name")
    if [ -z "$pid" ]; then
      state=dead healthy=3
      [ -f "$RUN/$name.pid" ] || state=stopped
    elif answers "$name"; then state=up
    else state="does not answer" healthy=3; fi
    printf '%-10s %-8s %-8s %s\n' "$name" "${pid:--}" "$(port_of "$name")" "$state"
  done
  return $healthy
}

ARGUMENTS=""
[ "$DIR" = "$SELF/data" ] || [ "$DIR" = "$(dirname "$SELF")/data" ] || ARGUMENTS=" --dir $DIR"

# One command at a time for one cluster.
exec 9>"$DIR/.lock"
flock -w 120 9 || die "another kv_store.sh works on $DIR"

case "$COMMAND" in
  start) if [ -n "$NAME" ]; then start_one "$NAME"; else start_all; fi ;;
  stop) if [ -n "$NAME" ]; then check_name "$NAME"; stop_one "$NAME"; echo "$NAME stopped"; else stop_all; fi ;;
  kill)
    [ -n "$NAME" ] || { usage >&2; exit 2; }
    check_name "$NAME"
    pid=$(pid_of "$NAME")
    [ -n "$pid" ] || die "$NAME does not run"
    kill -KILL "$pid"
    wait_until 10 "$NAME lives on" gone "$pid"
    echo "$NAME killed" ;;
  restart) if [ -n "$NAME" ]; then restart_one "$NAME"; else stop_all; start_all; fi ;;
  status) status_all ;;
  *) usage >&2; exit 2 ;;
esac
