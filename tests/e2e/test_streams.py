"""Streams: what is not HTTP, by port or by TLS server name (docs/streams.md)."""

import hashlib
import os
import shutil
import socket
import subprocess
import threading

from harness import check, plain

GATEWAY = """version: 1
gateway:
  listen:
    - { name: plain, address: 127.0.0.1:@http@ }
    - { name: raw, address: 127.0.0.1:@port@ }
    - { name: tls, address: 127.0.0.1:@tls@ }
  status: { address: 127.0.0.1:@status@ }
  workers: 2
  io: @io@
  timeouts: { header: 2s }
  drain: { delay: 0s, timeout: 5s }
  limits: { connections_per_address: @per_address@ }
upstreams:
  one: { targets: ["tcp://127.0.0.1:@one@"] }
  two: { targets: ["tcp://127.0.0.1:@two@"] }
  both: { targets: ["tcp://127.0.0.1:@one@", "tcp://127.0.0.1:@two@"] }
streams:
  raw: { listener: raw, upstream: @raw@, timeouts: { idle: @idle@ }, limits: { connections: @connections@ } }
  one: { listener: tls, upstream: one, tls: passthrough, sni: one.test }
  two: { listener: tls, upstream: two, tls: passthrough, sni: ["*.two.test"] }
apis:
  health: { path: /, listeners: plain, routes: [ { name: r, respond: { body: ok } } ] }
"""


def _gateway(t, one, two=None, **more):
    values = {"http": t.free_port(), "tls": t.free_port(), "one": one.port, "two": (two or one).port, "raw": "one", "idle": "1h",
              "connections": 0, "per_address": 0, "io": os.environ.get("E2E_IO", "auto"), **more}
    gateway = t.gateway(values=values, whole_file=GATEWAY)
    gateway.tls_port, gateway.http_port = values["tls"], values["http"]
    return gateway


def _server(t, script, **more):
    server = plain.TcpServer(script, **more)
    t.on_end(server.stop)
    return server


def test_bytes_and_ends_pass_both_ways(t):
    gateway = _gateway(t, _server(t, plain.named(b"220 ready\r\n")))
    with plain.connect(gateway.port) as client:
        check.equal(plain.receive(client, 11), b"220 ready\r\n", "the server speaks first")
        client.sendall(b"hello")
        check.equal(plain.receive(client, 5), b"hello")
        client.shutdown(socket.SHUT_WR)
        check.equal(plain.receive_all(client), b"", "the end comes back")
    line = gateway.log_line(stream="raw")
    check.equal((line["protocol"], line["listener"], line["upstream"], line["tries"]), ("tcp", "raw", "one", 1))
    check.equal((line["request_bytes"], line["response_bytes"]), (5, 16))
    assert "error_code" not in line and line["seconds"] >= 0, line
    metrics = gateway.metrics()
    check.equal(metrics.sum("sluice_stream_bytes_total", stream="raw", direction="from_client"), 5)
    check.equal(metrics.sum("sluice_stream_sessions_total", stream="raw", result="complete"), 1)
    check.equal(metrics.sum("sluice_connections", listener="raw"), 0)


def test_an_answer_after_the_clients_end(t):
    """RFC 9293, section 3.6: one direction may end long before the other."""

    def hash_all(sock):
        sock.sendall(hashlib.sha256(plain.receive_all(sock)).digest())

    gateway = _gateway(t, _server(t, hash_all))
    data = os.urandom(5_000_000)
    with plain.connect(gateway.port) as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        check.equal(plain.receive_all(client), hashlib.sha256(data).digest())


def test_large_transfers_both_ways_at_once(t):
    gateway = _gateway(t, _server(t, plain.echo))
    data = os.urandom(20_000_000)
    with plain.connect(gateway.port) as client:
        sender = threading.Thread(target=lambda: (client.sendall(data), client.shutdown(socket.SHUT_WR)))
        sender.start()
        assert plain.receive_all(client) == data
        sender.join()


def test_a_client_that_does_not_read_holds_up_the_server(t):
    """Memory is bounded: the server cannot send what the client does not take."""
    sent = []

    def flood(sock):
        sock.settimeout(2)
        try:
            while True:
                sent.append(sock.send(bytes(1 << 20)))
        except TimeoutError:
            pass

    gateway = _gateway(t, _server(t, flood))
    before = gateway.resident_bytes()
    with plain.connect(gateway.port):
        t.poll("the server stands still", lambda: sent and _stands(sent))
        assert sum(sent) < 64 << 20, sum(sent)
        assert gateway.resident_bytes() - before < 16 << 20


def _stands(sent):
    import time
    count = len(sent)
    time.sleep(0.5)
    return len(sent) == count


