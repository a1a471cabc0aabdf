"""UDP streams: a session for each client address (docs/streams.md)."""

import os
import socket

from harness import check, plain

GATEWAY = """version: 1
gateway:
  listen:
    - { name: plain, address: 127.0.0.1:@http@ }
    - { name: dns, address: @address@:@port@, protocol: udp, waiting: 1MiB }
  status: { address: 127.0.0.1:@status@ }
  workers: @workers@
  io: @io@
  drain: { delay: 0s, timeout: 10s }
  limits: { connections_per_address: @per_address@ }
upstreams:
  both: { targets: ["udp://127.0.0.1:@one@", "udp://localhost:@two@"] }
streams:
  dns: { listener: dns, upstream: both, timeouts: { idle: @idle@ }, limits: { @limits@ } }
"""


def _gateway(t, one, two=None, **more):
    values = {"http": t.free_port(), "one": one.port, "two": (two or one).port, "idle": "1m", "limits": "sessions: 1000", "per_address": 0,
              "workers": 2, "address": "127.0.0.1", "io": os.environ.get("E2E_IO", "auto"), **more}
    return t.gateway(values=values, whole_file=GATEWAY)


def _server(t, prefix):
    server = plain.UdpServer(prefix)
    t.on_end(server.stop)
    return server


def _ask(client, data):
    client.send(data)
    return client.recv(65536)


def test_sessions_keep_their_target_and_clients_are_balanced(t):
    one, two = _server(t, b"1"), _server(t, b"2")
    gateway = _gateway(t, one, two)
    clients = [plain.udp_client(gateway.port) for _ in range(20)]
    answers = [[_ask(client, b"x%d" % number) for number in range(3)] for client in clients]
    for answer in answers:
        check.equal([a[1:] for a in answer], [b"x0", b"x1", b"x2"])
        check.equal(len({a[:1] for a in answer}), 1, "one target for a session")
    check.equal(sorted(answer[0][:1] for answer in answers), [b"1"] * 10 + [b"2"] * 10)
    metrics = gateway.metrics()
    check.equal(metrics.sum("sluice_connections", listener="dns", state="active"), 20)
    check.equal(metrics.sum("sluice_stream_datagrams_total", stream="dns", fate="from_client"), 60)
    check.equal(metrics.sum("sluice_stream_datagrams_total", stream="dns", fate="to_client"), 60)
    check.equal(metrics.sum("sluice_stream_datagrams_total", stream="dns", fate="dropped"), 0)


def test_sizes(t):
    gateway = _gateway(t, _server(t, b""), limits="datagram: 60000")
    client = plain.udp_client(gateway.port)
    for size in (0, 1, 1472, 9000, 60000):
        with t.case(size):
            data = os.urandom(size)
            check.equal(_ask(client, data), data)
    client.send(bytes(60001))
    check.equal(_ask(client, b"next"), b"next", "the larger one was dropped")
    check.equal(gateway.metrics().sum("sluice_stream_datagrams_total", fate="dropped"), 1)


def test_many_at_once(t):
    gateway = _gateway(t, _server(t, b""))
    client = plain.udp_client(gateway.port)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    seen = set()
    for burst in range(20):
        wanted = {b"%d.%d" % (burst, number) for number in range(50)}
        for data in wanted:
            client.send(data)
        got = {client.recv(65536) for _ in wanted}
        check.equal(got, wanted)
        seen |= got
    check.equal(len(seen), 1000)


def test_silent_sessions_end(t):
    one = _server(t, b"1")
    gateway = _gateway(t, one, idle="300ms")
    client = plain.udp_client(gateway.port)
    check.equal(_ask(client, b"x"), b"1x")
    line = gateway.log_line(stream="dns")
    check.equal((line["protocol"], line["request_bytes"], line["response_bytes"], line["client_address"]), ("udp", 1, 2, "127.0.0.1"))
    assert "error_code" not in line, line
    check.equal(gateway.metrics().sum("sluice_stream_sessions_total", stream="dns", result="idle"), 1)
    check.equal(_ask(client, b"y"), b"1y", "a new session")
    assert one.received[0][1] != one.received[1][1], "with a socket of its own"


def test_answers_end_a_session(t):
    gateway = _gateway(t, _server(t, b"1"), limits="responses: 1")
    client = plain.udp_client(gateway.port)
    for _ in range(5):
        check.equal(_ask(client, b"x"), b"1x")
    t.poll("all have ended", lambda: gateway.metrics().sum("sluice_stream_sessions_total", result="complete") == 5)
    check.equal(gateway.metrics().sum("sluice_connections", listener="dns"), 0)


def test_limits(t):
    server = _server(t, b"1")
    for name, more, limit in (("sessions", {"limits": "sessions: 2"}, "stream_sessions"),
                              ("of an address", {"per_address": 2}, "connections_per_address")):
        with t.case(name):
            gateway = _gateway(t, server, **more)
            clients = [plain.udp_client(gateway.port) for _ in range(3)]
            for client in clients[:2]:
                check.equal(_ask(client, b"x"), b"1x")
            clients[2].send(b"x")
            t.poll("it is dropped", lambda: gateway.metrics().sum("sluice_limit_hits_total", limit=limit) == 1)
            check.equal(gateway.metrics().sum("sluice_stream_datagrams_total", fate="dropped"), 1)


def test_a_target_that_does_not_listen(t):
    one, two = _server(t, b"1"), _server(t, b"2")
    gateway = _gateway(t, one, two)
    one.stop()
    client = plain.udp_client(gateway.port)
    client.settimeout(0.5)
    answers = []
    for _ in range(6):  # ICMP ends a session, and the next datagram begins one with the next target
        try:
            answers.append(_ask(client, b"x"))
        except TimeoutError:
            pass
    assert answers and set(answers) == {b"2x"}, answers


def test_one_for_every_address_answers_from_the_one_that_was_asked(t):
    gateway = _gateway(t, _server(t, b"1"), address="0.0.0.0")
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.settimeout(10)
    client.connect(("127.0.0.9", gateway.port))
    check.equal(_ask(client, b"x"), b"1x")


def test_reload_and_drain(t):
    one, two = _server(t, b"1"), _server(t, b"2")
    gateway = _gateway(t, one)
    client = plain.udp_client(gateway.port)
    check.equal(_ask(client, b"x"), b"1x")
    gateway.values.update(one=two.port, two=two.port)
    gateway.write_whole(GATEWAY)
    gateway.reload()
    check.equal(_ask(client, b"y"), b"1y", "the session that stands")
    check.equal(_ask(plain.udp_client(gateway.port), b"z"), b"2z", "a new one")
    gateway.terminate()
    check.equal(_ask(client, b"end"), b"1end", "it goes on while there is something to say")
    check.equal(gateway.wait_exit(), 0, "and ends when there is not")
