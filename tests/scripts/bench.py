"""What the agent costs beside the bare workload, in one run: bench.py OBI SINK

nginx (one worker, a 200-byte answer) under wrk, in rounds of three: bare, with obi attached but
nginx not selected, with obi exporting every span over OTLP. Costs are medians over the rounds, ratios
those within a round. What was lost stands beside each cost: nginx's own count of its requests
against the spans that came out at the other end. Prints Markdown; gates nothing.

BENCH_ROUNDS=5 rounds of BENCH_SECONDS=4 a part.
"""

import glob
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = os.environ.get("BENCH_SECONDS", "4")
PARTS = ["bare", "not selected", "exporting"]
PATIENCE = 20

NGINX = """
daemon off; user root; worker_processes 1; pid {dir}/nginx.pid; error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off; keepalive_requests 100000000;
    client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
    uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
    server {{
        listen 127.0.0.1:{port};
        location / {{ return 200 "{body}"; }}
        location = /status {{ stub_status; }}
    }}
}}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("GET", path)
    text = connection.getresponse().read().decode()
    connection.close()
    return text


def await_port(port):
    end = time.monotonic() + PATIENCE
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end:
                sys.exit(f"error: nothing listens on port {port}")
            time.sleep(0.02)


def cpu_ns(pid):
    """Time on a CPU, of all threads of a process."""
    stats = glob.glob(f"/proc/{pid}/task/*/schedstat")
    return sum(int(open(path).read().split()[0]) for path in stats)


def rss_anon_kib(pid):
    return int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))


def maps_kib(pid):
    """Memory of the BPF maps that a process holds, each once."""
    maps = {}
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        try:
            facts = dict(line.split(":", 1) for line in open(path) if ":" in line)
        except OSError:
            continue
        if "map_id" in facts:
            maps[int(facts["map_id"])] = int(facts["memlock"])
    return sum(maps.values()) // 1024


class Workload:
    """nginx and the sink; end() takes both away."""

    def __init__(self, sink, folder):
        self.port, self.sink_port, self.folder = free_port(), free_port(), folder
        conf = f"{folder}/nginx.conf"
        with open(conf, "w") as f:
            f.write(NGINX.format(dir=folder, port=self.port, body="x" * 200))
        self.nginx = subprocess.Popen(["nginx", "-c", conf, "-e", "stderr"], stderr=subprocess.DEVNULL)
        self.sink = subprocess.Popen([sink, str(self.sink_port)], stdout=subprocess.DEVNULL)
        await_port(self.port)
        await_port(self.sink_port)
        children = open(f"/proc/{self.nginx.pid}/task/{self.nginx.pid}/children").read().split()
        self.worker = int(children[0])

    def end(self):
        for process in (self.nginx, self.sink):
            process.terminate()
            process.wait()

    def served(self):
        """Requests so far, this one included, by nginx's own count."""
        status = get(self.port, "/status").splitlines()
        return int(status[2].split()[2])

    def sunk(self):
        """Spans that came out at the other end."""
        return int(get(self.sink_port, "/count").split()[0])

    def load(self):
        """Runs wrk; gives requests a second, p99 in µs, and nginx's CPU in µs a request."""
        before, began = cpu_ns(self.worker), self.served()
        wrk = ["wrk", "-t1", "-c16", f"-d{SECONDS}s", "--latency", f"http://127.0.0.1:{self.port}/"]
        text = subprocess.run(wrk, check=True, capture_output=True, text=True).stdout
        requests = self.served() - began
        number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
        return {
            "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
            "p99": float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit],
            "nginx": (cpu_ns(self.worker) - before) / requests / 1e3,
            "requests": requests,
        }


