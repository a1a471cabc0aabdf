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
