"""Processes pinned to cores, what they use, and the load generator."""
import json
import os
import platform
import resource
import socket
import subprocess
import time

# Two cores are enough and all that is assumed: what is measured has one to itself, all else shares the other.
SERVER_CORE = "1"
LOAD_CORE = "0"

# Real-time scheduling keeps other work on the machine from distorting the figures; it is the same for whatever is
# measured, for load and for upstream. Emptied where it is not allowed, and by what measures scheduling itself (reload).
REAL_TIME = ["chrt", "--rr", "10"]

REQUEST_HEADERS = [
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) bench/1.0",
    "Accept: application/json, text/plain;q=0.9, */*;q=0.1",
    "Accept-Language: en-GB,en;q=0.8,de;q=0.5",
    "Accept-Encoding: gzip, deflate, br",
    "Cookie: session=2f1b0c8e7d6a4f53b1c2d3e4f5a6b7c8; theme=dark",
    "X-Debug: 1",  # each gateway removes it
]


class BenchError(Exception):
    """The benchmark cannot go on; its text says why."""


def raise_descriptor_limit(wanted=65536):
    """Children inherit it. Without the right to raise the hard limit we take what there is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(wanted, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return limit
        except (ValueError, OSError):
            continue
    raise BenchError("cannot set the limit of open files")


def choose_scheduling():
    """A word on how processes will be scheduled, after trying. This script keeps off the measured core itself."""
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    if subprocess.run([*REAL_TIME, "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0:
        # Beside a load that fills its core it would otherwise hardly ever run; children start normal all the same.
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(10))
        return "real-time (round robin)"
    REAL_TIME.clear()
    return "normal: no right to more, other work on the machine shows in the figures"


def on_core(core, real_time=True):
    return [*(REAL_TIME if real_time else []), "taskset", "-c", core]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def facts():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load_average": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
    }


class Process:
    """A child on a core. `stop` ends it and its own children."""

    def __init__(self, name, command, core, log, real_time=True):
        self.name = name
        self.log = log
        with open(log, "w") as out:
            self.popen = subprocess.Popen([*on_core(core, real_time), *map(str, command)], stdin=subprocess.DEVNULL,
                                          stdout=out, stderr=subprocess.STDOUT)

    def pids(self):
        """The process and everything below it."""
        found, todo = [], [self.popen.pid]
        while todo:
            pid = todo.pop()
            found.append(pid)
            try:
                for task in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{task}/children") as f:
                        todo += map(int, f.read().split())
            except FileNotFoundError:
                continue
        return found

    def memory(self):
        """Bytes of private memory (anonymous, shared pages by their share) and of everything resident."""
        own = resident = 0
        for pid in self.pids():
            for line in open(f"/proc/{pid}/smaps_rollup"):
                if line.startswith("Pss_Anon:"):
                    own += int(line.split()[1]) * 1024
                elif line.startswith("Rss:"):
                    resident += int(line.split()[1]) * 1024
        return {"own": own, "resident": resident}

    def await_listening(self, port, seconds=20):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.popen.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        with open(self.log) as f:
            said = f.read()[-2000:].strip()
        self.stop()
        raise BenchError(f"{self.name} does not listen on port {port}. It said:\n{said or '(nothing)'}")

    def stop(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(3)
            except subprocess.TimeoutExpired:
                for pid in self.pids():
                    os.kill(pid, 9)
                self.popen.wait()


class Load:
    """The load generator against one port. Every call returns its JSON as a dict and checks that all went well."""

    def __init__(self, tools, keys_file):
        self.tool = os.path.join(tools, "bench_load")
        self.keys_file = keys_file

    def command(self, port, **options):
        command = [*on_core(LOAD_CORE), self.tool, "--address", f"127.0.0.1:{port}", "--keys", self.keys_file]
        for header in REQUEST_HEADERS:
            command += ["--header", header]
        for pid in options.pop("pids", []):
            command += ["--pid", str(pid)]
        for name, value in options.items():
            command.append("--" + name.replace("_", "-"))
            if value is not True:
                command.append(str(value))
        return command

    @staticmethod
    def headers():
        return list(REQUEST_HEADERS)

    def start(self, port, **options):
        return subprocess.Popen(self.command(port, **options), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, port, **options):
        done = subprocess.run(self.command(port, **options), stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode != 0:
            raise BenchError(f"bench_load failed: {done.stderr.strip()}")
        result = json.loads(done.stdout)
        bad = {k: result[k] for k in ("3xx", "4xx", "5xx", "failed", "wrong_length", "closed") if result[k]}
        if bad or result["2xx"] == 0:
            raise BenchError(f"not every answer was good: {bad or result}")
        return result
