"""Limits on connections, fair accept, load shedding (issue 9; docs/operations.md, "Overload and hostile clients")."""

import os
import signal
import time

from harness import check
from harness.context import ONE_UPSTREAM
from harness.crowd import Crowd, descriptors
from harness.raw import encode_request

OK = encode_request("GET", "/", host="crowd.test")


def _served(crowd):
    """How many of a crowd are served once all have asked; the others were closed without a byte."""
    crowd.send(OK)
    crowd.watch("all are answered or closed", lambda: all(m.received or m.ended for m in crowd.members))
    check.equal({m.status() for m in crowd.members if m.received}, {200}, "answers")
    return sum(1 for member in crowd.members if member.received)


def _hits(gateway, limit):
    return gateway.metrics().sum("sluice_limit_hits_total", limit=limit)


def test_connections_are_limited_exactly_over_all_workers(t):
    gateway = t.gateway(values={"upstream": t.echo()}, workers="4", limits="{ connections: 20 }")
    before, turned_away = descriptors(gateway), 0
    for turn in range(3):
        with t.case(f"turn {turn}"):
            crowd = Crowd(gateway.port, 100)
            check.equal(_served(crowd), 20, "connections that are served")
            check.equal(gateway.metrics().sum("sluice_connections"), 20, "sluice_connections")
            turned_away += 80
            check.equal(_hits(gateway, "connections"), turned_away, "sluice_limit_hits_total")
            crowd.close()
            t.poll("places are given back", lambda: gateway.metrics().sum("sluice_connections") == 0)
    t.poll("descriptors return", lambda: descriptors(gateway) <= before + 64)


def test_connections_are_limited_by_address(t):
    """One address does not take the places of another; a reload brings a new limit and closes nobody."""
    limits = "{ connections_per_address: 5 }"
    gateway = t.gateway(values={"upstream": t.echo()}, limits=limits)
    crowd = Crowd(gateway.port, 60, sources=4)
    check.equal(_served(crowd), 20, "of four addresses")
    check.equal(_hits(gateway, "connections_per_address"), 40, "sluice_limit_hits_total")
    gateway.settings["limits"] = "{ connections_per_address: 6 }"
    gateway.reload(ONE_UPSTREAM)
    check.equal(gateway.metrics().sum("sluice_connections"), 20, "after the reload")
    more = Crowd(gateway.port, 8, sources=4)
    check.equal(_served(more), 4, "one more of each")




def test_trusted_proxies_are_exempt(t):
    """Behind one are many clients: the total alone bounds it."""
    gateway = t.gateway(values={"upstream": t.echo()}, trusted_proxies="[127.0.0.2/32]",
                        limits="{ connections_per_address: 3, connections: 30 }")
    crowd = Crowd(gateway.port, 40, sources=2)  # twenty each of 127.0.0.1 and the proxy 127.0.0.2
    check.equal(_served(crowd), 23)


def test_a_crowd_leaves_descriptors_for_upstreams_and_the_status_port(t):
    """Without a limit in the configuration: clients get seven eighths of the descriptors at most."""
    gateway = t.gateway(values={"upstream": t.echo()}, open_files=256)
    kept = t.client(gateway)
    check.equal(kept.get("/").status, 200)
    crowd = Crowd(gateway.port, 500)
    # This one has no upstream connection at its disposal but what is kept back.
    fresh = [member for member in crowd.members][:6]
    crowd.send(OK, fresh)
    crowd.watch("they are served", lambda: all(member.received for member in fresh))
    check.equal({member.status() for member in fresh}, {200}, "answers")
    t.poll("the crowd's rest was closed", lambda: _hits(gateway, "descriptors") > 0)
    check.equal(gateway.status("/readyz").status, 200)
    check.equal(kept.get("/").status, 200)
    crowd.close()
    t.poll("places are given back", lambda: gateway.metrics().sum("sluice_connections") <= 1)
    check.equal(t.client(gateway).get("/").status, 200)


def test_a_flood_on_one_listener_does_not_starve_another(t):
    """Nor the status port, nor connections that stand: a bounded number of accepts a turn."""
    gateway = t.gateway(values={"upstream": t.echo()}, more_listeners=["other"], workers="1")
    kept = t.client(gateway)
    other = gateway.more_ports["other"]
    for _ in range(5):
        crowd = Crowd(gateway.port, 1500, sources=4)
        with t.client(other) as client:
            check.equal(client.get("/").status, 200, "on the other listener")
        check.equal(kept.get("/").status, 200, "on the connection that stands")
        check.equal(gateway.status("/livez").status, 200, "the status port")
        crowd.close(reset=True)


def test_the_status_port_is_bounded_too(t):
    gateway = t.gateway(values={"upstream": t.echo()})
    crowd = Crowd(gateway.status_port, 200)
    crowd.watch("those beyond 128 are closed", lambda: len(crowd.open()) <= 128)
    crowd.close()
    t.poll("it answers again", gateway.is_ready)
    assert _hits(gateway, "status_connections") >= 72


def test_late_requests_are_shed_while_the_worker_is_behind(t):
    """Contract, section 3: 503 for shed requests, with Retry-After. A stopped process is as late as an overloaded one."""
    gateway = t.gateway(values={"upstream": t.echo()}, workers="1", limits="{ queue_delay: 100ms }")
    shed = []

    def round_of_late_requests():
        clients = [t.client(gateway) for _ in range(100)]
        os.kill(gateway.process.pid, signal.SIGSTOP)
        try:
            for client in clients:
                client.send(encode_request("GET", "/"))
            time.sleep(0.6)
        finally:
            os.kill(gateway.process.pid, signal.SIGCONT)
        for client in clients:
            answer = client.response()
            assert answer.status in (200, 503), answer.status
            if answer.status == 503:
                check.problem(answer, 503, "overloaded")
                check.equal(answer.get("retry-after"), "1", "Retry-After")
                assert answer.keeps_open
                shed.append(client)
        return bool(shed)

    t.poll("late requests are shed", round_of_late_requests, 30)
    check.equal(_hits(gateway, "queue_delay"), len(shed), "sluice_limit_hits_total")
    # Who comes in time is served, at once; who was shed is served after its second.
    check.equal(t.client(gateway).get("/").status, 200)
    check.equal(shed[0].get("/").status, 200)
    line = gateway.log_line(status=503)
    check.equal(line["error_code"], "overloaded")


def test_nothing_is_shed_when_it_is_off(t):
    gateway = t.gateway(values={"upstream": t.echo()}, workers="1", limits="{ queue_delay: 0s }")
    for _ in range(3):
        clients = [t.client(gateway) for _ in range(20)]
        os.kill(gateway.process.pid, signal.SIGSTOP)
        for client in clients:
            client.send(encode_request("GET", "/"))
        time.sleep(0.5)
        os.kill(gateway.process.pid, signal.SIGCONT)
        for client in clients:
            check.equal(client.response().status, 200)
