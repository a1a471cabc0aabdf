"""WebSockets through the gateway (RFC 6455; contract, section 3): handshakes, frames as they come, ends, reload, drain."""

import os
import threading

from harness import check, websocket
from harness.http2 import Client
from harness.upstream import always
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, close_payload

SAMPLE_KEY, SAMPLE_ACCEPT = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

ROUTES = """
upstreams:
  one: { targets: ["http://127.0.0.1:@upstream@"] }
apis:
  all: { path: /, upstream: one }
  fixed: { path: /fixed, routes: [ { name: r, respond: { status: 200, body: "no socket" } } ] }
"""


def _gateway(t, script=websocket.echo_script, entities=ROUTES, **settings):
    upstream = t.upstream(script)
    return t.gateway(entities, {"upstream": upstream}, **settings), upstream


def _open(t, gateway, **more):
    peer, _ = websocket.open_on(t.client(gateway), **more)
    return peer


def test_handshake_passes_both_ways(t):
    def script(connection):
        peer, request = websocket.accept_on(connection, [("Sec-WebSocket-Protocol", "chat"), ("X-Extra", "1")])
        peer.send(TEXT, "\n".join(f"{name.lower()}: {value}" for name, value in request.fields).encode())
        peer.ends()

    gateway, _ = _gateway(t, script)
    client = t.client(gateway)
    peer, answer = websocket.open_on(client, target="/chat?room=1", fields=[("Sec-WebSocket-Protocol", "chat, other"), ("Origin", "http://x.test")])
    check.equal(answer.get("sec-websocket-accept"), SAMPLE_ACCEPT)
    check.equal((answer.get("upgrade"), answer.get("connection")), ("websocket", "Upgrade"))
    check.equal((answer.get("sec-websocket-protocol"), answer.get("x-extra")), ("chat", "1"))
    check.equal(answer.get("via"), "1.1 sluice")
    seen = dict(line.split(": ", 1) for line in peer.message().decode().split("\n"))
    check.equal((seen["upgrade"], seen["connection"]), ("websocket", "Upgrade"))
    check.equal(seen["sec-websocket-key"], SAMPLE_KEY)
    check.equal((seen["origin"], seen["x-forwarded-for"], seen["host"]), ("http://x.test", "127.0.0.1", "gateway.test"))


