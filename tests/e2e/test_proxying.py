"""The plain way through: method, target, fields and body reach the upstream, its answer reaches the client."""

from harness.raw import encode_request

# RFC 9110, section 9.3. A body without meaning is still passed on (section 9.3.1).
METHODS = [
    ("GET", None), ("GET", b"odd but legal"), ("POST", b"hello"), ("POST", b""), ("PUT", b"x" * 70000), ("PATCH", b"{}"),
    ("DELETE", None), ("DELETE", b"why"), ("OPTIONS", None), ("PROPFIND", b"<x/>"), ("M-SEARCH", None),
]


def test_method_and_body_reach_the_upstream(t):
    client = t.client(t.front_of(t.echo()))
    for method, body in METHODS:
        with t.case(f"{method} with {'no body' if body is None else f'{len(body)} bytes'}"):
            answer = client.request(method, "/things?a=1&b=2", [("X-Kept", "yes")], body)
            assert answer.status == 200
            seen = answer.json
            assert (seen["method"], seen["target"]) == (method, "/things?a=1&b=2")
            assert ["x-kept", "yes"] in seen["fields"]
            assert seen["body_bytes"] == len(body or b"")
            assert seen["version"] == "HTTP/1.1"


def test_head_has_the_fields_and_no_body(t):
    """RFC 9110, section 9.3.2."""
    client = t.client(t.front_of(t.echo()))
    answer = client.request("HEAD", "/")
    assert answer.status == 200 and int(answer.get("content-length")) > 0
    client.expect_open()


def test_status_and_fields_reach_the_client(t):
    upstream = t.upstream(_teapot)
    answer = t.client(t.front_of(upstream)).get("/")
    assert answer.status == 418
    assert answer.get("x-odd") == "\xe9 \xff"         # obs-text, RFC 9110, section 5.5
    assert answer.get("x-empty") == ""
    assert answer.all("set-cookie") == ["a=1", "b=2"]  # never joined, RFC 9110, section 5.3
    assert answer.body == b"short and stout"


def _teapot(connection):
    connection.read_request()
    connection.answer(b"short and stout", "418 I'm a teapot",
                      [("X-Odd", "\xe9 \xff"), ("Set-Cookie", "a=1"), ("X-Empty", ""), ("Set-Cookie", "b=2")])


def test_no_content_has_no_body(t):
    """204 and 304 end with their head whatever fields they carry (RFC 9112, section 6.3)."""
    heads = {
        "/204": b"HTTP/1.1 204 No Content\r\nX-Which: 204\r\n\r\n",
        "/304": b"HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\n\r\n",
        "/304-length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n",
    }

    def script(connection):
        while True:
            connection.send(heads[connection.read_request().target])

    client = t.client(t.front_of(t.upstream(script)))
    for target in [*heads, *heads]:
        with t.case(target):
            assert client.get(target).status == int(target[1:4])


def test_large_bodies_both_ways(t):
    size = 5_000_000

    def script(connection):
        while True:
            request = connection.read_request()
            connection.answer(request.body[::-1])

    client = t.client(t.front_of(t.upstream(script)))
    body = bytes(range(256)) * (size // 256)
    for _ in range(2):
        assert client.request("POST", "/", body=body).body == body[::-1]


def test_a_request_in_single_bytes(t):
    client = t.client(t.front_of(t.echo()))
    for byte in encode_request("POST", "/slowly", body=b"abc"):
        client.send(bytes([byte]))
    assert client.response().json["body"] == "abc"


def test_a_response_in_single_bytes(t):
    def script(connection):
        while True:
            connection.read_request()
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-A: b\r\n\r\nabc":
                connection.send(bytes([byte]))

    client = t.client(t.front_of(t.upstream(script)))
    for _ in range(2):
        assert client.get("/").body == b"abc"
