#!/usr/bin/env python3
"""Measures kvstore beside its peers on one machine, in one run.

Systems take turns for each workload (A B C A B C), at least three times; the result is the median
with minimum and maximum.  For every process the CPU time (utime + stime of /proc/PID/stat) that the
run cost is divided by its requests: microseconds of CPU a request, the figure that lasts on a noisy
machine.  Writes table, ratios against the bars, JSON and plot to doc/benchmarks/NAME/.
"""

import argparse
import json
import os
import platform
import re
import shlex
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TICKS = os.sysconf("SC_CLK_TCK")
KEYS = 200_000

# name: (pipeline, requests, redis-benchmark's command line)
KEY = "key:__rand_int__"
MULTI = 10
WORKLOADS = {}
for _p, _n in ((1, 60_000), (16, 300_000), (128, 600_000)):
    WORKLOADS[f"GET P{_p}"] = (_p, _n, ["GET", KEY])
    WORKLOADS[f"SET P{_p}"] = (_p, _n, ["SET", KEY, "__value__"])
for _p, _n in ((1, 30_000), (16, 60_000), (128, 80_000)):
    WORKLOADS[f"MGET10 P{_p}"] = (_p, _n, ["MGET"] + [KEY] * MULTI)
    WORKLOADS[f"MSET10 P{_p}"] = (_p, _n, ["MSET"] + [KEY, "__value__"] * MULTI)

# Every family of commands, on 1000 keys (r) each.  What reads a hundred elements begins with "100".
SMALL = 1000
FAMILIES = {
    "string": ("INCR n:R", "APPEND a:R x", "GETRANGE v:R 10 50", "STRLEN v:R", "GETSET v:R VALUE"),
    "key": ("EXISTS v:R", "TTL v:R", "EXPIRE v:R 100000", "TYPE v:R"),
    "bit": ("SETBIT b:R 100 1", "GETBIT b:R 100", "BITCOUNT b:R", "BITFIELD b:R INCRBY u16 0 1"),
    "hash": ("HSET h:R f:R VALUE", "HGET h:R f:R", "HMGET h:R f:R f:R f:R", "HINCRBY h:R n 1",
             "HEXISTS h:R f:R", "HLEN h:R", "HSET h100:R f:000000000001 VALUE"),
    "list": ("RPUSH l:R VALUE", "LPOP l:R", "LINDEX l100:R 50", "LSET l100:R 50 VALUE", "LLEN l:R"),
    "set": ("SADD s:R m:R", "SISMEMBER s:R m:R", "SREM s:R m:R", "SCARD s:R", "SRANDMEMBER s100:R"),
    "zset": ("ZADD z:R 5 m:R", "ZSCORE z:R m:R", "ZRANK z:R m:R", "ZINCRBY z:R 1 m:R", "ZCARD z:R",
             "ZCOUNT z:R 1 4"),
    "stream": ("XADD x:R MAXLEN ~ 1000 * field VALUE", "XLEN x:R", "XRANGE x:R - + COUNT 1"),
    "hyperloglog": ("PFADD p:R m:R", "PFCOUNT p:R"),
    "geo": ("GEOADD g:R 13.4 52.5 m:R", "GEODIST g100:R m:000000000001 m:000000000002",
            "GEOSEARCH g100:R FROMLONLAT 13.4 52.5 BYRADIUS 10 km COUNT 10"),
    "script": ("EVAL 'return redis.call(\"incr\", KEYS[1])' 1 n:R", "FCALL bench_incr 1 n:R"),
    "pub/sub": ("PUBLISH channel VALUE",),
    "100": ("HGETALL h100:R", "LRANGE l100:R 0 99", "SMEMBERS s100:R", "ZRANGE z100:R 0 99",
            "ZRANGE z100:R 0 99 WITHSCORES", "XRANGE x100:R - + COUNT 100"),
}


