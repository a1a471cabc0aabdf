"""The protocols beside plain HTTP/1.1: TLS, handshakes, HTTP/2, gRPC, WebSocket, TCP, and memory of their idle connections."""
import json
import os
import re
import subprocess

from . import servers, ways
from .machine import BenchError, LOAD_CORE, on_core
from .measure import SIZES, fresh, hold, note, shuffled
from .report import median, ratio, ratio_text

STREAMS = 100         # at once on each HTTP/2 connection
H2_CONNECTIONS = 4
MESSAGE = b"\0\0\0\0\x40" + b"x" * 64    # gRPC's prefix and 64 bytes


def cpu_seconds(pids):
    """User and system time of all threads, as bench_load reads it for the others."""
    total = 0
    for pid in pids:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                total += int(f.read().split()[0])
    return total / 1e9


def run_tool(command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        raise BenchError(f"{' '.join(map(str, command[:8]))} ... failed: {(done.stderr or done.stdout).strip()[-500:]}")
    return done.stdout


def own_tool(world, name, server, **options):
    command = [*on_core(LOAD_CORE), os.path.join(world.tools, name), "--address", f"127.0.0.1:{server.port}"]
    for pid in server.process.pids():
        command += ["--pid", str(pid)]
    for option, value in options.items():
        command += ["--" + option.replace("_", "-")] + ([] if value is True else [str(value)])
    return json.loads(run_tool(command))


def h2load(server, path, requests, *options):
    """`requests` on four connections of a hundred streams. What the handshakes cost is in it, and is nothing."""
    url = f"{server.way.scheme}://127.0.0.1:{server.port}{path}"
    command = [*on_core(LOAD_CORE), "h2load", "-n", str(requests), "-c", str(H2_CONNECTIONS), "-m", str(STREAMS), "-t", "1",
               "--groups=X25519", *options, url]
    pids = server.process.pids()
    before = cpu_seconds(pids)
    text = run_tool(command)
    used = cpu_seconds(pids) - before
    finished = re.search(r"finished in ([\d.]+)(us|ms|s), ([\d.]+) req/s", text)
    good = re.search(r"status codes: (\d+) 2xx", text)
    if not finished or not good or int(good.group(1)) != requests or f"{requests} succeeded" not in text:
        raise BenchError(f"{server.name}: h2load did not get {requests} good answers:\n{text[-800:]}")
    seconds = float(finished.group(1)) * {"us": 1e-6, "ms": 1e-3, "s": 1}[finished.group(2)]
    return {"rps": float(finished.group(3)), "seconds": seconds, "cpu_seconds": used, "cpu_us": used * 1e6 / requests}


def counted(run, requests, seconds):
    """h2load counts requests, not seconds: as many as fit into these, told by a first run that also warms the server."""
    first = run(requests)
    return run(max(requests, int(first["rps"] * seconds)))


class Subject:
    """One line of the table: a way to all servers, the load on it, and what it may cost."""

    def __init__(self, title, way, measure, unit="request", limits=()):
        self.title, self.way, self.measure, self.unit, self.limits = title, way, measure, unit, limits


def http1(target, tls):
    def run(world, load, server, seconds, warmup):
        return load.run(server.port, target="/" + target, expect_bytes=SIZES[target], connections=128, seconds=seconds,
                        warmup=warmup, pids=server.process.pids(), **({"tls": True} if tls else {}))
    return run


def handshakes(**options):
    def run(world, load, server, seconds, warmup):
        result = own_tool(world, "bench_handshake", server, seconds=seconds, warmup=warmup, **options)
        if result["failed"] or result["handshakes"] == 0:
            raise BenchError(f"{server.name}: handshakes failed: {result}")
        if options.get("resume") and result["resumed"] < result["handshakes"]:
            raise BenchError(f"{server.name} does not resume every session: {result}")
        return result
    return run


def http2(world, load, server, seconds, warmup):
    key = ["-H", f"x-api-key: {world.keys.keys[0]}"]
    for header in load.headers():
        key += ["-H", header]
    return counted(lambda n: h2load(server, "/1k", n, *key), 20000, seconds)


def grpc(world, load, server, seconds, warmup):
    body = os.path.join(world.directory, "message.bin")
    with open(body, "wb") as f:
        f.write(MESSAGE)
    call = ["-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers"]
    prove_grpc(server, body)
    return counted(lambda n: h2load(server, "/bench.Echo/Unary", n, *call), 20000, seconds)


def prove_grpc(server, body):
    """h2load looks at the status alone; here the message and its trailer must have come through."""
    url = f"http://127.0.0.1:{server.port}/bench.Echo/Unary"
    text = run_tool(["nghttp", "-nv", "--no-dep", "-d", body, "-H", "content-type: application/grpc", "-H", "te: trailers", url])
    if "grpc-status: 0" not in text or f"DATA frame <length={len(MESSAGE)}," not in text:
        raise BenchError(f"{server.name} does not pass the call:\n{text[-1500:]}")


def websocket(size):
    def run(world, load, server, seconds, warmup):
        return own_tool(world, "bench_websocket", server, connections=64, size=size, seconds=seconds, warmup=warmup)
    return run


SUBJECTS = {
    "tls": [Subject("TLS 1.3, 1 KiB, 128 connections", ways.TLS, http1("1k", True), limits=[("nginx", 0.75)]),
            Subject("TLS 1.3, 100 KiB, 128 connections", ways.TLS, http1("100k", True), limits=[("nginx", 0.75)])],
    "handshake": [Subject("new TLS connections, ECDSA P-256", ways.TLS, handshakes(), "handshake", [("nginx", 1.0)]),
                  Subject("new TLS connections, RSA 2048", ways.TLS_RSA, handshakes(), "handshake", [("nginx", 1.0)]),
                  Subject("resumed TLS connections", ways.TLS, handshakes(resume=True), "handshake", [("nginx", 1.0)])],
    "h2": [Subject(f"HTTP/2 to HTTP/1.1, 1 KiB, {H2_CONNECTIONS} connections of {STREAMS} streams", ways.H2, http2,
                   limits=[("nginx", 0.75)]),
           Subject("the same over TLS 1.3", ways.H2_TLS, http2, limits=[("nginx", 0.75)])],
    "grpc": [Subject(f"gRPC unary, h2c to h2c, {H2_CONNECTIONS} connections of {STREAMS} streams", ways.GRPC, grpc, "call",
                     [("nginx", 0.7)])],
    "websocket": [Subject("WebSocket echo, 64 bytes, 64 connections", ways.WEBSOCKET, websocket(64), "echo", [("haproxy", 0.8)]),
                  Subject("WebSocket echo, 64 KiB, 64 connections", ways.WEBSOCKET, websocket(65536), "echo",
                          [("haproxy", 0.8)])],
    "tcp": [Subject("TCP, 1 KiB, 128 connections", ways.TCP, http1("1k", False), limits=[("pump", 1.1)]),
            Subject("TCP, 100 KiB, 128 connections", ways.TCP, http1("100k", False), limits=[("pump", 1.1)])],
}
IDLE = {"tls_idle": ways.TLS, "h2_idle": ways.H2}
PARTS = (*SUBJECTS, *IDLE)
# What the peers cannot do, or what says nothing.
PEERS = {"tcp": ("pump", "haproxy"), "websocket": ("pump", "nginx", "haproxy")}


def kinds(arguments, part):
    peers = [name for name in arguments.peers.split(",") if name in PEERS.get(part, ("nginx", "haproxy"))]
    ours = [] if arguments.without_sluice else [servers.Sluice, servers.SluiceOnEpoll]
    return ours + [servers.KINDS[name] for name in peers]


def throughput(world, arguments, load, part):
    """{title: {server: [result of each round]}}, rounds interleaved."""
    results = {}
    seconds, warmup = (0.8, 0.3) if arguments.quick else (1.5, 0.3)
    for subject in SUBJECTS[part]:
        subjects = [kind(world, subject.way) for kind in kinds(arguments, part)]
        runs = {server.name: [] for server in subjects}
        try:
            for _ in range(arguments.rounds):
                for server in map(fresh, shuffled(subjects)):
                    result = subject.measure(world, load, server, seconds, warmup)
                    result["busy"] = result["cpu_seconds"] / result["seconds"]
                    runs[server.name].append(result)
                    server.stop()
        finally:
            for server in subjects:
                server.stop()
        results[subject.title] = runs
        note(f"  {subject.title}: " + ", ".join(f"{name} {median(r, 'cpu_us'):.1f} us" for name, r in runs.items()))
    return results


def idle(world, arguments, load, part):
    """{server: {"bytes": ...}} with what the library alone takes as the server "floor"."""
    way = IDLE[part]
    found = {}
    for kind in kinds(arguments, part):
        server = fresh(kind(world, way))
        try:
            if part == "tls_idle":
                load.run(server.port, target="/1k", connections=64, seconds=0.5, tls=True)
                holder = load.command(server.port, target="/1k", connections=arguments.idle, sources=8, hold=True, tls=True)
            else:
                h2load(server, "/1k", 5000, "-H", f"x-api-key: {world.keys.keys[0]}")
                holder = [*on_core(LOAD_CORE), os.path.join(world.tools, "bench_h2_idle"), "--address",
                          f"127.0.0.1:{server.port}", "--connections", str(arguments.idle), "--key", world.keys.keys[0]]
            found[server.name] = hold(server, holder, arguments.idle, 1 if arguments.quick else 3)
        finally:
            server.stop()
        note(f"  {server.name}: {found[server.name]['bytes']:.0f} bytes a connection")
    library = "tls" if part == "tls_idle" else "h2"
    pair = ["--certificate", f"{world.directory}/ecdsa.crt", "--key", f"{world.directory}/ecdsa.key"] if library == "tls" else []
    floor = json.loads(run_tool([os.path.join(world.tools, "bench_floor"), library, "--connections", str(arguments.idle), *pair]))
    note(f"  {'libssl' if library == 'tls' else 'nghttp2'} alone: {floor['bytes']:.0f} bytes a connection")
    return {"servers": found, "floor": floor["bytes"]}


def run(world, arguments, load):
    found = {}
    for part in arguments.parts:
        if part in SUBJECTS:
            note(f"# {part}, {arguments.rounds} rounds")
            found[part] = throughput(world, arguments, load, part)
        elif part in IDLE:
            note(f"# {part}: {arguments.idle:,} connections")
            found[part] = idle(world, arguments, load, part)
    return found


def report(found, targets):
    for part, results in found.items():
        if part in IDLE:
            report_idle(part, results, targets)
            continue
        for subject in SUBJECTS[part]:
            report_subject(subject, results[subject.title], targets)


def report_subject(subject, results, targets):
    bases = [peer for peer in ("nginx", "haproxy", "pump") if peer in results]
    print(f"\n## {subject.title}\n")
    print(f"| | CPU us/{subject.unit} | {subject.unit}s/s | its core busy | " + " | ".join(f"CPU / {peer}" for peer in bases) +
          " |\n|" + " --- |" * (4 + len(bases)))
    for name, runs in results.items():
        cells = [ratio_text(runs, results[peer], "cpu_us") for peer in bases]
        print(f"| {name} | {median(runs, 'cpu_us'):.2f} | {median(runs, 'rps'):,.0f} | {median(runs, 'busy'):.0%} | "
              f"{' | '.join(cells)} |")
    for ours in ("sluice", "sluice-epoll"):
        for peer, limit in subject.limits:
            if ours in results and peer in results:
                value, spread = ratio(results[ours], results[peer], "cpu_us")
                targets.at_most(f"{subject.title}, {ours} / {peer}", value, limit, spread=spread)


def report_idle(part, results, targets):
    found, floor = results["servers"], results["floor"]
    what, library = ("TLS", "libssl") if part == "tls_idle" else ("HTTP/2", "nghttp2")
    print(f"\n## Memory of {next(iter(found.values()))['connections']:,} idle {what} connections\n")
    print(f"| | own bytes a connection | beyond {library} alone ({floor:,.0f}) | process with them, MiB |\n|" + " --- |" * 4)
    for name, r in found.items():
        print(f"| {name} | {r['bytes']:,.0f} | {r['bytes'] - floor:,.0f} | {r['own_after'] / 2**20:.1f} |")
    for ours in ("sluice", "sluice-epoll"):
        if ours in found:
            targets.at_most(f"idle {what} connection beyond {library}, {ours}", found[ours]["bytes"] - floor, 1024, "bytes")
            if part == "tls_idle" and "nginx" in found:
                targets.at_most(f"idle TLS connection, {ours}, at most nginx's", found[ours]["bytes"], found["nginx"]["bytes"],
                                "bytes")
