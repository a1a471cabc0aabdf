"""Every limit of the contract is answered with its status, and slow senders are timed out (issue 8, Bad input)."""

import time

from harness import check, message
from harness.raw import encode_request

SMALL = "{ request_target: 1KiB, request_head: 4KiB, request_fields: 20, request_body: 1KiB }"


def _gateway(t, script=None, **settings):
    upstream = t.upstream(script) if script else t.echo()
    return t.gateway(values={"upstream": upstream}, **settings), upstream


def test_request_target(t):
    """414 (RFC 9110, section 15.5.15)."""
    gateway, echo = _gateway(t, limits=SMALL)
    for size, status in ((1024, 200), (1025, 414), (3000, 414), (30000, 414)):
        with t.case(f"{size} bytes"):
            client = t.client(gateway)
            client.try_send(encode_request("GET", "/" + "a" * (size - 1)))
            answer = client.response()
            if status == 200:
                check.equal(answer.status, 200, "status")
            else:
                check.problem(answer, status)
    check.equal(len(echo.requests), 1, "requests that reached the upstream")


def test_request_head(t):
    """431 (RFC 6585, section 5)."""
    gateway, echo = _gateway(t, limits=SMALL)
    for name, fields, status in (
            ("3 KB in one field", [("A", "x" * 3000)], 200),
            ("5 KB in one field", [("A", "x" * 5000)], 431),
            ("5 KB in ten fields", [("A", "x" * 500)] * 10, 431),
            ("a long name", [("A" * 5000, "x")], 431),
            ("100 KB", [("A", "x" * 100_000)], 431),
            ("20 fields", [("A", "x")] * 19, 200),   # with Host
            ("21 fields", [("A", "x")] * 20, 431),
            ("500 fields", [("A", "")] * 500, 431)):
        with t.case(name):
            client = t.client(gateway)
            client.try_send(encode_request("GET", "/", fields))
            answer = client.response()
            if status == 200:
                check.equal(answer.status, 200, "status")
            else:
                check.problem(answer, status)
                client.expect_closed()
    check.equal(len(echo.requests), 2, "requests that reached the upstream")


def test_endless_head(t):
    gateway, _ = _gateway(t)
    for name, piece in (("one line", b"x" * 4096), ("many fields", b"a: b\r\n" * 600)):
        with t.case(name):
            client = t.client(gateway)
            client.send(b"GET / HTTP/1.1\r\nHost: x.test\r\nA: ")
            sent = 0
            while client.try_send(piece) and sent < 4_000_000:
                sent += len(piece)
                if client.reader.ended or _readable(client):
                    break
            assert sent < 4_000_000, "read without end"
            check.problem(client.response(), 431)
            client.expect_closed()


def _readable(client):
    import select
    return bool(select.select([client.sock], [], [], 0)[0])


def test_body_too_large_by_its_length(t):
    """413 before anything of it is read or sent on."""
    gateway, echo = _gateway(t, limits=SMALL)
    for size, status in ((1024, 200), (1025, 413), (10**15, 413)):
        with t.case(f"{size} bytes"):
            client = t.client(gateway)
            client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: %d\r\n\r\n" % size)
            if status == 200:
                client.send(b"z" * size)
                check.equal(client.response().status, 200, "status")
            else:
                answer = client.response()
                check.problem(answer, 413)
                if answer.keeps_open:  # a small rest may be read and dropped (docs/http.md)
                    client.send(b"z" * size)
                    client.expect_open()
                else:
                    client.expect_closed()
    assert all(request.method == "GET" or len(request.body) <= 1024 for request in echo.requests)


def test_body_too_large_while_it_streams(t):
    gateway, echo = _gateway(t, limits=SMALL)
    for name, body in (("many chunks", b"80\r\n" + b"z" * 128 + b"\r\n"), ("small chunks", b"1\r\nz\r\n")):
        with t.case(name):
            client = t.client(gateway)
            client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n")
            for _ in range(2000):
                if not client.try_send(body) or _readable(client):
                    break
            check.problem(client.response(), 413)
            client.expect_closed()
    with t.case("exactly the limit"):
        client = t.client(gateway)
        client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n" + b"200\r\n" + b"z" * 512 + b"\r\n200\r\n"
                    + b"z" * 512 + b"\r\n0\r\n\r\n")
        check.equal(client.response().json["body_bytes"], 1024)
    check.equal(len(echo.requests), 1, "complete requests at the upstream")


def test_body_limit_of_the_inner_level_wins(t):
    """Contract: limits may stand on gateway, API and route: the inner one wins."""
    gateway = t.gateway("""
upstreams:
  one: { targets: ["http://127.0.0.1:@upstream@"] }
apis:
  outer: { path: /outer, upstream: one }
  api:
    path: /api
    upstream: one
    limits: { request_body: 200 }
    routes:
      - { name: tight, path: /tight, limits: { request_body: 10 } }
      - { name: wide, path: /wide, limits: { request_body: 2KiB } }
      - { name: plain }
""", {"upstream": t.echo()}, limits="{ request_body: 100 }")
    for target, limit in (("/outer", 100), ("/api/x", 200), ("/api/tight", 10), ("/api/wide", 2048)):
        for size, status in ((limit, 200), (limit + 1, 413)):
            with t.case(f"{target} {size}"):
                check.equal(t.client(gateway).request("POST", target, body=b"z" * size).status, status, "status")