def test_resets_pass_both_ways(t):
    broken = threading.Event()

    def script(sock):
        request = plain.receive(sock, 4)
        if request == b"ping":
            try:
                plain.receive_all(sock)
            except ConnectionResetError:
                broken.set()
        else:
            plain.reset(sock)

    gateway = _gateway(t, _server(t, script))
    client = plain.connect(gateway.port)
    client.sendall(b"quit")
    assert plain.is_reset(client), "the server's reset reaches the client"
    check.equal(gateway.log_line(stream="raw")["error_code"], "upstream_reset")
    client = plain.connect(gateway.port)
    client.sendall(b"ping")
    gateway.context.poll("bytes passed", lambda: gateway.metrics().sum("sluice_stream_bytes_total", direction="from_client") >= 8)
    plain.reset(client)
    assert broken.wait(10), "the client's reset reaches the server"
    check.equal(gateway.log_line(error_code="client_gone")["error_by"], "client")


def test_targets_take_turns_and_one_that_refuses_is_skipped(t):
    one, two = _server(t, plain.named(b"1")), _server(t, plain.named(b"2"))
    gateway = _gateway(t, one, two, raw="both")
    seen = []
    for _ in range(4):
        with plain.connect(gateway.port) as client:
            seen.append(plain.receive(client, 1))
    check.equal(sorted(seen), [b"1", b"1", b"2", b"2"])
    one.stop()
    socket.create_connection(("127.0.0.1", two.port)).close()
    for _ in range(4):
        with plain.connect(gateway.port) as client:
            check.equal(plain.receive(client, 1), b"2")
    assert gateway.metrics().sum("sluice_retries_total", upstream="both", reason="connect_failure") >= 1


def test_without_a_target_the_client_is_reset(t):
    server = _server(t, plain.echo)
    gateway = _gateway(t, server)
    server.stop()
    t.poll("nobody listens", lambda: socket.socket().connect_ex(("127.0.0.1", server.port)) != 0)
    assert plain.resets(gateway.port)
    check.equal(gateway.log_line(stream="raw")["error_code"], "upstream_refused")
    check.equal(gateway.metrics().sum("sluice_upstream_requests_total", upstream="one", result="connect_failure"), 2, "tries")


def test_idle_connections_end(t):
    gateway = _gateway(t, _server(t, plain.echo), idle="1s")
    client = plain.connect(gateway.port)
    client.sendall(b"x")
    check.equal(plain.receive(client, 1), b"x")
    assert plain.is_reset(client), "nothing that was cut short looks whole"
    check.equal(gateway.log_line(stream="raw")["error_code"], "idle_timeout")


def test_limits(t):
    server = _server(t, plain.echo)
    for name, more, limit in (("of the stream", {"connections": 2}, "stream_connections"),
                              ("of an address", {"per_address": 2}, "connections_per_address")):
        with t.case(name):
            gateway = _gateway(t, server, **more)
            clients = [plain.connect(gateway.port) for _ in range(2)]
            for client in clients:
                client.sendall(b"x")
                check.equal(plain.receive(client, 1), b"x")
            assert plain.resets(gateway.port)
            check.equal(gateway.metrics().sum("sluice_limit_hits_total", limit=limit), 1)
            for client in clients:
                client.close()
            t.poll("they have gone", lambda: gateway.metrics().sum("sluice_connections", listener="raw") == 0)
            with plain.connect(gateway.port) as client:
                client.sendall(b"y")
                check.equal(plain.receive(client, 1), b"y", "there is room again")


def test_a_drain_waits_for_them_and_then_ends_them(t):
    gateway = _gateway(t, _server(t, plain.echo))
    client = plain.connect(gateway.port)
    client.sendall(b"1")
    check.equal(plain.receive(client, 1), b"1")
    gateway.terminate()
    t.poll("/readyz fails", lambda: _refused(gateway.port))
    client.sendall(b"2")
    check.equal(plain.receive(client, 1), b"2", "it goes on")
    client.close()
    check.equal(gateway.wait_exit(), 0)


