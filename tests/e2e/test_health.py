"""Targets that die, fail and come back: probes, ejection, failover, circuit breaker (contract, section 2)."""

import json
import signal
import socket
import threading
import time
from collections import Counter

import hpack

from harness import check, node, patience, ports
from harness.upstream import always

ACTIVE = """
upstreams:
  many:
    targets: ["http://127.0.0.1:@a@", "http://127.0.0.1:@b@", "http://127.0.0.1:@c@"]
    retry: { attempts: 2, on: [connect_failure, reset, 503] }
    health: { active: { path: /healthz, interval: 100ms, timeout: 80ms, healthy: 2, unhealthy: 2 } }
apis:
  all: { path: /, upstream: many }
"""


def _upstreams(gateway):
    return json.loads(gateway.status("/upstreams").body)


def _states(gateway):
    return [target["state"] for target in _upstreams(gateway)[0]["targets"]]


def test_a_target_that_dies_is_left_out_and_taken_again(t):
    peers = {name: t.echo(name) for name in "abc"}
    gateway = t.gateway(ACTIVE, peers, workers="2")
    client = t.client(gateway)
    check.equal(Counter(client.get("/").json["upstream"] for _ in range(30)), Counter(a=10, b=10, c=10))
    port = peers["b"].port
    peers["b"].stop()
    for _ in range(30):  # while it is not known yet: no idempotent request fails with retries on
        check.equal(client.get("/").status, 200)
    patience.poll("b is unhealthy", lambda: _states(gateway) == ["healthy", "unhealthy", "healthy"])
    check.equal(set(client.get("/").json["upstream"] for _ in range(20)), {"a", "c"})
    target = _upstreams(gateway)[0]["targets"][1]
    assert "no connection" in target["reason"], target
    check.equal(gateway.metrics().sum("sluice_target_healthy", upstream="many", target=f"127.0.0.1:{port}"), 0)
    assert f"target 127.0.0.1:{port} is unhealthy: no connection" in gateway.said()
    t.echo("b", port=port)
    patience.poll("b is healthy", lambda: _states(gateway) == ["healthy"] * 3)
    check.equal(set(client.get("/").json["upstream"] for _ in range(20)), {"a", "b", "c"})


def test_all_targets_down(t):
    """503 with `Retry-After` (contract, section 3)."""
    gateway = t.gateway(ACTIVE, {name: ports.free_port() for name in "abc"})
    patience.poll("all are unhealthy", lambda: _states(gateway) == ["unhealthy"] * 3)
    answer = t.client(gateway).get("/")
    check.problem(answer, 503, "no_target")
    check.equal(answer.get("retry-after"), "1")


