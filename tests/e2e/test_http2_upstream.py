"""Upstreams that speak HTTP/2: over TLS by ALPN, in the clear by prior knowledge; WebSockets to them (RFC 8441)."""

import hashlib
import json
import os
import socket
import subprocess

from harness import check, node, patience, ports, websocket
from harness.curl import peer
from harness.http2 import Client
from harness.nginx import Nginx
from harness.tls import Authority, TlsServer

CLEAR = """
upstreams:
  u: { targets: ["http://127.0.0.1:@upstream@"], protocol: h2c }
apis:
  a: { path: /, upstream: u }
"""
SECURED = """
upstreams:
  u: { targets: ["https://localhost:@upstream@"], protocol: @protocol@, tls: { ca: ours }, retry: { attempts: 1 } }
apis:
  a: { path: /, upstream: u }
trust: { ours: { ca: @ca@ } }
"""


def _upstream(t, **options):
    return node.Server(t, "http2_upstream.js", json.dumps(options))


def _talk(gateway, path, *steps):
    return json.loads(node.run("ws_client.js", f"ws://127.0.0.1:{gateway.port}{path}", json.dumps(steps)))


def _secured(t, ca, port, protocol="auto"):
    return t.gateway(SECURED.replace("@protocol@", protocol).replace("@ca@", ca.cert), {"upstream": port})


def test_websocket_of_an_http1_client(t):
    upstream = _upstream(t)
    gateway = t.gateway(CLEAR, {"upstream": upstream.port})
    size = 3_000_000
    seen = _talk(gateway, "/chat?a=b", ["send", "hello"], ["binary", size], ["await", 2], ["close", 4001])
    check.equal((seen["messages"], seen["protocol"]), (["hello", f"{size} {hashlib.sha256(b'x' * size).hexdigest()}"], "chat"))
    check.equal((seen["code"], seen["reason"]), (4001, "done"))
    patience.poll("the server knows the close code", lambda: "ended 4001 done" in upstream.lines())
    check.equal(upstream.lines()[1], "opened websocket /chat?a=b without a key")
    patience.poll("no reset", lambda: "closed 0" in upstream.lines())
    line = gateway.log_line()
    check.equal((line["status"], line["protocol"]), (101, "HTTP/1.1"))


def test_the_server_closes(t):
    upstream = _upstream(t)
    gateway = t.gateway(CLEAR, {"upstream": upstream.port})
    for code in (1000, 1011, 4321):
        with t.case(code):
            seen = _talk(gateway, "/", ["send", f"close {code}"])
            check.equal((seen["code"], seen["reason"]), (code, "as told"))


def test_resets_and_departures(t):
    upstream = _upstream(t)
    gateway = t.gateway(CLEAR, {"upstream": upstream.port})
    check.equal(_talk(gateway, "/", ["send", "reset"])["code"], 1006, "no close frame came")
    check.equal(_talk(gateway, "/", ["vanish"])["code"], 1006)
    patience.poll("the server knows", lambda: "ended 1006 " in upstream.lines() or sum(line.startswith("closed") for line in upstream.lines()) == 2)
    check.equal(_talk(gateway, "/", ["send", "again"], ["await", 1], ["close", 1000])["messages"], ["again"])


def test_refusals(t):
    gateway = t.gateway(CLEAR, {"upstream": _upstream(t).port})
    seen = _talk(gateway, "/refused")
    check.equal((seen["status"], seen["body"]), (403, "no"))
    without = t.gateway(CLEAR, {"upstream": _upstream(t, connect=False).port})
    seen = _talk(without, "/")
    check.equal((seen["status"], json.loads(seen["body"])["code"]), (502, "upstream_no_websocket"))
    check.equal(json.loads(t.client(without).get("/").body)["version"], "2.0", "other requests go on")


def test_websocket_from_http2_to_http2(t):
    upstream = _upstream(t)
    gateway = t.gateway(CLEAR, {"upstream": upstream.port})
    client = Client(gateway.port, t.transcript)
    t.on_end(client.close)
    pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "x.test"), (":path", "/both")]
    stream = client.request("CONNECT", "/both", pseudo=pseudo, fields=[("sec-websocket-version", "13")], end=False)
    answer = client.answers[stream]
    client.wait_for(lambda: answer.status)
    check.equal(answer.status, 200)
    assert "sec-websocket-accept" not in answer.fields, answer.fields
    client.send(stream, b"\x81\x82\0\0\0\0hi")
    client.wait_for(lambda: answer.body == b"\x81\x02hi")
    client.send(stream, b"\x88\x82\0\0\0\0\x03\xe8", end=True)
    client.answer(stream)
    check.equal(answer.body, b"\x81\x02hi\x88\x02\x03\xe8")
    check.equal(upstream.lines()[1], "opened websocket /both without a key")


def test_a_drain_says_1001_to_both(t):
    upstream = _upstream(t)
    gateway = t.gateway(CLEAR, {"upstream": upstream.port}, drain="{ delay: 0s, timeout: 15s }")
    client, _ = websocket.open_on(t.client(gateway))
    gateway.terminate()
    frame = client.read()
    check.equal((frame.opcode, frame.code), (websocket.CLOSE, 1001))
    client.send(websocket.CLOSE, websocket.close_payload(1001))
    patience.poll("the server was told", lambda: any(line.startswith("ended 1001") for line in upstream.lines()))


