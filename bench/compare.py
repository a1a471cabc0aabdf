#!/usr/bin/python3
"""Compares the gateway with nginx, HAProxy and a plain byte pump that do the same job. See bench/README.md."""
import argparse
import json
import os
import shutil
import signal
import statistics
import sys
import tempfile
import time

from suite import balance, limits, machine, measure, micro, overload, protocols, reload, report, servers
from suite.machine import BenchError
from suite.measure import note

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTS = ("throughput", "latency", "idle", *protocols.PARTS, "limits", "balance", "overload", "reload", "micro")

TOOLS = ("bench_load", "bench_upstream", "bench_pump", "bench_handshake", "bench_websocket", "bench_grpc", "bench_h2_idle",
         "bench_floor")


def parse_arguments():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--quick", action="store_true", help="fewer and shorter rounds, below 90 s: a smoke test")
    p.add_argument("--rounds", type=int, help="interleaved rounds (5; quick: 2)")
    p.add_argument("--only", action="append", choices=PARTS, metavar="PART",
                   help="one of " + ", ".join(PARTS) + "; may be repeated (default: all)")
    p.add_argument("--peers", default="pump,nginx,haproxy", help="the peers to compare with (default: %(default)s)")
    p.add_argument("--connections", default="16,128,1024", help="of the throughput part (default: %(default)s)")
    p.add_argument("--rate", type=int, default=2000, help="the given open-loop rate, requests/s (default: %(default)s)")
    p.add_argument("--idle", type=int, default=10000, help="idle connections (default: %(default)s)")
    p.add_argument("--keys", type=int, default=10000, help="API keys in every server (default: %(default)s)")
    p.add_argument("--nginx", default=shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin"), metavar="PATH")
    p.add_argument("--haproxy", default=shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin"), metavar="PATH")
    p.add_argument("--sluice", default=os.path.join(ROOT, "build/release/sluice"), metavar="PATH")
    p.add_argument("--without-sluice", action="store_true", help="the peers alone")
    p.add_argument("--tools", default=os.path.join(ROOT, "build/release/bench"), metavar="DIR",
                   help="where bench_load, bench_upstream, bench_pump and micro/ were built")
    p.add_argument("--json", metavar="FILE", help="write every round's figures to FILE")
    a = p.parse_args()
    a.rounds = a.rounds or (2 if a.quick else 5)
    long = ("reload", "balance", *protocols.PARTS)
    a.parts = a.only or [part for part in PARTS if not (a.quick and part in long)]
    return a


def check_programs(a):
    wanted = {name: getattr(a, name) for name in ("nginx", "haproxy") if name in a.peers.split(",")}
    if not a.without_sluice:
        wanted["sluice"] = a.sluice
    for tool in TOOLS:
        wanted[tool] = os.path.join(a.tools, tool)
    for name, path in wanted.items():
        if not path or not os.access(path, os.X_OK):
            raise BenchError(f"{name} is not there ({path}); ./dev deps --test and ./dev bench bring it")
    if (os.cpu_count() or 1) < 2:
        raise BenchError("two cores are needed: one for what is measured, one for load and upstream")


def half_of_what_it_can(world, subjects, load, found):
    """Half the requests/s at 128 connections of the gateway (without it: of nginx, then of whatever there is)."""
    by_name = {s.name: s for s in subjects}
    server = by_name.get("sluice") or by_name.get("nginx") or subjects[0]
    runs = found.get("throughput", {}).get(("1k", 128), {}).get(server.name)
    if not runs:
        runs = [load.run(server.port, target="/1k", connections=128, seconds=1, warmup=0.3) for _ in range(3)]
    # Two figures are enough of a rate.
    rate = statistics.median(r["rps"] for r in runs) / 2
    step = 10 ** max(0, len(str(int(rate))) - 2)
    return int(rate // step * step)


def compare(a, world, subjects, load):
    found = {}
    half = None
    if "throughput" in a.parts:
        connections = [128] if a.quick else [int(c) for c in a.connections.split(",")]
        cells = [(size, c) for size in measure.SIZES for c in connections]
        note(f"# CPU and throughput, {a.rounds} rounds")
        found["throughput"] = measure.throughput(subjects, load, cells, a.rounds, 0.8 if a.quick else 1.5, 0.3)
    if "latency" in a.parts:
        note(f"# Latency, {a.rounds} rounds")
        half = half_of_what_it_can(world, subjects, load, found)
        found["latency"] = measure.latency(world, subjects, load, sorted({a.rate, half}), a.rounds, 1 if a.quick else 3, 0.3)
    if "idle" in a.parts:
        note(f"# {a.idle:,} idle connections")
        # The pump holds two descriptors for each connection.
        fitting = [s for s in subjects if s.name != "pump" or 2 * a.idle + 100 < world.descriptors]
        found["idle"] = measure.idle(fitting, load, a.idle, 1 if a.quick else 3)
    return found, half


def run(a, directory):
    check_programs(a)
    descriptors = machine.raise_descriptor_limit()
    facts = {**machine.facts(), "scheduling": machine.choose_scheduling()}
    keys = servers.Keys(directory, a.keys)
    world = servers.World(directory, a, keys, descriptors)
    subjects = [] if a.without_sluice else [servers.Sluice(world), servers.SluiceOnEpoll(world)]
    subjects += [servers.KINDS[name](world) for name in a.peers.split(",") if name]
    load = machine.Load(a.tools, keys.file)
    targets = report.Targets()
    versions = {s.name: s.version() for s in subjects}
    note("\n".join(f"{name}: {text}" for name, text in {**facts, **versions}.items()))
    found, half, by_protocol = {}, None, {}
    try:
        if {"throughput", "latency", "idle"} & set(a.parts):
            for subject in subjects:
                subject.start()
                servers.prove_same_job(subject)
            found, half = compare(a, world, subjects, load)
        for subject in subjects:
            subject.stop()
        by_protocol = protocols.run(world, a, load)
        if "limits" in a.parts and not a.without_sluice:
            found["limits"] = limits.run(world, load, a.rounds, 1 if a.quick else 2)
        if "balance" in a.parts and not a.without_sluice:
            found["balance"] = balance.run(world, load, 1 if a.quick else max(1, a.rounds // 2), a.peers.split(","))
        if "overload" in a.parts and not a.without_sluice:
            note("# Overload")
            found["overload"] = overload.run(servers.Sluice(world), load, 1 if a.quick else 3, a.quick, descriptors)
        if "reload" in a.parts and not a.without_sluice:
            found["reload"] = reload.run(world, load, a.quick)
        if "micro" in a.parts:
            found["micro"] = micro.run(os.path.join(a.tools, "micro"), a.quick)
    finally:
        for subject in subjects:
            subject.stop()
        world.stop()
    for part, show in (("throughput", report.print_throughput), ("latency", report.print_latency),
                       ("idle", report.print_idle)):
        if part in found:
            show(found[part])
    report.judge(targets, found, half)
    protocols.report(by_protocol, targets)
    found.update(by_protocol)
    if "limits" in found:
        limits.report(found["limits"], targets)
    if "balance" in found:
        balance.report(found["balance"], targets)
    if "overload" in found:
        overload.report(found["overload"], targets)
    if "reload" in found:
        reload.report(found["reload"], targets)
    if found.get("micro"):
        micro.report(found["micro"], targets)
    targets.print()
    if a.json:
        if "throughput" in found:
            found["throughput"] = {f"{size}@{c}": v for (size, c), v in found["throughput"].items()}
        with open(a.json, "w") as f:
            json.dump({"facts": facts, "versions": versions, "half_rate": half, "found": found,
                       "targets": targets.rows}, f, indent=1)
    return targets


def main():
    a = parse_arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: ended"))  # so that no server is left behind
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as directory:
        os.chmod(directory, 0o755)  # nginx's workers drop their rights
        try:
            targets = run(a, directory)
        except BenchError as error:
            print(f"bench: {error}", file=sys.stderr)
            return 1
    print(f"\n{targets.count('OK')} targets met, {targets.count('MISSED')} missed, {targets.count('INVALID')} not "
          f"measurable, {time.monotonic() - started:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
