"""Hostile clients (issue 9): for each attack what is bounded (docs/operations.md, "Overload and hostile clients"), and that
the requests of others are answered meanwhile. Bounded in number; nothing is decided by how long it took."""

import random
import time

from harness import check
from harness.crowd import Crowd, descriptors, private_bytes
from harness.raw import encode_request

MANY = 1000
SANITIZED_GROWTH = 8     # sanitizers keep freed memory for a while and pad what is alive
QUICK = {"timeouts": "{ header: 1s, body_progress: 1s, keep_alive: 1s }"}


# Unused upstream connections go soon, so that descriptors can be counted. A flood may fill the queue of the
# counterpart, and a SYN that it drops comes again only after a second: time to connect is ample.
ENTITIES = """
upstreams:
  one: { targets: ["http://127.0.0.1:@upstream@"], timeouts: { connect: 8s, idle: 500ms, response_head: 2s } }
apis:
  all: { path: /, upstream: one }
"""


def _gateway(t, upstream=None, **settings):
    return t.gateway(ENTITIES, {"upstream": upstream or t.echo()}, **settings)


def _bound(t, megabytes):
    return megabytes * 1_000_000 * (1 if "release" in t.binary else SANITIZED_GROWTH)


class Bystander:
    """Another client of the same gateway: its requests must be answered whatever the hostile ones do."""

    def __init__(self, t, gateway):
        self.t, self.gateway, self.answered = t, gateway, 0
        self.kept = t.client(gateway)
        self.ask()
        self.descriptors, self.memory = descriptors(gateway), private_bytes(gateway)

    def ask(self):
        """On the connection that stands, and on a new one."""
        check.equal(self.kept.get("/kept").status, 200, "on the connection that stands")
        with self.t.client(self.gateway) as new:
            check.equal(new.get("/new").status, 200, "on a new connection")
        self.answered += 2

    def grown(self):
        return private_bytes(self.gateway) - self.memory

    def all_returned(self):
        self.t.poll("descriptors return", lambda: descriptors(self.gateway) <= self.descriptors + 2)
        idle = lambda: self.gateway.metrics().sum("sluice_connections") <= 1 + 1  # it and this look
        self.t.poll("no connection is left but the bystander's", idle)


def test_slow_heads_by_the_thousand(t):
    """A byte now and then: the whole head has `timeouts.header`, then 408. Memory: a head's buffer each."""
    gateway = _gateway(t, timeouts="{ header: 2s, body_progress: 1s, keep_alive: 30s }")
    other = Bystander(t, gateway)
    crowd = Crowd(gateway.port, MANY)
    text, sent = b"GET / HTTP/1.1\r\nHost: slow.test\r\nX-Slow: " + b"z" * 5000, [0]

    def drip():
        crowd.send(text[sent[0]:sent[0] + 1])
        sent[0] += 1
        other.ask()

    drip()
    t.poll("all are in", lambda: gateway.metrics().sum("sluice_connections") >= MANY)
    grown = other.grown()
    assert grown < _bound(t, 16), f"{grown} bytes for {MANY} slow heads"
    crowd.watch("all are timed out", lambda: not crowd.open(), drip, 30)
    statuses = {member.status() for member in crowd.members if not member.reset}
    check.equal(statuses, {408}, "answers")
    assert other.answered >= 4
    other.all_returned()


def test_slow_bodies_by_the_thousand(t):
    """Less than 512 bytes in `timeouts.body_progress`: 408. Nothing is held for a body but a buffer."""
    echo = t.echo()
    gateway = _gateway(t, echo, timeouts="{ header: 5s, body_progress: 1s, keep_alive: 30s }")
    other = Bystander(t, gateway)
    crowd = Crowd(gateway.port, 300)
    crowd.send(b"POST /slow HTTP/1.1\r\nHost: slow.test\r\nContent-Length: 100000\r\n\r\n")

    def drip():
        crowd.send(b"y")
        other.ask()

    drip()
    grown = other.grown()
    assert grown < _bound(t, 30), f"{grown} bytes for 300 slow bodies"
    crowd.watch("all are timed out", lambda: not crowd.open(), drip, 30)
    statuses = {member.status() for member in crowd.members if member.received}
    check.equal(statuses, {408}, "answers")
    other.all_returned()


def test_a_flood_of_connections(t):
    """Thousands that come and go, with and without a request: descriptors and memory return, others are served."""
    gateway = _gateway(t)
    other = Bystander(t, gateway)
    levels = []
    for wave in range(4):
        crowd = Crowd(gateway.port, MANY, sources=8)
        crowd.send(encode_request("GET", "/") if wave % 2 else b"GET / HT")
        other.ask()
        crowd.close(reset=wave >= 2)
        other.ask()
        levels.append(other.grown())
    other.all_returned()
    assert levels[-1] - levels[1] < _bound(t, 8), f"memory grows with every wave: {levels}"


