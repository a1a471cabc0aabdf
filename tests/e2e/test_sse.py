"""Server-sent events and whatever else is streamed: each piece passes as it comes, who leaves ends it at once (docs/sse.md)."""

import json
import os
import signal
import subprocess

from harness import check, node
from harness.curl import peer
from harness.http2 import Client
from harness.message import read_response_head
from harness.raw import encode_request

ENTITIES = """
upstreams:
  events: { targets: ["http://127.0.0.1:@events@"] }
  events2: { targets: ["http://127.0.0.1:@events2@"], protocol: h2c }
policies:
  - request_id: {}
  - headers: { response: { set: { x-served-by: sluice } } }
apis:
  plain:
    path: /h1
    strip_path: true
    upstream: events
    policies: [ { rate_limit: { rate: 1000/1m, key: address } }, { websocket: {} } ]
  second: { path: /h2, strip_path: true, upstream: events2 }
"""


def _start(t, **settings):
    servers = {"h1": node.Server(t, "sse_server.js"), "h2": node.Server(t, "sse_server.js", "--http2")}
    return t.gateway(ENTITIES, {"events": servers["h1"].port, "events2": servers["h2"].port}, **settings), servers


class _Curl:
    """curl -N as it goes."""

    def __init__(self, t, gateway, target, *arguments):
        command = [peer("curl"), "--no-buffer", "--silent", "--include", "--noproxy", "*", *arguments, f"http://127.0.0.1:{gateway.port}{target}"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.context, self.seen = t, b""
        os.set_blocking(self.process.stdout.fileno(), False)
        t.on_end(self.leave)

    def sees(self, text):
        def look():
            self.seen += self.process.stdout.read() or b""
            return text in self.seen

        self.context.poll(f"curl sees {text!r}", look)

    def leave(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        return self.process.wait()


HTTP1, HTTP2 = ["--http1.1"], ["--http2-prior-knowledge"]


def test_each_event_passes_as_it_comes_and_who_leaves_ends_it(t):
    """The upstream says one thing, or its head alone, and then nothing for ever: the client has it all the same. Nothing more
    needs to come for the upstream to be told that the client has left."""
    gateway, servers = _start(t)
    for behind in ("h1", "h2"):
        def left(target):
            return servers[behind].lines().count(f"left {target}")

        for before in (HTTP1, HTTP2):
            with t.case(f"curl {before[0]}, an event from {behind}"):
                began = left("/one")
                curl = _Curl(t, gateway, f"/{behind}/one", *before)
                curl.sees(b"data: first\n\n")
                assert b"x-served-by: sluice" in curl.seen.lower(), curl.seen
                curl.leave()
                t.poll("the upstream was told", lambda: left("/one") == began + 1)
        with t.case(f"HTTP/1.1, a head from {behind}"):
            began = left("/silent")
            client = t.client(gateway)
            client.send(encode_request("GET", f"/{behind}/silent"))
            check.equal(read_response_head(client.reader).get("content-type"), "text/event-stream")
            client.close()
            t.poll("the upstream was told", lambda: left("/silent") == began + 1)
        with t.case(f"HTTP/2, a head from {behind}"):
            began = left("/silent")
            client = Client(gateway.port, t.transcript)
            t.on_end(client.close)
            stream = client.request("GET", f"/{behind}/silent")
            assert client.wait_for(lambda: client.answers[stream].status is not None)
            client.h2.reset_stream(stream)
            client.flush()
            t.poll("the upstream was told", lambda: left("/silent") == began + 1)
    t.poll("all are logged as left", lambda: [line["status"] for line in gateway.log()] == [499] * 8)


def test_events_of_a_scripted_upstream_arrive_one_by_one(t):
    """Each is sent only once the client has the one before. Three framings of the upstream's, two protocols of the client's."""
    framings = {
        "chunked": (b"Transfer-Encoding: chunked\r\n", lambda piece: b"%x\r\n%s\r\n" % (len(piece), piece), b"0\r\n\r\n"),
        "length": (b"Content-Length: 90\r\n", lambda piece: piece, b""),
        "until the end": (b"Connection: close\r\n", lambda piece: piece, b""),
    }
    import threading
    turns = {}

    def script(connection):
        request = connection.read_request()
        head, framed, end = framings[request.get("x-framing")]
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n" + head + b"\r\n")
        turn = turns[request.get("x-turn")]
        for number in range(9):
            turn.acquire()
            connection.send(framed(b"data: %d\n\n" % number + b" "))
        turn.acquire()
        connection.send(end) if end else None
        connection.close()

    gateway = t.front_of(t.upstream(script))
    for name in framings:
        for version in ("1.1", "2"):
            with t.case(f"{name} to HTTP/{version}"):
                key = f"{name} {version}"
                turn = turns[key] = threading.Semaphore(0)
                fields = [("x-framing", name), ("x-turn", key)]
                if version == "2":
                    client = Client(gateway.port, t.transcript)
                    t.on_end(client.close)
                    answer = client.answers[client.request("GET", "/", fields)]
                    assert client.wait_for(lambda: answer.status is not None)
                    has = lambda text: client.wait_for(lambda: text in answer.body)
                else:
                    raw = t.client(gateway)
                    raw.send(encode_request("GET", "/", fields))
                    read_response_head(raw.reader)

                    def has(text):
                        while text not in bytes(raw.reader.buffer):
                            raw.reader.fill()
                        return True

                for number in range(9):
                    turn.release()
                    assert has(b"data: %d\n\n" % number), number
                turn.release()


def test_event_source_comes_back_for_the_rest(t):
    """The HTML standard, section 9.2: it reconnects and says which event it had last."""
    gateway, servers = _start(t)
    for behind in ("h1", "h2"):
        with t.case(behind):
            seen = json.loads(node.run("event_source.js", f"http://127.0.0.1:{gateway.port}/{behind}/count/6"))
            check.equal(seen, {"messages": [[str(n), f"number {n}"] for n in range(1, 7)], "opened": 2})
            check.equal([line for line in servers[behind].lines() if line.startswith("begins")], ["begins /count/6", "begins /count/6 3"])


def test_stream_idle_bounds_silence(t):
    """`timeouts.stream_idle`: a comment now and then keeps a stream, silence ends it on both sides."""
    gateway, servers = _start(t, timeouts="{ stream_idle: 1s }")
    for behind in ("h1", "h2"):
        for before in (HTTP1, HTTP2):
            with t.case(f"{before[0]} {behind}"):
                alive = _Curl(t, gateway, f"/{behind}/beat/200", *before)
                silent = _Curl(t, gateway, f"/{behind}/one", *before)
                silent.sees(b"data: first")
                assert silent.process.wait(30) != 0, "a part does not pass for the whole"
                t.poll("the upstream was told", lambda: "left /one" in servers[behind].lines())
                alive.sees(b":\n\n" * 8)
                assert alive.process.poll() is None, "it was not silent"
                alive.leave()
    line = gateway.log_line(path="/h1/one")
    check.equal((line["status"], line["error_by"], line["error_code"]), (200, "upstream", "stream_idle"))


def test_drain_lets_streams_end_and_then_ends_them(t):
    gateway, servers = _start(t, drain="{ delay: 0s, timeout: 1s }")
    streams = [_Curl(t, gateway, f"/{behind}/beat/50", *before) for behind in ("h1", "h2") for before in (HTTP1, HTTP2)]
    for stream in streams:
        stream.sees(b":\n\n")
    gateway.terminate()
    for stream in streams:
        assert stream.process.wait(30) != 0
    check.equal(gateway.wait_exit(), 0)
    for server in servers.values():
        t.poll("the upstream was told", lambda: server.lines().count("left /beat/50") == 2)
    check.equal([(line["status"], line["error_by"], line["error_code"]) for line in gateway.log()], [(200, "gateway", "drain")] * 4)


def test_the_example_answers(t):
    server = node.Server(t, "sse_server.js")
    text = (t.root / "examples/sse.yaml").read_text()
    text = text.replace("0.0.0.0:8080", "127.0.0.1:@port@").replace("127.0.0.1:7001", f"127.0.0.1:{server.port}")
    gateway = t.gateway(whole_file=text.replace("gateway:\n", "gateway:\n  status: { address: 127.0.0.1:@status@ }\n", 1))
    check.problem(t.caller(gateway).get("/news"), 401)
    curl = _Curl(t, gateway, "/news/beat/50", "--header", "X-API-Key: demo-key")
    curl.sees(b"\n:\n\n")
    curl.leave()
    t.poll("the service was told", lambda: "left /news/beat/50" in server.lines())
