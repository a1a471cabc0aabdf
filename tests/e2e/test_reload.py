"""Reload is atomic, loses no request and closes no connection (contract, section 2, Reload)."""

import os
import threading

from harness import check
from harness.raw import encode_request

ENTITIES = """
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
apis:
  a: { path: /a, upstream: one }
  mark: { path: /mark, routes: [ { name: r, respond: { status: 200, body: "@mark@" } } ] }
"""


def _marked(mark):
    return ENTITIES.replace("@mark@", mark)


def test_sighup_takes_the_new_document(t):
    gateway = t.gateway(_marked("first"), {"echo": t.echo()})
    client = t.client(gateway)
    check.equal(client.get("/mark").body, b"first")
    for mark in ("second", "third"):
        gateway.reload(_marked(mark))
        check.equal(client.get("/mark").body, mark.encode(), "on the kept connection")
        check.equal(t.client(gateway).get("/mark").body, mark.encode(), "on a new connection")
    check.equal(client.get("/gone").status, 404)
    gateway.reload(_marked("fourth").replace("/mark", "/gone"))
    check.equal((client.get("/gone").status, client.get("/mark").status), (200, 404))


def test_a_new_name_has_addresses_before_the_first_request(t):
    """Its requests come the moment the new document is active."""
    gateway = t.gateway(_marked("first"), {"echo": t.echo()})
    gateway.reload(_marked("second").replace("127.0.0.1", "localhost"))
    check.equal(t.client(gateway).get("/a").status, 200)


def test_under_load_nothing_fails(t):
    """Kept connections go on through 20 reloads; every answer is right and whole."""
    echo = t.echo()
    gateway = t.gateway(_marked("start"), {"echo": echo})
    stop, counts, errors = threading.Event(), [], []

    def ask():
        client, count = gateway.context.client(gateway), 0
        try:
            while not stop.is_set():
                answer = client.request("POST", "/a/x", body=b"%d" % count)
                assert answer.status == 200 and answer.keeps_open, answer.status
                assert answer.json["body"] == str(count)
                assert client.get("/mark").status == 200
                count += 1
        except Exception as error:
            errors.append(f"after {count} requests: {error!r}")
        counts.append(count)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        gateway.reload(_marked(f"mark{number}"))
    stop.set()
    for thread in threads:
        thread.join()
    check.equal(errors, [])
    assert min(counts) > 0, counts
    assert echo.connections <= 8, f"pools did not survive: {echo.connections} connections to the upstream"


def test_request_in_flight_ends_on_its_own_configuration(t):
    release = threading.Event()

    def script(connection):
        connection.read_request()
        release.wait(10)
        connection.answer(b"late")

    upstream = t.upstream(script)
    gateway = t.gateway("upstreams:\n  one: { targets: ['http://127.0.0.1:@up@'] }\napis:\n  a: { path: /a, upstream: one, policies: ["
                        " { headers: { response: { set: { x-old: '1' } } } } ] }\n", {"up": upstream})
    client = t.client(gateway)
    client.send(encode_request("GET", "/a"))
    upstream.wait_for(1)
    gateway.reload("apis:\n  b: { path: /b, routes: [ { name: r, respond: { status: 200 } } ] }\n")
    check.equal(t.client(gateway).get("/a").status, 404)
    release.set()
    answer = client.response()
    check.equal((answer.status, answer.body, answer.get("x-old")), (200, b"late", "1"))
    check.equal(client.get("/b").status, 200, "the same connection, the new configuration")


INVALID = {
    "unknown key": ("apis:\n  a: { path: /a, upstrem: one }\n", "upstrem"),
    "dangling reference": ("apis:\n  a: { path: /a, upstream: nowhere }\n", "nowhere"),
    "wrong type": ("apis:\n  a: { path: [1] }\n", "path"),
    "no YAML": ("apis: {{{\n", ""),
    "unset variable": ("apis:\n  a: { path: '${env:SLUICE_TEST_UNSET}' }\n", "SLUICE_TEST_UNSET"),
}


def test_an_invalid_document_changes_nothing_and_says_why(t):
    gateway = t.gateway(_marked("good"), {"echo": t.echo()})
    client = t.client(gateway)
    for name, (entities, word) in INVALID.items():
        with t.case(name):
            said = gateway.reload_refused(entities)
            assert word in said and "sluice.yaml:" in said, said
            check.equal(client.get("/mark").body, b"good")
            check.equal(gateway.status("/readyz").status, 200)
    gateway.reload(_marked("better"))
    check.equal(client.get("/mark").body, b"better")


