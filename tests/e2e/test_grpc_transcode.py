"""A real gRPC service as a JSON API (docs/grpc-transcoding.md)."""

import json

from harness import bookshop, check, patience

JSON = ("Content-Type", "application/json")
ENTITIES = """
upstreams:
  bookshop: { targets: ["http://127.0.0.1:@service@"], protocol: h2c }
apis:
  bookshop:
    path: /
    upstream: bookshop
    policies: [ { grpc_transcode: { descriptors: "@descriptors@" } } ]
"""


def _gateway(t, entities=ENTITIES, **values):
    service = bookshop.start(t)
    values.setdefault("descriptors", t.root / "examples/grpc-transcode.proto")
    return t.gateway(entities, {"service": service, **values}), service


def _lines(answer):
    return [json.loads(line) for line in answer.body.splitlines()]


def test_unary_calls_from_a_proto_file_and_from_a_descriptor_set(t):
    for kind, path in (("proto", t.root / "examples/grpc-transcode.proto"), ("set", bookshop.descriptors(t))):
        gateway, _ = _gateway(t, descriptors=path)
        client = t.caller(gateway)
        with t.case(f"{kind}: get"):
            answer = client.get("/v1/shelves/1/books/2", [("X-Agent", "me")])
            check.equal(answer.status, 200)
            check.equal(answer.get("content-type"), "application/json")
            check.equal(answer.json, {"name": "shelves/1/books/2", "title": "Emma", "pages": 474, "tags": ["a", "b"]})
            check.equal(answer.get("x-seen-agent"), "me", "metadata both ways")
            check.equal(answer.get("grpc-status"), None)
        with t.case(f"{kind}: query"):
            check.equal(len(client.get("/v1/shelves/1/books?pageSize=3").json["books"]), 3)
        with t.case(f"{kind}: body"):
            answer = client.request("POST", "/v1/shelves/7/books", [JSON], '{"title":"Für Elise","pages":1}'.encode())
            check.equal(answer.json, {"name": "shelves/7/books/new", "title": "Für Elise", "pages": 1})
        with t.case(f"{kind}: verb"):
            check.equal(client.request("POST", "/v1/shelves/1/books/2:archive", body=b"").json["title"], "archived")
        with t.case(f"{kind}: HEAD"):
            answer = client.request("HEAD", "/v1/shelves/1/books/2")
            check.equal((answer.status, answer.body), (200, b""))
            check.equal(client.get("/v1/shelves/1/books/2").status, 200, "the connection goes on")


def test_failures_are_problems(t):
    gateway, service = _gateway(t)
    client = t.caller(gateway)
    told = check.problem(client.get("/v1/shelves/1/books/none"), 404, "not_found")
    check.equal(told["detail"], 'no "shelves/1/books/none" – sorry')
    for target, body, code in (("/v1/shelves/1/books?page_size=x", None, "bad_parameter"), ("/v1/shelves/1/books", b'{"pages":"x"}', "bad_json"),
                               ("/v1/shelves/1/books", b"{", "bad_json")):
        with t.case(f"{target} {body}"):
            check.problem(client.request("POST" if body else "GET", target, [JSON] if body else [], body), 400, code)
    check.problem(client.request("POST", "/v1/shelves/1/books", [("Content-Type", "text/xml")], b"<a/>"), 415)
    check.problem(client.get("/v2/x"), 404)
    check.problem(client.request("PUT", "/v1/shelves/1/books/2", body=b""), 405)
    gateway.log_line(path="/v1/shelves/1/books/none", method="GET", route="bookshop.v1.Bookshop/GetBook", status=404, error_by="upstream")
    service.stop()
    check.problem(client.get("/v1/shelves/1/books/2"), 502)


def test_streams_of_answers(t):
    gateway, _ = _gateway(t)
    client = t.caller(gateway)
    answer = client.get("/v1/shelves/1/books:watch?page_size=3")
    check.equal(answer.get("content-type"), "application/x-ndjson")
    check.equal([book["name"] for book in _lines(answer)], [f"shelves/1/books/{i}" for i in range(3)])
    answer = client.get("/v1/shelves/1/books:watch?page_size=2", [("Accept", "text/event-stream")])
    check.equal(answer.get("content-type"), "text/event-stream")
    check.equal(answer.body, b'data: {"name":"shelves/1/books/0"}\n\ndata: {"name":"shelves/1/books/1"}\n\n')
    last = _lines(client.get("/v1/shelves/broken/books:watch?page_size=1"))[-1]
    check.equal((last["error"]["code"], last["error"]["status"], last["error"]["detail"]), ("data_loss", 500, "the shelf fell"))
    check.problem(client.get("/v1/shelves/forbidden/books:watch"), 403, "permission_denied")


