"""Upstreams that misbehave (issue 8, Bad input): 502 or 504, never a truncated body as a whole one, and no reuse."""

import socket
import threading

from harness import check, message
from harness.raw import encode_request
from harness.upstream import once

OK = b"HTTP/1.1 200 OK\r\n"
# Before anything was sent to the client: 502. Endless and huge heads are bounded.
BROKEN_HEADS = {
    "closes without a byte": b"",
    "closes within the status line": b"HTTP/1.1 20",
    "closes within the head": OK + b"Content-Length: 5\r\nX-A: ",
    "junk": b"\x00\x01\x02\xff junk\r\n\r\n",
    "another protocol": b"SSH-2.0-OpenSSH_9.2\r\n",
    "no HTTP version": b"200 OK\r\n\r\n",
    "status of two digits": b"HTTP/1.1 20 OK\r\n\r\n",
    "status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n",
    "status 000": b"HTTP/1.1 000 Zero\r\n\r\n",
    "status with a sign": b"HTTP/1.1 +20 OK\r\n\r\n",
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare CR in a value": OK + b"A: b\rc\r\nContent-Length: 0\r\n\r\n",
    "NUL in a value": OK + b"A: b\x00c\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": OK + b"Content-Length : 0\r\n\r\n",
    "no colon": OK + b"Abc\r\nContent-Length: 0\r\n\r\n",
    "two lengths": OK + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "odd length": OK + b"Content-Length: 3x\r\n\r\nabc",
    "negative length": OK + b"Content-Length: -3\r\n\r\nabc",
    "length and chunked": OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "unknown coding": OK + b"Transfer-Encoding: cow\r\n\r\nabc",
    "101 nobody asked for": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    "a head of 1 MB": OK + b"A: " + b"x" * 1_000_000 + b"\r\n\r\n",
    "10000 fields": OK + b"a: b\r\n" * 10000 + b"\r\n",
    "HTTP/2 preface": b"\x00\x00\x12\x04\x00\x00\x00\x00\x00" + b"\x00" * 18,
}


def _ends_without_being_whole(client, method="GET"):
    """The answer's head may have come, but then the connection breaks before the body's announced end."""
    try:
        answer = client.response(method)
    except message.Closed:
        return
    if answer.status < 500:
        raise AssertionError(f"passed off as complete: {answer.status} {answer.body[:100]!r}")


def test_broken_heads(t):
    sent = {}

    def script(connection):
        request = connection.read_request()
        connection.send(sent[request.target])

    upstream = t.upstream(script)
    gateway = t.gateway(values={"upstream": upstream})
    client = t.client(gateway)
    for number, (name, head) in enumerate(BROKEN_HEADS.items()):
        with t.case(name):
            sent[f"/{number}"] = head
            # POST, because a lost idempotent request may be sent again, which test_upstream_pool looks at.
            answer = client.request("POST", f"/{number}", body=b"x")
            check.problem(answer, 502)
            assert answer.keeps_open, "the client's connection is not to blame"
            entry = gateway.log_line(path=f"/{number}")
            check.equal((entry["status"], entry["error_by"]), (502, "upstream"))
    check.equal(upstream.connections, len(BROKEN_HEADS), "connections (a broken one must not be used again)")


