#!/usr/bin/python3
"""Mixed traffic for some minutes with reloads, upstream restarts and aborts; then: no wrong answer, memory and descriptors
flat after the warm-up, everything given back, a clean exit. `./dev soak --help` says how to call it."""

import argparse
import collections
import json
import multiprocessing
import os
import pathlib
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests/e2e")]
import traffic  # noqa: E402
from harness.metrics import Metrics  # noqa: E402
from harness.ports import free_port  # noqa: E402

SANITIZER_WORDS = ("AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:")
SANITIZER_ENVIRONMENT = {
    # Freed memory is kept for a while to find uses after; a small store of it is full before the warm-up ends.
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:quarantine_size_mb=8:malloc_context_size=10",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1:history_size=2",
}
TROUBLE = 3  # seconds after an upstream was killed in which broken exchanges are excused

CONFIGURATION = """version: 1
gateway:
  listen: [ {{ name: plain, address: 127.0.0.1:{port} }} ]
  status: {{ address: 127.0.0.1:{status} }}
  workers: 2
  access_log: {{ format: json, path: {log} }}
  limits: {{ connections: 5000, queue_delay: 0s }}
upstreams:
  two:
    targets: [ "http://127.0.0.1:{first}", "http://127.0.0.1:{second}" ]
    timeouts: {{ idle: 2s }}
policies: [ {{ request_id: {{}} }} ]
apis:
  soak:
    path: /
    upstream: two
    policies:
      - headers: {{ request: {{ set: {{ x-turn: "{turn}" }} }}, response: {{ set: {{ x-turn: "{turn}" }} }} }}
      - rate_limit: {{ rate: 1000000000/1s, key: address }}
    routes:
      - {{ name: all }}
{more}"""