def family_fill(value):
    """The commands that make what the families find."""
    yield ["FUNCTION", "LOAD", "REPLACE", "#!lua name=bench\nredis.register_function('bench_incr', "
           "function(keys) return redis.call('incr', keys[1]) end)"]
    hundred = [f"m:{n:012}" for n in range(100)]
    for key in (f"{n:012}" for n in range(SMALL)):
        yield ["SET", f"v:{key}", value]
        yield ["SETBIT", f"b:{key}", "1000", "1"]
        yield ["HSET", f"h100:{key}"] + [w for n in range(100) for w in (f"f:{n:012}", value)]
        yield ["HSET", f"h:{key}"] + [w for n in range(200) for w in (f"f:{n * 5:012}", value)]
        yield ["RPUSH", f"l100:{key}"] + [value] * 100
        yield ["RPUSH", f"l:{key}"] + [value] * 100
        yield ["SADD", f"s100:{key}"] + hundred
        yield ["SADD", f"s:{key}"] + [f"m:{n * 10:012}" for n in range(100)]
        yield ["ZADD", f"z100:{key}"] + [w for n, m in enumerate(hundred) for w in (str(n), m)]
        yield ["ZADD", f"z:{key}"] + [w for n in range(100) for w in (str(n % 10), f"m:{n * 10:012}")]
        yield ["GEOADD", f"g100:{key}"] + [w for n, m in enumerate(hundred)
                                           for w in (str(13 + n / 100), "52.5", m)]
        for _ in range(100):
            yield ["XADD", f"x100:{key}", "*", "field", value]


def send_all(port, commands):
    """Sends commands in pipelines of some hundred; a reply that is an error ends the run."""
    def batches():
        batch = []
        for words in commands:
            batch.append(words)
            if len(batch) == 200:
                yield batch
                batch = []
        yield batch
    with socket.create_connection(("127.0.0.1", port)) as s:
        lines = s.makefile("rb")
        for batch in batches():
            s.sendall(b"".join(b"*%d\r\n" % len(words) + b"".join(
                b"$%d\r\n%s\r\n" % (len(w.encode()), w.encode()) for w in words) for words in batch))
            for words in batch:
                line = lines.readline()
                if line[:1] == b"-" or not line:
                    raise SystemExit(f"{words[:3]} on port {port} failed: {line}")
                if line[:1] == b"$" and line != b"$-1\r\n":
                    lines.read(int(line[1:]) + 2)


FAMILY_BARS = {}


def add_families():
    """Puts "family NAME P1" and "P16" into WORKLOADS."""
    for family, commands in FAMILIES.items():
        for command in commands:
            words = shlex.split(command.replace(":R", ":__rand_int__").replace("VALUE", "__value__"))
            name = " ".join(command.split()[:2 if family == "key" else 9])
            for p, n in ((1, 20_000), (16, 100_000)):
                workload = f"{family}: {name} P{p}"
                WORKLOADS[workload] = (p, n // (4 if family == "100" else 1), words)
                FAMILY_BARS[workload] = 1.5 if family == "100" else 2.0


# What the product wants to cost: (what, our system, our process, the peer's system, its process,
# {workload: the most that ours may cost as a multiple of the peer's}).  No process means all.
BARS = [
    ("node, everysec", "kv_node", None, "redis AOF everysec", None,
     {"SET P1": 1.15, "SET P16": 1.5, "SET P128": 1.5, "GET P1": 1.05, "GET P16": 1.3,
      "GET P128": 1.3}),
    ("node, always", "kv_node always", None, "redis AOF always", None,
     {"SET P1": 1.0, "SET P16": 1.0, "SET P128": 1.0}),
    ("node, from LevelDB's blocks", "kv_node without record cache", None, "redis", None,
     {"GET P16": 3.0}),
    ("proxy / twemproxy", "kv_proxy + 2 redis", "kv_proxy", "twemproxy + 2 redis", "twemproxy",
     {"GET P1": 0.76, "GET P16": 0.53, "GET P128": 0.20, "MGET10 P16": 0.27, "MSET10 P16": 0.20}),
    ("node, families", "kv_node", None, "redis AOF everysec", None, FAMILY_BARS),
    ("node, families, all cached", "kv_node with all in the record cache", None,
     "redis AOF everysec", None, FAMILY_BARS),
    ("product / twemproxy + 2 redis AOF", "kv_proxy + 2 kv_node", None,
     "twemproxy + 2 redis AOF everysec", None,
     {"GET P1": 1.05, "SET P1": 1.05, "GET P16": 1.3, "SET P16": 1.3, "GET P128": 1.3,
      "SET P128": 1.3}),
]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


class Processes:
    """Starts servers on loopback and ends exactly those."""

    def __init__(self, dir_):
        self.dir = dir_
        self.running = []

    def start(self, name, command):
        log = open(os.path.join(self.dir, name + ".log"), "w")
        p = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.dir)
        self.running.append(p)
        return p.pid

    def stop_all(self):
        for p in reversed(self.running):
            p.send_signal(signal.SIGTERM)
        for p in self.running:
            try:
                p.wait(20)
            except subprocess.TimeoutExpired:
                p.kill()


