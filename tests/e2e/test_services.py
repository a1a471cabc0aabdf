"""Targets that DNS lists (RFC 2782), names that do not resolve, and subsets of targets (docs/upstreams.md)."""

import json
import threading
from collections import Counter

from harness import check, patience, plain
from harness.dns import DnsServer
from harness.tls import Authority, TlsServer

SERVICE = "_users._tcp.example.test"
DOCUMENT = """
upstreams:
  users: { targets: ["http+srv://_users._tcp.example.test"@targets@]@more@ }
apis:
  all: { path: /, upstream: users }
"""


def _serve(t, dns, more="", targets="", **settings):
    text = DOCUMENT.replace("@targets@", targets).replace("@more@", more)
    return t.gateway(text, dns=dns.setting, **{"workers": "1", **settings})


def _peers(t, dns, names):
    """A server for each name, that is known as `s-NAME.test`."""
    peers = {name: t.echo(name) for name in names}
    for name in names:
        dns.address(f"s-{name}.test")
    return peers


def _record(peers, name, priority=1, weight=1):
    return priority, weight, peers[name].port, f"s-{name}.test"


def _seen(client, count):
    return Counter(client.get("/").json["upstream"] for _ in range(count))


def _targets(gateway):
    return json.loads(gateway.status("/upstreams").body)[0]["targets"]


def _names(gateway):
    return sorted(target["target"].split(":")[0] for target in _targets(gateway))


def test_requests_follow_the_records(t):
    """Ports and weights from the records; what changes is seen once the TTL is over, and no request fails meanwhile."""
    dns = DnsServer(t)
    peers = _peers(t, dns, "abc")
    dns.service(SERVICE, _record(peers, "a"), _record(peers, "b", weight=3))
    gateway = _serve(t, dns, ", host: target")
    client = t.client(gateway)
    check.equal(_seen(client, 40), Counter(a=10, b=30))
    assert check.field(client.get("/").json, "host").split(":")[0] in ("s-a.test", "s-b.test")
    dns.service(SERVICE, _record(peers, "b"), _record(peers, "c"))
    patience.poll("c is a target", lambda: client.get("/").json["upstream"] == "c")
    check.equal(_seen(client, 20), Counter(b=10, c=10))
    check.equal(_names(gateway), ["s-b.test", "s-c.test"])
    check.equal(peers["b"].connections, 1, "the connection to b was kept")
    check.equal(gateway.metrics().sum("sluice_target_healthy", target=f"s-a.test:{peers['a'].port}"), 0)


def test_an_answer_that_is_too_long_for_udp(t):
    dns = DnsServer(t)
    peers = _peers(t, dns, "a")
    dead = [(2, 1, 9, f"long-name-of-a-spare-server-{i}.example.test") for i in range(30)]
    dns.service(SERVICE, _record(peers, "a"), *dead)
    gateway = _serve(t, dns)
    check.equal(t.client(gateway).get("/").json["upstream"], "a")
    check.equal(len(_targets(gateway)), 31)


def test_the_next_priority_takes_over(t):
    """RFC 2782: the lowest-numbered priority that can be reached."""
    dns = DnsServer(t)
    peers = _peers(t, dns, "ab")
    dns.service(SERVICE, _record(peers, "a", priority=10), _record(peers, "b", priority=20))
    gateway = _serve(t, dns, ", health: { active: { path: /healthz, interval: 100ms, timeout: 80ms, healthy: 1, unhealthy: 1 } }")
    client = t.client(gateway)
    check.equal(_seen(client, 10), Counter(a=10))
    port = peers["a"].port
    peers["a"].stop()
    patience.poll("b takes over", lambda: [target["state"] for target in _targets(gateway)] == ["unhealthy", "healthy"])
    check.equal(_seen(client, 10), Counter(b=10))
    t.echo("a", port=port)
    patience.poll("a is back", lambda: [target["state"] for target in _targets(gateway)] == ["healthy"] * 2)
    check.equal(_seen(client, 10), Counter(a=10))


def test_while_dns_fails_the_targets_stay(t):
    dns = DnsServer(t)
    peers = _peers(t, dns, "a")
    dns.service(SERVICE, _record(peers, "a"))
    gateway = _serve(t, dns)
    client = t.client(gateway)
    check.equal(_seen(client, 2), Counter(a=2))
    with t.case("the service does not exist any more"):
        dns.forget(SERVICE, "SRV")
        dns.await_questions(SERVICE, "SRV", 2)
        check.equal(_seen(client, 2), Counter(a=2))
        patience.poll("the log says so", lambda: f"service `{SERVICE}` cannot be resolved" in gateway.said())
    with t.case("it has no server: a record for `.` (RFC 2782)"):
        dns.service(SERVICE, (0, 0, 0, ""))
        dns.await_questions(SERVICE, "SRV", 1)
        check.equal(_seen(client, 2), Counter(a=2))