def _refused(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_reload_keeps_what_stands(t):
    one, two = _server(t, plain.named(b"1")), _server(t, plain.named(b"2"))
    gateway = _gateway(t, one, two)
    client = plain.connect(gateway.port)
    check.equal(plain.receive(client, 1), b"1")
    gateway.values["raw"] = "two"
    gateway.write_whole(GATEWAY)
    gateway.reload()
    client.sendall(b"x")
    check.equal(plain.receive(client, 1), b"x", "the connection that stands")
    with plain.connect(gateway.port) as other:
        check.equal(plain.receive(other, 1), b"2", "a new one")


# --- TLS by server name


def _certificate(t, name):
    key, cert = f"{t.folder}/{name}.key", f"{t.folder}/{name}.crt"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return key, cert


def _tls_server(t, name):
    """openssl s_server: a page with what was negotiated for each request."""
    key, cert = _certificate(t, name)
    port = t.free_port()
    process = subprocess.Popen(["openssl", "s_server", "-accept", f"127.0.0.1:{port}", "-key", key, "-cert", cert, "-www", "-quiet"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    t.on_end(lambda: (process.kill(), process.wait()))
    t.poll("s_server listens", lambda: not _refused(port))
    process.port = port
    return process


def _s_client(port, name, *more):
    names = ["-servername", name] if name else ["-noservername"]
    return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *names, *more],
                          input=b"", capture_output=True, timeout=30)


def test_the_server_name_decides(t):
    gateway = _gateway(t, _tls_server(t, "one"), _tls_server(t, "two"))
    for name, subject in (("one.test", "one"), ("ONE.test", "one"), ("a.two.test", "two"), ("a.b.two.test", "two")):
        with t.case(name):
            said = _s_client(gateway.tls_port, name).stdout.decode()
            assert f"subject=CN = {subject}" in said, said
    for version in ("-tls1_2", "-tls1_3"):
        with t.case(version):
            said = _s_client(gateway.tls_port, "one.test", version).stdout.decode()
            assert "subject=CN = one" in said, said
    line = gateway.log_line(stream="one", host="one.test")
    check.equal((line["protocol"], line["listener"]), ("tls", "tls"))


def test_a_client_hello_of_several_segments(t):
    """Many protocols of ALPN make it larger than one segment of Ethernet."""
    gateway = _gateway(t, _tls_server(t, "one"))
    protocols = ",".join(f"protocol-{number:03}" + "x" * 100 for number in range(25))
    said = _s_client(gateway.tls_port, "one.test", "-alpn", protocols).stdout.decode()
    assert "subject=CN = one" in said, said


def test_an_unknown_server_name_gets_an_alert(t):
    """RFC 6066, section 3: unrecognized_name(112)."""
    gateway = _gateway(t, _tls_server(t, "one"))
    for name in ("three.test", "two.test", None):
        with t.case(name):
            said = _s_client(gateway.tls_port, name)
            assert said.returncode != 0 and b"alert number 112" in said.stderr, said.stderr
    check.equal(gateway.metrics().sum("sluice_refused_total", code="unknown_server_name"), 3)
    check.equal(gateway.log_line(host="three.test")["error_code"], "unknown_server_name")


def test_what_is_no_tls_is_reset(t):
    gateway = _gateway(t, _server(t, plain.echo))
    for name, said in (("HTTP", b"GET / HTTP/1.1\r\n\r\n"), ("an empty record", b"\x16\x03\x01\x00\x00"), ("a large one", b"\x16\x03\x01\xff\xff")):
        with t.case(name):
            assert plain.resets(gateway.tls_port, said)
    check.equal(gateway.metrics().sum("sluice_refused_total", code="client_hello_malformed"), 3)
    with t.case("nothing"):
        assert plain.resets(gateway.tls_port)
        gateway.log_line(error_code="client_hello_timeout")
    check.equal(t.client(gateway.http_port).get("/").status, 200, "HTTP beside it")


# --- real services


def test_postgres(t):
    """A protocol in which the client waits for the server, by the server's own client."""
    binaries = "/usr/lib/postgresql/15/bin"
    if not os.path.exists(f"{binaries}/initdb"):
        return
    user = {"user": "nobody", "group": "nogroup"} if os.getuid() == 0 else {}  # it does not run as root
    data, port = f"{t.folder}/pg", t.free_port()
    os.makedirs(data)
    if user:
        shutil.chown(data, user["user"], user["group"])
        os.chmod(t.folder, 0o755)
        os.chmod(os.path.dirname(t.folder), 0o755)
    subprocess.run([f"{binaries}/initdb", "-D", data, "-A", "trust", "-U", "tester", "--no-sync"], check=True, capture_output=True,
                   cwd=data, **user)
    server = subprocess.Popen([f"{binaries}/postgres", "-D", data, "-p", str(port), "-k", data, "-c", "listen_addresses=127.0.0.1"],
                              cwd=data, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)
    t.on_end(lambda: (server.terminate(), server.wait()))
    t.poll("postgres listens", lambda: not _refused(port))
    server.port = port
    gateway = _gateway(t, server)
    query = "select sum(n), md5(string_agg(n::text, ',')) from generate_series(1, 200000) n"
    command = ["psql", "-h", "127.0.0.1", "-U", "tester", "-At", "-c", query, "postgres"]

    def ask(at):
        return subprocess.run([*command, "-p", str(at)], capture_output=True, text=True, timeout=60)

    want = t.poll("postgres answers", lambda: ask(port).stdout)
    check.equal(ask(gateway.port).stdout, want)
