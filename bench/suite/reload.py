"""Reloads of 10,000 routes: under full load, and a thousand of them while streams keep old revisions alive.

The gateway runs with normal scheduling here: how its own low-priority work yields to its workers is what is measured."""
import json
import os
import re
import signal
import socket
import statistics
import time

from .machine import BenchError
from .measure import note
from .servers import Keys, Sluice, ask, write

ROUTES = 10000
KEYS = 100          # routes are what is reloaded
RELOAD_LIMIT = 60   # seconds for one reload
PART_LIMIT = 600    # seconds for all of them; what was done until then is reported
STREAM = 1000000    # bytes of a stream, one a second: it outlives the measurement


def target(index, rest):
    return f"/team-{index // 100}/service-{index % 100}/42/{rest}"


def routes_yaml(count, edition):
    """`count` routes; the first carries `edition`, so that two editions differ in exactly one route."""
    lines = ["    routes:"]
    for i in range(count):
        extra = ""
        if i == 0:
            extra = f', policies: [ {{ headers: {{ id: edition, request: {{ set: {{ x-edition: "{edition}" }} }} }} }} ]'
        path = f"/team-{i // 100}/service-{i % 100}/{{id}}/{{rest**}}"
        lines.append(f'      - {{ name: r{i:05}, methods: [GET], path: "{path}"{extra} }}')
    return "\n".join(lines) + "\n"


class ReloadingGateway(Sluice):
    real_time = False

    def __init__(self, world, keys, routes):
        super().__init__(world)
        self.keys = keys
        self.count = routes
        self.edition = 0
        self.routes = routes_yaml(routes, 0)

    def counters(self):
        """(revision, {result: reloads})"""
        _, _, text = ask(self.status_port, "/metrics", {})
        revision = re.search(r"^sluice_config_revision(?:\{[^}]*\})? (\S+)", text, re.M)
        if not revision:
            raise BenchError("/metrics has no sluice_config_revision")
        reloads = re.findall(r'^sluice_reloads_total\{[^}]*result="([^"]*)"[^}]*\} (\S+)', text, re.M)
        return float(revision[1]), {result: float(count) for result, count in reloads}

    def reload(self):
        """Changes one route and waits until that revision is active; returns the seconds it took."""
        self.edition += 1
        self.routes = routes_yaml(self.count, self.edition)
        self.write_configuration()
        revision, reloads = self.counters()
        started = time.monotonic()
        os.kill(self.process.popen.pid, signal.SIGHUP)
        while time.monotonic() - started < RELOAD_LIMIT:
            now, results = self.counters()
            if now != revision:
                return time.monotonic() - started
            if sum(results.values()) > sum(reloads.values()):
                # The two figures are not read in one instant, so look once more before calling it refused.
                if self.counters()[0] == revision:
                    raise BenchError(f"a valid reload was refused: {reloads} became {results}; see {self.name}.log")
            time.sleep(0.01)
        raise BenchError(f"a reload took longer than {RELOAD_LIMIT} s")

    def own_memory(self):
        time.sleep(1)
        return self.process.memory()["own"]


def bad_answers(result):
    return sum(result[k] for k in ("3xx", "4xx", "5xx", "failed", "wrong_length"))


def under_load(gateway, load, targets_file, reloads):
    options = {"targets": targets_file, "connections": 128, "warmup": 0.5, "expect_bytes": 1024}
    quiet = load.run(gateway.port, seconds=5, **options)
    running = load.start(gateway.port, seconds=PART_LIMIT + RELOAD_LIMIT, **options)
    took = []
    try:
        time.sleep(1)
        deadline = time.monotonic() + PART_LIMIT
        while len(took) < reloads and time.monotonic() < deadline:
            took.append(gateway.reload())
    finally:
        running.terminate()
        text, _ = running.communicate()
    if running.returncode != 0:
        raise BenchError("bench_load ended while the gateway was reloading")
    busy = json.loads(text)
    note(f"  {len(took)} reloads under load, {statistics.median(took) * 1000:.0f} ms each")
    return {"reloads": len(took), "wanted": reloads, "seconds": took, "quiet": quiet, "reloading": busy,
            "bad": bad_answers(busy), "closed": busy["closed"]}


