"""What the agent costs beside the bare workload, in one run: host.py OBI SINK

nginx (one worker, a 200-byte answer) under wrk, in rounds of three: bare, with obi attached but
nginx not selected, with obi exporting every span over OTLP. Costs are medians over the rounds, ratios
those within a round. What was lost stands beside each cost: nginx's own count of its requests
against the spans that came out at the other end. Prints Markdown; gates nothing.

BENCH_ROUNDS=5 rounds of BENCH_SECONDS=4 a part.
"""

import json
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from workload import PATIENCE, Agent, Nginx, Sink, cpu_ns, drops, get, maps_kib, rss_anon_kib, wrk

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SECONDS = os.environ.get("BENCH_SECONDS", "4")
PARTS = ["bare", "not selected", "exporting"]


class Workload:
    """nginx and the sink; end() takes both away."""

    def __init__(self, sink, folder):
        self.folder = folder
        self.nginx, self.sink = Nginx(folder), Sink(sink)

    def end(self):
        self.nginx.end()
        self.sink.end()

    def load(self):
        """Runs wrk; adds nginx's own count and its CPU in µs a request."""
        before, began = cpu_ns(self.nginx.worker), self.nginx.served()
        part = wrk(self.nginx.url(), SECONDS)
        requests = self.nginx.served() - began
        cpu = (cpu_ns(self.nginx.worker) - before) / requests / 1e3
        return {**part, "nginx": cpu, "requests": requests}


def attached_part(obi, work, port):
    """One part of a round with obi attached to what listens on `port`."""
    sunk = work.sink.spans()
    agent = Agent(
        obi,
        work.folder,
        OTEL_EBPF_OPEN_PORT=str(port),
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=work.sink.url(),
    )
    agent.await_attached()
    attached = work.nginx.served() - 1  # this one is seen already
    idle, before = rss_anon_kib(agent.pid), cpu_ns(agent.pid)
    part = work.load()
    time.sleep(0.3)  # the last drain
    part["agent"] = (cpu_ns(agent.pid) - before) / part["requests"] / 1e3
    part["rss idle"], part["rss"] = idle / 1024, rss_anon_kib(agent.pid) / 1024
    part["maps"] = maps_kib(agent.pid) / 1024
    last = work.nginx.served()
    part["stop"] = agent.stop() * 1e3
    part["served"], part["spans"] = last - attached, work.sink.spans() - sunk
    part["ledger"] = json.load(open(agent.ledger))
    return part


def first_span(obi, work):
    """Milliseconds from the start of obi to its first span, and the requests answered by then."""
    agent = Agent(
        obi,
        work.folder,
        stdout=subprocess.PIPE,
        OTEL_EBPF_OPEN_PORT=str(work.nginx.port),
        OTEL_EBPF_TRACE_PRINTER="text",
    )
    asked = 0
    while not select.select([agent.process.stdout], [], [], 0)[0]:
        get(work.nginx.port)
        asked += 1
        time.sleep(0.001)
        if time.monotonic() > agent.began + PATIENCE:
            sys.exit(f"error: no span after {PATIENCE} s")
    taken = (time.monotonic() - agent.began) * 1e3
    agent.process.terminate()
    agent.process.communicate(timeout=PATIENCE)
    return taken, asked


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
                "exporting": attached_part(obi, work, work.nginx.port),
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
