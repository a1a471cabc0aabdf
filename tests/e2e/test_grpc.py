"""gRPC through the gateway (docs/grpc.md): @grpc/grpc-js on both sides, the statuses as the gRPC project defines them."""

import json

from harness import check, node, patience

OK, CANCELLED, DEADLINE_EXCEEDED, NOT_FOUND, RESOURCE_EXHAUSTED, UNAVAILABLE, UNAUTHENTICATED = 0, 1, 4, 5, 8, 14, 16
ENTITIES = """
upstreams:
  echo: { targets: ["http://127.0.0.1:@service@"], protocol: h2c, retry: { attempts: 1 } }
apis:
  echo:
    path: /echo.v1.Echo
    upstream: echo
    limits: { grpc_message: 4MiB }
"""


def _gateway(t, more="", entities=ENTITIES):
    service = node.Server(t, "echo_service.js", "one")
    return t.gateway(entities + more, {"service": service}), service


def _calls(gateway, *names):
    return json.loads(node.run("echo_client.js", f"127.0.0.1:{gateway.port}", *names))


def test_all_kinds_of_calls(t):
    gateway, _ = _gateway(t)
    seen = _calls(gateway, "unary", "fails", "large", "collect", "count", "count_fails", "chat")
    with t.case("unary, metadata both ways, trailers"):
        unary = seen["unary"]
        check.equal(unary["value"]["say"], "hello")
        check.equal(unary["head"]["x-seen"], "yes")
        check.equal(unary["head"]["x-seen-bin"], {"type": "Buffer", "data": [0, 255]})
        check.equal(unary["trailers"]["x-cost"], "7")
    check.equal(seen["fails"]["code"], NOT_FOUND)
    check.equal(seen["fails"]["details"], "told to: 5 – so be it")
    check.equal(seen["large"], 3_000_000)
    check.equal(seen["collect"], {"count": 40, "bytes": 40_000_000}, "a stream may be longer than limits.request_body")
    check.equal(seen["count"], {"code": OK, "order": True, "count": 200})
    check.equal((seen["count_fails"]["code"], len(seen["count_fails"]["values"])), (9, 1))
    check.equal(seen["chat"], {"code": OK, "turns": [1, 2, 3, 4, 5]})
    gateway.log_line(path="/echo.v1.Echo/Say", protocol="HTTP/2", status=200, grpc_status=NOT_FOUND)
    metrics = gateway.metrics()
    check.equal(metrics.sum("sluice_grpc_requests_total", api="echo", grpc_status="ok"), 5)
    check.equal(metrics.sum("sluice_grpc_requests_total", api="echo", grpc_status="not_found"), 1)


def test_deadlines_end_calls_here_and_at_the_service(t):
    gateway, service = _gateway(t, "    timeouts: { total: 5s }\n    routes: [ { name: count, path: /Count, timeouts: { total: 1s } }, { name: rest } ]\n")
    seen = _calls(gateway, "deadline", "told_deadline", "stream_deadline")
    check.equal(seen["deadline"]["code"], DEADLINE_EXCEEDED)
    assert 0 < seen["told_deadline"] <= 5_000, seen["told_deadline"]
    stream = seen["stream_deadline"]
    check.equal((stream["code"], len(stream["values"])), (DEADLINE_EXCEEDED, 2), "by the gateway, or by the service, which has heard of it")
    patience.poll("the service hears of it", lambda: {"left /echo.v1.Echo/Say", "left /echo.v1.Echo/Count"} <= set(service.lines()))
    gateway.log_line(path="/echo.v1.Echo/Count", grpc_status=DEADLINE_EXCEEDED)


def test_a_caller_that_leaves_cancels_the_call(t):
    gateway, service = _gateway(t)
    seen = _calls(gateway, "cancel", "cancel_stream")
    check.equal((seen["cancel"]["code"], seen["cancel_stream"]["code"]), (CANCELLED, CANCELLED))
    patience.poll("the service hears of it", lambda: {"left /echo.v1.Echo/Say", "left /echo.v1.Echo/Count"} <= set(service.lines()))
    gateway.log_line(path="/echo.v1.Echo/Say", status=499, grpc_status=CANCELLED)
    gateway.log_line(path="/echo.v1.Echo/Count", status=499, grpc_status=CANCELLED)