def test_an_invalid_document_never_starts(t):
    for name, (entities, word) in INVALID.items():
        with t.case(name):
            path = t.file("bad.yaml", "version: 1\n" + entities)
            done = t.sluice("run", path)
            check.equal(done.returncode, 1, "exit code")
            assert word in done.stderr and "bad.yaml:" in done.stderr, done.stderr
    with t.case("no such file"):
        done = t.sluice("run", t.folder + "/none.yaml")
        assert done.returncode in (1, 64) and "none.yaml" in done.stderr, done


def test_watch(t):
    """`--watch`: on change, by replacing the file as well as by writing into it; an invalid one is waited out."""
    gateway = t.gateway(_marked("first"), {"echo": t.echo()}, arguments=["--watch"])
    client = t.client(gateway)

    def serves(mark):
        t.poll(f"{mark} is served", lambda: client.get("/mark").body == mark.encode())

    gateway.write(_marked("renamed"))
    serves("renamed")
    with open(gateway.file, "w") as out:
        out.write(gateway.document(_marked("written")))
    serves("written")
    refused = gateway.reloads_refused()
    gateway.write("apis: {{{\n")
    t.poll("the failure is counted", lambda: gateway.reloads_refused() > refused)
    serves("written")
    gateway.write(_marked("again"))
    serves("again")


def test_watch_sees_a_new_file_that_an_include_fits(t):
    gateway = t.gateway("include: [parts/*.yaml]\n", arguments=["--watch"])
    client = t.client(gateway)
    check.equal(client.get("/late").status, 404)
    t.file(gateway.folder + "/parts/late.yaml",
           "apis:\n  late: { path: /late, routes: [ { name: r, respond: { body: here } } ] }\n")
    t.poll("the new file is active", lambda: client.get("/late").body == b"here")
    os.remove(gateway.folder + "/parts/late.yaml")
    t.poll("and gone again", lambda: client.get("/late").status == 404)


def test_without_watch_a_change_waits_for_the_signal(t):
    gateway = t.gateway(_marked("first"), {"echo": t.echo()})
    gateway.write(_marked("second"))
    for _ in range(20):
        check.equal(t.client(gateway).get("/mark").body, b"first")
    gateway.reload()
    check.equal(t.client(gateway).get("/mark").body, b"second")


def test_listeners_and_limits_change(t):
    """A listener that is new is opened; limits and timeouts follow."""
    gateway = t.gateway(_marked("x"), {"echo": t.echo()})
    client = t.client(gateway)
    check.equal(client.request("POST", "/a", body=b"z" * 200).status, 200)
    gateway.settings["limits"] = "{ request_body: 100 }"
    gateway.reload(_marked("x"))
    check.equal(t.client(gateway).request("POST", "/a", body=b"z" * 200).status, 413)


def test_reloads_are_counted(t):
    gateway = t.gateway(_marked("x"), {"echo": t.echo()})
    before = gateway.metrics().sum("sluice_reloads_total") - gateway.reloads_refused()
    for mark in "yz":
        gateway.reload(_marked(mark))
    check.equal(gateway.metrics().sum("sluice_reloads_total") - gateway.reloads_refused() - before, 2)


def test_new_connections_while_reloading(t):
    """A reload refuses and resets nobody who is just connecting: the listening sockets stay as they are."""
    gateway = t.gateway(_marked("start"), {"echo": t.echo()})
    stop, counts, errors = threading.Event(), [], []

    def ask():
        count = 0
        while not stop.is_set():
            try:
                with gateway.context.client(gateway) as client:
                    assert client.get("/mark").status == 200
            except Exception as error:
                errors.append(f"connection {count}: {error!r}")
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(60):
        gateway.reload(_marked(f"mark{number}"))
    stop.set()
    for thread in threads:
        thread.join()
    check.equal(errors, [], f"of {sum(counts)} connections")


def test_request_whose_body_decides_is_routed_by_the_document_active_then(t):
    """Its route is not known before its body has come: by then the old document may be gone."""
    entities = """
apis:
  a:
    path: /a
    routes:
      - { name: match, match: { body: { "$.kind": bulk } }, respond: { status: 200, body: "@mark@ bulk" } }
      - { name: other, respond: { status: 200, body: "@mark@ other" } }
"""
    gateway = t.gateway(entities.replace("@mark@", "old"))
    body = b'{"kind": "bulk"}'
    head = encode_request("POST", "/a", body=body)[:-len(body)]
    for number in range(5):
        client = t.client(gateway)
        client.send(head + body[:5])
        gateway.reload(entities.replace("@mark@", f"new{number}"))
        client.send(body[5:])
        check.equal(client.response().body, b"new%d bulk" % number)