def test_a_service_that_comes_later(t):
    """503 until then, and a start that does not wait for it."""
    dns = DnsServer(t)
    peers = _peers(t, dns, "a")
    gateway = _serve(t, dns)
    client = t.client(gateway)
    check.problem(client.get("/"), 503, "no_target")
    check.equal(_targets(gateway), [])
    dns.service(SERVICE, _record(peers, "a"))
    patience.poll("it has a target", lambda: client.get("/").status == 200)


def test_a_request_ends_on_a_target_that_is_gone(t):
    dns = DnsServer(t)
    peers = _peers(t, dns, "ab")
    arrived, release = threading.Event(), threading.Event()

    def slow(connection):
        connection.read_request()
        arrived.set()
        assert release.wait(patience.SECONDS)
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")

    peers["slow"] = t.upstream(slow)
    dns.address("s-slow.test")
    dns.service(SERVICE, _record(peers, "slow"))
    gateway = _serve(t, dns)
    waiting = t.client(gateway)
    waiting.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
    assert arrived.wait(patience.SECONDS)
    dns.service(SERVICE, _record(peers, "b"))
    patience.poll("b is the only target", lambda: _names(gateway) == ["s-b.test"])
    check.equal(_seen(t.client(gateway), 4), Counter(b=4))
    release.set()
    check.equal(waiting.response().body, b"late")
    line = gateway.log_line(path="/slow")
    check.equal(line["target"], f"s-slow.test:{peers['slow'].port}")


def test_reloads_and_written_targets(t):
    """A reload knows the records at once; targets of the document stand beside those of a service."""
    dns = DnsServer(t, ttl=300)
    peers = _peers(t, dns, "ab")
    dns.service(SERVICE, _record(peers, "a"))
    gateway = _serve(t, dns)
    client = t.client(gateway)
    spare = f', {{ url: "http://127.0.0.1:{peers["b"].port}", priority: 1 }}'
    gateway.reload(DOCUMENT.replace("@targets@", spare).replace("@more@", ""))
    check.equal(_seen(client, 10), Counter(a=10))
    beside = f', "http://127.0.0.1:{peers["b"].port}"'
    gateway.reload(DOCUMENT.replace("@targets@", beside).replace("@more@", ""))
    check.equal(_seen(client, 10), Counter(a=5, b=5))
    check.equal(dns.asked(SERVICE, "SRV"), 1)


def test_streams_have_services_too(t):
    dns = DnsServer(t)
    server = plain.TcpServer(plain.named(b"hello"))
    t.on_end(server.stop)
    dns.address("s-raw.test")
    dns.service("_raw._tcp.test", (0, 0, server.port, "s-raw.test"))
    gateway = t.gateway("upstreams: { raw: { targets: ['tcp+srv://_raw._tcp.test'] } }\nstreams: { raw: { listener: plain, upstream: raw } }\n",
                        dns=dns.setting)
    with plain.connect(gateway.port) as client:
        client.sendall(b"!")
        check.equal(plain.receive(client, 6), b"hello!")


def test_over_tls_the_certificate_is_for_the_domain(t):
    """RFC 9525, section 6.1: not for the name that an answer of DNS has brought."""
    ca = Authority(t.folder)
    rows = (("the domain", ca.issue("domain", "example.test"), "", 200), ("the server's name", ca.issue("server", "s-x.test"), "", 502),
            ("as `sni` says", ca.issue("said", "said.test"), ", sni: said.test", 200))
    for name, certificate, more, status in rows:
        with t.case(name):
            dns, server = DnsServer(t), TlsServer(t, certificate)
            dns.address("s-x.test")
            dns.service(SERVICE, (0, 0, server.port, "s-x.test"))
            gateway = t.gateway(f"upstreams: {{ u: {{ targets: ['https+srv://{SERVICE}'], tls: {{ ca: ours{more} }}, retry: {{ attempts: 1 }} }} }}\n"
                                f"apis: {{ a: {{ upstream: u }} }}\ntrust: {{ ours: {{ ca: {ca.cert} }} }}\n", dns=dns.setting)
            check.equal(t.client(gateway).get("/").status, status)


def test_documents_that_are_refused(t):
    rows = (("a port", "upstreams: { u: { targets: ['http+srv://a.test:80'] } }", "come from its SRV records"),
            ("an address", "upstreams: { u: { targets: ['http+srv://10.0.0.1'] } }", "a service has a name in DNS"),
            ("too many services", "upstreams: { u: { targets: [" + ", ".join(f"'http+srv://s{i}.test'" for i in range(17)) + "] } }",
             "at most 16 services"),
            ("subset and hash", "upstreams: { u: { targets: ['http://a.test'], balance: { hash: address, subset: 2 } } }",
             "each gateway has a subset of its own"),
            ("no name server", "gateway: { dns: { servers: ['localhost:53'] } }", "must be an IP address"))
    for name, text, problem in rows:
        with t.case(name):
            said = t.sluice("check", t.file("bad.yaml", "version: 1\n" + text + "\n"))
            check.equal(said.returncode, 1)
            assert problem in said.stdout + said.stderr, said.stdout + said.stderr