class Gateway:
    def __init__(self, binary, folder, upstreams):
        self.folder, self.upstreams = folder, upstreams
        self.port, self.status, self.turn = free_port(), free_port(), 0
        self.file = folder / "sluice.yaml"
        self.write()
        self.errors = open(folder / "stderr", "w")
        self.process = subprocess.Popen([binary, "run", self.file], stderr=self.errors, stdout=subprocess.DEVNULL,
                                        cwd=folder, env={**SANITIZER_ENVIRONMENT, **os.environ})
        self.await_that(lambda: self.ask("/readyz"), "the gateway is ready")

    def write(self, broken=False):
        self.turn += 1
        more = "".join(f'      - {{ name: r{i}, path: "/r{i}/{{x}}" }}\n' for i in range(self.turn % 7 * 20))
        text = CONFIGURATION.format(port=self.port, status=self.status, first=self.upstreams[0].port,
                                    second=self.upstreams[1].port, turn=self.turn, more=more, log=self.folder / "log")
        new = self.file.with_suffix(".new")
        new.write_text(text + ("nonsense: 1\n" if broken else ""))
        new.rename(self.file)

    def ask(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status}{path}", timeout=20) as answer:
            return answer.read().decode()

    def metric(self, name, **labels):
        return Metrics(self.ask("/metrics")).sum(name, **labels)

    def await_that(self, predicate, what, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise SystemExit(f"soak: the gateway ended with {self.process.returncode}:\n{self.said()[-3000:]}")
            try:
                if predicate():
                    return
            except OSError:
                pass
            time.sleep(0.05)
        raise SystemExit(f"soak: never happened: {what}")

    def reload(self, broken):
        result = "failure" if broken else "success"
        before = self.metric("sluice_reloads_total", result=result)
        self.write(broken)
        self.process.send_signal(signal.SIGHUP)
        self.await_that(lambda: self.metric("sluice_reloads_total", result=result) > before, "a reload's end")

    def said(self):
        return (self.folder / "stderr").read_text(errors="replace")

    def sample(self):
        memory = 0
        for line in open(f"/proc/{self.process.pid}/smaps_rollup"):
            if line.startswith("Private_Dirty:"):
                memory = int(line.split()[1]) * 1024
        return {"at": time.monotonic(), "memory": memory, "descriptors": len(os.listdir(f"/proc/{self.process.pid}/fd"))}


class Upstream:
    def __init__(self):
        self.port, self.process = free_port(), None
        self.start()

    def start(self):
        self.process = subprocess.Popen([sys.executable, HERE / "upstream.py", str(self.port)])

    def stop(self):
        self.process.kill()
        self.process.wait()


def growth(samples, field):
    """What a straight line through the samples gains from the first to the last (least squares)."""
    at = [sample["at"] for sample in samples]
    line = statistics.linear_regression(at, [sample[field] for sample in samples])
    return line.slope * (at[-1] - at[0])


def conduct(gateway, upstreams, seconds, trouble, samples):
    """Reloads, broken documents and upstream restarts, by chance, until the time is over."""
    chance, end, done = random.Random(1), time.monotonic() + seconds, collections.Counter()
    while time.monotonic() < end:
        deed = chance.random()
        if deed < 0.35:
            gateway.reload(broken=deed < 0.07)
            done["reloads"] += 1
        elif deed < 0.5:
            upstream = chance.choice(upstreams)
            trouble.value = time.monotonic() + 1000
            upstream.stop()
            time.sleep(chance.random() * 0.3)
            upstream.start()
            trouble.value = time.monotonic() + TROUBLE
            done["upstream restarts"] += 1
        time.sleep(0.5)
        samples.append(gateway.sample())
    return done


def run(options, folder):
    upstreams = [Upstream(), Upstream()]
    gateway = Gateway(os.path.abspath(options.binary), folder, upstreams)
    seconds = options.minutes * 60
    samples, results = [], multiprocessing.Queue()
    until, trouble = multiprocessing.Value("d", time.monotonic() + seconds), multiprocessing.Value("d", 0.0)
    try:
        level = gateway.sample()
        crowd = [multiprocessing.Process(target=traffic.run, args=(gateway.port, 1000 * i, options.clients // 2, until, trouble,
                                                                   results)) for i in range(2)]
        trouble.value = time.monotonic() + TROUBLE  # upstreams may still be starting
        for process in crowd:
            process.start()
        done = conduct(gateway, upstreams, seconds, trouble, samples)
        counts = collections.Counter()
        for process in crowd:
            counts.update(results.get(timeout=traffic.PATIENCE + 30))
            process.join()
        gateway.await_that(lambda: gateway.metric("sluice_connections") == 0, "all connections of clients are gone")
        gateway.await_that(lambda: gateway.metric("sluice_upstream_connections") == 0, "all upstream connections are gone")
        last = gateway.sample()
        gateway.process.send_signal(signal.SIGTERM)
        code = gateway.process.wait(60)
    finally:
        gateway.process.kill()
        for upstream in upstreams:
            upstream.stop()
    return judge(options, gateway, level, samples, last, done, counts, code)


def judge(options, gateway, level, samples, last, done, counts, code):
    warm = samples[int(len(samples) * options.warm_up):]
    memory = statistics.median(sample["memory"] for sample in warm)
    tolerance = max(options.tolerance_mib * 2**20, memory * 0.05)
    grown, descriptors = growth(warm, "memory"), growth(warm, "descriptors")
    found = {
        "minutes": options.minutes, "answers": counts["answers"], "aborts": counts["aborts"], "excused": counts["excused"],
        "wrong": counts["wrong"], **done, "memory at warm-up MiB": round(warm[0]["memory"] / 2**20, 1),
        "memory at the end MiB": round(warm[-1]["memory"] / 2**20, 1), "growth by regression MiB": round(grown / 2**20, 2),
        "tolerance MiB": round(tolerance / 2**20, 1), "descriptors at start": level["descriptors"],
        "descriptors while busy": statistics.median(sample["descriptors"] for sample in warm),
        "their growth": round(descriptors, 1), "descriptors at the end": last["descriptors"],
    }
    found.update({name: count for name, count in sorted(counts.items()) if name.startswith("status")})
    problems = []
    if counts["wrong"]:
        problems.append(f"{counts['wrong']} wrong answers")
    if counts["answers"] < 100 * options.minutes:
        problems.append("hardly any answers: nothing was soaked")
    if counts["excused"] > counts["answers"] * 0.05 + 100:
        problems.append(f"{counts['excused']} exchanges broken around {done['upstream restarts']} upstream restarts")
    if grown > tolerance:
        problems.append(f"memory grows: {grown / 2**20:.1f} MiB over the measured time")
    if descriptors > 40:
        problems.append(f"descriptors grow: {descriptors:.0f} over the measured time")
    if last["descriptors"] > level["descriptors"] + 4:
        problems.append(f"descriptors left behind: {level['descriptors']} at first, {last['descriptors']} at last")
    if code != 0:
        problems.append(f"exit code {code}")
    said = gateway.said()
    problems += [f"{word} on standard error:\n{said[said.index(word):][:3000]}" for word in SANITIZER_WORDS if word in said]
    for name, value in found.items():
        print(f"  {name}: {value:,}" if isinstance(value, int) else f"  {name}: {value}")
    for problem in problems:
        print(f"FAIL {problem}")
    if options.json:
        pathlib.Path(options.json).write_text(json.dumps({**found, "problems": problems, "samples": samples}, indent=1))
    print(f"{int(not problems)} passed, {int(bool(problems))} failed")
    return 1 if problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", type=float)
    parser.add_argument("--binary", default=str(ROOT / "build/release/sluice"))
    parser.add_argument("--clients", type=int, default=40)
    parser.add_argument("--warm-up", type=float, default=0.4, help="part of the time before memory is judged")
    parser.add_argument("--tolerance-mib", type=float, default=None, help="growth that is no leak, or 5 %% if that is more")
    parser.add_argument("--json", help="keep figures and samples in this file")
    options = parser.parse_args()
    if not os.access(options.binary, os.X_OK):
        print(f"no binary at {options.binary}: ./dev build makes it, --binary names another")
        return 1
    if options.tolerance_mib is None:
        options.tolerance_mib = 24 if "san" in options.binary else 2
    with tempfile.TemporaryDirectory(prefix="sluice-soak-") as folder:
        return run(options, pathlib.Path(folder))


if __name__ == "__main__":
    sys.exit(main())
