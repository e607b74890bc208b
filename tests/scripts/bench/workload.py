"""What the benchmarks share: nginx, the sink, the load, and a running agent."""

import glob
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import time

PATIENCE = 20

NGINX = """
daemon off; user root; worker_processes 1; pid {dir}/{name}.pid; error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off; keepalive_requests 100000000; keepalive_timeout 300s;
    sendfile off; open_file_cache max=10; large_client_header_buffers 8 16k;
    client_body_temp_path {dir}/a; proxy_temp_path {dir}/b; fastcgi_temp_path {dir}/c;
    uwsgi_temp_path {dir}/d; scgi_temp_path {dir}/e;
    server {{
        listen 127.0.0.1:{port};
        root {dir};
        location = /status {{ stub_status; }}
    }}
}}
"""

# Files that nginx serves: name and bytes.
FILES = {"small": 200, "large": 64 * 1024}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def get(port, path="/small"):
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
    return sum(cpu_ns_by_thread(pid).values())


def cpu_ns_by_thread(pid):
    """Time on a CPU by the name of the thread; threads of one name together."""
    times = {}
    for task in glob.glob(f"/proc/{pid}/task/*"):
        name = open(f"{task}/comm").read().strip()
        spent = int(open(f"{task}/schedstat").read().split()[0])
        times[name] = times.get(name, 0) + spent
    return times


def rss_anon_kib(pid):
    return int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{pid}/status").read()).group(1))


def bpf_objects(pid, kind):
    """Facts of the BPF maps or programs ("map", "prog") that a process holds, each once."""
    objects = {}
    for path in glob.glob(f"/proc/{pid}/fdinfo/*"):
        try:
            facts = dict(line.split(":", 1) for line in open(path) if ":" in line)
        except OSError:
            continue
        if f"{kind}_id" in facts and "link_id" not in facts:
            objects[int(facts[f"{kind}_id"])] = facts
    return objects.values()


def maps_kib(pid):
    return sum(int(facts["memlock"]) for facts in bpf_objects(pid, "map")) // 1024


def drops(ledger):
    """What a ledger says was dropped, by stage and reason."""
    found = {}
    for stage in ledger["stages"]:
        for reason, count in stage["drops"].items():
            if count:
                found[f"{stage['name']} {reason}"] = count
    return found


def wrk(url, seconds, *options):
    """Loads `url`; gives requests a second, p99 in µs, and the requests answered."""
    command = ["wrk", "-t1", "-c16", f"-d{seconds}s", "--latency", *options, url]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    number, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return {
        "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
        "p99": float(number) * {"us": 1, "ms": 1e3, "s": 1e6}[unit],
        "requests": int(re.search(r"(\d+) requests in", text).group(1)),
    }


class Nginx:
    """One worker that serves FILES."""

    def __init__(self, folder, name="nginx"):
        self.port = free_port()
        for file, size in FILES.items():
            with open(f"{folder}/{file}", "w") as f:
                f.write("x" * size)
        conf = f"{folder}/{name}.conf"
        with open(conf, "w") as f:
            f.write(NGINX.format(dir=folder, name=name, port=self.port))
        command = ["nginx", "-c", conf, "-e", "stderr"]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        await_port(self.port)
        pid = self.process.pid
        # The master listens before it has its worker.
        while not (children := open(f"/proc/{pid}/task/{pid}/children").read().split()):
            time.sleep(0.02)
        self.worker = int(children[0])

    def served(self):
        """Requests so far, this one included, by nginx's own count."""
        status = get(self.port, "/status").splitlines()
        return int(status[2].split()[2])

    def url(self, file="small"):
        return f"http://127.0.0.1:{self.port}/{file}"

    def end(self):
        self.process.terminate()
        self.process.wait()


class Sink:
    """The lean OTLP endpoint."""

    def __init__(self, program):
        self.port = free_port()
        self.process = subprocess.Popen([program, str(self.port)], stdout=subprocess.DEVNULL)
        await_port(self.port)

    def spans(self):
        """Spans that came out at the other end."""
        return int(get(self.port, "/count").split()[0])

    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def end(self):
        self.process.terminate()
        self.process.wait()


class Agent:
    """A running obi."""

    def __init__(self, obi, folder, stdout=subprocess.DEVNULL, **settings):
        self.ledger, self.log = f"{folder}/ledger", f"{folder}/obi.log"
        env = {**os.environ, **settings, "OTEL_EBPF_LEDGER_FILE": self.ledger}
        self.began = time.monotonic()
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([obi], env=env, stdout=stdout, stderr=log)
        self.pid = self.process.pid

    def attached(self):
        """Whether all programs are; ends the benchmark when they never will be."""
        text = open(self.log).read()
        if self.process.poll() is not None:
            sys.exit(f"error: obi did not attach: {text}")
        return " attached" in text

    def await_attached(self):
        while not self.attached():
            if time.monotonic() > self.began + PATIENCE:
                sys.exit(f"error: obi did not attach: {open(self.log).read()}")
            time.sleep(0.01)

    def stop(self):
        """Ends it gently; gives the seconds that took."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(PATIENCE):
            sys.exit(f"error: obi failed: {open(self.log).read()}")
        return time.monotonic() - began

    def end(self):
        """Ends it at once, if it has not ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