def test_a_stream_comes_as_it_is_made_and_ends_with_its_caller(t):
    gateway, service = _gateway(t)
    client = t.client(gateway)
    client.send(b"GET /v1/shelves/endless/books:watch HTTP/1.1\r\nHost: a.test\r\n\r\n")
    check.equal(client.head().status, 200)
    patience.poll("three books come", lambda: client.reader.fill() and client.reader.buffer.count(b"\n") > 3 and b"books/2" in client.reader.buffer)
    client.close()
    patience.poll("the service hears of it", lambda: "left endless" in service.lines())


def test_streams_of_requests(t):
    gateway, _ = _gateway(t)
    client = t.caller(gateway)
    titles = ["a", "b", "c"]
    for name, kind, body in (("array", "application/json", json.dumps([{"title": title} for title in titles])),
                             ("lines", "application/x-ndjson", "".join(json.dumps({"title": title}) + "\n" for title in titles))):
        with t.case(name):
            answer = client.request("POST", "/v1/books:import", [("Content-Type", kind)], body.encode())
            check.equal([book["title"] for book in answer.json["books"]], titles)
    check.problem(client.request("POST", "/v1/books:import", [JSON], b'[{"title":"a"},]'), 400, "bad_json")
    check.equal(client.request("POST", "/v1/books:import", [JSON], b"[]").json, {})


def test_a_client_that_leaves_cancels_the_call(t):
    gateway, service = _gateway(t)
    client = t.client(gateway)
    client.send(b"GET /v1/shelves/1/books/slow HTTP/1.1\r\nHost: a.test\r\n\r\n")
    patience.poll("the service has it", lambda: "asked slow" in service.lines())
    client.reset()  # an end alone may be a client that has asked all it wants
    gateway.log_line(path="/v1/shelves/1/books/slow", status=499)
    patience.poll("the service hears of it", lambda: "left slow" in service.lines())


def test_policies_of_a_method_hold_for_its_bindings(t):
    gateway, _ = _gateway(t, ENTITIES + """
    routes:
      - { name: create, path: /bookshop.v1.Bookshop/CreateBook, policies: [ { rate_limit: { rate: 1/1h, key: address } } ] }
      - { name: rest, path: /bookshop.v1.Bookshop/**, policies: [ { api_key: {} } ] }
consumers:
  me: { credentials: [ { api_key: my-key-0123456789 } ] }
""")
    client = t.caller(gateway)
    check.equal(client.request("POST", "/v1/shelves/1/books", [JSON], b"{}").status, 200)
    check.problem(client.request("POST", "/v1/shelves/1/books", [JSON], b"{}"), 429)
    check.problem(client.get("/v1/shelves/1/books/2"), 401)
    check.equal(client.get("/v1/shelves/1/books/2", [("X-API-Key", "my-key-0123456789")]).status, 200)


def test_a_changed_proto_is_read_on_reload(t):
    text = (t.root / "examples/grpc-transcode.proto").read_text()
    path = t.file("bookshop.proto", text)
    gateway, _ = _gateway(t, descriptors=path)
    client = t.caller(gateway)
    check.equal(client.get("/v1/shelves/1/books/2").status, 200)
    t.file("bookshop.proto", text.replace("/v1/{name=", "/v2/{name="))
    gateway.reload()
    check.equal(client.get("/v2/shelves/1/books/2").status, 200)
    check.problem(client.get("/v1/shelves/1/books/2"), 404)
    t.file("bookshop.proto", "no proto")
    assert "bookshop.proto:1:1" in gateway.reload_refused(gateway_text(gateway)), "the place of the mistake is said"
    check.equal(client.get("/v2/shelves/1/books/2").status, 200)


def gateway_text(gateway):
    return ENTITIES.replace("path: /\n", "path: /\n    version: v2\n")


def test_the_example_answers(t):
    service = bookshop.start(t)
    text = (t.root / "examples/grpc-transcode.yaml").read_text()
    text = text.replace("0.0.0.0:8080", "127.0.0.1:@port@").replace("127.0.0.1:50051", f"127.0.0.1:{service.port}")
    text = text.replace("descriptors: grpc-transcode.proto", f"descriptors: {t.root}/examples/grpc-transcode.proto")
    text = text.replace("gateway:\n", "gateway:\n  status: { address: 127.0.0.1:@status@ }\n", 1)
    client = t.caller(t.gateway(whole_file=text))
    check.equal(client.get("/v1/shelves/1/books/2").get("x-api"), "bookshop")
    check.equal(client.request("POST", "/v1/shelves/1/books", [JSON], b'{"title":"Emma"}').json["title"], "Emma")
