"""Twice the load that the gateway can carry: what is still answered well, and whether the status port answers meanwhile.

Peak is a closed loop on 1,024 connections. The overload is an open loop at twice that rate: once on as many, once on a crowd
of them, each of which costs more because no cache holds what belongs to so many. Good is a 200 within DEADLINE_MS of being sent;
what finds no free connection waits on the client's side. Scheduling is normal: the status port's thread shares the worker's
core, and real-time round robin would give it its turn after 100 ms only."""
import http.client
import json
import statistics
import threading
import time

from .machine import BenchError
from .measure import fresh, note

DEADLINE_MS = 1000
POOL = 1024
CROWD = 20_000  # or what descriptors allow: each may need one to the upstream too
AT_MOST_LOST = 0.10
# An upstream that is behind gets no connection for each client that waits.
BOUNDS = ", circuit_breaker: { max_connections: 256, max_pending: 100000 }, timeouts: { connect: 1s }"


class StatusPort(threading.Thread):
    """Asks /livez, one new connection each, until `stop`."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.stopped, self.took, self.failed = port, threading.Event(), [], 0

    def run(self):
        while not self.stopped.wait(0.05):
            began = time.monotonic()
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
                connection.request("GET", "/livez")
                good = connection.getresponse().status == 200
                connection.close()
            except OSError:
                good = False
            self.took.append((time.monotonic() - began) * 1e6)
            self.failed += not good

    def stop(self):
        self.stopped.set()
        self.join()
        return {"asked": len(self.took), "failed": self.failed, "p50_us": statistics.median(self.took or [0]),
                "max_us": max(self.took or [0])}


def one(load, server, **options):
    process = load.start(server.port, target="/1k", deadline_ms=DEADLINE_MS, pids=server.process.pids(), **options)
    out, _ = process.communicate(timeout=120)
    if process.returncode != 0 or not out:
        raise BenchError("bench_load failed under overload")
    result = json.loads(out)
    result["goodput"] = result["good"] / result["seconds"]
    return result


def one_round(server, load, seconds, crowd):
    server.real_time = False
    server.bounds = BOUNDS
    fresh(server)
    peak = one(load, server, connections=POOL, sources=8, seconds=seconds / 2, warmup=1)
    twice = int(peak["rps"] * 2)
    found = {}
    for name, connections in (("pool", POOL), ("crowd", crowd)):
        watch = StatusPort(server.status_port)
        watch.start()
        found[name] = one(load, server, connections=connections, sources=8, rate=twice, tick_us=200, seconds=seconds,
                          warmup=2)
        found[name]["status"] = watch.stop()
        found[name].update(connections=connections, offered=twice, peak=peak["goodput"])
    found["after"] = one(load, server, connections=128, rate=twice // 8, tick_us=200, seconds=1, warmup=0.5)
    note("  " + ", ".join(f"{name} {found[name]['goodput']:,.0f}/s good, {found[name]['5xx']:,} shed"
                          for name in ("pool", "crowd", "after")))
    return found


def run(server, load, rounds, quick, descriptors):
    """[{"pool": ..., "crowd": ..., "after": ...}, ...], one a round."""
    seconds, results = (3, []) if quick else (6, [])
    crowd = min(CROWD, descriptors * 3 // 8)
    try:
        for _ in range(rounds):
            results.append(one_round(server, load, seconds, crowd))
    finally:
        server.stop()
    return results


def report(results, targets):
    print("\n## Twice the load it can carry, 1 KiB\n\n| | connections | peak/s | offered/s | good/s | of peak | 503 | status port p50, "
          "max us | not answered |\n|" + " --- |" * 9)
    for name in ("pool", "crowd"):
        runs = [r[name] for r in results]
        ratios = [r[name]["goodput"] / r[name]["peak"] for r in results]
        middle = statistics.median(ratios)
        p50 = statistics.median(run["status"]["p50_us"] for run in runs)
        worst = max(run["status"]["max_us"] for run in runs)
        failed = sum(run["status"]["failed"] for run in runs)
        print(f"| {name} | {runs[0]['connections']:,} | {statistics.median(r['peak'] for r in runs):,.0f} | {statistics.median(r['offered'] for r in runs):,.0f} "
              f"| {statistics.median(r['goodput'] for r in runs):,.0f} "
              f"| {middle:.2f} ({min(ratios):.2f}..{max(ratios):.2f}) | {statistics.median(r['5xx'] for r in runs):,.0f} "
              f"| {p50:,.0f}, {worst:,.0f} | {failed} |")
        targets.at_most(f"goodput lost at twice the load, {name} of {runs[0]['connections']:,}", 1 - middle, AT_MOST_LOST,
                        spread=(1 - max(ratios), 1 - min(ratios)))
        targets.at_most(f"status port not answered meanwhile, {name}", failed, 0)
    targets.at_most("requests shed once the overload is over", sum(r["after"]["5xx"] for r in results), 0)
