"""Three targets, one of which dies, comes back, or is slow: what clients notice, beside nginx and HAProxy."""
import http.client
import json
import os
import statistics
import time

from .machine import BenchError, LOAD_CORE, Process, free_port
from .measure import note, shuffled
from .servers import Haproxy, Nginx, Sluice
from .ways import BALANCE

CONNECTIONS = 64
RATE = 4000
DELAY_US, SLOW_US = 1000, 10_000
NAMES = "ABC"


class Targets:
    """The three upstreams; `delays` in microseconds."""

    def __init__(self, world, delays):
        self.world, self.delays = world, delays
        self.ports = [free_port() for _ in NAMES]
        self.processes = [None] * len(NAMES)
        for number in range(len(NAMES)):
            self.start(number)

    def start(self, number):
        command = [os.path.join(self.world.tools, "bench_upstream"), "--listen", f"127.0.0.1:{self.ports[number]}",
                   "--delay-us", self.delays[number]]
        self.processes[number] = Process("bench_upstream", command, LOAD_CORE, self.world.directory + f"/target-{number}.log")
        self.processes[number].await_listening(self.ports[number])

    def kill(self, number):
        self.processes[number].popen.kill()
        self.processes[number].popen.wait()

    def count(self, number):
        """Requests that it has had; None while it is not there."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[number], timeout=5)
        try:
            connection.request("GET", "/count")
            return int(connection.getresponse().read())
        except OSError:
            return None
        finally:
            connection.close()

    def stop(self):
        for process in self.processes:
            process.stop()


class Balancing:
    """How each server is told to balance and to try again."""
    ways = {"sluice": {"turns": "round_robin", "latency": "peak_ewma"},
            "nginx": {"turns": "", "latency": "least_conn;"},
            "haproxy": {"turns": "roundrobin", "latency": "leastconn"}}

    def __init__(self, kind, world, targets, by, attempts):
        server = kind(world, BALANCE)
        values = server.values

        def with_targets():
            ports = dict(zip(NAMES, targets.ports))
            return {**values(), **ports, "BALANCE": self.ways[kind.name][by], "ATTEMPTS": attempts, "RETRIES": attempts - 1}

        server.values = with_targets
        self.server = server

    def __enter__(self):
        self.server.start()
        return self.server

    def __exit__(self, *_):
        self.server.stop()


def open_loop(load, server, seconds):
    return load.start(server.port, target="/1k", connections=CONNECTIONS, rate=RATE, tick_us=100, seconds=seconds, warmup=0.5)


def result_of(process):
    out, _ = process.communicate(timeout=120)
    if process.returncode != 0 or not out:
        raise BenchError("bench_load failed")
    return json.loads(out)


def failover(kind, world, load, attempts):
    """One of three is killed under load and comes back: what failed, and how many requests it got as it returned."""
    targets = Targets(world, [DELAY_US] * 3)
    try:
        with Balancing(kind, world, targets, "turns", attempts) as server:
            process = open_loop(load, server, 6)
            time.sleep(2)
            targets.kill(2)
            time.sleep(1.5)
            targets.start(2)
            # Of each tenth of a second, from the return on.
            counts, seen = [], targets.count(2)
            for _ in range(20):
                time.sleep(0.1)
                now = targets.count(2)
                counts.append(now - seen - 1)  # the question itself is one
                seen = now
            result = result_of(process)
        share = RATE / 3 / 10
        return {"failed": sum(result[k] for k in ("4xx", "5xx", "failed", "closed")), "p99_us": result["p99_us"],
                "burst": max(counts) / share, "back": sum(counts[-5:]) / 5 / share}
    finally:
        targets.stop()


def slow(kind, world, load, delays):
    targets = Targets(world, delays)
    try:
        with Balancing(kind, world, targets, "latency", 2) as server:
            return result_of(open_loop(load, server, 5))
    finally:
        targets.stop()


def run(world, load, rounds, peers):
    kinds = [Sluice] + [kind for kind in (Nginx, Haproxy) if kind.name in peers]
    note(f"# Failover and a slow target, {rounds} rounds")
    found = {kind.name: {"retries": [], "none": [], "even": [], "slow": []} for kind in kinds}
    for _ in range(rounds):
        for kind in shuffled(kinds):
            of = found[kind.name]
            of["retries"].append(failover(kind, world, load, 2))
            of["none"].append(failover(kind, world, load, 1))
            of["even"].append(slow(kind, world, load, [DELAY_US] * 3))
            of["slow"].append(slow(kind, world, load, [DELAY_US, DELAY_US, SLOW_US]))
    return found


def report(found, targets):
    def middle(runs, field):
        return statistics.median(run[field] for run in runs)

    print(f"\n## One of three targets is killed and comes back, {RATE:,} requests/s, {CONNECTIONS} connections\n")
    print("| | failed, with a second try | without | p99 ms, with a second try | most in 0.1 s after its return, of its share "
          "| after 2 s |\n| --- | --- | --- | --- | --- | --- |")
    for name, of in found.items():
        print(f"| {name} | {sum(r['failed'] for r in of['retries'])} | {middle(of['none'], 'failed'):.0f} "
              f"| {middle(of['retries'], 'p99_us') / 1000:.2f} | {middle(of['retries'], 'burst'):.2f} "
              f"| {middle(of['retries'], 'back'):.2f} |")
    print(f"\n## One of three targets takes {SLOW_US / DELAY_US:.0f} times as long ({DELAY_US / 1000:.0f} ms)\n")
    print("| | p50 ms, all alike | p99 | p50, one slow | p99 | p99, slow / alike |\n| --- | --- | --- | --- | --- | --- |")
    for name, of in found.items():
        ratios = [a["p99_us"] / b["p99_us"] for a, b in zip(of["slow"], of["even"])]
        cells = [f"{middle(of[which], field) / 1000:.2f}" for which in ("even", "slow") for field in ("p50_us", "p99_us")]
        print(f"| {name} | {' | '.join(cells)} | {statistics.median(ratios):.2f} ({min(ratios):.2f}..{max(ratios):.2f}) |")
    ours = found["sluice"]
    targets.at_most("requests failed when one of three targets is killed, with retries", sum(r["failed"] for r in ours["retries"]), 0)
    targets.at_most("the same without retries (those in flight)", max(r["failed"] for r in ours["none"]), CONNECTIONS)
    targets.at_most("most requests in 0.1 s to a target that has returned, of its share", max(r["burst"] for r in ours["retries"]), 1.2)
    ratios = [a["p99_us"] / b["p99_us"] for a, b in zip(ours["slow"], ours["even"])]
    targets.at_most("p99 with one target ten times slower, of the p99 without (peak_ewma)", statistics.median(ratios), 1.3,
                    spread=(min(ratios), max(ratios)))
