"""How long a client's connection lives: keep-alive, pipelining, HTTP/1.0, half-closed and idle clients."""

import threading

from harness import message
from harness.raw import encode_request


def test_keep_alive_and_close(t):
    """RFC 9112, section 9.3."""
    client = t.client(t.front_of(t.echo()))
    for number in range(20):
        answer = client.get(f"/{number}")
        assert answer.status == 200 and answer.keeps_open
    answer = client.get("/last", [("Connection", "close")])
    assert answer.status == 200 and not answer.keeps_open
    client.expect_closed()


def test_upstream_connection_is_reused(t):
    """Architecture, section 4: pools per worker; one client connection stays on one worker."""
    echo = t.echo()
    client = t.client(t.front_of(echo))
    for number in range(20):
        assert client.get(f"/{number}").status == 200
    assert echo.connections == 1


def test_pipelined_answers_keep_the_order(t):
    """RFC 9112, section 9.3.2; a slow first answer holds the others back."""
    release = threading.Event()

    def script(connection):
        while True:
            request = connection.read_request()
            if request.target == "/slow":
                release.wait(10)
            connection.answer(request.target.encode() + b" " + request.body)

    client = t.client(t.front_of(t.upstream(script)))
    targets = ["/slow", "/a", "/b", "/c"] + [f"/{number}" for number in range(30)]
    client.send(b"".join(encode_request("POST", target, body=target[1:].encode()) for target in targets))
    release.set()
    for target in targets:
        answer = client.response()
        assert answer.body == f"{target} {target[1:]}".encode(), f"{target}: {answer.body}"


def test_pipelined_requests_cut_anywhere(t):
    client = t.client(t.front_of(t.echo()))
    stream = encode_request("GET", "/1") + encode_request("POST", "/2", body=b"body") + encode_request("GET", "/3")
    for cut in range(1, len(stream), 7):
        with t.case(f"cut at {cut}"):
            client.send(stream[:cut], stream[cut:])
            assert [client.response().json["target"] for _ in range(3)] == ["/1", "/2", "/3"]


def test_nothing_after_close_is_answered(t):
    """RFC 9112, section 9.6: no request after one with `Connection: close` is processed."""
    echo = t.echo()
    client = t.client(t.front_of(echo))
    client.send(encode_request("GET", "/1", [("Connection", "close")]) + encode_request("GET", "/2"))
    assert client.response().json["target"] == "/1"
    client.expect_closed()
    assert [request.target for request in echo.requests] == ["/1"]


def test_http_10(t):
    """RFC 9112, appendix C.2.2: closed unless kept alive by name; contract: Host may be missing."""
    front = t.front_of(t.echo())
    for name, head, kept in (
            ("plain", b"GET /a HTTP/1.0\r\nHost: x.test\r\n\r\n", False),
            ("without Host", b"GET /a HTTP/1.0\r\n\r\n", False),
            ("keep-alive", b"GET /a HTTP/1.0\r\nHost: x.test\r\nConnection: keep-alive\r\n\r\n", True),
            ("Keep-Alive in other letters", b"GET /a HTTP/1.0\r\nHost: x.test\r\nConnection: Keep-Alive\r\n\r\n", True)):
        with t.case(name):
            client = t.client(front)
            client.send(head)
            answer = client.response()
            assert answer.status == 200 and answer.json["version"] == "HTTP/1.1"
            if kept:
                options = ",".join(answer.all("connection")).lower()
                assert answer.version == "HTTP/1.0" or "keep-alive" in options, "the client cannot know that it may go on"
                client.send(head)
                assert client.response().status == 200
            else:
                client.expect_closed()


def test_http_10_never_gets_chunks(t):
    """RFC 9112, section 7.1: no transfer coding to HTTP/1.0; the end of the connection ends the body."""

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    front = t.front_of(t.upstream(script))
    for extra in (b"", b"Connection: keep-alive\r\n"):
        with t.case(extra):
            client = t.client(front)
            client.send(b"GET / HTTP/1.0\r\nHost: x.test\r\n" + extra + b"\r\n")
            answer = client.response()
            assert answer.body == b"abcde" and answer.framing == "close"