class Agent:
    """A running obi."""

    def __init__(self, obi, folder, stdout=subprocess.DEVNULL, **settings):
        self.ledger, self.log = f"{folder}/ledger", f"{folder}/obi.log"
        env = {**os.environ, **settings, "OTEL_EBPF_LEDGER_FILE": self.ledger}
        self.began = time.monotonic()
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([obi], env=env, stdout=stdout, stderr=log)
        self.pid = self.process.pid

    def await_attached(self):
        while " attached" not in open(self.log).read():
            if self.process.poll() is not None or time.monotonic() > self.began + PATIENCE:
                sys.exit(f"error: obi did not attach: {open(self.log).read()}")
            time.sleep(0.01)

    def stop(self):
        """Ends it gently; gives the seconds that took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(PATIENCE):
            sys.exit(f"error: obi failed: {open(self.log).read()}")
        return time.monotonic() - began


def attached_part(obi, work, port):
    """One part of a round with obi attached to what listens on `port`."""
    sunk = work.sunk()
    agent = Agent(
        obi,
        work.folder,
        OTEL_EBPF_OPEN_PORT=str(port),
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{work.sink_port}",
    )
    agent.await_attached()
    attached = work.served() - 1  # this one is seen already
    idle, before = rss_anon_kib(agent.pid), cpu_ns(agent.pid)
    part = work.load()
    time.sleep(0.3)  # the last drain
    part["agent"] = (cpu_ns(agent.pid) - before) / part["requests"] / 1e3
    part["rss idle"], part["rss"] = idle / 1024, rss_anon_kib(agent.pid) / 1024
    part["maps"] = maps_kib(agent.pid) / 1024
    last = work.served()
    part["stop"] = agent.stop() * 1e3
    part["served"], part["spans"] = last - attached, work.sunk() - sunk
    part["ledger"] = json.load(open(agent.ledger))
    return part


def first_span(obi, work):
    """Milliseconds from the start of obi to its first span, and the requests answered by then."""
    agent = Agent(
        obi,
        work.folder,
        stdout=subprocess.PIPE,
        OTEL_EBPF_OPEN_PORT=str(work.port),
        OTEL_EBPF_TRACE_PRINTER="text",
    )
    asked = 0
    while not select.select([agent.process.stdout], [], [], 0)[0]:
        get(work.port)
        asked += 1
        time.sleep(0.001)
        if time.monotonic() > agent.began + PATIENCE:
            sys.exit(f"error: no span after {PATIENCE} s")
    taken = (time.monotonic() - agent.began) * 1e3
    agent.process.terminate()
    agent.process.communicate(timeout=PATIENCE)
    return taken, asked


def drops(ledger):
    found = {}
    for stage in ledger["stages"]:
        for reason, count in stage["drops"].items():
            if count:
                found[f"{stage['name']} {reason}"] = count
    return found


def median(parts, key):
    return statistics.median(part[key] for part in parts)


def row(name, form, *values):
    print(f"| {name} | " + " | ".join("" if v is None else form.format(v) for v in values) + " |")


def report(rounds, firsts):
    parts = {name: [a_round[name] for a_round in rounds] for name in PARTS}
    print("\n| median of " + f"{ROUNDS} rounds | " + " | ".join(PARTS) + " |")
    print("| --- | ---: | ---: | ---: |")
    for key, name, form in [("rps", "requests/s", "{:.0f}"), ("p99", "p99, µs", "{:.0f}")]:
        row(name, form, *(median(parts[p], key) for p in PARTS))
        ratios = (statistics.median(r[p][key] / r["bare"][key] for r in rounds) for p in PARTS)
        row(f"{name}: ratio to bare", "{:.3f}", *ratios)
    row("nginx's CPU, µs a request", "{:.2f}", *(median(parts[p], "nginx") for p in PARTS))
    on = PARTS[1:]
    for key, name, form in [
        ("agent", "agent's CPU, s per million requests", "{:.3f}"),
        ("rss idle", "agent's RssAnon before the load, MiB", "{:.1f}"),
        ("rss", "agent's RssAnon after the load, MiB", "{:.1f}"),
        ("maps", "BPF maps, MiB", "{:.1f}"),
        ("stop", "stop, ms", "{:.0f}"),
    ]:
        row(name, form, None, *(median(parts[p], key) for p in on))
    row("first span, ms after the start", "{:.0f}", None, None, statistics.median(t for t, _ in firsts))
    totals = [sum(part["served"] for part in parts[p]) for p in on]
    row("requests nginx served, all rounds", "{}", None, *totals)
    row("spans at the sink, all rounds", "{}", None, *(sum(x["spans"] for x in parts[p]) for p in on))
    balanced = [all(x["ledger"]["balanced"] for x in parts[p]) for p in on]
    row("every ledger balances", "{}", None, *("yes" if b else "NO" for b in balanced))
    print()
    for p in on:
        named = {}
        for part in parts[p]:
            for reason, count in drops(part["ledger"]).items():
                named[reason] = named.get(reason, 0) + count
        print(f"Dropped by the ledger, {p}: {named or 'nothing'}.")


def main():
    obi, sink = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="obi-bench.", dir="/dev/shm")
    work = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        work = Workload(sink, folder)
        work.load()  # warm-up
        rounds = []
        for number in range(ROUNDS):
            a_round = {
                "bare": work.load(),
                "not selected": attached_part(obi, work, 1),
                "exporting": attached_part(obi, work, work.port),
            }
            line = ", ".join(f"{p} {a_round[p]['rps']:.0f}" for p in PARTS)
            print(f"round {number + 1}: {line} requests/s", file=sys.stderr)
            rounds.append(a_round)
        report(rounds, [first_span(obi, work) for _ in range(ROUNDS)])
    finally:
        if work:
            work.end()
        shutil.rmtree(folder)


main()
