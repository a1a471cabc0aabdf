"""HTTP/2 on a plain listener, by prior knowledge (RFC 9113, section 3.3): real clients before the gateway, HTTP/1.1 behind it."""

import hashlib
import os
import re
import socket
import subprocess
import threading

from harness import check, websocket
from harness.curl import peer
from harness.http2 import Client
from harness.raw import encode_request

RESPOND = """
apis:
  all: { path: /, routes: [ { name: hello, respond: { status: 200, body: hello } } ] }
"""


def _client(t, gateway, **more):
    client = Client(gateway.port, t.transcript, **more)
    t.on_end(client.close)
    return client


def _curl(gateway, target, *arguments):
    command = [peer("curl"), "--silent", "--show-error", "--http2-prior-knowledge", "--write-out", "\n%{http_version} %{http_code}",
               "--noproxy", "*", *arguments, f"http://127.0.0.1:{gateway.port}{target}"]
    done = subprocess.run(command, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr.decode()
    body, _, last = done.stdout.rpartition(b"\n")
    return last.decode(), body


def test_curl_speaks_http2_and_http1_on_one_port(t):
    gateway = t.front_of(t.echo())
    for version, arguments in (("2", []), ("1.1", ["--http1.1"])):
        with t.case(version):
            last, body = _curl(gateway, "/a?b=c", *arguments)
            check.equal(last, f"{version} 200")
            assert b'"/a?b=c"' in body, body


def test_access_log_and_metrics_name_it(t):
    gateway = t.front_of(t.echo())
    client = _client(t, gateway)
    check.equal(client.ask("GET", "/seen").status, 200)
    line = gateway.log_line()
    check.equal((line["protocol"], line["host"], line["path"], line["status"]), ("HTTP/2", "x.test", "/seen", 200))
    t.poll("the connection is counted", lambda: gateway.metrics().sum("sluice_connections", listener="plain", state="idle") == 1)


def test_many_exchanges_at_once(t):
    """One slow answer keeps none of the others waiting."""
    release = threading.Event()

    def script(connection):
        while True:
            request = connection.read_request()
            if request.target == "/slow":
                release.wait(20)
            connection.answer(request.target.encode())

    gateway = t.front_of(t.upstream(script))
    client = _client(t, gateway)
    slow = client.request("GET", "/slow")
    others = {client.request("GET", f"/{i}"): i for i in range(50)}
    for stream, i in others.items():
        check.equal(client.answer(stream).body, f"/{i}".encode())
    assert not client.answers[slow].ended
    release.set()
    check.equal(client.answer(slow).body, b"/slow")


def test_bodies_and_trailers_pass_both_ways(t):
    def script(connection):
        while True:
            request = connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n")

    upstream = t.upstream(script)
    gateway = t.front_of(upstream)
    client = _client(t, gateway)
    answer = client.ask("POST", "/up", body=b"abc", trailers=[("x-check", "2"), ("authorization", "no")])
    check.equal((answer.status, answer.body, answer.trailers), (200, b"hello", {"x-sum": "1"}))
    assert "transfer-encoding" not in answer.fields
    request = upstream.requests[0]
    check.equal(request.body, b"abc")
    check.equal([(name.lower(), value) for name, value in request.trailers], [("x-check", "2")])


def test_what_the_upstream_gets_is_plain_http1(t):
    """No form of it could be read as another message (downgrade smuggling)."""
    upstream = t.echo()
    gateway = t.front_of(upstream)
    client = _client(t, gateway)
    client.ask("POST", "/known", fields=[("content-length", "3")], body=b"abc")
    client.ask("POST", "/unknown", body=b"x" * 100_000)
    client.ask("GET", "/crumbs", fields=[("cookie", "a=1"), ("cookie", "b=2"), ("te", "trailers")])
    known, unknown, crumbs = upstream.requests[:3]
    check.equal(known.all("content-length"), ["3"])
    check.equal(known.all("transfer-encoding"), [])
    check.equal(unknown.all("transfer-encoding"), ["chunked"])
    check.equal(unknown.all("content-length"), [])
    check.equal(crumbs.all("cookie"), ["a=1; b=2"])
    for request in (known, unknown, crumbs):
        check.equal(request.all("host"), ["x.test"])


def test_smuggling_forms_never_reach_the_upstream(t):
    upstream = t.echo()
    gateway = t.front_of(upstream)
    pseudo = [(":method", "POST"), (":scheme", "http"), (":authority", "x.test"), (":path", "/")]

    def changed(name, value):
        return [(key, value if key == name else old) for key, old in pseudo]

    for name, head, fields in (
            ("transfer-encoding", pseudo, [("transfer-encoding", "chunked")]),
            ("connection", pseudo, [("connection", "transfer-encoding")]),
            ("CRLF in a value", pseudo, [("a", "b\r\ntransfer-encoding: chunked")]),
            ("CRLF in a name", pseudo, [("a\r\nb", "c")]),
            ("NUL", pseudo, [("a", "b\0c")]),
            ("upper case", pseudo, [("Transfer-Encoding", "chunked")]),
            ("two lengths", pseudo, [("content-length", "0"), ("content-length", "3")]),
            ("a wrong length", pseudo, [("content-length", "0")]),
            ("CRLF in the path", changed(":path", "/ HTTP/1.1\r\nHost: y\r\n\r\nGET /"), []),
            ("a space in the path", changed(":path", "/a HTTP/1.1"), []),
            ("CRLF in the method", changed(":method", "GET / HTTP/1.1\r\nA: b"), []),
            ("CRLF in the authority", changed(":authority", "x.test\r\na: b"), []),
            ("user information", changed(":authority", "x@y.test"), []),
            ("another Host", pseudo, [("host", "y.test")]),
            ("CRLF in the scheme", changed(":scheme", "http\r\n"), [])):
        with t.case(name):
            client = _client(t, gateway, strict=False)
            answer = client.ask("POST", "/", pseudo=head, fields=fields, body=b"GET /smuggled HTTP/1.1\r\n\r\n")
            assert answer.reset == 1 or answer.status == 400, (answer.status, answer.reset)
            check.equal(upstream.requests, [])


def test_expect_continue_and_early_answers(t):
    gateway = t.gateway(RESPOND)
    client = _client(t, gateway)
    stream = client.request("POST", "/", body=b"begun", end=False)
    answer = client.answer(stream)
    check.equal((answer.status, answer.body), (200, b"hello"))
    echo = t.front_of(t.echo())
    client = _client(t, echo)
    stream = client.request("POST", "/", fields=[("expect", "100-continue"), ("content-length", "3")], end=False)
    answer = client.answers[stream]
    assert client.wait_for(lambda: answer.interim == [100])
    client.send(stream, b"abc", end=True)
    check.equal(client.answer(stream).status, 200)


def test_a_client_that_leaves_cancels_its_upstream(t):
    gone = threading.Event()

    def script(connection):
        connection.read_request()
        connection.wait_for_close()
        gone.set()

    gateway = t.front_of(t.upstream(script))
    client = _client(t, gateway)
    stream = client.request("GET", "/")
    t.poll("the upstream has it", lambda: len(t._upstreams[0].requests) == 1)
    client.h2.reset_stream(stream)
    client.flush()
    t.poll("the upstream's connection is closed", gone.is_set)
    line = gateway.log_line()
    check.equal(line["status"], 499)


def test_an_upstream_that_breaks_off_is_a_reset(t):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")

    gateway = t.front_of(t.upstream(script))
    client = _client(t, gateway)
    answer = client.ask("GET", "/")
    check.equal((answer.status, answer.body, answer.ended, answer.reset), (200, b"short", False, 2))


def test_a_websocket_over_http2(t):
    """RFC 8441: CONNECT with a protocol here, GET with Upgrade behind the gateway."""
    upstream = t.upstream(websocket.echo_script)
    gateway = t.front_of(upstream)
    client = _client(t, gateway)
    assert client.wait_for(lambda: client.h2.remote_settings.enable_connect_protocol)
    stream = client.request("CONNECT", "/chat", end=False, pseudo=[
        (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", "/chat"), (":authority", "x.test")],
        fields=[("sec-websocket-version", "13")])
    answer = client.answers[stream]
    assert client.wait_for(lambda: answer.status is not None)
    check.equal(answer.status, 200)
    assert "sec-websocket-accept" not in answer.fields, answer.fields
    for size in (5, 70_000):
        frame = websocket.frame(websocket.BINARY, b"w" * size, masked=True)
        answer.body = b""
        client.send(stream, frame)
        wanted = websocket.frame(websocket.BINARY, b"w" * size, masked=False)
        assert client.wait_for(lambda: len(answer.body) >= len(wanted))
        check.equal(answer.body, wanted)
    request = upstream.requests[0]
    check.equal((request.method, request.target, request.get("upgrade")), ("GET", "/chat", "websocket"))
    client.send(stream, websocket.frame(websocket.CLOSE, b"\x03\xe8", masked=True), end=True)
    assert client.answer(stream).ended


def test_large_bodies_both_ways(t):
    os.makedirs(t.folder + "/root")
    with open(t.folder + "/root/big.bin", "wb") as out:
        out.write(os.urandom(3_000_000))
    os.chmod(t.folder, 0o755)
    os.chmod(os.path.dirname(t.folder), 0o755)
    nginx = t.nginx("server { listen 127.0.0.1:@port@; client_max_body_size 100m; client_body_in_single_buffer on; root %s/root;"
                    " location /discard { return 200 $content_length; }"
                    " location /upload { proxy_pass http://127.0.0.1:@port@/discard; } }" % t.folder)
    gateway = t.front_of(nginx)
    want = hashlib.sha256(open(t.folder + "/root/big.bin", "rb").read()).hexdigest()
    last, body = _curl(gateway, "/big.bin")
    check.equal((last, hashlib.sha256(body).hexdigest()), ("2 200", want))
    last, body = _curl(gateway, "/upload", "-T", t.folder + "/root/big.bin")
    check.equal((last, body), ("2 200", b"3000000"))


def test_nghttp_and_h2load(t):
    gateway = t.gateway(RESPOND)
    url = f"http://127.0.0.1:{gateway.port}/"
    done = subprocess.run([peer("nghttp"), "-v", "-m", "20", url], capture_output=True, text=True, timeout=30)
    check.equal(done.returncode, 0)
    check.equal(done.stdout.count(":status: 200"), 20)
    done = subprocess.run([peer("h2load"), "-n", "5000", "-c", "5", "-m", "100", url], capture_output=True, text=True, timeout=60)
    assert "5000 succeeded, 0 failed, 0 errored" in done.stdout, done.stdout


NODE = """
const http2 = require('http2');
const session = http2.connect('http://127.0.0.1:' + process.argv[2]);
let left = 100;
for (let i = 0; i < 100; ++i) {
  const request = session.request({ ':path': '/' + i, ':method': 'POST', ':authority': 'x.test' });
  let body = '', status;
  request.on('response', fields => { status = fields[':status']; });
  request.on('data', piece => { body += piece; });
  request.on('end', () => {
    if (status != 200 || JSON.parse(body).body_bytes != i * 1000) { console.log('wrong', i, status, body); process.exit(1); }
    if (--left == 0) { session.close(); console.log('all'); }
  });
  request.end(Buffer.alloc(i * 1000, 'n'));
}
"""


def test_node_client(t):
    gateway = t.front_of(t.echo())
    script = t.file("client.cjs", NODE)
    done = subprocess.run([peer("node"), script, str(gateway.port)], capture_output=True, text=True, timeout=60)
    check.equal((done.stdout, done.stderr, done.returncode), ("all\n", "", 0))


def test_reload_keeps_connections_and_drain_says_goodbye(t):
    """RFC 9113, section 6.8: a first GOAWAY, then the last one; what is in hand is answered."""
    release = threading.Event()

    def script(connection):
        while True:
            if connection.read_request().target == "/slow":
                release.wait(20)
            connection.answer(b"whole")

    upstream = t.upstream(script)
    gateway = t.gateway(values={"upstream": upstream}, drain="{ delay: 0s, timeout: 15s }")
    client = _client(t, gateway)
    check.equal(client.ask("GET", "/").status, 200)
    gateway.reload()
    check.equal(client.ask("GET", "/").status, 200)
    slow = client.request("GET", "/slow")
    upstream.wait_for(3)
    gateway.terminate()
    goaways, data = [], b""
    for kind, flags, stream, payload in client.frames():
        if kind == 6 and not flags:
            client.sock.sendall(b"\0\0\x08\x06\x01\0\0\0\0" + payload)
        if kind == 7:
            goaways.append((int.from_bytes(payload[4:8], "big"), int.from_bytes(payload[:4], "big")))
            if len(goaways) == 2:
                release.set()
        if kind == 0 and stream == slow:
            data += payload
    check.equal(goaways, [(0, 2**31 - 1), (0, slow)])
    check.equal(data, b"whole")
    check.equal(gateway.wait_exit(), 0)


def test_rapid_reset_ends_the_connection(t):
    """CVE-2023-44487."""
    gateway = t.front_of(t.echo())
    client = _client(t, gateway)
    try:
        for _ in range(2000):
            stream = client.request("GET", "/")
            client.h2.reset_stream(stream)
            client.flush()
        client.wait_for(lambda: client.closed)
    except OSError:
        pass
    t.poll("it is counted", lambda: gateway.metrics().sum("sluice_limit_hits_total", limit="http2_resets") >= 1)
    check.equal(_client(t, gateway).ask("GET", "/").status, 200)


def test_a_listener_without_http2(t):
    upstream = t.echo()
    text = f"""
version: 1
gateway:
  listen: [ {{ name: plain, address: "127.0.0.1:@port@", http2: false }} ]
  status: {{ address: "127.0.0.1:@status@" }}
upstreams: {{ one: {{ targets: ["http://127.0.0.1:{upstream.port}"] }} }}
apis: {{ all: {{ path: /, upstream: one }} }}
"""
    gateway = t.gateway(whole_file=text)
    client = t.client(gateway)
    client.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    check.equal(client.response().status, 505)
    with open(gateway.file) as file:
        changed = re.sub("http2: false", "http2: true", file.read())
    gateway.write_whole(changed)
    gateway.reload()
    check.equal(_client(t, gateway).ask("GET", "/").status, 200)
    other = t.client(gateway)
    other.send(encode_request("GET", "/"))
    check.equal(other.response().status, 200)


def test_idle_connections_cost_little(t):
    """nghttp2 takes some 13 KiB of a connection's memory that are ever touched, Sluice less than one."""
    gateway = t.gateway(RESPOND, workers=1)
    beginning = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]) + bytes([0, 0, 0, 4, 1, 0, 0, 0, 0])
    sockets = []

    def connect(count):
        for _ in range(count):
            sock = socket.create_connection(("127.0.0.1", gateway.port), timeout=20)
            t.on_end(sock.close)
            sock.sendall(beginning)
            sockets.append(sock)
        for sock in sockets[-count:]:
            assert sock.recv(1000)
        return gateway.resident_bytes()

    before = connect(300)
    each = (connect(500) - before) / 500
    assert each < 20 * 1024, f"{each} bytes a connection"
