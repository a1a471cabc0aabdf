"""The policy `websocket` between real peers (npm `ws` on both sides), over HTTP/1.1 and HTTP/2 (RFC 6455, RFC 8441; docs/policies/websocket.md)."""

import json

from harness import check, node, websocket
from harness.http2 import Client
from harness.websocket import BINARY, CLOSE, TEXT, close_payload

ENTITIES = """
upstreams:
  sockets: { targets: ["http://127.0.0.1:@server@"] }
apis:
  plain: { path: /, upstream: sockets }
  limited: { path: /limited, strip_path: true, upstream: sockets, policies: [ { websocket: { max_message: 1KiB, rate: 20/1s, max_upstream_message: 64KiB } } ] }
  slow: { path: /slow, strip_path: true, upstream: sockets, policies: [ { websocket: { rate: 3/1h } } ] }
  short: { path: /short, strip_path: true, upstream: sockets, policies: [ { websocket: { idle: 500ms } } ] }
  aged: { path: /aged, strip_path: true, upstream: sockets, policies: [ { websocket: { max_age: 1s } } ] }
  pages: { path: /pages, strip_path: true, upstream: sockets, policies: [ { websocket: { origins: ["https://shop.example", "https://*.partner.test"] } } ] }
  packed: { path: /packed, strip_path: true, upstream: sockets, policies: [ { websocket: { max_message: 64KiB, compression: true } } ] }
  tried: { path: /tried, strip_path: true, upstream: sockets, policies: [ { websocket: { max_message: 5, dry_run: true } } ] }
"""


def _start(t, *arguments):
    server = node.Server(t, "ws_server.js", *arguments)
    return t.gateway(ENTITIES, {"server": server.port}), server


def _client(gateway, target, **options):
    return json.loads(node.run("ws_session.js", f"ws://127.0.0.1:{gateway.port}{target}", json.dumps(options)))


def test_real_peers_within_the_limits(t):
    gateway, server = _start(t)
    for path in ("", "/limited", "/pages"):
        with t.case(path or "without the policy"):
            seen = _client(gateway, f"{path}/echo", send=["grüße", 1000, "", 0], close=4001, protocols=["chat", "other"], ping=True)
            check.equal(seen, {"messages": ["grüße", 1000, "", 0], "pongs": 1, "extensions": "", "protocol": "chat", "ended": [4001, "the client"]})
            t.poll("the server saw the code", lambda: "/echo 4001 the client" in server.lines())
            line = gateway.log_line(path=f"{path}/echo")
            check.equal((line["status"], line["close_code"]), (101, 4001))
            assert line["request_bytes"] > 1000 and line["response_bytes"] > 1000 and line["seconds"] > 0, line
    with t.case("fragments"):
        check.equal(_client(gateway, "/limited/fragments", send=["ä text", 5], close=1000)["messages"], ["ä text", 5])
    t.poll("messages are counted", lambda: gateway.metrics().sum("sluice_websocket_messages_total", direction="received") == 14)
    check.equal(gateway.metrics().sum("sluice_websocket_messages_total", direction="sent"), 14)
    check.equal(gateway.metrics().sum("sluice_websocket_closes_total", code="4xxx"), 3)


def test_limits_close_with_their_codes(t):
    """RFC 6455, section 7.4.1: 1009 for a message too big, 1008 against a policy, 1001 for who must go."""
    gateway, server = _start(t)
    rows = {
        "a message too big": ("/limited/a", dict(send=[1024, 1025]), [1009, "message too big"], "websocket_message_size", "client"),
        "the upstream's": ("/limited/send/65537", dict(send=["go"]), [1001, "the other side was refused"], "websocket_message_size", "upstream"),
        "too many": ("/slow/b", dict(send=["1", "2", "3", "4"], every=50), [1008, "too many messages"], "websocket_message_rate", "client"),
        "idle": ("/short/c", dict(send=["x", "never comes"][:1]), [1001, "idle for too long"], "websocket_idle", "gateway"),
        "age": ("/aged/d", dict(send=["x"] * 30, every=100), [1001, "open for too long"], "websocket_max_age", "gateway"),
    }
    for name, (path, options, ended, code, by) in rows.items():
        with t.case(name):
            check.equal(_client(gateway, path, **options)["ended"], ended)
            line = gateway.log_line(path=path)
            check.equal((line["error_code"], line["error_by"], line["close_code"]), (code, by, 1001 if by == "gateway" else {"websocket_message_size": 1009}.get(code, 1008)))
            inside = "/" + path.split("/", 2)[2]
            want = {"upstream": f"{inside} 1009 message too big", "gateway": f"{inside} {ended[0]} {ended[1]}"}.get(by, f"{inside} 1001 the other side was refused")
            t.poll("the server was told", lambda: want in server.lines())
    check.equal(gateway.metrics().sum("sluice_limited_total", policy="websocket"), len(rows))


def test_origins(t):
    gateway, _ = _start(t)
    for origin, passes in (("https://shop.example", True), ("https://a.partner.test", True), (None, True), ("https://evil.test", False),
                           ("http://shop.example", False), ("https://shop.example.evil.test", False), ("null", False)):
        with t.case(origin):
            seen = _client(gateway, "/pages/x", send=["x"], close=1000, **({"origin": origin} if origin else {}))
            if passes:
                check.equal(seen["messages"], ["x"])
            else:
                check.equal((seen["status"], seen["code"]), (403, "websocket_origin"))


