"""What it costs to start beside many processes: startup.py OBI

PROCESSES processes of EXECUTABLES executables, no two of which have the same build id or inode.
Each agent judges all of them, some by their language or arguments too, which needs a look into
every executable. Beside each cost stands what was judged and selected. Prints Markdown; gates nothing.
"""

import json
import os
import re
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

from workload import Agent, cpu_ns

PROCESSES = int(os.environ.get("BENCH_PROCESSES", "2000"))
EXECUTABLES = int(os.environ.get("BENCH_EXECUTABLES", "300"))
ROUNDS = 5

# Name, configuration, and which of the processes it selects.
CONFIGS = [
    ("one port", {"open_ports": 1}, 0),
    ("a path", {"exe_path": "*/program-7"}, len(range(7, PROCESSES, EXECUTABLES))),
    ("a language", {"languages": "go"}, 0),
    ("arguments", {"cmd_args": "* 4*"}, 0),
    ("every process of these", {"exe_path": "*/program-*"}, PROCESSES),
]


def executables(folder):
    """Copies of one program; each gets a build id of its own."""
    original = open(shutil.which("sleep"), "rb").read()
    at = original.index(b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0") + 16
    paths = []
    for number in range(EXECUTABLES):
        path = f"{folder}/program-{number}"
        with open(path, "wb") as f:
            f.write(original[:at] + number.to_bytes(4, "big") + original[at + 4 :])
        os.chmod(path, 0o755)
        paths.append(path)
    return paths


def started(obi, folder, config):
    """One start: seconds to attached, seconds on a CPU by then, peak memory in MB, the log's counts."""
    path = f"{folder}/obi.yml"
    with open(path, "w") as f:
        json.dump({"discovery": {"instrument": [config]}}, f)
    agent = Agent(obi, folder, OTEL_EBPF_CONFIG_PATH=path, OTEL_EBPF_TRACE_PRINTER="counter")
    agent.await_attached()
    taken, cpu = time.monotonic() - agent.began, cpu_ns(agent.pid) / 1e9
    status = open(f"/proc/{agent.pid}/status").read()
    peak = int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1e3
    agent.stop()
    counts = re.search(r"processes judged processes=(\d+) selected=(\d+)", open(agent.log).read())
    judged, selected = map(int, counts.groups())
    beside = json.load(open(agent.ledger))["beside"]
    return taken, cpu, peak, judged, selected, beside.get("discovery_executables_examined", 0)


def main():
    obi = sys.argv[1]
    soft, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and soft < 2 * PROCESSES:
        resource.setrlimit(resource.RLIMIT_NPROC, (hard, hard))
    folder = tempfile.mkdtemp(prefix="obi-bench.", dir="/dev/shm")
    running = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        paths = executables(folder)
        print("\n| start, median of 5 | ms to attached | CPU, ms | peak RSS, MB | judged | selected | executables examined |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for beside in [0, PROCESSES]:
            while len(running) < beside:
                path = paths[len(running) % EXECUTABLES]
                running.append(subprocess.Popen([path, "3600"]))
            for name, config, expected in CONFIGS if beside else CONFIGS[:1]:
                rounds = [started(obi, folder, config) for _ in range(ROUNDS)]
                taken, cpu, peak, judged, selected, examined = map(statistics.median, zip(*rounds))
                print(
                    f"| {beside} processes of {EXECUTABLES if beside else 0} executables; by {name} "
                    f"| {taken * 1e3:.0f} | {cpu * 1e3:.0f} | {peak:.1f} | {judged:.0f} "
                    f"| {selected:.0f} | {examined:.0f} |"
                )
                if beside and selected != expected:
                    sys.exit(f"error: {selected:.0f} selected by {name}, {expected} expected")
    finally:
        for process in running:
            process.kill()
        for process in running:
            process.wait()
        shutil.rmtree(folder)


main()