# Names.


def test_a_name_that_comes_later_and_changes(t):
    """Until it has an address its requests fail; afterwards they go where its newest answer says."""
    dns = DnsServer(t)
    echo = t.echo()
    gateway = t.gateway("upstreams: { one: { targets: ['http://late.test:@echo@'] } }\napis: { all: { upstream: one } }\n", {"echo": echo},
                        dns=dns.setting)
    client = t.client(gateway)
    check.problem(client.get("/"), 503, "upstream_unresolved")
    patience.poll("the log says so", lambda: "name `late.test` cannot be resolved" in gateway.said())
    dns.address("late.test", "127.0.0.77")
    patience.poll("it has an address", lambda: b"upstream_refused" in client.get("/").body)
    dns.address("late.test")
    patience.poll("it has another one", lambda: client.get("/").status == 200)
    dns.forget("late.test", "A")
    dns.await_questions("late.test", "A", 2)
    check.equal(client.get("/").status, 200, "its last address stays")


def test_a_name_server_that_is_silent_delays_no_start(t):
    dns = DnsServer(t)
    dns.silent = True
    echo = t.echo()
    gateway = t.gateway("upstreams: { mute: { targets: ['http://mute.test'] }, srv: { targets: ['http+srv://mute.test'] },\n"
                        "  good: { targets: ['http://127.0.0.1:@echo@'] } }\n"
                        "apis: { all: { upstream: good }, mute: { path: /mute, upstream: mute }, srv: { path: /srv, upstream: srv } }\n",
                        {"echo": echo}, dns=dns.setting)
    client = t.client(gateway)
    check.equal(client.get("/").status, 200)
    check.equal(client.get("/mute").status, 503)
    check.equal(client.get("/srv").status, 503)


# Subsets.


def _used(gateway):
    return {target["target"] for target in _targets(gateway) if target["in_use"]}


def test_a_subset_of_the_targets(t):
    """Each gateway has its own, the same after a restart; others take the place of those that die."""
    peers = {name: t.echo(name) for name in "abcdef"}
    text = ("upstreams:\n  many:\n    targets: [" + ", ".join(f"'http://127.0.0.1:@{name}@'" for name in "abcdef") + "]\n"
            "    balance: { algorithm: round_robin, subset: 2 }\n"
            "    health: { active: { path: /healthz, interval: 100ms, timeout: 80ms, healthy: 1, unhealthy: 2 } }\n"
            "apis:\n  all: { path: /, upstream: many }\n")
    subsets = []
    for node in range(4):
        gateway = t.gateway(text, peers, node=f"gateway-{node}", workers="1")
        seen = _seen(t.client(gateway), 20)
        check.equal(sorted(seen.values()), [10, 10])
        subsets.append(set(seen))
        check.equal(_used(gateway), {f"127.0.0.1:{peers[name].port}" for name in seen})
        gateway.stop()
    gateway = t.gateway(text, peers, node="gateway-0", workers="1")
    client = t.client(gateway)
    mine = set(_seen(client, 10))
    check.equal(mine, subsets[0], "the same name, the same subset")
    gone = sorted(mine)[0]
    port = peers[gone].port
    peers[gone].stop()
    patience.poll("another one is in use", lambda: f"127.0.0.1:{port}" not in _used(gateway))
    seen = _seen(client, 10)
    check.equal((len(seen), gone in seen, seen[sorted(mine)[1]]), (2, False, 5))
    t.echo(gone, port=port)
    patience.poll("it has its place again", lambda: f"127.0.0.1:{port}" in _used(gateway))
    check.equal(set(_seen(client, 10)), mine)


def test_targets_outside_the_subset_are_not_probed(t):
    peers = {name: t.echo(name) for name in "abcd"}
    text = ("upstreams:\n  many:\n    targets: [" + ", ".join(f"'http://127.0.0.1:@{name}@'" for name in "abcd") + "]\n"
            "    balance: { subset: 1 }\n"
            "    health: { active: { path: /healthz, interval: 50ms, timeout: 40ms } }\n"
            "apis:\n  all: { path: /, upstream: many }\n")
    gateway = t.gateway(text, peers, node="gateway-0")
    chosen = t.client(gateway).get("/").json["upstream"]
    patience.poll("it is probed", lambda: len(peers[chosen].requests) > 3)
    check.equal({name: peer.connections for name, peer in peers.items() if name != chosen}, {name: 0 for name in peers if name != chosen})
