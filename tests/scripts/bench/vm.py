"""The instruction-counted runs, inside the VM of bench-vm.sh: vm.py OBI SINK GO FRONT_END

One CPU whose clock is the number of instructions it has executed (QEMU's icount: one a nanosecond), so
that CPU time counts instructions and requests a second do not depend on the host. Everything shares
that CPU: nginx or the Go server, wrk, the agent, the sink. Prints one line a figure: name, value.

BENCH_VM_SECONDS=2 is the length of each load, in the VM's time; BENCH_VM_LOADS names the loads, where
not all are wanted (nginx heads bodies go bystander).
"""

import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

from workload import (
    PATIENCE,
    Agent,
    Nginx,
    Sink,
    await_port,
    bpf_objects,
    cpu_ns,
    cpu_ns_by_thread,
    free_port,
    get,
    maps_kib,
    rss_anon_kib,
    wrk,
)

SECONDS = os.environ.get("BENCH_VM_SECONDS", "2")
# 1.5 KB of request headers, as browsers and meshes send.
BIG_HEADS = [x for n in range(12) for x in ("-H", f"X-Header-{n:02}: " + "v" * 110)]
SLOW_REQUESTS = 500
SLOW_PAUSE = 0.01


class Go:
    """Go's net/http, which answers three bytes."""

    def __init__(self, program):
        self.port = free_port()
        self.process = subprocess.Popen([program, "server", str(self.port)])
        await_port(self.port)

    def url(self):
        return f"http://127.0.0.1:{self.port}/bench"

    def end(self):
        self.process.terminate()
        self.process.wait()