def test_half_closed_client_gets_its_answer(t):
    """RFC 9112, section 9.6: the end of the client's sending is not the end of its reading."""
    release = threading.Event()

    def script(connection):
        while True:
            request = connection.read_request()
            release.wait(10)
            connection.answer(request.body * 1000)

    client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
    client.send(encode_request("POST", "/", body=b"abc"))
    client.half_close()
    release.set()
    answer = client.response()
    assert answer.status == 200 and answer.body == b"abc" * 1000
    client.expect_closed()


def test_half_closed_in_the_middle_of_a_body(t):
    """A request that ends early is never passed off as complete."""
    upstream = t.upstream(lambda connection: connection.read_request())
    client = t.client(t.front_of(upstream))
    client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 10\r\n\r\nabc")
    client.half_close()
    try:
        assert client.response().status >= 400
    except message.Closed:
        pass
    assert upstream.requests == []  # read_request notes only whole requests


def test_client_that_leaves(t):
    """The exchange ends with its client, and the gateway goes on (contract: logged as 499)."""
    gone = threading.Event()

    def script(connection):
        request = connection.read_request()
        if request.target == "/leave":
            connection.wait_for_close()
            gone.set()
        else:
            connection.answer()

    upstream = t.upstream(script)
    gateway = t.gateway(values={"upstream": upstream})
    client = t.client(gateway)
    client.send(encode_request("GET", "/leave"))
    upstream.wait_for(1)
    client.reset()
    assert gone.wait(10), "the upstream's connection stays open"
    entry = gateway.log_line(path="/leave")
    assert entry["status"] == 499 and entry["error_by"] == "client", entry
    assert t.client(gateway).get("/").status == 200


def test_idle_connection_is_closed(t):
    """Contract, `timeouts.keep_alive`: no answer, only the close."""
    client = t.client(t.gateway(values={"upstream": t.echo()}, timeouts="{ keep_alive: 300ms }"))
    assert client.get("/").status == 200
    client.expect_closed()


def test_absolute_form(t):
    """RFC 9112, section 3.2.2: the target's authority replaces Host."""
    front = t.gateway(values={"upstream": t.echo()})
    client = t.client(front)
    for sent, target in (("http://real.test/a?b=c", "/a?b=c"), ("http://real.test", "/"), ("HTTP://REAL.test:80/x", "/x"),
                         ("http://real.test?q", "/?q")):
        with t.case(sent):
            answer = client.get(sent, host="other.test")
            assert answer.status == 200
            assert answer.json["target"] == target
            host = dict(answer.json["fields"])["host"]
            assert host.lower().removesuffix(":80") == "real.test", host


def test_options_asterisk(t):
    """Contract, section 3: `OPTIONS *` is answered by the gateway."""
    echo = t.echo()
    client = t.client(t.gateway(values={"upstream": echo}))
    client.send(b"OPTIONS * HTTP/1.1\r\nHost: x.test\r\n\r\n")
    answer = client.response("OPTIONS")
    assert answer.status in (200, 204)
    assert echo.requests == []
    client.send(b"GET * HTTP/1.1\r\nHost: x.test\r\n\r\n")
    assert client.response().status == 400  # RFC 9112, section 3.2.4: asterisk-form is for OPTIONS alone


def test_leading_crlf(t):
    """RFC 9112, section 2.2; contract: one is accepted."""
    client = t.client(t.gateway(values={"upstream": t.echo()}))
    client.send(b"\r\nGET /a HTTP/1.1\r\nHost: x.test\r\n\r\n")
    assert client.response().json["target"] == "/a"
    client.send(b"\r\nGET /b HTTP/1.1\r\nHost: x.test\r\n\r\n")
    assert client.response().json["target"] == "/b"
