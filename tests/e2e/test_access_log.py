"""The JSON access log (contract, section 3a)."""

import re

from harness import check
from harness.raw import encode_request

ENTITIES = """
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
policies: [ { request_id: {} } ]
consumers:
  app: { credentials: [ { api_key: app-secret-key } ] }
apis:
  shop:
    path: /shop
    upstream: one
    routes:
      - { name: items, path: "/items/{id}" }
      - { name: own, path: /own, respond: { status: 200, body: hello } }
      - { name: closed, path: /closed, policies: [ { api_key: {} } ] }
      - { name: quiet, path: /quiet, access_log: { format: off }, respond: { status: 200 } }
"""


def test_fields_of_a_proxied_request(t):
    echo = t.echo()
    gateway = t.gateway(ENTITIES, {"echo": echo})
    answer = t.client(gateway).request("POST", "/shop/items/7?secret=value", body=b"12345", host="shop.test:8080")
    entry = gateway.log_line(path="/shop/items/7")
    for name, want in (("request_id", answer.get("x-request-id")), ("listener", "plain"), ("client_address", "127.0.0.1"), ("method", "POST"),
                       ("protocol", "HTTP/1.1"), ("api", "shop"), ("route", "items"), ("status", 200), ("upstream", "one"), ("tries", 1)):
        with t.case(name):
            check.equal(entry.get(name), want)
    with t.case("host"):
        assert entry["host"].startswith("shop.test"), entry["host"]
    with t.case("time"):
        assert re.match(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$", entry["time"]), entry["time"]
    with t.case("target"):
        assert str(echo.port) in entry["target"], entry["target"]
    with t.case("bytes"):
        assert entry["request_bytes"] >= 5 and entry["response_bytes"] >= len(answer.body), entry
    with t.case("seconds"):
        assert 0 <= entry["upstream_seconds"] <= entry["seconds"] and 0 <= entry["gateway_seconds"] <= entry["seconds"], entry
    with t.case("revision"):
        check.equal(entry["revision"], gateway.revision())
    with t.case("absent means not known"):
        for name in ("consumer", "credential", "error_by", "error_code", "client_request_id", "plan"):
            assert name not in entry, f"{name}: {entry[name]}"
    with t.case("query values are never in it"):
        assert "value" not in open(gateway.stdout).read().replace("null", "")


def test_fields_of_other_ends(t):
    gateway = t.gateway(ENTITIES, {"echo": t.echo()})
    client = t.client(gateway)
    client.get("/shop/own")
    client.get("/shop/closed")
    client.get("/shop/closed", [("X-API-Key", "app-secret-key")], host="keyed.test")
    client.get("/nowhere")
    for path, more, wanted, absent in (
            ("/shop/own", {}, {"status": 200, "route": "own", "api": "shop"}, ("upstream", "target", "upstream_seconds", "error_by")),
            ("/shop/closed", {"status": 401}, {"error_by": "gateway", "route": "closed"}, ("upstream", "consumer")),
            ("/shop/closed", {"status": 200}, {"consumer": "app", "upstream": "one"}, ("error_by",)),
            ("/nowhere", {}, {"status": 404, "error_by": "gateway"}, ("api", "route", "upstream"))):
        with t.case(f"{path} {more}"):
            entry = gateway.log_line(path=path, **more)
            for name, want in wanted.items():
                check.equal(entry.get(name), want, name)
            for name in absent:
                assert name not in entry, f"{name}: {entry[name]}"
            assert entry["request_id"]
    assert "app-secret-key" not in open(gateway.stdout).read()


def test_request_that_could_not_be_parsed_has_a_line(t):
    """Architecture, section 3: it runs no policy but has a request id, a log line and its metrics."""
    gateway = t.gateway(ENTITIES, {"echo": t.echo()})
    client = t.client(gateway)
    client.send(b"GET / HTTP/1.1\r\nBad : x\r\n\r\n")
    told = check.problem(client.response(), 400)
    entry = gateway.log_line(request_id=told["request_id"])
    check.equal((entry["status"], entry["error_by"], entry["error_code"]), (400, "client", told["code"]))


def test_off_at_a_route_and_for_the_gateway(t):
    gateway = t.gateway(ENTITIES, {"echo": t.echo()})
    client = t.client(gateway)
    client.get("/shop/quiet")
    client.get("/shop/own")
    gateway.log_line(path="/shop/own")
    assert all(entry["path"] != "/shop/quiet" for entry in gateway.log())
    silent = t.gateway(ENTITIES, {"echo": t.echo()}, access_log="{ format: off }")
    t.client(silent).get("/shop/own")
    silent.stop()
    check.equal(silent.log(), [])


def test_what_clients_send_cannot_break_a_line(t):
    gateway = t.gateway(ENTITIES, {"echo": t.echo()})
    client = t.client(gateway)
    target = "/shop/items/%22,%0a%22status%22:%20200"
    client.get(target, [("X-Request-Id", 'a"b\\c\xff')])
    client.send(encode_request("GE-T", "/shop/items/\"}"))
    client.response()
    gateway.log_line(method="GE-T")
    assert all("path" in entry for entry in gateway.log())  # every line parses


def test_all_lines_are_written_before_the_end(t):
    """Buffered per worker, flushed by the drain."""
    gateway = t.gateway(ENTITIES, {"echo": t.echo()})
    for _ in range(20):
        with gateway.context.client(gateway) as client:
            for _ in range(10):
                client.get("/shop/own")
    gateway.stop()
    check.equal(sum(entry["path"] == "/shop/own" for entry in gateway.log()), 200, "lines")


def test_text_format(t):
    gateway = t.gateway(ENTITIES, {"echo": t.echo()}, access_log="{ format: text, path: stdout }")
    t.client(gateway).get("/shop/own")
    t.poll("a line with the path", lambda: "/shop/own" in open(gateway.stdout).read())
    assert not gateway.log()


def test_file(t):
    path = t.folder + "/access.log"
    gateway = t.gateway(ENTITIES, {"echo": t.echo()}, access_log=f"{{ format: json, path: {path} }}")
    t.client(gateway).get("/shop/own")
    t.poll("a line in the file", lambda: "/shop/own" in open(path).read())
