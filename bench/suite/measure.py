"""What is measured: CPU and throughput, latency at a fixed rate, memory of idle connections."""
import json
import statistics
import time

from .machine import BenchError

SIZES = {"1k": 1024, "100k": 100 * 1024}


def note(text):
    print(text, flush=True)


def rotated(items, by):
    by %= len(items)
    return items[by:] + items[:by]


def throughput(servers, load, cells, rounds, seconds, warmup):
    """{cell: {server: [result of round 0, ...]}}. Rounds are interleaved and begin with another server each time."""
    results = {cell: {s.name: [] for s in servers} for cell in cells}
    for cell in cells:
        size, connections = cell
        for turn in range(rounds):
            for server in rotated(servers, turn):
                result = load.run(server.port, target="/" + size, expect_bytes=SIZES[size], connections=connections,
                                  seconds=seconds, warmup=warmup, pids=server.process.pids())
                result["busy"] = result["cpu_seconds"] / result["seconds"]
                results[cell][server.name].append(result)
        note(f"  {size}, {connections} connections: " + ", ".join(
            f"{name} {statistics.median(r['cpu_us'] for r in runs):.1f} us" for name, runs in results[cell].items()))
    return results


def latency(world, servers, load, rates, rounds, seconds, warmup, connections=128):
    """{rate: {server or "direct": [result, ...]}}: an open loop of 1 KiB answers; "direct" asks the upstream itself."""
    results = {}
    ports = {"direct": world.upstream_port, **{s.name: s.port for s in servers}}
    for rate in rates:
        results[rate] = {name: [] for name in ports}
        for turn in range(rounds):
            for name in rotated(list(ports), turn):
                results[rate][name].append(load.run(ports[name], target="/1k", expect_bytes=1024, rate=rate,
                                                    connections=connections, seconds=seconds, warmup=warmup))
        note(f"  {rate}/s: " + ", ".join(
            f"{name} p50 {statistics.median(r['p50_us'] for r in runs):.0f} us" for name, runs in results[rate].items()))
    return results


def idle(servers, load, connections, settle):
    """{server: {"bytes": own bytes a connection, ...}}: each restarted, warmed up, then filled with idle connections."""
    results = {}
    for server in servers:
        server.stop()
        server.start()
        # Upstream connections, buffers and code that a first burst needs are there before we start counting.
        load.run(server.port, target="/1k", connections=64, seconds=0.5)
        time.sleep(settle)
        before = server.process.memory()
        holder = load.start(server.port, target="/1k", connections=connections, sources=8, hold=True)
        try:
            line = holder.stdout.readline()
            held = json.loads(line) if line else {}
            if held.get("2xx") != connections or held.get("failed"):
                raise BenchError(f"{server.name} does not hold {connections} connections: {held or 'load stopped'}")
            time.sleep(settle)
            after = server.process.memory()
        finally:
            holder.communicate()
        results[server.name] = {"connections": connections, "bytes": (after["own"] - before["own"]) / connections,
                                "own_before": before["own"], "own_after": after["own"],
                                "resident_after": after["resident"]}
        note(f"  {server.name}: {results[server.name]['bytes']:.0f} bytes a connection")
    return results