def wait_for(port, seconds=20):
    deadline = time.time() + seconds
    while time.time() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as s:
                s.settimeout(2)
                s.sendall(b"EXISTS x\r\n")
                if s.recv(64).startswith(b":"):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


def start_redis(procs, name, *extra):
    port = free_port()
    d = os.path.join(procs.dir, name)
    os.makedirs(d)
    pid = procs.start(name, ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "",
                             "--dir", d, *extra])
    wait_for(port)
    return port, pid


def start_node(procs, bin_, name, *extra):
    port = free_port()
    pid = procs.start(name, [f"{bin_}/kv_node", "--dir", os.path.join(procs.dir, name), "--port",
                             str(port), "--http-port", "0", *extra])
    wait_for(port)
    return port, pid


def start_proxy(procs, bin_, name, ports, *extra):
    port = free_port()
    command = [f"{bin_}/kv_proxy", "--port", str(port), "--http-port", "0", *extra]
    for p in ports:
        command += ["--servers", f"127.0.0.1:{p}"]
    pid = procs.start(name, command)
    wait_for(port)
    return port, pid


def start_twemproxy(procs, name, ports):
    port = free_port()
    path = os.path.join(procs.dir, name + ".yml")
    with open(path, "w") as f:
        f.write(f"pool:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n"
                "  redis: true\n  timeout: 5000\n  servers:\n")
        for p in ports:
            f.write(f"   - 127.0.0.1:{p}:1\n")
    pid = procs.start(name, ["nutcracker", "-c", path, "-s", str(free_port())])
    wait_for_get(port)
    return port, pid


def wait_for_get(port):
    deadline = time.time() + 20
    while time.time() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as s:
                s.settimeout(2)
                s.sendall(b"*2\r\n$3\r\nGET\r\n$1\r\nx\r\n")
                if s.recv(64).startswith(b"$"):
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"nothing answers on port {port}")


def start_haproxy(procs, backend):
    port = free_port()
    path = os.path.join(procs.dir, "haproxy.cfg")
    with open(path, "w") as f:
        f.write("defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n"
                "  timeout server 60s\n"
                f"frontend f\n  bind 127.0.0.1:{port}\n  default_backend b\n"
                f"backend b\n  server s 127.0.0.1:{backend}\n")
    pid = procs.start("haproxy", ["haproxy", "-f", path, "-db"])
    wait_for(port)
    return port, pid


