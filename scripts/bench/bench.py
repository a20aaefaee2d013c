#!/usr/bin/env python3
"""Measures kvstore beside its peers on one machine, in one run.

Systems take turns for each workload (A B C A B C), at least three times; the result is the median
with minimum and maximum.  For every process the CPU time (utime + stime of /proc/PID/stat) that the
run cost is divided by its requests: microseconds of CPU a request, the figure that lasts on a noisy
machine.  Writes table, JSON and plot to doc/benchmarks/NAME/.
"""

import argparse
import json
import os
import platform
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


def start_proxy(procs, bin_, name, ports, threads):
    port = free_port()
    command = [f"{bin_}/kv_proxy", "--port", str(port), "--http-port", "0", "--io-threads",
               str(threads)]
    for p in ports:
        command += ["--servers", f"127.0.0.1:{p}"]
    pid = procs.start(name, command)
    wait_for(port)
    return port, pid


def start_twemproxy(procs, ports):
    port = free_port()
    path = os.path.join(procs.dir, "nutcracker.yml")
    with open(path, "w") as f:
        f.write(f"pool:\n  listen: 127.0.0.1:{port}\n  hash: fnv1a_64\n  distribution: ketama\n"
                "  redis: true\n  timeout: 5000\n  servers:\n")
        for p in ports:
            f.write(f"   - 127.0.0.1:{p}:1\n")
    pid = procs.start("nutcracker", ["nutcracker", "-c", path, "-s", str(free_port())])
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


def build_systems(procs, bin_):
    """Returns name -> (port, {process name: pid})."""
    systems = {}
    redis, redis_pid = start_redis(procs, "redis", "--appendonly", "no")
    systems["redis"] = (redis, {"redis": redis_pid})
    aof, aof_pid = start_redis(procs, "redis-aof", "--appendonly", "yes", "--appendfsync", "everysec")
    systems["redis AOF everysec"] = (aof, {"redis": aof_pid})
    if shutil.which("haproxy"):
        port, pid = start_haproxy(procs, redis)
        systems["haproxy + redis"] = (port, {"haproxy": pid, "redis": redis_pid})
    shards = [start_redis(procs, f"shard{i}", "--appendonly", "no") for i in range(2)]
    shard_ports = [port for port, _ in shards]
    shard_pids = {f"redis{i}": pid for i, (_, pid) in enumerate(shards)}
    if shutil.which("nutcracker"):
        port, pid = start_twemproxy(procs, shard_ports)
        systems["twemproxy + 2 redis"] = (port, {"twemproxy": pid, **shard_pids})
    port, pid = start_proxy(procs, bin_, "proxy-redis", shard_ports, 2)
    systems["kv_proxy + 2 redis"] = (port, {"kv_proxy": pid, **shard_pids})
    node, node_pid = start_node(procs, bin_, "node")
    systems["kv_node"] = (node, {"kv_node": node_pid})
    nodes = [start_node(procs, bin_, f"cluster{i}") for i in range(2)]
    port, pid = start_proxy(procs, bin_, "proxy-nodes", [port for port, _ in nodes], 2)
    systems["kv_proxy + 2 kv_node"] = (
        port, {"kv_proxy": pid, **{f"kv_node{i}": pid for i, (_, pid) in enumerate(nodes)}})
    return systems


def run_once(port, pids, workload, value_size, scale):
    pipeline, requests, command = WORKLOADS[workload]
    requests = max(1000, int(requests * scale))
    value = "v" * value_size
    command = [value if word == "__value__" else word for word in command]
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    start = time.time()
    out = subprocess.run(
        ["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-c", "50", "-P", str(pipeline), "-n",
         str(requests), "-r", str(KEYS), "--csv", *command],
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
    parser.add_argument("--name", default="latest", help="folder under doc/benchmarks/")
    args = parser.parse_args()

    bin_ = os.environ.get("KVS_BIN_DIR", os.path.join(ROOT, "build/release/bin"))
    work = tempfile.mkdtemp(prefix="kvs-bench-")
    procs = Processes(work)
    results = {}
    try:
        systems = build_systems(procs, bin_)
        loaded = set()
        for system, (port, pids) in systems.items():
            if system not in loaded:  # Most reads shall find something.
                fill = dict(WORKLOADS)
                WORKLOADS["fill"] = (32, KEYS * 2, ["SET", KEY, "__value__"])
                run_once(port, pids, "fill", args.value_size, 1.0)
                WORKLOADS.clear()
                WORKLOADS.update(fill)
                loaded.add(system)
        for workload in [w for w in WORKLOADS if args.only in w]:
            runs = {system: [] for system in systems}
            for _ in range(args.repeat):
                for system, (port, pids) in systems.items():
                    runs[system].append(run_once(port, pids, workload, args.value_size, args.scale))
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
    facts = {"commit": commit, "machine": machine(), "keys": KEYS, "value_size": args.value_size,
             "connections": 50, "repeat": args.repeat, "scale": args.scale}
    with open(os.path.join(out, "results.json"), "w") as f:
        json.dump({"facts": facts, "results": results}, f, indent=1)
        f.write("\n")
    names = list(systems)
    with open(os.path.join(out, "table.md"), "w") as f:
        f.write(f"# Measured on commit {commit}\n\n")
        f.write(f"{facts['machine']['cpu']}, {facts['machine']['cores']} cores, kernel "
                f"{facts['machine']['kernel']}; {facts['machine']['redis']}; "
                f"{facts['machine']['twemproxy']}; {facts['machine']['haproxy']}.\n"
                f"redis-benchmark, 50 connections, {KEYS} keys, {args.value_size}-byte values; median "
                f"(minimum-maximum) of {args.repeat} interleaved runs.\n"
                "A cell is requests per second / CPU microseconds a request of all server processes "
                "(of each).\n\n")
        f.write(table(results, names) + "\n")
    plot(results, names, out)
    print(f"wrote {out}")


if __name__ == "__main__":
    sys.exit(main())