def test_a_failing_target_is_ejected(t):
    good, bad = t.echo("good"), t.upstream(always(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"), "bad")
    gateway = t.gateway("""
upstreams:
  two:
    targets: ["http://127.0.0.1:@good@", "http://127.0.0.1:@bad@"]
    retry: { attempts: 1 }
    health: { passive: { consecutive_failures: 3, eject_for: 3s } }
apis:
  all: { path: /, upstream: two }
""", {"good": good, "bad": bad})
    client = t.client(gateway)
    seen = Counter()

    def ask_until_ejected():
        seen.update([client.get("/").status])
        return _states(gateway) == ["healthy", "ejected"]

    patience.poll("the bad one is ejected", ask_until_ejected)
    assert seen[503] >= 3, seen
    check.equal({client.get("/").status for _ in range(10)}, {200})
    check.equal(gateway.metrics().sum("sluice_ejections_total", upstream="two"), 1)
    patience.poll("it has its chance again", lambda: client.get("/").status == 503)


def test_a_hash_keeps_callers_at_their_targets(t):
    peers = {name: t.echo(name) for name in "abc"}
    text = ACTIVE.split("    retry")[0] + "    balance: { hash: 'header:X-User' }\n" + \
        "apis:\n  all: { path: /, upstream: many }\n"
    gateway = t.gateway(text, peers, workers="2")
    homes = {}
    for turn in range(3):
        for user in range(20):
            with t.client(gateway) as client:
                name = client.get("/", [("X-User", str(user))]).json["upstream"]
            check.equal(homes.setdefault(user, name), name, f"user {user}")
    check.equal(set(homes.values()), set("abc"))


def test_circuit_breaker(t):
    """Beyond `max_requests` an upstream gets no more; others are not disturbed, and room is used again."""
    slow = t.upstream(lambda connection: (connection.read_request(), connection.wait_for_close()), "slow")
    gateway = t.gateway("""
upstreams:
  slow: { targets: ["http://127.0.0.1:@slow@"], circuit_breaker: { max_requests: 3 } }
  fast: { targets: ["http://127.0.0.1:@fast@"] }
apis:
  slow: { path: /slow, upstream: slow }
  fast: { path: /fast, upstream: fast }
""", {"slow": slow, "fast": t.echo()}, workers="2")
    waiting = [t.client(gateway) for _ in range(3)]
    for client in waiting:
        client.send(b"GET /slow HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    slow.wait_for(3)
    answer = t.client(gateway).get("/slow")
    check.problem(answer, 503, "circuit_breaker_open")
    check.equal(answer.get("retry-after"), "1")
    check.equal(t.client(gateway).get("/fast").status, 200)
    check.equal(gateway.metrics().sum("sluice_limit_hits_total", limit="upstream_requests"), 1)
    waiting[0].reset()
    patience.poll("there is room again", lambda: _upstreams(gateway)[0]["requests"] == 2)
    t.client(gateway).send(b"GET /slow HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    slow.wait_for(4)


def test_a_crowd_on_few_connections(t):
    """`max_connections` holds over all workers; whoever waits gets its turn, and nobody is refused."""
    inside, most, lock = [0], [0], threading.Lock()

    def serve(connection):
        while True:
            connection.read_request()
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.001)
            with lock:
                inside[0] -= 1
            connection.answer()

    gateway = t.gateway("""
upstreams:
  few: { targets: ["http://127.0.0.1:@few@"], circuit_breaker: { max_connections: 3 }, timeouts: { connect: 20s } }
apis:
  all: { path: /, upstream: few }
""", {"few": t.upstream(serve, "few")}, workers="4")
    statuses = []

    def ask():
        with gateway.client() as client:
            for _ in range(50):
                statuses.append(client.get("/").status)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    check.equal(Counter(statuses), {200: 1000})
    assert most[0] <= 3, most
    assert sum(value for _, value in gateway.metrics().find("sluice_upstream_connections")) <= 3


def test_priorities_fail_over(t):
    """The second priority takes over when the first is gone, and only then."""
    peers = {"first": t.echo("first"), "second": t.echo("second")}
    gateway = t.gateway("""
upstreams:
  both:
    targets: [ "http://127.0.0.1:@first@", { url: "http://127.0.0.1:@second@", priority: 1 } ]
    health: { active: { type: tcp, interval: 100ms, unhealthy: 1 } }
apis:
  all: { path: /, upstream: both }
""", peers)
    client = t.client(gateway)
    check.equal({client.get("/").json["upstream"] for _ in range(10)}, {"first"})
    peers["first"].stop()
    patience.poll("it is known", lambda: _states(gateway)[0] == "unhealthy")
    check.equal({client.get("/").json["upstream"] for _ in range(10)}, {"second"})


def _refuses_before_the_body(connection):
    """UNIMPLEMENTED while it takes no body at all, then RST_STREAM(NO_ERROR) (RFC 9113, section 8.1): frame by frame, for
    the request's body may have been sent before the window of none was known."""

    def send(kind, flags, stream, payload):
        connection.send(len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload)

    send(4, 0, 0, b"\x00\x04\x00\x00\x00\x00")  # SETTINGS_INITIAL_WINDOW_SIZE: 0
    held = connection.sock.recv(24, socket.MSG_WAITALL)[24:]
    while True:
        data = connection.sock.recv(65536)
        if not data:
            return
        held += data
        while len(held) >= 9 and len(held) >= 9 + int.from_bytes(held[:3], "big"):
            kind, flags, stream, size = held[3], held[4], int.from_bytes(held[5:9], "big"), int.from_bytes(held[:3], "big")
            held = held[9 + size:]
            if kind == 4 and not flags & 1:
                send(4, 1, 0, b"")
            if kind == 1:
                fields = [(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "12")]
                send(1, 0x5, stream, hpack.Encoder().encode(fields))
                send(3, 0, stream, bytes(4))


def test_grpc_health_answered_before_the_question(t):
    gateway = t.gateway("""
upstreams:
  books:
    targets: [ "http://127.0.0.1:@hasty@" ]
    protocol: h2c
    health: { active: { type: grpc, interval: 100ms, timeout: 1s, unhealthy: 1 } }
apis:
  books: { path: /books.Books, upstream: books }
""", {"hasty": t.upstream(_refuses_before_the_body, "hasty")})
    patience.poll("it is found out", lambda: _states(gateway) == ["unhealthy"])
    assert "gRPC status unimplemented" in gateway.said(), gateway.said()


def test_grpc_health(t):
    """grpc.health.v1.Health of a real service: SERVING, NOT_SERVING, a service without it (gRPC, doc/health-checking.md)."""
    service = node.Server(t, "health_service.js")
    none = node.Server(t, "echo_service.js", "none")
    gateway = t.gateway("""
upstreams:
  books:
    targets: [ "http://127.0.0.1:@service@", "http://127.0.0.1:@none@" ]
    protocol: h2c
    health: { active: { type: grpc, service: books, interval: 100ms, timeout: 1s, unhealthy: 1, healthy: 1 } }
apis:
  books: { path: /books.Books, upstream: books }
""", {"service": service, "none": none})
    patience.poll("the one without the protocol is found out", lambda: _states(gateway) == ["healthy", "unhealthy"])
    assert "gRPC status unimplemented" in gateway.said(), gateway.said()
    service.process.send_signal(signal.SIGUSR2)
    patience.poll("NOT_SERVING", lambda: _states(gateway) == ["unhealthy", "unhealthy"])
    assert "it says that it does not serve" in gateway.said(), gateway.said()
    service.process.send_signal(signal.SIGUSR2)
    patience.poll("SERVING again", lambda: _states(gateway) == ["healthy", "unhealthy"])