class Systems:
    """What is measured: name -> (port, {process name: pid}).  Starts only what is wanted."""

    def __init__(self, procs, bin_, wanted):
        self.procs, self.bin, self.wanted = procs, bin_, re.compile(wanted)
        self.all = {}

    def add(self, name, start):
        if self.wanted.fullmatch(name):
            self.all[name] = start()

    def redis(self, name, *options):
        port, pid = start_redis(self.procs, name, *options)
        return port, {"redis": pid}

    def node(self, name, *options):
        port, pid = start_node(self.procs, self.bin, name, *options)
        return port, {"kv_node": pid}

    def haproxy(self):
        backend, pids = self.redis("behind-haproxy", "--appendonly", "no")
        port, pid = start_haproxy(self.procs, backend)
        return port, {"haproxy": pid, **pids}

    def before_redis(self, name, process, start, *options):
        shards = [start_redis(self.procs, f"{name}-shard{i}", *options) for i in range(2)]
        port, pid = start(name, [port for port, _ in shards])
        return port, {process: pid, **{f"redis{i}": pid for i, (_, pid) in enumerate(shards)}}

    def twemproxy(self, name, *options):
        return self.before_redis(name, "twemproxy",
                                 lambda n, ports: start_twemproxy(self.procs, n, ports), *options)

    def proxy(self, name, ports, *extra):
        return start_proxy(self.procs, self.bin, name, ports, *extra)

    def product(self):
        nodes = [start_node(self.procs, self.bin, f"cluster{i}") for i in range(2)]
        port, pid = self.proxy("proxy-nodes", [port for port, _ in nodes])
        return port, {"kv_proxy": pid, **{f"kv_node{i}": pid for i, (_, pid) in enumerate(nodes)}}

    def start(self):
        memory = ("--appendonly", "no")
        every = ("--appendonly", "yes", "--appendfsync", "everysec")
        always = ("--appendonly", "yes", "--appendfsync", "always")
        self.add("redis", lambda: self.redis("redis", *memory))
        self.add("redis AOF everysec", lambda: self.redis("redis-everysec", *every))
        self.add("redis AOF always", lambda: self.redis("redis-always", *always))
        self.add("kv_node", lambda: self.node("node"))
        self.add("kv_node always", lambda: self.node("node-always", "--binlog-sync", "always"))
        self.add("kv_node without record cache",
                 lambda: self.node("node-blocks", "--record-cache-size", "0",
                                   "--write-behind-size", "1mb", "--write-buffer-size", "256kb"))
        self.add("kv_node with all in the record cache",
                 lambda: self.node("node-cached", "--record-cache-size", "1gb"))
        for threads in (1, 2):
            self.add(f"kv_node {threads} io threads",
                     lambda n=threads: self.node(f"node-io{n}", "--io-threads", str(n)))
        if shutil.which("haproxy"):
            self.add("haproxy + redis", self.haproxy)
        if shutil.which("nutcracker"):
            self.add("twemproxy + 2 redis", lambda: self.twemproxy("twemproxy", *memory))
            self.add("twemproxy + 2 redis AOF everysec",
                     lambda: self.twemproxy("twemproxy-everysec", *every))
        self.add("kv_proxy + 2 redis",
                 lambda: self.before_redis("proxy-redis", "kv_proxy", self.proxy, *memory))
        for threads in (1, 2):
            self.add(f"kv_proxy {threads} io threads + 2 redis",
                     lambda n=threads: self.before_redis(
                         f"proxy-redis-io{n}", "kv_proxy",
                         lambda name, ports: self.proxy(name, ports, "--io-threads", str(n)),
                         *memory))
        self.add("kv_proxy + 2 kv_node", self.product)
        if not self.all:
            raise SystemExit(f"no system's name is '{self.wanted.pattern}'")
        return self.all


