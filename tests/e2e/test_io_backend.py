"""Which I/O back-end runs, and that it is said: contract, section 1 (`io: auto | epoll | io_uring`, `sluice doctor`)."""

import errno
import json

from harness import check
from harness.context import ONE_UPSTREAM
from harness.seccomp import IO_URING_SETUP

REFUSALS = {"EPERM": errno.EPERM, "ENOSYS": errno.ENOSYS}


def backend_of(gateway):
    (labels, value), = gateway.metrics().find("sluice_io_backend")
    check.equal(value, 1, "sluice_io_backend")
    return labels["backend"], labels["reason"]


def serves(t, gateway):
    check.equal(t.client(gateway.port).get("/").status, 200, "status")


def test_configured_back_end_runs(t):
    echo = t.echo()
    for io in ("epoll", "io_uring"):
        with t.case(io):
            gateway = t.gateway(ONE_UPSTREAM, {"upstream": echo}, io=io)
            check.equal(backend_of(gateway), (io, "configured"))
            assert f"io {io}" in gateway.said(), gateway.said()
            serves(t, gateway)


def test_auto_takes_io_uring_where_it_works(t):
    gateway = t.gateway(ONE_UPSTREAM, {"upstream": t.echo()}, io="auto")
    check.equal(backend_of(gateway), ("io_uring", "available"))
    serves(t, gateway)


def test_auto_falls_back_to_epoll_and_says_why(t):
    echo = t.echo()
    for name, error in REFUSALS.items():
        with t.case(name):
            gateway = t.gateway(ONE_UPSTREAM, {"upstream": echo}, io="auto", refused_call=(IO_URING_SETUP, error))
            backend, reason = backend_of(gateway)
            check.equal(backend, "epoll")
            assert reason.startswith("io_uring_setup: ") and "seccomp" in reason, reason
            assert reason in gateway.said(), gateway.said()
            serves(t, gateway)


def test_io_uring_that_cannot_be_had_refuses_to_start(t):
    path = t.file("refused.yaml", f"""version: 1
gateway:
  listen: [ {{ name: plain, address: 127.0.0.1:{t.free_port()} }} ]
  status: {{ address: 127.0.0.1:{t.free_port()} }}
  io: io_uring
apis: {{ a: {{ path: /, routes: [ {{ name: r, respond: {{ status: 204 }} }} ] }} }}
""")
    for name, error in REFUSALS.items():
        with t.case(name):
            done = t.sluice("run", path, refused_call=(IO_URING_SETUP, error))
            check.equal(done.returncode, 1, "exit code")
            assert "`io: io_uring` cannot be had: io_uring_setup: " in done.stderr, done.stderr


def test_change_of_io_waits_for_a_restart(t):
    gateway = t.gateway(ONE_UPSTREAM, {"upstream": t.echo()}, io="epoll")
    gateway.settings["io"] = "io_uring"
    gateway.reload(ONE_UPSTREAM)
    assert "`io` changes by restart only" in gateway.said(), gateway.said()
    check.equal(backend_of(gateway), ("epoll", "configured"))


def test_doctor_speaks_json(t):
    done = t.sluice("doctor", "--json")
    found = {each["check"]: each for each in json.loads(done.stdout)}
    assert {"kernel", "descriptors", "io", "tls"} <= set(found), found
    assert all(each["state"] in ("ok", "note", "bad") for each in found.values()), found


def test_doctor_says_what_auto_would_take(t):
    done = t.sluice("doctor")
    check.equal(done.returncode, 0, "exit code")
    for line in ("kernel", "descriptors", "locked memory", "`io: auto` takes io_uring"):
        assert line in done.stdout, done.stdout
    for name, error in REFUSALS.items():
        with t.case(name):
            done = t.sluice("doctor", refused_call=(IO_URING_SETUP, error))
            check.equal(done.returncode, 0, "exit code")
            assert "`io: auto` takes epoll: io_uring_setup: " in done.stdout, done.stdout

