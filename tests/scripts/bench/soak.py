"""Whether the agent stays as it is under work that does not end: soak.py OBI SINK

nginx at a fixed rate for SOAK_MINUTES=60, obi exporting every span to the lean sink. Every ten
seconds the agent's memory, CPU time and descriptors are read. Prints Markdown: the first, the
middle and the last minutes side by side, and the counts of nginx, the sink and the ledger. Fails
when a span is missing that the ledger does not name, or the ledger does not balance.

SOAK_RATE=5000 requests a second over 20 connections.
"""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from workload import Agent, Nginx, Sink, bpf_objects, cpu_ns, drops, rss_anon_kib

MINUTES = int(os.environ.get("SOAK_MINUTES", "60"))
RATE = int(os.environ.get("SOAK_RATE", "5000"))
CONNECTIONS = 20
# Seconds between two samples, and those that a column shows (a third of a short run).
EVERY = 10
PART = min(300, MINUTES * 60 // 3)


class Sample:
    """What the agent is, and what nginx has served."""

    def __init__(self, agent, nginx, began):
        self.at = time.monotonic() - began
        self.rss = rss_anon_kib(agent.pid) / 1024
        self.descriptors = len(os.listdir(f"/proc/{agent.pid}/fd"))
        self.objects = sum(len(bpf_objects(agent.pid, kind)) for kind in ("map", "prog"))
        self.cpu = cpu_ns(agent.pid) / 1e9
        self.served = nginx.served()


class Client:
    """Asks at the rate, for a minute at a time; counts what comes back."""

    def __init__(self):
        self.statuses, self.errors, self.p99 = {}, 0, []

    def minute(self, url):
        rate, requests = f"{RATE / CONNECTIONS:g}", str(RATE * 60)
        command = ["hey", "-n", requests, "-c", str(CONNECTIONS), "-q", rate, url]
        return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def note(self, text):
        for status, count in re.findall(r"\[(\d+)\]\s+(\d+) responses", text):
            self.statuses[status] = self.statuses.get(status, 0) + int(count)
        _, _, errors = text.partition("Error distribution")
        self.errors += sum(int(n) for n in re.findall(r"^\s+\[(\d+)\]", errors, re.M))
        self.p99.append(float(re.search(r"99% in ([\d.]+) secs", text).group(1)) * 1e3)


def work(agent, nginx, client):
    """Runs the load; what the agent was every ten seconds."""
    began = time.monotonic()
    samples = [Sample(agent, nginx, began)]
    for _ in range(MINUTES):
        minute = client.minute(nginx.url())
        while minute.poll() is None:
            time.sleep(0.1)
            if time.monotonic() - began >= samples[-1].at + EVERY:
                samples.append(Sample(agent, nginx, began))
        client.note(minute.communicate()[0])
    return samples


def parts(samples):
    """The first, the middle and the last samples of the run."""
    count = 1 + min(PART // EVERY, len(samples) // 3)
    middle = (len(samples) - count) // 2
    return samples[:count], samples[middle : middle + count], samples[-count:]


def table(samples):
    columns = parts(samples)
    print(f"\n| | first {PART} s | middle {PART} s | last {PART} s |")
    print("| --- | ---: | ---: | ---: |")

    def row(name, form, figure):
        print(f"| {name} | " + " | ".join(form.format(figure(c)) for c in columns) + " |")

    row("RssAnon, median, MiB", "{:.1f}", lambda c: statistics.median(s.rss for s in c))
    row("RssAnon, most, MiB", "{:.1f}", lambda c: max(s.rss for s in c))
    row("open descriptors, most", "{}", lambda c: max(s.descriptors for s in c))
    row("BPF maps and programs, most", "{}", lambda c: max(s.objects for s in c))
    served = lambda c: c[-1].served - c[0].served
    row("requests/s", "{:.0f}", lambda c: served(c) / (c[-1].at - c[0].at))
    row("CPU, s per million requests", "{:.2f}",
        lambda c: (c[-1].cpu - c[0].cpu) / served(c) * 1e6)
    print()


def main():
    obi, sink_program = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="obi-soak.", dir="/dev/shm")
    started = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        nginx, sink = Nginx(folder), Sink(sink_program)
        started += [nginx, sink]
        agent = Agent(
            obi,
            folder,
            OTEL_EBPF_OPEN_PORT=str(nginx.port),
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=sink.url(),
        )
        started.append(agent)
        agent.await_attached()
        before = nginx.served() - 1  # this one is seen already
        client = Client()
        samples = work(agent, nginx, client)
        served = nginx.served() - before
        agent.stop()
        spans, ledger = sink.spans(), json.load(open(agent.ledger))
    finally:
        for one in reversed(started):
            one.end()
        shutil.rmtree(folder)
    table(samples)
    lost = drops(ledger)
    verdict = "balances" if ledger["balanced"] else "DOES NOT BALANCE"
    statuses = ", ".join(f"{count} answers {status}" for status, count in client.statuses.items())
    p99 = f"p99 of a minute {statistics.median(client.p99):.1f} ms, at most {max(client.p99):.1f} ms"
    print(f"The client saw {statuses}, {client.errors} errors; {p99}.")
    print(f"nginx served {served} requests, {spans} spans came out at the sink.")
    print(f"Dropped by the ledger: {lost or 'nothing'}. It {verdict}.")
    if client.errors or list(client.statuses) != ["200"]:
        sys.exit("error: the client saw errors")
    if not ledger["balanced"] or not served - sum(lost.values()) <= spans <= served:
        sys.exit("error: a span is missing that the ledger does not name")


main()