def run_once(port, pids, workload, value_size, scale, keys, connections=50):
    pipeline, requests, command = WORKLOADS[workload]
    requests = max(1000, int(requests * scale))
    value = "v" * value_size
    command = [value if word == "__value__" else word for word in command]
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    start = time.time()
    out = subprocess.run(
        ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-c", str(connections), "-P", str(pipeline), "-n",
         str(requests), "-r", str(keys), "--csv", *command],
        capture_output=True, text=True, check=False)
    seconds = time.time() - start
    if out.returncode != 0 or "ERR" in out.stdout or "Error" in out.stderr:
        raise SystemExit(f"{workload} on port {port} failed: {out.stdout[-300:]} {out.stderr[-300:]}")
    cpu = {name: (cpu_seconds(pid) - before[name]) / requests * 1e6 for name, pid in pids.items()}
    line = [x.strip('"') for x in out.stdout.strip().splitlines()[-1].split('","')]
    return {"rps": float(line[1]), "p50_ms": float(line[4]), "p99_ms": float(line[6]), "cpu_us": cpu,
            "seconds": seconds}


def summarise(runs):
    rps = [r["rps"] for r in runs]
    names = runs[0]["cpu_us"].keys()
    return {
        "rps": statistics.median(rps), "rps_min": min(rps), "rps_max": max(rps),
        "p50_ms": statistics.median(r["p50_ms"] for r in runs),
        "p99_ms": statistics.median(r["p99_ms"] for r in runs),
        "cpu_us": {n: round(statistics.median(r["cpu_us"][n] for r in runs), 3) for n in names},
        "cpu_total_us": round(statistics.median(sum(r["cpu_us"].values()) for r in runs), 3),
    }


