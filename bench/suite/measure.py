"""What is measured: CPU and throughput, latency at a fixed rate, memory of idle connections."""
import json
import random
import statistics
import subprocess
import time

from .machine import BenchError
from .servers import prove_same_job

SIZES = {"1k": 1024, "100k": 100 * 1024}


def note(text):
    print(text, flush=True)


def shuffled(items):
    """A new order for each round: in a fixed or rotating one each would always follow the same neighbour."""
    return random.sample(items, len(items))


def fresh(server):
    """A new process for each round, so that the luck of one (its memory layout, say) is not taken for its speed."""
    server.stop()
    server.start()
    prove_same_job(server)
    return server


def throughput(servers, load, cells, rounds, seconds, warmup):
    """{cell: {server: [result of round 0, ...]}}. Rounds are interleaved."""
    results = {cell: {s.name: [] for s in servers} for cell in cells}
    for cell in cells:
        size, connections = cell
        for _ in range(rounds):
            for server in map(fresh, shuffled(servers)):
                result = load.run(server.port, target="/" + size, expect_bytes=SIZES[size], connections=connections,
                                  seconds=seconds, warmup=warmup, pids=server.process.pids())
                result["busy"] = result["cpu_seconds"] / result["seconds"]
                results[cell][server.name].append(result)
        note(f"  {size}, {connections} connections: " + ", ".join(
            f"{name} {statistics.median(r['cpu_us'] for r in runs):.1f} us" for name, runs in results[cell].items()))
    return results


# Requests become due in bursts this far apart. A timer for each one would fill the load's core at 26,000/s.
TICK_US = 100
# A generator that overslept longer than this measured itself; the round is made again, at most so many times.
DISTURBED_US = 2000
TRIES = 3


def latency(world, servers, load, rates, rounds, seconds, warmup, connections=128):
    """{rate: {server or "direct": [result, ...]}}: an open loop of 1 KiB answers; "direct" asks the upstream itself.

    A round is called disturbed by the generator's own delay alone, which no server has a part in: what a server does
    to its latency never leads to another try."""
    results = {}
    by_name = {"direct": None, **{s.name: s for s in servers}}
    for rate in rates:
        results[rate] = {name: [] for name in by_name}
        for _ in range(rounds):
            for name in shuffled(list(by_name)):
                server = None if name == "direct" else fresh(by_name[name])
                port = server.port if server else world.upstream_port
                pids = server.process.pids() if server else []
                for tries in range(1, TRIES + 1):
                    result = load.run(port, target="/1k", expect_bytes=1024, rate=rate, tick_us=TICK_US,
                                      connections=connections, seconds=seconds, warmup=warmup, pids=pids)
                    result["tries"] = tries
                    result["disturbed"] = result["own_delay_us"] > DISTURBED_US
                    if not result["disturbed"]:
                        break
                results[rate][name].append(result)
        note(f"  {rate}/s: " + ", ".join(
            f"{name} p50 {statistics.median(r['p50_us'] for r in runs):.0f} us" for name, runs in results[rate].items()))
    return results


def idle(servers, load, connections, settle):
    """{server: {"bytes": own bytes a connection, ...}}: each restarted, warmed up, then filled with idle connections."""
    results = {}
    for server in servers:
        fresh(server)
        # Upstream connections, buffers and code that a first burst needs are there before we start counting.
        load.run(server.port, target="/1k", connections=64, seconds=0.5)
        holder = load.command(server.port, target="/1k", connections=connections, sources=8, hold=True)
        results[server.name] = hold(server, holder, connections, settle)
        note(f"  {server.name}: {results[server.name]['bytes']:.0f} bytes a connection")
    return results


def hold(server, holder, connections, settle):
    """Memory of `connections` that the command `holder` opens, says it holds, and keeps until its input ends."""
    time.sleep(settle)
    before = server.process.memory()
    process = subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        held = json.loads(line) if line else {}
        if held.get("held") != connections or held.get("2xx", connections) != connections or held.get("failed"):
            raise BenchError(f"{server.name} does not hold {connections} connections: {held or 'load stopped'}")
        time.sleep(settle)
        after = server.process.memory()
    finally:
        process.communicate()
    return {"connections": connections, "bytes": (after["own"] - before["own"]) / connections, "own_before": before["own"],
            "own_after": after["own"], "resident_after": after["resident"]}