class Bench:
    def __init__(self, obi, sink, go, front_end, folder):
        self.obi, self.front_end, self.folder = obi, front_end, folder
        self.nginx, self.bystander = Nginx(folder), Nginx(folder, "bystander")
        self.go, self.sink = Go(go), Sink(sink)
        self.agent, self.figures = None, {}
        loads = {
            "nginx": (self.nginx.url(), self.nginx.worker, []),
            "heads": (self.nginx.url(), self.nginx.worker, BIG_HEADS),
            "bodies": (self.nginx.url("large"), self.nginx.worker, []),
            "go": (self.go.url(), self.go.process.pid, []),
            "bystander": (self.bystander.url(), self.bystander.worker, []),
        }
        self.loads = {name: loads[name] for name in os.environ.get("BENCH_VM_LOADS", "").split() or loads}

    def end(self):
        for server in (self.nginx, self.bystander, self.go, self.sink):
            server.end()

    def tell(self, name, value):
        self.figures[name] = value
        print(f"{name} {value:.4f}" if isinstance(value, float) else f"{name} {value}", flush=True)

    def settle(self, expected):
        """Waits until the spans are there; gives how many came."""
        end = time.monotonic() + PATIENCE
        while (spans := self.sink.spans()) < expected and time.monotonic() < end:
            time.sleep(0.2)
        return spans

    def still(self):
        """Waits until no more spans come; gives how many did."""
        spans, before = self.sink.spans(), -1
        while spans > before:
            time.sleep(1)
            spans, before = self.sink.spans(), spans
        return spans

    def load(self, name):
        """Runs a load; gives its facts, costs in instructions a request."""
        url, server, options = self.loads[name]
        pids = {"server": server, "sink": self.sink.process.pid}
        before = {who: cpu_ns(pid) for who, pid in pids.items()}
        threads = cpu_ns_by_thread(self.agent.pid) if self.agent else {}
        sunk = self.sink.spans()
        facts = wrk(url, SECONDS, *options)
        requests = facts["requests"]
        # wrk may leave requests behind whose answers it did not wait for.
        selected = self.agent and name != "bystander" and not self.frozen
        facts["spans"] = self.settle(sunk + requests) - sunk if selected else 0
        for who, pid in pids.items():
            facts[who] = (cpu_ns(pid) - before[who]) / requests
        if self.agent:
            now = cpu_ns_by_thread(self.agent.pid)
            facts["threads"] = {t: (ns - threads.get(t, 0)) / requests for t, ns in now.items()}
            facts["agent"] = sum(facts["threads"].values())
        return facts

    frozen = False

    def bare(self):
        self.off = {name: self.load(name) for name in self.loads}
        for name, facts in self.off.items():
            self.tell(f"{name} bare requests/s", facts["rps"])

    def compare(self, name, label=None):
        """A load with the agent, beside the same without."""
        label = label or name
        facts, off = self.load(name), self.off[name]
        self.tell(f"{label} ratio", facts["rps"] / off["rps"])
        self.tell(f"{label} p99 ratio", facts["p99"] / off["p99"])
        self.tell(f"{label} server's instructions more", facts["server"] - off["server"])
        if not self.frozen:
            self.tell(f"{label} agent's instructions", facts["agent"])
        if facts["spans"]:
            self.tell(f"{label} sink's instructions", facts["sink"])
            self.tell_threads(label, facts["threads"])
            # wrk ends with up to one request a connection sent and not counted.
            self.tell(f"{label} missing spans", max(0, facts["requests"] - facts["spans"]))
        return facts

    def start(self):
        self.agent = Agent(
            self.obi,
            self.folder,
            OTEL_EBPF_BPF_FRONT_END=self.front_end,
            OTEL_EBPF_OPEN_PORT=f"{self.nginx.port},{self.go.port}",
            OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=self.sink.url() + "/v1/traces",
            OTEL_EBPF_OTLP_TRACES_BATCH_TIMEOUT="1s",
        )
        asked = 0
        while not self.sink.spans():
            # Whoever asks once the agent says that it is attached must be seen.
            asked += self.agent.attached()
            get(self.nginx.port)
            time.sleep(0.1)
        self.tell("first span: agent's instructions", cpu_ns(self.agent.pid))
        self.tell("first span: seconds", time.monotonic() - self.agent.began)
        self.tell("first span: requests lost once attached", max(0, asked - self.settle(asked)))

    def idle(self):
        time.sleep(2)
        before = cpu_ns(self.agent.pid)
        time.sleep(3)
        self.tell("idle: agent's instructions a second", (cpu_ns(self.agent.pid) - before) // 3)
        self.tell("idle: RssAnon, KiB", rss_anon_kib(self.agent.pid))
        self.tell("idle: BPF maps, KiB", maps_kib(self.agent.pid))

    def slow(self):
        """A hundred requests a second, over one connection."""
        sunk = self.still()  # Those come, too, whose answers wrk did not wait for.
        before = cpu_ns_by_thread(self.agent.pid)
        client = http.client.HTTPConnection("127.0.0.1", self.nginx.port, timeout=PATIENCE)
        for _ in range(SLOW_REQUESTS):
            client.request("GET", "/small")
            client.getresponse().read()
            time.sleep(SLOW_PAUSE)
        client.close()
        spans = self.settle(sunk + SLOW_REQUESTS) - sunk
        now = cpu_ns_by_thread(self.agent.pid)
        threads = {t: (ns - before.get(t, 0)) / SLOW_REQUESTS for t, ns in now.items()}
        self.tell("100/s agent's instructions", sum(threads.values()))
        self.tell_threads("100/s", threads)
        self.tell("100/s missing spans", SLOW_REQUESTS - spans)

    def tell_threads(self, label, threads):
        for thread, spent in sorted(threads.items(), key=lambda x: -x[1])[:5]:
            self.tell(f"{label} thread {thread.replace(' ', '_')}", spent)

    def runs(self):
        """Runs of each program, and instructions of a run with what the kernel does around it."""

        def count():
            programs = bpf_objects(self.agent.pid, "prog")
            return {p["prog_tag"].strip(): (int(p["run_cnt"]), int(p["run_time_ns"])) for p in programs}

        def switch(on):
            with open("/proc/sys/kernel/bpf_stats_enabled", "w") as f:
                f.write(on)

        switch("1")
        before = count()
        requests = self.load("nginx")["requests"]
        all_runs = 0
        for tag, (runs, spent) in count().items():
            runs, spent = runs - before[tag][0], spent - before[tag][1]
            all_runs += runs
            if runs > requests / 10:
                self.tell(f"BPF program {tag} runs a request", runs / requests)
                self.tell(f"BPF program {tag} instructions a run", spent / runs)
        self.tell("BPF runs a request", all_runs / requests)
        switch("0")

    def freeze(self):
        os.kill(self.agent.pid, 19)
        self.frozen = True
        self.compare("nginx", "frozen")
        self.frozen = False
        os.kill(self.agent.pid, 18)
        time.sleep(1)

    def stop(self):
        self.tell("loaded: RssAnon, KiB", rss_anon_kib(self.agent.pid))
        self.tell("stop: seconds", self.agent.stop())
        ledger = json.load(open(self.agent.ledger))
        self.tell("ledger balances", int(ledger["balanced"]))
        self.agent = None
        self.tell("after: ratio", self.load("nginx")["rps"] / self.off["nginx"]["rps"])

    def run(self):
        self.bare()
        self.start()
        self.idle()
        for name in self.loads:
            self.compare(name)
        self.compare("nginx", "again")
        self.slow()
        self.runs()
        self.freeze()
        self.stop()


def main():
    obi, sink, go, front_end = sys.argv[1:]
    folder = tempfile.mkdtemp(prefix="obi-bench.", dir="/dev/shm")
    # Not over 9p: what a file costs to open there is not the agent's.
    programs = [shutil.copy(program, folder) for program in (obi, sink, go)]
    bench = Bench(*programs, front_end, folder)
    try:
        bench.run()
    finally:
        if bench.agent:
            bench.agent.process.kill()
        bench.end()


main()