def test_resets(t):
    """Reset on accept, before the head, within it: 502; after it: the client's connection breaks."""
    def reset_after(*pieces, read=True):
        def script(connection):
            if read:
                connection.read_request()
            connection.send(*pieces)
            connection.reset()
        return script

    for name, script, begun in (
            ("at once", reset_after(read=False), False), ("before the head", reset_after(), False),
            ("within the head", reset_after(OK + b"Content-"), False),
            ("after the head", reset_after(OK + b"Content-Length: 5\r\n\r\n"), True),
            ("within the body", reset_after(OK + b"Content-Length: 5\r\n\r\nabc", 0.05), True),
            ("within the chunks", reset_after(OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", 0.05), True),
            ("within a body without length", reset_after(OK + b"\r\nabc", 0.05), True)):
        with t.case(name):
            gateway = t.gateway(values={"upstream": t.upstream(script)})
            client = t.client(gateway)
            client.send(encode_request("POST", "/x", body=b"x"))
            if begun:
                _ends_without_being_whole(client)
            else:
                check.problem(client.response(), 502)
                client.send(encode_request("POST", "/y", body=b"x"))
                check.problem(client.response(), 502)
            check.equal(gateway.log_line(path="/x")["error_by"], "upstream")


def test_short_bodies(t):
    """An upstream that lies about its length or stops within its chunks: the client can tell."""
    for name, answer in (("length too large", OK + b"Content-Length: 10\r\n\r\nabc"), ("no byte of it", OK + b"Content-Length: 10\r\n\r\n"),
                         ("chunked without an end", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
                         ("within a chunk", OK + b"Transfer-Encoding: chunked\r\n\r\na\r\nabc"),
                         ("before the trailers' end", OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n")):
        for version in ("HTTP/1.1", "HTTP/1.0"):
            with t.case(f"{name}, {version} client"):
                gateway = t.gateway(values={"upstream": t.upstream(once(answer))})
                client = t.client(gateway)
                client.send(encode_request("GET", "/x", version=version))
                if version == "HTTP/1.0" and b"chunked" in answer:
                    # Only a reset can tell an HTTP/1.0 client, whose body ends with the connection.
                    try:
                        got = client.response()
                    except message.Closed:
                        continue
                    assert got.status >= 500, "passed off as complete"
                else:
                    _ends_without_being_whole(client)
                entry = gateway.log_line(path="/x")
                check.equal(entry["error_by"], "upstream")


def test_too_long_a_body(t):
    """What comes after the announced length is no answer to the next request; the connection is not used again."""
    def script(connection):
        while True:
            connection.read_request()
            connection.send(OK + b"Content-Length: 3\r\n\r\nabc" + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")

    upstream = t.upstream(script)
    client = t.client(t.gateway(values={"upstream": upstream}))
    for _ in range(5):
        check.equal(client.get("/").body, b"abc")
    check.equal(upstream.connections, 5, "connections")


def test_unasked_bytes_on_an_idle_connection(t):
    """An answer that comes before its request is nobody's."""
    go = threading.Event()

    def script(connection):
        connection.read_request()
        connection.answer(b"first")
        go.wait(10)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")
        connection.wait_for_close()

    gateway = t.gateway(values={"upstream": t.upstream(script)})
    client = t.client(gateway)
    for _ in range(3):
        check.equal(client.get("/").body, b"first")
        go.set()
        t.poll("the connection is given up", lambda: gateway.metrics().sum("sluice_upstream_connections", upstream="one") == 0)
        go.clear()


def test_absent(t):
    gateway = t.gateway("upstreams:\n  one: { targets: ['http://127.0.0.1:@absent@'] }\napis:\n  a: { path: /, upstream: one }\n",
                        {"absent": t.free_port()})
    client = t.client(gateway)
    for method, body in (("GET", None), ("POST", b"x" * 1000), ("GET", None)):
        answer = client.request(method, "/", body=body)
        check.problem(answer, 502)
        if not answer.keeps_open:
            client = t.client(gateway)
    assert gateway.metrics().sum("sluice_upstream_requests_total", upstream="one") >= 3


def test_comes_back(t):
    """An upstream that was absent serves as soon as it is there."""
    port = t.free_port()
    gateway = t.gateway("upstreams:\n  one: { targets: ['http://127.0.0.1:@absent@'] }\napis:\n  a: { path: /, upstream: one }\n", {"absent": port})
    client = t.client(gateway)
    check.problem(client.get("/"), 502)
    nginx = t.nginx("server { listen 127.0.0.1:@port@; location / { return 200 here; } }", port)
    t.poll("the upstream serves", lambda: client.get("/").body == b"here")
    nginx.stop()
    t.poll("its end shows", lambda: client.get("/").status == 502)


TIMED = """
upstreams:
  one: { targets: ["http://127.0.0.1:@upstream@"], timeouts: { response_head: 300ms } }
apis:
  all: { path: /, upstream: one }
"""


def test_response_head_timeout(t):
    """504; a head that trickles is as late as none; the connection is given up."""
    def trickle(connection):
        connection.read_request()
        connection.send(OK)
        while True:
            connection.send(b"X-A: b\r\n", 0.05)

    def silent(connection):
        connection.read_request()
        connection.wait_for_close()

    for name, script in (("silent", silent), ("trickle", trickle), ("1xx only", lambda c: (
            c.read_request(), [c.send(b"HTTP/1.1 103 Early Hints\r\n\r\n", 0.05) for _ in range(400)]))):
        with t.case(name):
            gateway = t.gateway(TIMED, {"upstream": t.upstream(script)})
            client = t.client(gateway)
            client.send(encode_request("POST", "/x", body=b"x"))
            check.problem(client.response(), 504)
            entry = gateway.log_line(path="/x")
            check.equal((entry["status"], entry["error_by"]), (504, "upstream"))


def test_response_head_timeout_does_not_count_the_upload(t):
    """A body that is long in coming is not the upstream's fault."""
    client = t.client(t.gateway(TIMED, {"upstream": t.echo()}))
    client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 6\r\n\r\nab", 0.4, b"cd", 0.4, b"ef")
    check.equal(client.response().json["body"], "abcdef")


def test_connect_timeout(t):
    """504: a target that takes no connection (its queue is full) within `timeouts.connect`."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    port, fillers = listener.getsockname()[1], []
    for _ in range(8):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
        fillers.append(filler)
    t.on_end(lambda: [sock.close() for sock in [*fillers, listener]])
    gateway = t.gateway("upstreams:\n  one: { targets: ['http://127.0.0.1:@full@'], timeouts: { connect: 300ms } }\n"
                        "apis:\n  a: { path: /, upstream: one }\n", {"full": port})
    check.problem(t.client(gateway).get("/"), 504)


def test_total_timeout(t):
    """`timeouts.total`: 504 before the head, the break of the connection after it."""
    def never(connection):
        request = connection.read_request()
        if request.target == "/begun":
            connection.send(OK + b"Content-Length: 1000\r\n\r\n")
            while True:
                connection.send(b"x", 0.05)
        connection.wait_for_close()

    gateway = t.gateway(values={"upstream": t.upstream(never)}, timeouts="{ total: 500ms }")
    client = t.client(gateway)
    check.problem(client.get("/silent"), 504)
    client = t.client(gateway)
    client.send(encode_request("GET", "/begun"))
    _ends_without_being_whole(client)


def test_stalled_body(t):
    """`timeouts.stream_idle`: a body that stops coming ends the exchange, as a broken one."""
    def script(connection):
        connection.read_request()
        connection.send(OK + b"Content-Length: 1000\r\n\r\nabc")
        connection.wait_for_close()
        ended.append(True)

    ended = []
    client = t.client(t.gateway(values={"upstream": t.upstream(script)}, timeouts="{ stream_idle: 300ms }"))
    client.send(encode_request("GET", "/"))
    _ends_without_being_whole(client)
    t.poll("the upstream's connection is closed", lambda: ended)


def test_upstream_that_closes_while_the_body_is_sent(t):
    """Its answer is taken if it gave one, else 502."""
    def answers(connection):
        connection.read_head()
        connection.send(b"HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nbig")
        connection.half_close()
        connection.wait_for_close()

    def just_closes(connection):
        connection.read_head()
        connection.reader.exact(1000)

    for name, script, status in (("answers first", answers, 413), ("just closes", just_closes, 502)):
        with t.case(name):
            client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
            client.try_send(encode_request("POST", "/", body=b"z" * 3_000_000))
            check.equal(client.response().status, status)