def test_compression_is_agreed_on_only_when_wanted(t):
    """RFC 7692. What is compressed cannot be looked into."""
    gateway, _ = _start(t, "--deflate")
    for path, agreed in (("", True), ("/limited", False), ("/packed", True), ("/tried", True)):
        with t.case(path):
            seen = _client(gateway, f"{path}/x", send=["grüße", 900], close=1000, deflate=True)
            check.equal((bool(seen["extensions"]), seen["messages"], seen["ended"][0]), (agreed, ["grüße", 900], 1000))
    with t.case("a dry run says what it would have done"):
        line = gateway.log_line(path="/tried/x")
        check.equal((line["dry_run"], line["close_code"], "error_code" in line), ("websocket_message_size", 1000, False))


def test_who_breaks_the_protocol_is_closed_with_1002(t):
    gateway, server = _start(t)
    rows = {
        "no mask": (websocket.frame(TEXT, b"x", masked=False), 1002),
        "reserved bits": (websocket.frame(TEXT, b"x", reserved=4), 1002),
        "a reserved opcode": (websocket.frame(3, b"x"), 1002),
        "a fragment of nothing": (websocket.frame(0, b"x"), 1002),
        "a ping in fragments": (websocket.frame(9, b"x", fin=False), 1002),
        "a bad close code": (websocket.frame(CLOSE, close_payload(1005)), 1002),
        "no UTF-8": (websocket.frame(TEXT, b"\xff"), 1007),
        "too big in fragments": (websocket.frame(TEXT, b"x" * 1000, fin=False) + websocket.frame(0, b"x" * 25), 1009),
    }
    for number, (name, (data, code)) in enumerate(rows.items()):
        with t.case(name):
            peer, _ = websocket.open_on(t.client(gateway), target=f"/limited/{number}")
            peer.send(TEXT, b"before")
            check.equal(peer.message(), b"before")
            peer.send_bytes(data)
            part = peer.read()
            check.equal((part.opcode, part.code), (CLOSE, code))
            # Within a frame nothing can be said any more: then the server sees an end without a close frame.
            told = 1001 if name != "no UTF-8" else 1006
            t.poll("the server was told", lambda: any(line.startswith(f"/{number} {told}") for line in server.lines()))


def test_close_codes_pass_unchanged(t):
    """RFC 6455, section 7.4; 1005: no code was sent, 1006: no close frame."""
    gateway, server = _start(t)
    for path in ("", "/limited"):
        for code in (1000, 1001, 1011, 3000, 3999, 4000, 4999):
            with t.case(f"{path or 'blind'} {code}"):
                check.equal(_client(gateway, f"{path}/x{code}", send=["x"], close=code)["ended"], [code, "the client"])
                t.poll("the server saw it", lambda: f"/x{code} {code} the client" in server.lines())
                check.equal(_client(gateway, f"{path}/close/{code}", send=["x"])["ended"], [code, "the server"])
                check.equal(gateway.log_line(path=f"{path}/close/{code}")["close_code"], code)
        with t.case(f"{path or 'blind'} without a code"):
            check.equal(_client(gateway, f"{path}/plain", send=["x"], close=0)["ended"], [1005, ""])
            check.equal(_client(gateway, f"{path}/close", send=["x"])["ended"], [1005, ""])
            t.poll("the server saw it", lambda: "/plain 1005" in server.lines())
        with t.case(f"{path or 'blind'} abruptly"):
            check.equal(_client(gateway, f"{path}/gone", send=["x"], terminate=True)["ended"], [1006, ""])
            check.equal(_client(gateway, f"{path}/terminate", send=["x"])["ended"], [1006, ""])
            t.poll("the server saw it", lambda: "/gone 1006" in server.lines())


def test_over_http2(t):
    gateway, server = _start(t)
    client = Client(gateway.port, t.transcript)
    t.on_end(client.close)
    peer, _ = websocket.open_on_http2(client, "/limited/h2")
    for size in (0, 5, 1024):
        peer.send(BINARY, b"w" * size)
        check.equal(len(peer.message()), size)
    peer.send(BINARY, b"w" * 1025)
    part = peer.read()
    check.equal((part.opcode, part.code), (CLOSE, 1009))
    peer.send(CLOSE, part.payload)
    peer.sock.shutdown()
    check.equal(peer.ends(), [])
    t.poll("the server was told", lambda: "/h2 1001 the other side was refused" in server.lines())
    line = gateway.log_line(path="/limited/h2")
    check.equal((line["protocol"], line["close_code"], line["error_code"]), ("HTTP/2", 1009, "websocket_message_size"))
    other = Client(gateway.port, t.transcript)
    t.on_end(other.close)
    refused, answer = websocket.open_on_http2(other, "/pages/x", [("origin", "https://evil.test")])
    check.equal((refused, answer.status), (None, 403))


def test_a_reload_leaves_them_alone(t):
    """Contract, section 2: what was agreed on at the handshake holds to the end."""
    gateway, _ = _start(t)
    peer, _ = websocket.open_on(t.client(gateway), target="/limited/x")
    gateway.reload(ENTITIES.replace("max_message: 1KiB", "max_message: 5"))
    peer.send(BINARY, b"x" * 1000)
    check.equal(len(peer.message()), 1000)
    newer, _ = websocket.open_on(t.client(gateway), target="/limited/y")
    newer.send(BINARY, b"x" * 1000)
    check.equal(newer.read().code, 1009)
    gateway.reload("apis: { other: { path: /, routes: [ { name: r, respond: { status: 200, body: x } } ] } }")
    peer.send(BINARY, b"x" * 1000)
    check.equal(len(peer.message()), 1000)
    peer.send(BINARY, b"x" * 1025)
    check.equal(peer.read().code, 1009)
