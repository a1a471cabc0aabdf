"""Kept connections to upstreams: which are used again, and what is sent again when one turns out to be closed."""

import threading

from harness import check
from harness.raw import encode_request


class _ClosesOnSecond:
    """Answers the first request of each connection; the second is read and the connection closed or reset without an answer."""

    def __init__(self, t, how):
        self.how = how
        self.upstream = t.upstream(self._script)

    def _script(self, connection):
        connection.read_request()
        connection.answer(b"fresh")
        connection.read_request()
        if self.how == "reset":
            connection.reset()


def test_stale_connection_is_retried_for_idempotent_requests_only(t):
    """RFC 9110, section 9.2.2; RFC 9112, section 9.3.1. The upstream may have acted on the lost request."""
    for how in ("close", "reset"):
        for method, body, again in (("GET", None, True), ("HEAD", None, True), ("OPTIONS", None, True), ("DELETE", None, True),
                                    ("PUT", b"small", None), ("POST", b"x", False), ("PATCH", b"x", False), ("POST", b"", False),
                                    ("FROB", None, False)):
            with t.case(f"{method} {body} {how}"):
                stale = _ClosesOnSecond(t, how)
                client = t.client(t.gateway(values={"upstream": stale.upstream}, workers="1"))
                check.equal(client.get("/warm").status, 200)
                answer = client.request(method, "/second", body=body)
                seen = [request.target for request in stale.upstream.requests]
                if again or (again is None and answer.status == 200):  # a body may be replayed when it was kept
                    check.equal(answer.status, 200)
                    check.equal(seen, ["/warm", "/second", "/second"])
                else:
                    check.problem(answer, 502)
                    check.equal(seen, ["/warm", "/second"], "requests at the upstream")


def test_fresh_connection_that_closes_is_not_a_stale_one(t):
    """Without a reused connection there is no reason to believe that sending again helps; at most a configured retry."""
    upstream = t.upstream(lambda connection: connection.read_request())
    client = t.client(t.gateway(values={"upstream": upstream}))
    check.problem(client.request("POST", "/", body=b"x"), 502)
    check.equal(len(upstream.requests), 1)


def test_retries_are_counted(t):
    stale = _ClosesOnSecond(t, "close")
    gateway = t.gateway(values={"upstream": stale.upstream}, workers="1")
    client = t.client(gateway)
    for _ in range(2):
        check.equal(client.get("/").status, 200)
    check.equal(gateway.metrics().sum("sluice_retries_total", upstream="one"), 1)


def test_connection_that_the_upstream_wants_closed(t):
    def script(connection):
        connection.read_request()
        connection.answer(b"bye", fields=[("Connection", "close")])
        connection.wait_for_close()

    upstream = t.upstream(script)
    client = t.client(t.gateway(values={"upstream": upstream}))
    for _ in range(3):
        answer = client.get("/")
        assert answer.body == b"bye" and answer.keeps_open
    check.equal(upstream.connections, 3)


def test_idle_connections_are_given_up(t):
    """`timeouts.idle` of the upstream."""
    ended = []

    def script(connection):
        connection.read_request()
        connection.answer()
        connection.wait_for_close()
        ended.append(True)

    gateway = t.gateway("upstreams:\n  one: { targets: ['http://127.0.0.1:@up@'], timeouts: { idle: 300ms } }\n"
                        "apis:\n  a: { path: /, upstream: one }\n", {"up": t.upstream(script)})
    check.equal(t.client(gateway).get("/").status, 200)
    t.poll("the idle connection is closed", lambda: ended)
    t.poll("the gauge goes to 0", lambda: gateway.metrics().sum("sluice_upstream_connections", upstream="one") == 0)


def test_abandoned_exchange_gives_its_connection_back_or_up(t):
    """A client that leaves in the middle of an answer: what is left of it never reaches another client."""
    release = threading.Event()

    def script(connection):
        while True:
            request = connection.read_request()
            if request.target == "/secret":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nsecr")
                release.wait(10)
                connection.send(b"et-stuff")
            else:
                connection.answer(b"public")

    upstream = t.upstream(script)
    gateway = t.gateway(values={"upstream": upstream}, workers="1")
    client = t.client(gateway)
    client.send(encode_request("GET", "/secret"))
    head = client.head()
    assert head.status == 200
    client.reset()
    gateway.log_line(path="/secret")
    release.set()
    for _ in range(5):
        check.equal(t.client(gateway).get("/public").body, b"public")


def test_head_requests_and_empty_answers_keep_the_connection(t):
    echo = t.echo()
    client = t.client(t.gateway(values={"upstream": echo}, workers="1"))
    for method in ("GET", "HEAD", "GET", "HEAD", "HEAD", "POST", "GET"):
        check.equal(client.request(method, "/").status, 200)
    check.equal(echo.connections, 1)


def test_many_clients_at_once(t):
    """200 connections over two workers; each gets its own answer."""
    gateway = t.gateway(values={"upstream": t.echo()})
    clients = [t.client(gateway, name=f"client{number}") for number in range(200)]
    for turn in range(3):
        for number, client in enumerate(clients):
            client.send(encode_request("POST", f"/{number}/{turn}", body=b"%d" % number))
        for number, client in enumerate(clients):
            answer = client.response().json
            check.equal((answer["target"], answer["body"]), (f"/{number}/{turn}", str(number)))
