"""SIGTERM: /readyz fails at once, listeners stay open for `drain.delay`, then the drain (contract, sections 1 and 3)."""

import signal
import threading

from harness import check
from harness.raw import encode_request


class _Slow:
    """An upstream that answers when told to."""

    def __init__(self, t):
        self.release = threading.Event()
        self.upstream = t.upstream(self._script)

    def _script(self, connection):
        while True:
            request = connection.read_request()
            if request.target == "/slow":
                self.release.wait(20)
            connection.answer(b"whole")


def _ready(gateway):
    try:
        return gateway.status("/readyz").status == 200
    except (OSError, AssertionError):
        return False


def test_in_flight_requests_finish(t):
    slow = _Slow(t)
    gateway = t.gateway(values={"upstream": slow.upstream}, drain="{ delay: 0s, timeout: 15s }")
    client = t.client(gateway)
    client.send(encode_request("GET", "/slow"))
    slow.upstream.wait_for(1)
    gateway.terminate()
    t.poll("/readyz fails", lambda: not _ready(gateway))
    slow.release.set()
    answer = client.response()
    check.equal((answer.status, answer.body), (200, b"whole"))
    check.equal(answer.get("connection"), "close", "Connection")
    client.expect_closed()
    check.equal(gateway.wait_exit(), 0, "exit code")


def test_idle_connections_are_closed(t):
    gateway = t.gateway(values={"upstream": t.echo()}, drain="{ delay: 0s, timeout: 30s }")
    clients = [t.client(gateway) for _ in range(5)]
    for client in clients[:3]:
        assert client.get("/").status == 200
    gateway.terminate()
    for client in clients:
        client.expect_closed()
    check.equal(gateway.wait_exit(), 0, "exit code")


def test_listeners_stay_open_for_the_delay(t):
    """The load balancer has time to see /readyz before connections are refused."""
    gateway = t.gateway(values={"upstream": t.echo()}, drain="{ delay: 3s, timeout: 10s }")
    gateway.terminate()
    t.poll("/readyz fails", lambda: not _ready(gateway), 2.5)
    check.equal(gateway.status("/readyz").status, 503)
    check.equal(gateway.status("/livez").status, 200)
    check.equal(t.client(gateway).get("/").status, 200, "a new connection during the delay")
    check.equal(gateway.wait_exit(), 0, "exit code")


def test_second_signal_exits_now(t):
    slow = _Slow(t)
    for first, second in ((signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)):
        with t.case(f"{first.name} {second.name}"):
            gateway = t.gateway(values={"upstream": slow.upstream}, drain="{ delay: 0s, timeout: 1h }")
            client, seen = t.client(gateway), len(slow.upstream.requests)
            client.send(encode_request("GET", "/slow"))
            slow.upstream.wait_for(seen + 1)
            gateway.stopped = True
            gateway.process.send_signal(first)
            t.poll("/readyz fails", lambda: not _ready(gateway))
            assert gateway.process.poll() is None, "did not wait for the request in flight"
            gateway.process.send_signal(second)
            gateway.wait_exit()
            client.expect_closed()


def test_drain_ends_with_its_timeout(t):
    slow = _Slow(t)
    gateway = t.gateway(values={"upstream": slow.upstream}, drain="{ delay: 0s, timeout: 500ms }")
    client = t.client(gateway)
    client.send(encode_request("GET", "/slow"))
    slow.upstream.wait_for(1)
    gateway.terminate()
    gateway.wait_exit()
    client.expect_closed()


def test_request_that_arrives_on_a_kept_connection_while_draining(t):
    """Either it is answered with Connection: close, or the connection had been closed before: never half an answer."""
    slow = _Slow(t)
    gateway = t.gateway(values={"upstream": slow.upstream}, drain="{ delay: 0s, timeout: 10s }")
    client = t.client(gateway)
    assert client.get("/").status == 200
    gateway.terminate()
    t.poll("/readyz fails", lambda: not _ready(gateway))
    if client.try_send(encode_request("GET", "/")):
        answer = check.refused_or_closed(client)
        if answer:
            check.equal((answer.status, answer.get("connection")), (200, "close"))
    check.equal(gateway.wait_exit(), 0, "exit code")


def test_ports_are_free_after_the_end(t):
    gateway = t.gateway(values={"upstream": t.echo()})
    gateway.stop()
    import socket
    for port in (gateway.port, gateway.status_port):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0, f"{port} still listens"