def test_what_is_no_handshake(t):
    """RFC 6455, section 4.2; contract: 426, only `Upgrade: websocket` passes."""
    gateway, upstream = _gateway(t, always(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nplain"))
    rows = {
        "an old version": (dict(version="8"), 426, "websocket_version"),
        "no version": (dict(version=None), 426, "websocket_version"),
        "no key": (dict(key=None), 400, "websocket_key"),
        "a short key": (dict(key="c2hvcnQ="), 400, "websocket_key"),
    }
    for name, (more, status, code) in rows.items():
        with t.case(name):
            client = t.client(gateway)
            client.send(websocket.handshake(**more))
            answer = client.response()
            check.equal((answer.status, answer.json["code"]), (status, code))
            if status == 426:
                check.equal(answer.get("sec-websocket-version"), "13")
                check.equal(answer.get("upgrade"), "websocket")
                assert "Upgrade" in answer.all("connection"), answer.fields
            client.expect_open("/fixed")
    check.equal(upstream.requests, [])
    for name, request in {
        "another protocol": websocket.handshake(upgrade="h2c"),
        "with a body": websocket.handshake(fields=[("Content-Length", "2")]) + b"ab",
        "a POST": websocket.handshake().replace(b"GET", b"POST"),
        "HTTP/1.0": websocket.handshake().replace(b"HTTP/1.1", b"HTTP/1.0").replace(b"Upgrade\r\n", b"Upgrade, keep-alive\r\n"),
    }.items():
        with t.case(name):
            client = t.client(gateway)
            client.send(request)
            answer = client.response()
            check.equal((answer.status, answer.body), (200, b"plain"))
            request = upstream.requests[-1]
            assert not request.has("upgrade"), request.fields
    client = t.client(gateway)
    client.send(websocket.handshake(target="/fixed"))
    check.equal(client.response().body, b"no socket", "a route that is not proxied")


def test_upstreams_that_do_not_agree(t):
    refusal = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"
    rows = {
        "refuses": (refusal, 403, None),
        "answers plainly": (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, None),
        "a wrong accept": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n", 502, "bad_upgrade"),
        "no accept": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 502, "bad_upgrade"),
        "another protocol": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: chat\r\nConnection: Upgrade\r\n\r\n", 502, "unexpected_upgrade"),
        "a subprotocol nobody offered": (f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: x\r\nSec-WebSocket-Accept: {SAMPLE_ACCEPT}\r\n\r\n".encode(), 502, "bad_upgrade"),
    }
    answers = {}

    def script(connection):
        while True:
            connection.send(answers[connection.read_request().target])

    gateway, _ = _gateway(t, script)
    for number, (name, (bytes_, status, code)) in enumerate(rows.items()):
        answers[f"/{number}"] = bytes_
        with t.case(name):
            client = t.client(gateway)
            client.send(websocket.handshake(target=f"/{number}"))
            answer = client.response()
            check.equal(answer.status, status)
            if code:
                check.equal(answer.json["code"], code)
            client.expect_open("/fixed")


def test_messages_pass_as_they_are(t):
    gateway, _ = _gateway(t)
    peer = _open(t, gateway)
    for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
        payload = os.urandom(size)
        peer.send(BINARY, payload)
        check.equal(peer.message(), payload, f"{size} bytes")
    peer.send(PING, b"beat")
    answer = peer.read()
    check.equal((answer.opcode, answer.payload), (PONG, b"beat"))
    # Fragments stay fragments, control frames between them in their place (section 5.4).
    peer.send(TEXT, b"one ", fin=False)
    peer.send(PING, b"")
    peer.send(CONTINUATION, b"two", fin=True)
    seen = [peer.read() for _ in range(3)]
    check.equal([(part.opcode, part.fin) for part in seen], [(TEXT, False), (PONG, True), (CONTINUATION, True)])
    # What no rule allows is between the two of them: nothing is looked at.
    peer.send(TEXT, b"\xff\xfe", reserved=4)
    answer = peer.read()
    check.equal(answer.payload, b"\xff\xfe")


def test_a_flood_of_tiny_frames_and_bytes_one_by_one(t):
    gateway, _ = _gateway(t)
    peer = _open(t, gateway)
    count = 20000
    reader = threading.Thread(target=lambda: [peer.message() for _ in range(count)])
    reader.start()
    one = websocket.frame(TEXT, b"x")
    peer.send_bytes(one * count)
    reader.join(60)
    assert not reader.is_alive(), "not all came back"
    for byte in websocket.frame(TEXT, b"slowly"):
        peer.send_bytes(bytes([byte]))
    check.equal(peer.message(), b"slowly")


def test_frames_sent_with_the_handshake(t):
    """Bytes behind either head belong to the WebSocket."""

    def script(connection):
        request = connection.read_head()
        head = f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {websocket.accept_of(request.get('sec-websocket-key'))}\r\n\r\n"
        connection.send(head.encode() + websocket.frame(TEXT, b"welcome", masked=False))
        peer = websocket.Peer(connection.sock, False, bytes(connection.reader.buffer))
        peer.send(TEXT, peer.message())

    gateway, _ = _gateway(t, script)
    client = t.client(gateway)
    client.send(websocket.handshake() + websocket.frame(TEXT, b"early"))
    answer = client.head()
    check.equal(answer.status, 101)
    peer = websocket.Peer(client.sock, True, bytes(client.reader.buffer))
    check.equal([peer.message(), peer.message()], [b"welcome", b"early"])


def test_close_codes_pass_both_ways(t):
    codes = {}

    def script(connection):
        peer, request = websocket.accept_on(connection)
        if request.target == "/server":
            peer.send(CLOSE, close_payload(4321, "server says"))
        part = peer.read()
        codes[request.target] = part.code
        if request.target == "/client":
            peer.send(CLOSE, part.payload)

    gateway, _ = _gateway(t, script)
    for target in ("/client", "/server"):
        peer = _open(t, gateway, target=target)
        if target == "/client":
            peer.send(CLOSE, close_payload(3456, "client says"))
        answer = peer.read()
        if target == "/server":
            peer.send(CLOSE, answer.payload)
        want = 3456 if target == "/client" else 4321
        check.equal((answer.opcode, answer.code), (CLOSE, want))
        check.equal(peer.ends(), [])
        t.poll("the other side saw it", lambda: codes.get(target) == want)
    line = gateway.log_line(path="/client")
    check.equal((line["status"], line["upstream"], line["protocol"]), (101, "one", "HTTP/1.1"))
    assert "error_by" not in line and line["request_bytes"] > 100 and line["response_bytes"] > 100, line
    t.poll("all are counted", lambda: gateway.metrics().sum("sluice_websockets_ended_total") == 2)
    check.equal(gateway.metrics().sum("sluice_websockets"), 0)


def test_who_breaks_off_ends_the_other(t):
    ended = threading.Event()
    begun = []

    def script(connection):
        peer, request = websocket.accept_on(connection)
        begun.append(connection)
        if request.target == "/waits":
            peer.ends()
            ended.set()
        else:
            peer.read()
            connection.reset() if request.target == "/resets" else connection.close()

    gateway, _ = _gateway(t, script)
    client = t.client(gateway)
    websocket.open_on(client, target="/waits")
    client.reset()
    assert ended.wait(20), "the upstream was not told that the client is gone"
    for target in ("/resets", "/ends"):
        with t.case(target):
            peer = _open(t, gateway, target=target)
            peer.send(TEXT, b"go")
            check.equal(peer.ends(), [])


def test_one_side_may_end_first(t):
    """No byte is lost at the end: what the other still sends arrives, however much."""
    size = 3_000_000

    def script(connection):
        peer, _ = websocket.accept_on(connection)
        check.equal(peer.ends(), [], "the client's end comes through")
        peer.send(BINARY, b"z" * size)

    gateway, _ = _gateway(t, script)
    client = t.client(gateway)
    peer, _ = websocket.open_on(client)
    client.half_close()
    check.equal(len(peer.message()), size)
    check.equal(peer.ends(), [])


def test_a_slow_reader_slows_the_other_side(t):
    """What is under way is bounded: of 64 MiB only what the buffers hold leaves the upstream."""
    sent = []

    def script(connection):
        peer, _ = websocket.accept_on(connection)
        piece = websocket.frame(BINARY, b"y" * 1_000_000, masked=False)
        for _ in range(64):
            connection.sock.sendall(piece)
            sent.append(len(piece))

    gateway, _ = _gateway(t, script)
    before = gateway.resident_bytes()
    client = t.client(gateway, receive_buffer=65536)
    peer, _ = websocket.open_on(client)
    last = [-1]

    def stands():
        now = len(sent)
        stood, last[0] = now == last[0], now
        return stood

    t.poll("the upstream stands still", stands)
    assert len(sent) < 60, f"{len(sent)} MB left the upstream"
    assert gateway.resident_bytes() - before < 16 << 20, "the gateway kept it"
    for _ in range(64):
        check.equal(len(peer.message()), 1_000_000)


def test_reload_keeps_it(t):
    """Contract, section 2: no dropped WebSocket, also when route and upstream are gone."""
    gateway, _ = _gateway(t)
    peer = _open(t, gateway)
    for step in range(3):
        gateway.reload(ROUTES.replace("path: /,", f"path: /moved{step},"))
        peer.send(TEXT, b"still here")
        check.equal(peer.message(), b"still here")
    gateway.reload('apis: { other: { path: /, routes: [ { name: r, respond: { status: 200, body: x } } ] } }')
    peer.send(TEXT, b"and now")
    check.equal(peer.message(), b"and now")
    peer.send(CLOSE, close_payload(1000))
    check.equal([part.code for part in peer.ends()], [1000])


def test_drain_says_1001_to_both(t):
    """Contract, section 3, SIGTERM; RFC 6455, section 7.4.1."""
    codes = []

    def script(connection):
        peer, _ = websocket.accept_on(connection)
        part = peer.read()
        codes.append((part.opcode, part.code))
        peer.send(CLOSE, part.payload)

    gateway, _ = _gateway(t, script, drain="{ delay: 0s, timeout: 15s }")
    peers = [_open(t, gateway) for _ in range(3)]
    gateway.terminate()
    for peer in peers:
        part = peer.read()
        check.equal((part.opcode, part.code), (CLOSE, 1001))
        peer.send(CLOSE, part.payload)
        check.equal(peer.ends(), [])
    check.equal(gateway.wait_exit(), 0)
    check.equal(codes, [(CLOSE, 1001)] * 3)
    check.equal(sorted(line.get("error_code") for line in gateway.log()), ["drain"] * 3)


def test_drain_waits_for_the_end_of_a_frame(t):
    release, got = threading.Event(), []

    def script(connection):
        peer, _ = websocket.accept_on(connection)
        whole = websocket.frame(TEXT, b"0123456789", masked=False)
        connection.send(whole[:5])
        release.wait(20)
        connection.send(whole[5:])
        got.append(peer.read().code)

    gateway, _ = _gateway(t, script, drain="{ delay: 0s, timeout: 15s }")
    peer = _open(t, gateway)
    peer._need(5)
    gateway.terminate()
    t.poll("the upstream is told at once", lambda: gateway.process.poll() is not None or _not_ready(gateway))
    release.set()
    check.equal(peer.message(), b"0123456789")
    check.equal(peer.read().code, 1001)
    peer.send(CLOSE, close_payload(1001))
    peer.ends()
    check.equal(gateway.wait_exit(), 0)
    check.equal(got, [1001])


def _not_ready(gateway):
    try:
        return gateway.status("/readyz").status != 200
    except (OSError, AssertionError):
        return True


def test_drain_ends_those_who_do_not_answer(t):
    gateway, _ = _gateway(t, lambda connection: (websocket.accept_on(connection), connection.wait_for_close()), drain="{ delay: 0s, timeout: 1s }")
    peer = _open(t, gateway)
    gateway.terminate()
    check.equal([part.code for part in peer.ends()], [1001])
    check.equal(gateway.wait_exit(), 0)


def test_idle_ones_are_closed(t):
    """`timeouts.stream_idle`; what a ping keeps alive stays."""
    gateway, _ = _gateway(t, timeouts="{ stream_idle: 1s }")
    idle, alive = _open(t, gateway), _open(t, gateway)
    stop = threading.Event()

    def beat():
        while not stop.wait(0.2):
            alive.send(PING)

    thread = threading.Thread(target=beat)
    thread.start()
    part = idle.read()
    check.equal((part.opcode, part.code), (CLOSE, 1001))
    idle.send(CLOSE, part.payload)
    check.equal(idle.ends(), [])
    stop.set()
    thread.join()
    while alive.buffer:
        check.equal(alive.read().opcode, PONG)
    alive.send(TEXT, b"alive")
    while True:
        part = alive.read()
        if part.opcode != PONG:
            break
    check.equal(part.payload, b"alive")
    line = gateway.log_line(error_code="websocket_idle")
    check.equal((line["status"], line["error_by"]), (101, "gateway"))


def test_timeouts_of_a_request_do_not_bound_it(t):
    gateway, _ = _gateway(t, timeouts="{ header: 500ms, body_progress: 500ms, keep_alive: 500ms, total: 500ms }")
    peer = _open(t, gateway)
    threading.Event().wait(1.5)
    peer.send(TEXT, b"late")
    check.equal(peer.message(), b"late")


def _open_on_http2(t, gateway, target="/"):
    client = Client(gateway.port, t.transcript)
    t.on_end(client.close)
    peer, answer = websocket.open_on_http2(client, target)
    assert peer, f"no WebSocket: {answer.status}"
    return peer


def test_drain_says_1001_over_http2(t):
    """The stream hears it in a close frame, the connection in a GOAWAY; the upstream as ever."""
    codes = []

    def script(connection):
        peer, _ = websocket.accept_on(connection)
        part = peer.read()
        codes.append((part.opcode, part.code))
        peer.send(CLOSE, part.payload)

    gateway, _ = _gateway(t, script, drain="{ delay: 0s, timeout: 15s }")
    peers = [_open_on_http2(t, gateway) for _ in range(3)] + [_open(t, gateway)]
    gateway.terminate()
    for peer in peers:
        part = peer.read()
        check.equal((part.opcode, part.code), (CLOSE, 1001))
        peer.send(CLOSE, part.payload)
    for peer in peers[:3]:
        peer.sock.shutdown()
    for peer in peers:
        check.equal(peer.ends(), [])
    check.equal(gateway.wait_exit(), 0)
    check.equal(codes, [(CLOSE, 1001)] * 4)
    check.equal([(line.get("error_code"), line["close_code"]) for line in gateway.log()], [("drain", 1001)] * 4)


def test_reload_keeps_it_over_http2(t):
    gateway, _ = _gateway(t)
    peer = _open_on_http2(t, gateway)
    gateway.reload('apis: { other: { path: /, routes: [ { name: r, respond: { status: 200, body: x } } ] } }')
    peer.send(TEXT, b"still here")
    check.equal(peer.message(), b"still here")
    peer.send(CLOSE, close_payload(1000))
    check.equal(peer.read().code, 1000)


def test_who_breaks_off_ends_the_other_over_http2(t):
    """RFC 8441, section 5. Nobody makes up a close frame that was not sent."""
    seen = {}

    def script(connection):
        peer, request = websocket.accept_on(connection)
        if request.target in ("/stream", "/connection"):
            peer.send(TEXT, peer.message())
            seen[request.target] = [part.opcode for part in peer.ends()]
        else:
            peer.read()
            connection.reset() if request.target == "/resets" else connection.close()

    gateway, _ = _gateway(t, script)
    for target, leave in (("/stream", lambda peer: peer.sock.reset()), ("/connection", lambda peer: peer.sock.client.close())):
        with t.case(f"the client leaves: {target}"):
            peer = _open_on_http2(t, gateway, target)
            peer.send(TEXT, b"x")
            check.equal(peer.message(), b"x")
            leave(peer)
            t.poll("the upstream was told", lambda: target in seen)
            check.equal(seen[target], [])
            line = gateway.log_line(path=target)
            check.equal((line["close_code"], line.get("error_code"), line.get("error_by")), (1006, None, None))
    for target in ("/resets", "/ends"):
        with t.case(f"the upstream: {target}"):
            peer = _open_on_http2(t, gateway, target)
            peer.send(TEXT, b"go")
            check.equal(peer.ends(), [])
            peer.sock.reset()
            check.equal(gateway.log_line(path=target)["close_code"], 1006)


def test_the_example_answers(t):
    upstream = t.upstream(websocket.echo_script)
    text = (t.root / "examples/websocket.yaml").read_text()
    text = text.replace("0.0.0.0:8080", "127.0.0.1:@port@").replace("127.0.0.1:7001", f"127.0.0.1:{upstream.port}")
    gateway = t.gateway(whole_file=text.replace("gateway:\n", "gateway:\n  status: { address: 127.0.0.1:@status@ }\n", 1))
    client = t.client(gateway)
    client.send(websocket.handshake(target="/chat"))
    check.problem(client.response(), 401)
    peer = _open(t, gateway, target="/chat", fields=[("X-API-Key", "demo-key"), ("Origin", "https://shop.example")])
    peer.send(TEXT, b"hello")
    check.equal(peer.message(), b"hello")
    peer.send(BINARY, b"x" * 65537)
    check.equal(peer.read().code, 1009)