def test_large_messages_are_resource_exhausted(t):
    gateway, _ = _gateway(t)
    seen = _calls(gateway, "too_large", "too_large_answer", "unary")
    check.equal((seen["too_large"]["code"], seen["too_large"]["details"]), (RESOURCE_EXHAUSTED, "A gRPC message is larger than allowed."))
    check.equal(seen["too_large_answer"], {"code": RESOURCE_EXHAUSTED, "details": "A message of the upstream is larger than allowed."})
    check.equal(seen["unary"]["value"]["say"], "hello", "other calls go on")
    check.equal(gateway.metrics().sum("sluice_limit_hits_total", limit="grpc_message"), 2)


def test_refusals_are_statuses(t):
    gateway, service = _gateway(t, "    policies: [ { api_key: {} } ]\n")
    refused = _calls(gateway, "hidden")["hidden"]
    check.equal(refused["code"], UNAUTHENTICATED)
    with t.case("HTTP/1.1"):
        client = t.caller(gateway)
        answer = client.request("POST", "/echo.v1.Echo/Say", [("Content-Type", "application/grpc+json")], b"")
        check.equal((answer.status, answer.get("grpc-status"), answer.get("content-type"), answer.body), (200, "16", "application/grpc", b""))
        answer = client.request("POST", "/nowhere/Say", [("Content-Type", "application/grpc")], b"")
        check.equal((answer.status, answer.get("grpc-status")), (200, "12"))
        check.problem(client.request("POST", "/nowhere/Say", [("Content-Type", "application/json")], b""), 404)
    with t.case("no service"):
        gateway.reload(ENTITIES)
        service.stop()
        check.equal(_calls(gateway, "unary")["unary"]["code"], UNAVAILABLE)


def test_an_upstream_that_speaks_no_grpc(t):
    """http-grpc-status-mapping.md"""
    upstream = t.echo("plain")
    gateway = t.gateway(ENTITIES.replace(", protocol: h2c", ""), {"service": upstream})
    seen = _calls(gateway, "unary")["unary"]
    check.equal((seen["code"], seen["details"]), (2, "The upstream answered with the HTTP status 200, and not gRPC."))


def test_a_call_that_was_not_begun_is_made_again(t):
    """RFC 9113, section 8.7"""
    gateway = t.gateway(ENTITIES, {"service": node.Server(t, "refusing_service.js")})
    check.equal(_calls(gateway, "unary")["unary"].get("value"), {"by": "the second"})
    gateway.log_line(tries=2, grpc_status=OK)


def test_the_example_answers(t):
    one, two = node.Server(t, "echo_service.js", "one"), node.Server(t, "echo_service.js", "two")
    text = (t.root / "examples/grpc.yaml").read_text()
    for old, new in (("0.0.0.0:8080", "127.0.0.1:@port@"), ("127.0.0.1:50051", f"127.0.0.1:{one.port}"), ("127.0.0.1:50052", f"127.0.0.1:{two.port}")):
        text = text.replace(old, new)
    text = text.replace("gateway:\n", "gateway:\n  status: { address: 127.0.0.1:@status@ }\n", 1)
    gateway = t.gateway(whole_file=text)
    seen = _calls(gateway, "unary", "chat", "hidden", "busy", "too_large")
    check.equal(seen["unary"]["value"]["say"], "hello")
    check.equal(seen["chat"]["turns"], [1, 2, 3, 4, 5])
    check.equal(seen["hidden"]["code"], UNAUTHENTICATED)
    check.equal(seen["busy"]["code"], UNAVAILABLE)
    check.equal(seen["too_large"]["code"], RESOURCE_EXHAUSTED)
    asked = [line for server in (one, two) for line in server.lines() if line == "asked 14"]
    check.equal(len(asked), 2, "tried on both")
    check.equal(gateway.metrics().sum("sluice_retries_total", upstream="echo", reason="status"), 1)
    gateway.log_line(route="hidden", grpc_status=UNAUTHENTICATED)
    gateway.log_line(tries=2, grpc_status=UNAVAILABLE)
