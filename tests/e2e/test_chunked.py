"""Chunked bodies both ways (RFC 9112, section 7.1): extensions are dropped, trailers pass, framing is made anew."""

import threading

from harness import message
from harness.raw import encode_request

CHUNKED = b"POST /up HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n"


def test_request_chunks(t):
    client = t.client(t.front_of(t.echo()))
    for name, body, want in (
            ("one", b"3\r\nabc\r\n0\r\n\r\n", b"abc"),
            ("several", b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", b"abcd"),
            ("empty", b"0\r\n\r\n", b""),
            ("capital hex", b"A\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
            ("small hex", b"a\r\n0123456789\r\n0\r\n\r\n", b"0123456789"),
            ("leading zeros", b"0003\r\nabc\r\n000\r\n\r\n", b"abc"),
            ("extension", b"3;name=value\r\nabc\r\n0;last\r\n\r\n", b"abc"),
            ("quoted extension", b'3;a="b c;d"\r\nabc\r\n0\r\n\r\n', b"abc"),
            ("CRLF in the data", b"4\r\n\r\n\r\n\r\n0\r\n\r\n", b"\r\n\r\n"),
            ("large", b"11170\r\n" + b"z" * 70000 + b"\r\n0\r\n\r\n", b"z" * 70000)):
        with t.case(name):
            client.send(CHUNKED + b"\r\n" + body)
            seen = client.response().json
            assert seen["body_bytes"] == len(want) and seen["body"] == want[:4096].decode()


def test_request_chunks_cut_anywhere(t):
    client = t.client(t.front_of(t.echo()))
    stream = CHUNKED + b"\r\n3;x=y\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n"
    for cut in range(len(CHUNKED), len(stream)):
        with t.case(f"cut at {cut}"):
            client.send(stream[:cut], stream[cut:])
            assert client.response().json["body"] == "abcdefgh"


def test_request_of_unknown_length_is_chunked_to_the_upstream(t):
    """Nothing is buffered to learn a length (architecture, section 4, Bodies)."""
    first, second = threading.Event(), threading.Event()

    def script(connection):
        request = connection.read_head()
        assert request.get("transfer-encoding") == "chunked" and not request.has("content-length")
        assert connection.reader.line() == "3" and connection.reader.exact(5) == b"abc\r\n"
        first.set()
        assert connection.reader.line() == "2" and connection.reader.exact(4) == b"de\r\n"
        assert connection.reader.exact(5) == b"0\r\n\r\n"
        second.set()
        connection.answer()

    client = t.client(t.front_of(t.upstream(script)))
    client.send(CHUNKED + b"\r\n3\r\nabc\r\n")
    assert first.wait(10), "the first chunk waits for the second"
    client.send(b"2\r\nde\r\n0\r\n\r\n")
    assert second.wait(10)
    assert client.response().status == 200


def test_response_chunks_leave_as_they_come(t):
    release = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n")
        release.wait(10)
        connection.send(b"2\r\nde\r\n0\r\n\r\n")

    client = t.client(t.front_of(t.upstream(script)))
    client.send(encode_request("GET", "/"))
    head = client.head()
    assert head.get("transfer-encoding") == "chunked"
    t.poll("the first chunk arrives", lambda: b"abc" in client.reader.buffer or client.reader.fill() and False)
    release.set()
    assert client.body(head).body == b"abcde"
    assert b";" not in client.reader.buffer


def test_request_trailers(t):
    """Contract, section 3: trailers pass, less framing, authorization and routing fields (RFC 9110, section 6.5.1)."""
    client = t.client(t.gateway(values={"upstream": t.echo()}))
    client.send(CHUNKED + b"Trailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 900150983cd2\r\nContent-Length: 9\r\nHost: evil\r\n"
                          b"Authorization: Basic eDp5\r\nTransfer-Encoding: chunked\r\nX-Forwarded-For: 1.1.1.1\r\n\r\n")
    seen = client.response().json
    assert seen["body"] == "abc"
    assert seen["trailers"] == [["x-sum", "900150983cd2"]], seen["trailers"]
    client.expect_open()


def test_response_trailers(t):
    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 1\r\n"
                            b"Content-Length: 77\r\nTransfer-Encoding: gzip\r\n\r\n")

    client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
    for _ in range(2):
        answer = client.get("/", [("TE", "trailers"), ("Connection", "TE")])
        assert answer.body == b"abc"
        assert [(name.lower(), value) for name, value in answer.trailers] == [("x-sum", "1")], answer.trailers


def test_head_of_a_chunked_resource(t):
    """RFC 9112, section 6.3: the fields of a chunked answer, and no body."""

    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")

    client = t.client(t.front_of(t.upstream(script)))
    for _ in range(2):
        assert client.request("HEAD", "/").status == 200


# RFC 9112, section 7.1, and the issue ("bad chunk sizes ... 400 and closed").
BAD_CHUNKS = {
    "no size": b"\r\nabc\r\n0\r\n\r\n",
    "not hex": b"g\r\nabc\r\n0\r\n\r\n",
    "0x": b"0x3\r\nabc\r\n0\r\n\r\n",
    "sign": b"+3\r\nabc\r\n0\r\n\r\n",
    "minus": b"-3\r\nabc\r\n0\r\n\r\n",
    "space before": b" 3\r\nabc\r\n0\r\n\r\n",
    "underscore": b"0_3\r\nabc\r\n0\r\n\r\n",
    "overflow of 64 bits": b"10000000000000003\r\nabc\r\n0\r\n\r\n",
    "largest number": b"ffffffffffffffff\r\nabc\r\n0\r\n\r\n",
    "too long a line": b"3;" + b"x" * 100_000 + b"\r\nabc\r\n0\r\n\r\n",
    "bare LF after the size": b"3\nabc\r\n0\r\n\r\n",
    "bare CR after the size": b"3\rabc\r\n0\r\n\r\n",
    "bare LF in an extension": b"3;a\nb\r\nabc\r\n0\r\n\r\n",
    "NUL in an extension": b"3;a\x00b\r\nabc\r\n0\r\n\r\n",
    "data too long": b"3\r\nabcd\r\n0\r\n\r\n",
    "data without CRLF": b"3\r\nabc0\r\n\r\n",
    "bare LF after the data": b"3\r\nabc\n0\r\n\r\n",
    "bare LF at the end": b"3\r\nabc\r\n0\n\n",
    "space before a trailer's colon": b"3\r\nabc\r\n0\r\nA : b\r\n\r\n",
    "folded trailer": b"3\r\nabc\r\n0\r\nA: b\r\n c\r\n\r\n",
    "trailer without colon": b"3\r\nabc\r\n0\r\nAb\r\n\r\n",
}


def test_bad_chunks(t):
    """The client gets 400 and the close; the upstream never sees a complete request."""
    echo = t.echo()
    front = t.gateway(values={"upstream": echo})
    for name, body in BAD_CHUNKS.items():
        with t.case(name):
            client = t.client(front)
            if not client.try_send(CHUNKED + b"\r\n", body) and name != "too long a line":
                raise AssertionError("closed before the body was sent")
            answer = client.response()
            status = (400, 413) if name == "largest number" else (400, 431) if name == "too long a line" else (400,)
            assert answer.status in status, answer.status
            assert answer.get("connection") == "close"
            client.expect_closed()
    # Whatever the gateway had begun to forward was cut off, not completed.
    assert echo.requests == [], [request.body for request in echo.requests]
    assert t.client(front).get("/").status == 200


def test_bad_chunks_from_the_upstream(t):
    """A truncated body is never passed off as complete (issue 8, Bad input)."""
    which = {}

    def script(connection):
        request = connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n" + which[request.target])

    upstream = t.upstream(script)
    front = t.gateway(values={"upstream": upstream})
    bad = {name: body for name, body in BAD_CHUNKS.items() if name not in ("data without CRLF",)}
    for number, (name, body) in enumerate(bad.items()):
        with t.case(name):
            which[f"/{number}"] = body
            client = t.client(front)
            client.send(encode_request("GET", f"/{number}"))
            try:
                answer = client.response()
            except message.Closed:
                continue  # begun, then cut off: the client can tell
            assert answer.status == 502, f"passed off as complete: {answer.body[:100]!r}"
    assert upstream.connections == len(bad), "a connection with broken framing was used again"
