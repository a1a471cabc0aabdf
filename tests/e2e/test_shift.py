"""Hedging, adaptive concurrency and traffic that moves by and by (issue 11), with real upstreams that are slow or fail."""

import json
import threading

from harness import check, patience
from harness.upstream import always

TWO = """
upstreams:
  many: { targets: ["http://127.0.0.1:@slow@", "http://127.0.0.1:@fast@"], hedge: 20ms }
apis:
  all: { path: /, upstream: many }
"""


def test_a_slow_target_is_overtaken(t):
    """Round robin asks the silent target first every other time: each of those requests is answered by the other one."""
    silent = t.upstream(lambda connection: (connection.read_request(), connection.wait_for_close()), "silent")
    gateway = t.gateway(TWO, {"slow": silent, "fast": t.echo("fast")}, workers="2")
    client = t.client(gateway)
    answers = [client.get("/") for _ in range(10)]
    check.equal([(answer.status, answer.json["upstream"]) for answer in answers], [(200, "fast")] * 10)
    metrics = gateway.metrics()
    won = metrics.sum("sluice_hedges_total", upstream="many", result="won")
    assert won >= 1, won
    check.equal(metrics.sum("sluice_upstream_requests_total", upstream="many", result="cancelled"), won)
    check.equal(len(silent.requests), won)


ADAPTIVE = """
upstreams:
  one: { targets: ["http://127.0.0.1:@one@"], adaptive_concurrency: { min: 2, max: 4, initial: 2 } }
apis:
  all: { path: /, upstream: one }
"""


def test_an_upstream_that_is_full(t):
    go = threading.Event()

    def serve(connection):
        connection.read_request()
        go.wait(30)
        connection.answer(b"late")
        connection.wait_for_close()

    slow = t.upstream(serve, "slow")
    gateway = t.gateway(ADAPTIVE, {"one": slow}, workers="2")
    waiting = [t.client(gateway) for _ in range(2)]
    for client in waiting:
        client.send(b"GET / HTTP/1.1\r\nHost: gateway.test\r\n\r\n")
    slow.wait_for(2)
    answer = t.client(gateway).get("/")
    check.problem(answer, 503, "upstream_overloaded")
    check.equal(answer.get("retry-after"), "1")
    check.equal(gateway.metrics().sum("sluice_limit_hits_total", limit="upstream_concurrency"), 1)
    check.equal(json.loads(gateway.status("/upstreams").body)[0]["concurrency_limit"], 2)
    go.set()
    check.equal([client.response().body for client in waiting], [b"late"] * 2)


SHIFT = """
upstreams:
  old: { targets: ["http://127.0.0.1:@old@"] }
  new: { targets: ["http://127.0.0.1:@new@"] }
apis:
  a: { path: /, upstream: old, shift: { to: new, over: 1s@rollback@ } }
"""


def test_traffic_moves(t):
    gateway = t.gateway(SHIFT.replace("@rollback@", ""), {"old": t.echo("old"), "new": t.echo("new")}, workers="2")
    client = t.client(gateway)
    check.equal(client.get("/").json["upstream"], "old", "the first one begins it")
    patience.poll("all have moved", lambda: client.get("/").json["upstream"] == "new" and gateway.metrics().sum("sluice_shift_ratio", api="a") == 1)
    check.equal({client.get("/").json["upstream"] for _ in range(20)}, {"new"})


def test_traffic_goes_back_when_the_new_upstream_fails(t):
    bad = t.upstream(always(b"HTTP/1.1 500 Bad\r\nContent-Length: 0\r\n\r\n"), "bad")
    gateway = t.gateway(SHIFT.replace("@rollback@", ", rollback: { error_rate: 20%, min_requests: 5 }"), {"old": t.echo("old"), "new": bad})
    client = t.client(gateway)
    patience.poll("it is rolled back", lambda: client.get("/").status and gateway.metrics().sum("sluice_shift_rollbacks_total", api="a") == 1)
    check.equal([client.get("/").status for _ in range(20)], [200] * 20)
    check.equal(gateway.metrics().sum("sluice_shift_ratio", api="a"), 0)
    assert "API a: the shift to upstream new is rolled back: " in gateway.said(), gateway.said()