def test_auto_takes_what_the_target_chooses(t):
    ca = Authority(t.folder)
    cert, key = ca.issue("node", "localhost")
    both = _upstream(t, cert=cert, key=key, http1=True)
    for protocol, version in (("auto", "2.0"), ("h2", "2.0"), ("h1", "1.1")):
        with t.case(protocol):
            gateway = _secured(t, ca, both.port, protocol)
            answers = [json.loads(t.client(gateway).get(f"/{i}").body) for i in range(5)]
            check.equal({answer["version"] for answer in answers}, {version})
            if version == "2.0":
                check.equal({answer["scheme"] for answer in answers}, {"https"})
                assert len({answer["session"] for answer in answers}) <= 2, "one connection a worker"
    with t.case("auto, and a target of HTTP/1.1"):
        old = TlsServer(t, (cert, key), protocols=["http/1.1"])
        gateway = _secured(t, ca, old.port)
        for i in range(5):
            answer = t.client(gateway).get(f"/{i}")
            check.equal((answer.status, answer.body.split(b"\n")[0]), (200, b"/%d by nobody alpn http/1.1" % i))
        assert len(old.names) <= 2, "one connection a worker, kept"
    with t.case("auto, and a target without ALPN"):
        silent = TlsServer(t, (cert, key))
        check.equal(t.client(_secured(t, ca, silent.port)).get("/").status, 200)


def test_h2_is_required_where_it_says_so(t):
    ca = Authority(t.folder)
    certificate = ca.issue("old", "localhost")
    for name, server in (("no ALPN", TlsServer(t, certificate)), ("HTTP/1.1 alone", TlsServer(t, certificate, protocols=["http/1.1"]))):
        with t.case(name):
            gateway = _secured(t, ca, server.port, "h2")
            check.problem(t.client(gateway).get("/"), 502, "upstream_no_http2")
            patience.poll("the log says why", lambda: "failed: protocol" in gateway.said())


def test_stream_limits_are_learned(t):
    """A server that takes four requests at once gets no more on a connection, and others beside it."""
    upstream = _upstream(t, streams=4)
    gateway = t.gateway(CLEAR, {"upstream": upstream.port})
    client = Client(gateway.port, t.transcript)
    t.on_end(client.close)
    check.equal(client.ask("GET", "/").status, 200)
    streams = [client.request("GET", f"/slow/{i}") for i in range(20)]
    answers = [client.answer(stream) for stream in streams]
    check.equal({answer.status for answer in answers}, {200})
    sessions = [json.loads(answer.body)["session"] for answer in answers]
    assert len(set(sessions)) >= 5 and max(sessions.count(s) for s in set(sessions)) <= 4, sessions


def _nghttpd(t, *arguments):
    port = ports.free_port()
    folder = t.new_folder("root")
    with open(os.path.join(folder, "file"), "wb") as out:
        out.write(b"x" * 300_000)
    process = subprocess.Popen([peer("nghttpd"), "-a", "127.0.0.1", "-d", folder, "--echo-upload", *arguments[:1], str(port), *arguments[1:]],
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    t.on_end(lambda: (process.kill(), process.wait()))
    patience.poll("nghttpd listens", lambda: _listens(port))
    return port


def _listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _exchange(t, gateway, path="/file", size=300_000):
    answer = t.client(gateway).get(path)
    check.equal((answer.status, len(answer.body)), (200, size))


def test_nghttpd(t):
    gateway = t.gateway(CLEAR, {"upstream": _nghttpd(t, "--no-tls")})
    _exchange(t, gateway)
    client = t.client(gateway)
    client.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n" + b"y" * 200_000)
    answer = client.response()
    check.equal((answer.status, answer.body), (200, b"y" * 200_000))
    ca = Authority(t.folder)
    cert, key = ca.issue("nghttpd", "localhost")
    port = _nghttpd(t, "-v", key, cert)
    for protocol in ("auto", "h2"):
        with t.case(protocol):
            _exchange(t, _secured(t, ca, port, protocol))


def test_nginx_over_tls(t):
    ca = Authority(t.folder)
    cert, key = ca.issue("nginx", "localhost")
    nginx = Nginx(t.folder, f"""
  server {{
    listen 127.0.0.1:@port@ ssl http2; ssl_certificate {cert}; ssl_certificate_key {key};
    location / {{ return 200 "$server_protocol $http2"; }}
  }}""")
    t.on_end(nginx.stop)
    for protocol, said in (("auto", b"HTTP/2.0 h2"), ("h2", b"HTTP/2.0 h2"), ("h1", b"HTTP/1.1 ")):
        with t.case(protocol):
            answer = t.client(_secured(t, ca, nginx.port, protocol)).get("/")
            check.equal((answer.status, answer.body), (200, said))
    with t.case("nginx ends a connection after a thousand requests"):
        gateway = _secured(t, ca, nginx.port, "h2")
        client = Client(gateway.port, t.transcript)
        t.on_end(client.close)
        for _ in range(30):
            streams = [client.request("GET", "/") for _ in range(80)]
            check.equal({client.answer(stream).status for stream in streams}, {200})
