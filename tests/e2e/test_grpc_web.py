"""gRPC-Web to a real gRPC service: by a real client (@connectrpc/connect-node), and byte by byte for base64."""

import base64
import json
import struct

from harness import bookshop, check, node

ENTITIES = """
upstreams:
  bookshop: { targets: ["http://127.0.0.1:@service@"], protocol: h2c }
apis:
  bookshop:
    path: /
    upstream: bookshop
    policies: [ { grpc_web: {} } ]
    routes:
      - { name: all }
      - { name: archive, path: /bookshop.v1.Bookshop/ArchiveBook, policies: [ { api_key: {} } ] }
"""


def _frame(message, flags=0):
    return struct.pack(">BI", flags, len(message)) + message


def _frames(data):
    while data:
        flags, size = struct.unpack(">BI", data[:5])
        yield flags, data[5:5 + size]
        data = data[5 + size:]


def test_a_client_of_grpc_web(t):
    descriptors = bookshop.descriptors(t)
    gateway = t.gateway(ENTITIES, {"service": bookshop.start(t, descriptors)})
    results = json.loads(node.run("web_client.js", descriptors, f"http://127.0.0.1:{gateway.port}"))
    for name, want in {
            "unary": {"book": {"name": "shelves/1/books/2", "title": "Emma", "pages": 474, "tags": ["a", "b"]}, "agent": "web"},
            "failed": {"code": 5, "message": 'no "shelves/1/books/none" – sorry'},
            "stream": [{"name": f"shelves/1/books/{i}"} for i in range(3)],
            "broken": {"books": [{"name": "shelves/broken/books/0"}], "code": 15, "message": "the shelf fell"},
            "forbidden": {"code": 7, "message": "not yours"}}.items():
        with t.case(name):
            check.equal(results[name], want)
    with t.case("a refusal of the gateway"):
        check.equal(results["refused"]["code"], 16)


def test_base64(t):
    gateway = t.gateway(ENTITIES, {"service": bookshop.start(t)})
    client = t.caller(gateway)
    call = _frame(b"\x0a\x09shelves/1")
    for name, body in (("one piece", base64.b64encode(call)), ("padded pieces", base64.b64encode(call[:4]) + base64.b64encode(call[4:]))):
        with t.case(name):
            answer = client.request("POST", "/bookshop.v1.Bookshop/GetBook", [("Content-Type", "application/grpc-web-text")], body)
            check.equal(answer.get("content-type"), "application/grpc-web-text")
            pieces = answer.body.replace(b"=", b"= ").replace(b"= =", b"==").split()
            frames = list(_frames(b"".join(base64.b64decode(piece) for piece in pieces)))
            check.equal([flags for flags, _ in frames], [0, 0x80])
            assert frames[0][1].startswith(b"\x0a\x09shelves/1"), frames
            assert b"grpc-status: 0\r\n" in frames[1][1], frames


def test_failures_in_the_gateway_are_the_end_of_the_body(t):
    """PROTOCOL-WEB.md: the status is the last message of the body, whoever says it."""
    service = bookshop.start(t)
    gateway = t.gateway(ENTITIES, {"service": service})
    client = t.caller(gateway)
    binary, soon = ("Content-Type", "application/grpc-web+proto"), ("grpc-timeout", "300m")

    def ask(method, message, *fields):
        answer = client.request("POST", f"/bookshop.v1.Bookshop/{method}", [binary, *fields], _frame(message))
        check.equal((answer.status, answer.get("content-type")), (200, "application/grpc-web+proto"))
        return list(_frames(answer.body))

    with t.case("a deadline before the answer"):
        frames = ask("GetBook", b"\x0a\x05/slow", soon)
        check.equal([flags for flags, _ in frames], [0x80])
        assert b"grpc-status: 4\r\n" in frames[0][1], frames
    with t.case("a deadline in a stream"):
        frames = ask("WatchBooks", b"\x0a\x07endless", soon)
        check.equal({flags for flags, _ in frames[:-1]}, {0})
        check.equal(frames[-1][0], 0x80)
        assert b"grpc-status: 4\r\n" in frames[-1][1], frames[-1]
    with t.case("a timeout that is none"):
        assert b"grpc-status: 3\r\n" in ask("GetBook", b"", ("grpc-timeout", "soon"))[0][1]
    with t.case("no service"):
        service.stop()
        assert b"grpc-status: 14\r\n" in ask("GetBook", b"")[0][1]
    gateway.log_line(path="/bookshop.v1.Bookshop/WatchBooks", grpc_status=4)
    gateway.log_line(path="/bookshop.v1.Bookshop/GetBook", grpc_status=14, error_by="upstream")
