"""What each exporter costs the agent: exporters.py OBI SINK

nginx (one worker, a 200-byte answer) under wrk, as often as there are exporters, in rounds: obi with
that one alone, or with several. The agent's CPU a request is the median over the rounds, in ratio to the
cheapest way out (`counter`, which only counts) within a round. What was lost stands beside it:
nginx's own count of its requests against what the exporter handed on. Prints Markdown; gates nothing.

BENCH_EXPORTER_ROUNDS=3 rounds of BENCH_SECONDS=4 a part.
"""

import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time

from workload import Agent, Nginx, Sink, cpu_ns, drops, free_port, get, wrk

ROUNDS = int(os.environ.get("BENCH_EXPORTER_ROUNDS", "3"))
SECONDS = os.environ.get("BENCH_SECONDS", "4")


def ways(sink):
    """Name, settings, and the accounts of the ledger that it has."""
    traces = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": sink.url()}
    scraped = {"OTEL_EBPF_PROMETHEUS_PORT": str(free_port())}
    sent = {"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": sink.url(), "OTEL_EBPF_METRICS_INTERVAL": "1s"}
    printer, otlp, metrics = "exporter.printer", "exporter.otlp", "exporter.metrics"

    def printed(name):
        return {"OTEL_EBPF_TRACE_PRINTER": name}

    return [
        ("counter", printed("counter"), [printer]),
        ("text", printed("text"), [printer]),
        ("json", printed("json"), [printer]),
        ("OTLP traces, http/protobuf", traces, [otlp]),
        ("the same with gzip", {**traces, "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION": "gzip"}, [otlp]),
        ("OTLP traces, http/json", {**traces, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "http/json"}, [otlp]),
        ("metrics only: Prometheus", scraped, [metrics]),
        ("metrics only: OTLP", sent, [metrics]),
        ("OTLP traces and Prometheus", {**traces, **scraped}, [otlp, metrics]),
    ]


def part(obi, folder, nginx, settings, accounts):
    """One load with obi and these settings: CPU, and what was served and handed on."""
    agent = Agent(obi, folder, OTEL_EBPF_OPEN_PORT=str(nginx.port), **settings)
    agent.await_attached()
    began = nginx.served() - 1  # this one is seen already
    before = cpu_ns(agent.pid)
    wrk(nginx.url(), SECONDS)
    port = settings.get("OTEL_EBPF_PROMETHEUS_PORT")
    if port:
        get(int(port), "/metrics")
    time.sleep(0.3)  # the last drain
    spent = cpu_ns(agent.pid) - before
    served = nginx.served() - began
    agent.stop()
    ledger = json.load(open(agent.ledger))
    out = {stage["name"]: stage["out"] for stage in ledger["stages"]}
    return {
        "cpu": spent / served / 1e3,
        "served": served,
        "out": min(out[account] for account in accounts),
        "ledger": ledger,
    }


def report(names, rounds):
    print("| exporter | agent's CPU, s per million requests | ratio to counter | requests | handed on | dropped |")
    print("| --- | ---: | ---: | ---: | ---: | --- |")
    for name in names:
        parts = [a_round[name] for a_round in rounds]
        cpu = statistics.median(p["cpu"] for p in parts)
        ratio = statistics.median(r[name]["cpu"] / r[names[0]]["cpu"] for r in rounds)
        lost = {}
        for p in parts:
            for reason, count in drops(p["ledger"]).items():
                lost[reason] = lost.get(reason, 0) + count
        served, out = (sum(p[key] for p in parts) for key in ["served", "out"])
        balanced = all(p["ledger"]["balanced"] for p in parts)
        named = str(lost or "nothing") + ("" if balanced else ", UNBALANCED")
        print(f"| {name} | {cpu:.3f} | {ratio:.3f} | {served} | {out} | {named} |")


def main():
    obi, sink = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="obi-bench.", dir="/dev/shm")
    nginx = sink_process = None
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        nginx, sink_process = Nginx(folder), Sink(sink)
        wrk(nginx.url(), "1")  # warm-up
        all_ways = ways(sink_process)
        rounds = []
        for number in range(ROUNDS):
            rounds.append({n: part(obi, folder, nginx, env, of) for n, env, of in all_ways})
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
        report([name for name, *_ in all_ways], rounds)
    finally:
        for process in [nginx, sink_process]:
            if process:
                process.end()
        shutil.rmtree(folder)


main()
