"""The harness against nginx and against itself: that it sees what is there, and objects to what no peer may send."""

from harness import curl, message
from harness.nginx import Nginx
from harness.upstream import always, once

# What a strict reader must refuse (RFC 9112); if one of these passes, a test of the gateway proves nothing.
BAD_RESPONSES = {
    "bare LF": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare CR in a value": b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n",
    "space before the colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "folded field": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na",
    "length and chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "chunk data too long": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n",
    "framing in a 204": b"HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n\r\n",
    "chunked in HTTP/1.0": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}
SHORT_RESPONSES = {
    "short length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
    "chunked without an end": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-Le",
}


def _read(t, sent):
    return t.client(t.upstream(once(sent))).get("/")


def test_reader_refuses_what_no_peer_may_send(t):
    for table, kind in ((BAD_RESPONSES, message.ProtocolError), (SHORT_RESPONSES, message.Closed)):
        for name, sent in table.items():
            with t.case(name):
                try:
                    _read(t, sent)
                except kind:
                    continue
                raise AssertionError("accepted")


def test_reader_takes_chunks_trailers_and_interim_responses(t):
    answer = _read(t, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                      b"2;a=b\r\nab\r\n1\r\nc\r\n0\r\nX-Sum: 1\r\n\r\n")
    assert answer.body == b"abc" and answer.chunks == 2 and answer.trailer("x-sum") == "1"
    assert [interim.status for interim in answer.interim] == [103]


def test_nginx_between_client_and_upstream(t):
    """The same pieces that test the gateway, around a proxy that is known to work."""
    echo = t.echo()
    nginx = Nginx.proxy(t.folder, echo.port)
    t.on_end(nginx.stop)
    client = t.client(nginx)
    for number in range(3):
        assert client.request("POST", f"/{number}", body=b"abc").json["body"] == "abc"
    client.send(b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    assert client.response().json["body"] == "abc"
    assert len(echo.requests) == 4 and echo.connections == 1
    client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
    assert client.response().status == 400
    client.expect_closed()


def test_scripted_faults_reach_nginx(t):
    for name, script, status in (("reset", lambda c: (c.read_request(), c.reset()), 502), ("silent", once(), 502),
                                 ("good", always(b"HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n"), 201)):
        with t.case(name):
            nginx = Nginx.proxy(t.folder, t.upstream(script).port)
            t.on_end(nginx.stop)
            assert t.client(nginx).get("/").status == status


def test_peers_are_here(t):
    for name in ("nginx", "curl"):
        with t.case(name):
            assert curl.peer(name)
