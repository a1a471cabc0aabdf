"""What counting costs: CPU a request of the same proxy without policies, with a chain that counts, and with counters in Redis."""
import os
import shutil
import statistics

from .machine import LOAD_CORE, Process, free_port
from .measure import note, shuffled
from .servers import Server, render

RATE = "rate: 1000000000/1s"      # never reached
QUOTA = "quota: 100000000000000/month"
KEY = "api_key: { in: header, name: X-API-Key }"
LIMIT = f"rate_limit: {{ {RATE}, key: consumer"
CHAINS = {
    "nothing": [],
    "key": [KEY],
    "key, limit": [KEY, f"{LIMIT} }}"],
    "key, sliding window": [KEY, "rate_limit: { rate: 10000000/1s, algorithm: sliding_window, key: consumer }"],
    "key, three limits, quota": [KEY, f"rate_limit: {{ limits: [ {{ {RATE} }}, {{ {RATE}, algorithm: fixed_window }}, {{ rate: 1000000000/1h }}, {{ {QUOTA} }} ] }}"],
    "key, lease": [KEY, f"{LIMIT}, store: shared, mode: lease }}"],
    "key, strict": [KEY, f"{LIMIT}, store: shared, mode: strict }}"],
}


class Limited(Server):
    """A gateway with one of the chains."""

    def __init__(self, world, name, redis_port):
        super().__init__(world)
        self.name = "limits-" + "".join(c if c.isalnum() else "-" for c in name)
        self.chain, self.redis_port = CHAINS[name], redis_port

    def command(self):
        redis = f"redis: {{ shared: {{ url: redis://127.0.0.1:{self.redis_port}, timeout: 1s }} }}" if self.redis_port else ""
        policies = ", ".join(f"{{ {policy} }}" for policy in self.chain)
        path = self.path(f"{self.name}.yaml")
        render("sluice-limits.yaml.in", path,
               {**self.values(), "STATUS": free_port(), "STATE": self.path("state"), "REDIS": redis, "POLICIES": policies,
                "CONSUMERS": self.world.keys.yaml})
        return [self.world.sluice, "run", path]


def start_redis(world):
    """None: it is not there."""
    program = shutil.which("redis-server")
    if not program:
        return None, None
    port = free_port()
    process = Process("redis", [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", world.directory],
                      LOAD_CORE, os.path.join(world.directory, "redis.log"))
    process.await_listening(port)
    return process, port


def run(world, load, rounds, seconds):
    note(f"# What counting costs, {rounds} rounds")
    redis, port = start_redis(world)
    servers = {name: Limited(world, name, port) for name in CHAINS if port or not name.endswith(("lease", "strict"))}
    results = {name: [] for name in servers}
    try:
        for _ in range(rounds):
            for name in shuffled(list(servers)):
                server = servers[name]
                server.start()
                try:
                    results[name].append(load.run(server.port, target="/1k", expect_bytes=1024, connections=128, seconds=seconds,
                                                  warmup=0.5, pids=server.process.pids()))
                finally:
                    server.stop()
    finally:
        if redis:
            redis.stop()
    return results


def report(results, targets):
    def extra(name, than):
        pairs = [a["cpu_us"] - b["cpu_us"] for a, b in zip(results[name], results[than])]
        return statistics.median(pairs), (min(pairs), max(pairs))

    print("\n## What counting costs: CPU a request, 1 KiB, 128 connections\n")
    print("| chain | us | over nothing (spread over rounds) | requests/s |\n| --- | --- | --- | --- |")
    for name, runs in results.items():
        value, (low, high) = extra(name, "nothing")
        cpu, rps = (statistics.median(r[field] for r in runs) for field in ("cpu_us", "rps"))
        print(f"| {name} | {cpu:.2f} | {value:+.2f} ({low:+.2f}..{high:+.2f}) | {rps:,.0f} |")
    value, spread = extra("key, three limits, quota", "nothing")
    targets.at_most("key check, three limits and a quota, over nothing", value, 1.5, "us", spread)
    if "key, lease" in results:
        value, spread = extra("key, lease", "key, limit")
        targets.at_most("lease over local", value, 1.0, "us", spread)