def table(results, systems):
    lines = ["| workload | " + " | ".join(systems) + " |", "|---|" + "---|" * len(systems)]
    for workload, by_system in results.items():
        cells = []
        for system in systems:
            r = by_system[system]
            parts = ", ".join(f"{n} {c:.2f}" for n, c in r["cpu_us"].items())
            cells.append(f"{r['rps'] / 1000:.0f}k ({r['rps_min'] / 1000:.0f}-{r['rps_max'] / 1000:.0f})"
                         f" / {r['cpu_total_us']:.2f} us ({parts})")
        lines.append(f"| {workload} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cost(result, process):
    return result["cpu_us"][process] if process else result["cpu_total_us"]


def ratios(results):
    lines = ["| what | workload | ours, us | peer's, us | ratio | bar | |", "|---|---|---|---|---|---|---|"]
    for what, ours, our_process, peer, peer_process, bars in BARS:
        for workload, bar in bars.items():
            by_system = results.get(workload, {})
            if ours not in by_system or peer not in by_system:
                continue
            mine = cost(by_system[ours], our_process)
            theirs = cost(by_system[peer], peer_process)
            ratio = mine / theirs if theirs else float("inf")
            lines.append(f"| {what} | {workload} | {mine:.2f} | {theirs:.2f} | {ratio:.2f} | {bar} | "
                         f"{'met' if ratio <= bar else 'missed'} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def plot(results, systems, out):
    data = os.path.join(out, "cpu.dat")
    with open(data, "w") as f:
        f.write("workload " + " ".join(f'"{s}"' for s in systems) + "\n")
        for workload, by_system in results.items():
            f.write(f'"{workload}" ' +
                    " ".join(str(by_system[s]["cpu_total_us"]) for s in systems) + "\n")
    script = (f'set terminal pngcairo size 1500,700; set output "{out}/cpu.png"; '
              'set style data histogram; set style histogram clustered gap 2; '
              'set style fill solid 0.8; set logscale y; set grid ytics; '
              'set ylabel "server CPU, microseconds a request (log)"; set key outside top; '
              'set xtics rotate by -35; '
              f'plot for [i=2:{len(systems) + 1}] "{data}" using i:xtic(1) title columnheader(i)')
    if shutil.which("gnuplot"):
        subprocess.run(["gnuplot", "-e", script], check=True)
    os.remove(data)


def machine():
    model = ""
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    def version(*command):
        return subprocess.run(command, capture_output=True, text=True, check=False)
    redis = version("redis-server", "--version").stdout.split(" sha")[0]
    twem = version("nutcracker", "--version").stderr.strip().splitlines()[:1] \
        if shutil.which("nutcracker") else []
    hap = version("haproxy", "-v").stdout.splitlines()[:1] if shutil.which("haproxy") else []
    return {"cpu": model, "cores": os.cpu_count(), "kernel": platform.release(),
            "redis": redis.strip(), "twemproxy": "".join(twem), "haproxy": "".join(hap)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=3, help="turns of each system (3)")
    parser.add_argument("--scale", type=float, default=1.0, help="factor for the requests of a run")
    parser.add_argument("--value-size", type=int, default=64, help="bytes (64)")
    parser.add_argument("--only", default="", help="workloads whose name contains this")
    parser.add_argument("--systems", default=r"(?!kv_node (\d io|with all)).*",
                        help="systems whose whole name matches this regular expression "
                             "(all but those with a number of io threads or a larger cache)")
    parser.add_argument("--connections", type=int, default=50, help="clients of a run (50)")
    parser.add_argument("--name", default="latest", help="folder under doc/benchmarks/")
    parser.add_argument("--families", action="store_true",
                        help="commands of every family on 1000 keys, instead of GET and SET")
    args = parser.parse_args()
    if args.families:
        WORKLOADS.clear()
        add_families()
    keys = SMALL if args.families else KEYS

    bin_ = os.environ.get("KVS_BIN_DIR", os.path.join(ROOT, "build/release/bin"))
    work = tempfile.mkdtemp(prefix="kvs-bench-")
    procs = Processes(work)
    results = {}
    try:
        systems = Systems(procs, bin_, args.systems).start()
        measured = [w for w in WORKLOADS if args.only in w]
        WORKLOADS["fill"] = (32, KEYS * 2, ["SET", KEY, "__value__"])
        for port, pids in systems.values():  # Most reads shall find something.
            if args.families:
                send_all(port, family_fill("v" * args.value_size))
            else:
                run_once(port, pids, "fill", args.value_size, 1.0, keys)
        for workload in measured:
            runs = {system: [] for system in systems}
            for _ in range(args.repeat):
                for system, (port, pids) in systems.items():
                    runs[system].append(run_once(port, pids, workload, args.value_size, args.scale,
                                                 keys, args.connections))
            results[workload] = {system: summarise(r) for system, r in runs.items()}
            print(workload, {s: (round(r["rps"]), r["cpu_total_us"])
                             for s, r in results[workload].items()}, flush=True)
    finally:
        procs.stop_all()
        shutil.rmtree(work, ignore_errors=True)

    out = os.path.join(ROOT, "doc/benchmarks", args.name)
    os.makedirs(out, exist_ok=True)
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"],
                            capture_output=True, text=True, check=False).stdout.strip()
    facts = {"commit": commit, "machine": machine(), "keys": keys, "value_size": args.value_size,
             "connections": args.connections, "repeat": args.repeat, "scale": args.scale}
    with open(os.path.join(out, "results.json"), "w") as f:
        json.dump({"facts": facts, "results": results}, f, indent=1)
        f.write("\n")
    names = list(systems)
    with open(os.path.join(out, "table.md"), "w") as f:
        f.write(f"# Measured on commit {commit}\n\n")
        f.write(f"{facts['machine']['cpu']}, {facts['machine']['cores']} cores, kernel "
                f"{facts['machine']['kernel']}; {facts['machine']['redis']}; "
                f"{facts['machine']['twemproxy']}; {facts['machine']['haproxy']}.\n"
                f"redis-benchmark, {args.connections} connections, {keys} keys, {args.value_size}-byte values; median "
                f"(minimum-maximum) of {args.repeat} interleaved runs.\n"
                "A cell is requests per second / CPU microseconds a request of all server processes "
                "(of each).\n\n")
        f.write(table(results, names) + "\n")
        if ratios(results):
            f.write("\nCPU a request beside the peer's, from the same run:\n\n" + ratios(results) + "\n")
    plot(results, names, out)
    print(f"wrote {out}")


if __name__ == "__main__":
    sys.exit(main())
