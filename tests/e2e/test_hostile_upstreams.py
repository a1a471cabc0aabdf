"""Upstreams that trickle (issue 9): they hold what is theirs, for a bounded time, and other upstreams' clients do not notice."""

import threading

from harness import check
from harness.crowd import Crowd, private_bytes
from harness.raw import encode_request

TWO = """
upstreams:
  good: { targets: ["http://127.0.0.1:@good@"] }
  slow: { targets: ["http://127.0.0.1:@slow@"], timeouts: { response_head: 2s }, retry: { attempts: 1 } }
apis:
  good: { path: /good, upstream: good }
  slow: { path: /slow, upstream: slow }
"""


def _trickle(first, piece, stop):
    def script(connection):
        connection.read_request()
        connection.send(first)
        while not stop.wait(0.1):
            connection.send(piece)
    return script


def _run(t, first, piece, count, **settings):
    """(gateway, crowd of clients of the slow upstream, a look at the good one)."""
    stop = threading.Event()
    t.on_end(stop.set)
    slow = t.upstream(_trickle(first, piece, stop), "slow")
    gateway = t.gateway(TWO, {"good": t.echo(), "slow": slow}, **settings)
    kept = t.client(gateway)
    check.equal(kept.get("/good").status, 200)
    before = private_bytes(gateway)
    crowd = Crowd(gateway.port, count)
    crowd.send(encode_request("GET", "/slow"))

    def others_go_on():
        check.equal(kept.get("/good").status, 200, "another upstream's answer")
        check.equal(gateway.status("/livez").status, 200, "the status port")

    others_go_on()
    return gateway, crowd, others_go_on, before


def test_heads_that_trickle(t):
    """`timeouts.response_head` is for the whole head: 504."""
    gateway, crowd, others_go_on, _ = _run(t, b"HTTP/1.1 200 OK\r\nX-Slow: ", b"z", 100)
    crowd.watch("all have their 504", lambda: all(m.received or m.ended for m in crowd.members), others_go_on)
    check.equal({member.status() for member in crowd.members}, {504}, "answers")
    active = lambda: gateway.metrics().sum("sluice_upstream_connections", upstream="slow") == 0
    t.poll("their connections are gone", active)


def test_bodies_that_trickle(t):
    """Slow is no fault as long as something comes (`timeouts.stream_idle`): passed on as it comes, and little is held."""
    gateway, crowd, others_go_on, before = _run(t, b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b"z", 100)
    crowd.watch("bytes arrive one by one", lambda: all(len(m.received) > 300 for m in crowd.members), others_go_on, 30)
    grown = private_bytes(gateway) - before
    assert grown < (16 if "release" in t.binary else 128) * 1_000_000, f"{grown} bytes for 100 slow answers"
    crowd.close()
    t.poll("the upstream is told", lambda: gateway.metrics().sum("sluice_upstream_connections", upstream="slow") == 0)
    others_go_on()


def test_bodies_that_stall_end_with_stream_idle(t):
    gateway, crowd, others_go_on, _ = _run(t, b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\nbegun", b"", 50,
                                           timeouts="{ stream_idle: 1s }")
    crowd.watch("all are ended", lambda: not crowd.open(), others_go_on)
    assert all(b"begun" in member.received for member in crowd.members)
    t.poll("no exchange is left", lambda: gateway.metrics().sum("sluice_connections", state="active") == 0)