class Streams:
    """Answers that never end, one connection each."""

    def __init__(self, port, key):
        self.port, self.key, self.sockets = port, key, []

    def open(self):
        s = socket.create_connection(("127.0.0.1", self.port), 10)
        s.sendall(f"GET {target(0, f'stream/{STREAM}')} HTTP/1.1\r\nHost: bench.test\r\nX-API-Key: {self.key}\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            got = s.recv(4096)
            if not got:
                raise BenchError("the gateway closed a stream")
            head += got
        if b" 200 " not in head.split(b"\r\n")[0] + b" ":
            raise BenchError(f"a stream was answered {head[:200]!r}")
        self.sockets.append(s)

    def broken(self):
        """How many have ended, which none should."""
        count = 0
        for s in self.sockets:
            s.setblocking(False)
            try:
                while True:
                    if not s.recv(65536):
                        count += 1
                        break
            except BlockingIOError:
                pass
            except OSError:
                count += 1
        return count

    def close(self):
        for s in self.sockets:
            s.close()
        self.sockets = []


def pinned_revisions(world, keys, reloads):
    """Memory after `reloads` reloads with a stream begun on each revision, beside what one snapshot takes."""
    empty = ReloadingGateway(world, keys, 1)
    empty.start()
    try:
        ask(empty.port, target(0, "1k"), {"X-API-Key": keys.keys[0]})
        base = empty.own_memory()
    finally:
        empty.stop()
    gateway = ReloadingGateway(world, keys, ROUTES)
    gateway.start()
    streams = Streams(gateway.port, keys.keys[0])
    took = []
    try:
        ask(gateway.port, target(0, "1k"), {"X-API-Key": keys.keys[0]})
        one = gateway.own_memory()
        deadline = time.monotonic() + PART_LIMIT
        while len(took) < reloads and time.monotonic() < deadline:
            streams.open()
            took.append(gateway.reload())
        after = gateway.own_memory()
        broken = streams.broken()
        streams.close()
        released = gateway.own_memory()
        gateway.stop()
        # What as many streams take without any reload, so that it is not taken for revisions kept.
        gateway.start()
        streams.port = gateway.port
        before_streams = gateway.own_memory()
        for _ in took:
            streams.open()
        of_streams = max(0, gateway.own_memory() - before_streams)
    finally:
        streams.close()
        gateway.stop()
    note(f"  {len(took)} reloads with as many streams, {statistics.median(took) * 1000:.0f} ms each")
    return {"reloads": len(took), "wanted": reloads, "seconds": took, "empty": base, "one": one, "after": after,
            "streams": of_streams, "released": released, "broken": broken,
            "snapshots": (after - of_streams - base) / max(1, one - base)}


def run(world, load, quick):
    note(f"# Reload of {ROUTES:,} routes")
    directory = os.path.join(world.directory, "reload")
    os.mkdir(directory)
    keys = Keys(directory, KEYS)
    targets_file = os.path.join(directory, "targets.txt")
    write(targets_file, "".join(target(i, "1k") + "\n" for i in range(0, ROUTES, 7)))
    load.keys_file = keys.file
    gateway = ReloadingGateway(world, keys, ROUTES)
    gateway.start()
    try:
        loaded = under_load(gateway, load, targets_file, 10 if quick else 50)
    finally:
        gateway.stop()
    return {"load": loaded, "pinned": pinned_revisions(world, keys, 50 if quick else 1000)}


def report(results, targets):
    loaded, pinned = results["load"], results["pinned"]
    quiet, busy = loaded["quiet"], loaded["reloading"]
    print(f"\n## Reload of {ROUTES:,} routes under full load, 128 connections\n")
    print("| | requests/s | p50 us | p99 us | p99.9 us | bad answers | closed connections |\n|" + " --- |" * 7)
    for name, r in (("quiet", quiet), (f"{loaded['reloads']} reloads", busy)):
        print(f"| {name} | {r['rps']:,.0f} | {r['p50_us']:,.0f} | {r['p99_us']:,.0f} | {r['p999_us']:,.0f} "
              f"| {bad_answers(r)} | {r['closed']} |")
    mib = {k: pinned[k] / 2**20 for k in ("empty", "one", "after", "streams", "released")}
    print(f"\n## {pinned['reloads']:,} reloads of one route, a stream open on each revision\n")
    print("| own memory, MiB | |\n| --- | --- |")
    for key, what in (("empty", "with one route"), ("one", f"with {ROUTES:,} routes"), ("after", "after the reloads"),
                      ("streams", "of which the streams themselves"), ("released", "with the streams closed")):
        print(f"| {what} | {mib[key]:.1f} |")
    print(f"| reload, median | {statistics.median(pinned['seconds']) * 1000:.0f} ms |")
    targets.at_most(f"{loaded['reloads']} of {loaded['wanted']} reloads under load: reloads not done",
                    loaded["wanted"] - loaded["reloads"], 0)
    targets.at_most("failed requests while reloading", loaded["bad"], 0)
    targets.at_most("connections closed while reloading", loaded["closed"], 0)
    targets.at_most("p99 while reloading / quiet", busy["p99_us"] / quiet["p99_us"], 2)
    targets.at_most(f"{pinned['reloads']} of {pinned['wanted']} reloads with streams: reloads not done",
                    pinned["wanted"] - pinned["reloads"], 0)
    targets.at_most("streams broken by reloads", pinned["broken"], 0)
    targets.at_most("memory after them / one snapshot's", pinned["snapshots"], 2)