def test_slow_head(t):
    """408 and the close (RFC 9110, section 15.5.9); contract: `timeouts.header`."""
    gateway, _ = _gateway(t, timeouts="{ header: 300ms }")
    for name, sent in (("half a line", b"GET / HT"), ("half a head", b"GET / HTTP/1.1\r\nHost: x.test\r\n")):
        with t.case(name):
            client = t.client(gateway)
            client.send(sent)
            check.problem(client.response(), 408)
            client.expect_closed()
    with t.case("nothing at all"):
        client = t.client(gateway)
        answer = check.refused_or_closed(client)
        assert answer is None or answer.status == 408
        client.expect_closed()
    assert t.client(gateway).get("/").status == 200


def test_trickled_head(t):
    """A head that keeps coming byte by byte is as late as a silent one."""
    gateway, _ = _gateway(t, timeouts="{ header: 500ms }")
    client = t.client(gateway)
    client.send(b"GET / HTTP/1.1\r\nHost: x.test\r\nA: ")
    end = time.monotonic() + 20
    while time.monotonic() < end and not _readable(client):
        if not client.try_send(b"x"):
            break
        time.sleep(0.05)
    check.problem(client.response(), 408)
    client.expect_closed()


def test_slow_second_head_on_a_kept_connection(t):
    gateway, _ = _gateway(t, timeouts="{ header: 300ms, keep_alive: 30s }")
    client = t.client(gateway)
    assert client.get("/").status == 200
    client.send(b"GET / HTT")
    check.problem(client.response(), 408)
    client.expect_closed()


def test_silent_body(t):
    """408; the upstream never sees a complete request."""
    gateway, echo = _gateway(t, timeouts="{ body_progress: 300ms }")
    for name, head in (("length", b"Content-Length: 10\r\n\r\nabc"), ("chunked", b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
                       ("within a chunk", b"Transfer-Encoding: chunked\r\n\r\n9\r\nabc"),
                       ("no byte", b"Content-Length: 10\r\n\r\n")):
        with t.case(name):
            client = t.client(gateway)
            client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\n" + head)
            check.problem(client.response(), 408)
            client.expect_closed()
    assert echo.requests == []
    assert t.client(gateway).get("/").status == 200


def test_trickled_body(t):
    """Timed out by progress, not only by silence (issue 8): a byte now and then is no progress."""
    gateway, echo = _gateway(t, timeouts="{ body_progress: 500ms }")
    client = t.client(gateway)
    client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 100000\r\n\r\n")
    end = time.monotonic() + 20
    while time.monotonic() < end and not _readable(client):
        if not client.try_send(b"x"):
            break
        time.sleep(0.1)
    check.problem(client.response(), 408)
    client.expect_closed()
    assert echo.requests == []


def test_body_that_makes_progress(t):
    """As long as it really moves, a body may take longer than the timeout."""
    gateway, _ = _gateway(t, timeouts="{ body_progress: 1s }")
    client = t.client(gateway)
    client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 640000\r\n\r\n")
    for _ in range(10):
        client.send(b"x" * 64000, 0.2)
    check.equal(client.response().json["body_bytes"], 640000)


def test_unread_body_of_a_refused_request(t):
    """An answer of the gateway's own to a request with a body: the rest is read and dropped, or the connection closes."""
    gateway, _ = _gateway(t)
    gateway.reload("apis:\n  a: { path: /a, routes: [ { name: r, respond: { status: 200, body: ok } } ] }\n")
    for name, size in (("small", 100), ("large", 3_000_000)):
        with t.case(name):
            client = t.client(gateway)
            client.try_send(encode_request("POST", "/nowhere", body=b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n" * (size // 27)))
            answer = client.response()
            check.problem(answer, 404)
            if answer.keeps_open:
                client.expect_open("/a")
            else:
                client.expect_closed()


def test_client_that_does_not_read(t):
    """An answer that nobody takes ends, and its upstream's connection with it."""
    ended = []

    def script(connection):
        connection.read_request()
        try:
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
            while True:
                connection.send(b"z" * 1_000_000)
        except TimeoutError:
            pass  # ours: nobody ended it
        except OSError:
            ended.append(True)

    gateway, _ = _gateway(t, script, timeouts="{ body_progress: 300ms, stream_idle: 300ms }")
    client = t.client(gateway, receive_buffer=4096)
    client.send(encode_request("GET", "/"))
    t.poll("the upstream's connection ends", lambda: ended)
    try:
        client.response()
    except message.Closed:
        return
    raise AssertionError("a cut answer was passed off as complete")


def test_body_that_was_read_for_routing_meets_the_limit_too(t):
    """A chunked body that is whole within the prefix which a body condition looks at."""
    gateway = t.gateway("""
upstreams:
  one: { targets: ["http://127.0.0.1:@upstream@"] }
apis:
  a:
    path: /a
    upstream: one
    limits: { request_body: 100 }
    routes:
      - { name: bulk, match: { body: { "$.kind": bulk } } }
      - { name: other }
""", {"upstream": t.echo()})
    for size, status in ((50, 200), (500, 413)):
        with t.case(str(size)):
            body = b'{"kind": "bulk", "pad": "' + b"z" * size + b'"}'
            client = t.client(gateway)
            client.send(b"POST /a HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))
            check.equal(client.response().status, status)