STAGES = {
    "nothing": b"",
    "within the request line": b"GET / HT",
    "within the head": b"GET / HTTP/1.1\r\nHost: gone.test\r\nX-A",
    "after the head": b"POST / HTTP/1.1\r\nHost: gone.test\r\nContent-Length: 5000\r\n\r\n",
    "within the body": b"POST / HTTP/1.1\r\nHost: gone.test\r\nContent-Length: 5000\r\n\r\n" + b"b" * 1000,
    "within a chunk": b"POST / HTTP/1.1\r\nHost: gone.test\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
    "while the answer is awaited": b"GET /wait HTTP/1.1\r\nHost: gone.test\r\n\r\n",
    "while the answer is coming": b"GET /long HTTP/1.1\r\nHost: gone.test\r\n\r\n",
    "within a pipelined burst": b"GET /long HTTP/1.1\r\nHost: gone.test\r\n\r\n" * 20,
}


def test_requests_aborted_at_each_stage(t):
    """By an end and by a reset: everything is given back at once, and no connection to the upstream is reused dirty."""

    def script(connection):
        while True:
            request = connection.read_request()
            if request.target == "/wait":
                connection.wait_for_close()
                return
            if request.target == "/long":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n")
                for _ in range(30):
                    connection.send(b"L" * 100_000)
            else:
                connection.answer(request.target.encode())

    gateway = _gateway(t, t.upstream(script), **QUICK)
    for name, sent in STAGES.items():
        for reset in (False, True):
            with t.case(f"{name}, {'reset' if reset else 'end'}"):
                crowd = Crowd(gateway.port, 40)
                crowd.send(sent)
                if b"/long" in sent:
                    crowd.watch("answers have begun", lambda: all(m.received or m.ended for m in crowd.members))
                crowd.close(reset=reset)
                with t.client(gateway) as client:
                    answer = client.get("/other")
                    check.equal((answer.status, answer.body), (200, b"/other"), "another client's answer")
    t.poll("connections are gone", lambda: gateway.metrics().sum("sluice_connections") == 0)
    t.poll("exchanges with the upstream are over",
           lambda: gateway.metrics().sum("sluice_upstream_connections", state="active") == 0)


def test_pipelined_bursts_never_read(t):
    """The sockets hold what they hold; we answer one request at a time, keep no answer, and end it without progress."""
    body = b"P" * 20_000

    def script(connection):
        while True:
            connection.read_request()
            connection.answer(body)

    gateway = _gateway(t, t.upstream(script), timeouts="{ header: 5s, body_progress: 2s, keep_alive: 30s }")
    other = Bystander(t, gateway)
    crowd = Crowd(gateway.port, 100)
    burst = encode_request("GET", "/burst") * 500  # 10 MB of answers for each
    for _ in range(5):
        crowd.send(burst)
        other.ask()
    grown = other.grown()
    assert grown < _bound(t, 30), f"{grown} bytes for 100 clients that read nothing"
    # Ended by us: what they find when they look at last is a connection that is over, and no more than sockets hold.
    t.poll("they are given up", lambda: gateway.metrics().sum("sluice_connections") <= 2, 30)
    other.ask()
    crowd.watch("their connections are over", lambda: not crowd.open())


def test_idle_connections(t):
    """Some hundred bytes each of ours, and a descriptor; requests of others, new ones too, go on. More: tests/soak."""
    count = 4000
    gateway = _gateway(t, timeouts="{ header: 60s, keep_alive: 60s }")
    other = Bystander(t, gateway)
    crowd = Crowd(gateway.port, count, sources=8)
    for first in range(0, count, 200):  # a few at a time: a burst of them all is another test's matter
        some = crowd.members[first:first + 200]
        crowd.send(encode_request("GET", "/", host="idle.test"), some)
        crowd.watch("each had its answer", lambda: all(member.received for member in some), seconds=60)
    other.ask()
    t.poll("all idle", lambda: gateway.metrics().sum("sluice_connections", state="idle") >= count)
    each = other.grown() / count
    # 600 is the bench's target in a process that was warmed up; here the burst's own buffers are in it.
    assert each < _bound(t, 0.003), f"{each:.0f} bytes for each idle connection"
    check.equal({member.status() for member in crowd.members}, {200}, "answers")
    chosen = random.Random(1).sample(crowd.members, 200)
    for member in chosen:
        member.received = b""
    crowd.send(encode_request("GET", "/again"), chosen)
    crowd.watch("any of them is still served", lambda: all(member.received for member in chosen), other.ask)
    crowd.close()
    other.all_returned()


def test_memory_returns_after_big_uploads_that_break_off(t):
    """Half of a body, then a reset, again and again: the level after the first round is the level after the last."""

    def script(connection):
        connection.read_head()
        connection.wait_for_close()

    gateway = _gateway(t, t.upstream(script), limits="{ request_body: 1GiB }")
    levels = []
    for _ in range(6):
        crowd = Crowd(gateway.port, 50)
        crowd.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 900000000\r\n\r\n")
        for _ in range(20):
            crowd.send(b"u" * 50_000)
            time.sleep(0.005)
        crowd.close(reset=True)
        t.poll("they are gone", lambda: gateway.metrics().sum("sluice_connections") == 0)
        levels.append(private_bytes(gateway))
    assert levels[-1] - levels[1] < _bound(t, 4), f"memory grows: {levels}"


for function in (test_slow_heads_by_the_thousand, test_slow_bodies_by_the_thousand, test_pipelined_bursts_never_read,
                 test_idle_connections, test_requests_aborted_at_each_stage, test_a_flood_of_connections):
    function.timeout = 120
