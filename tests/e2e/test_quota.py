"""Quotas and plans: kept in `gateway.state` across restarts and kill -9 (issue 11, "Durable state first")."""

import os
import random
import sqlite3
import threading

from harness import check, patience

QUOTA = """
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
apis:
  a: { path: /, upstream: one, policies: [ { rate_limit: { quota: @quota@, key: api } } ] }
"""


def _gateway(t, state, quota="400/month", **settings):
    return t.gateway(QUOTA, {"echo": t.echo(), "quota": quota}, state=f'"{state}"', **settings)


def _used_up(client):
    """How many more requests pass."""
    passed = 0
    while client.get("/").status == 200:
        passed += 1
    return passed


def test_a_stop_loses_nothing(t):
    state = os.path.join(t.new_folder("state"), "deep", "state")
    gateway = _gateway(t, state)
    client = t.client(gateway)
    for _ in range(17):
        check.equal(client.get("/").status, 200)
    check.equal(gateway.metrics().sum("sluice_state_writes_total", result="failed"), 0)
    gateway.stop()
    check.equal(os.stat(os.path.join(state, "sluice.db")).st_mode & 0o077, 0, "readable by nobody else")
    again = _gateway(t, state)
    answer = t.client(again).get("/")
    assert ";r=382;" in answer.get("ratelimit"), answer.get("ratelimit")
    check.equal(_used_up(t.client(again)), 382)
    refused = t.client(again).get("/")
    check.problem(refused, 429, "quota_exceeded")
    assert 1 <= int(refused.get("retry-after")) <= 31 * 86400, refused.get("retry-after")
    again.stop()
    check.problem(t.client(_gateway(t, state)).get("/"), 429, "quota_exceeded")


def test_kill_9_at_random_points(t):
    """Never more than the quota passes, and what each kill loses is bounded: two blocks of a two-hundredth, and
    the requests that were in flight."""
    state, quota, threads = t.new_folder("state"), 1000, 4
    chance, passed, in_flight, kills = random.Random(7), 0, 0, 0
    for _ in range(6):
        gateway = _gateway(t, state, f"{quota}/month")
        lock, answered, lost, reached = threading.Lock(), [], [], threading.Event()
        until = chance.randrange(5, 120)

        def ask():
            try:
                with gateway.client() as client:
                    while True:
                        status = client.get("/").status
                        with lock:
                            answered.append(status)
                        if len(answered) >= until:
                            reached.set()
            except Exception:  # the kill
                lost.append(1)

        workers = [threading.Thread(target=ask) for _ in range(threads)]
        for each in workers:
            each.start()
        assert reached.wait(patience.SECONDS), "so many were not answered"
        gateway.kill()
        for each in workers:
            each.join()
        kills, passed, in_flight = kills + 1, passed + answered.count(200), in_flight + len(lost)
    passed += _used_up(t.client(_gateway(t, state, f"{quota}/month")))
    assert passed <= quota, f"{passed} of {quota}"
    most_lost = kills * 3 * (quota // 200) + in_flight
    assert passed >= quota - most_lost, f"{passed} of {quota}, at most {most_lost} lost"


def test_two_processes_share_a_state(t):
    state = t.new_folder("state")
    clients = [t.client(_gateway(t, state, "100/month")) for _ in range(2)]
    passed = 0
    for turn in range(140):
        passed += clients[turn % 2].get("/").status == 200
    check.equal(passed, 100)


def test_a_disk_that_fails_and_comes_back(t):
    """What passed meanwhile is counted in memory, and afterwards in the file."""
    state = t.new_folder("state")
    gateway = _gateway(t, state, "6/month")
    client = t.client(gateway)
    check.equal(client.get("/").status, 200)
    other = sqlite3.connect(os.path.join(state, "sluice.db"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        check.equal(client.get("/").status, 200)
    assert gateway.metrics().sum("sluice_state_writes_total", result="failed") > 0
    other.execute("ROLLBACK")
    other.close()
    check.equal(_used_up(client), 2)
    gateway.stop()
    check.problem(t.client(_gateway(t, state, "6/month")).get("/"), 429, "quota_exceeded")


def test_a_state_that_cannot_be_kept(t):
    state = t.file("state", "a file in place of the folder")
    text = f'version: 1\ngateway: {{ listen: [ {{ name: plain, address: 127.0.0.1:0 }} ], status: {{ address: 127.0.0.1:0 }}, state: "{state}" }}'
    done = t.sluice("run", t.file("sluice.yaml", text + QUOTA.replace("@echo@", "1").replace("@quota@", "5/day")))
    check.equal(done.returncode, 1)
    assert "the state cannot be kept" in done.stderr, done.stderr
    gateway = t.gateway(QUOTA, {"echo": t.echo(), "quota": "5/day"}, state=f'"{t.new_folder("good")}"')
    said = gateway.reload_refused(QUOTA.replace("@quota@", "9/fortnight"))
    assert "a quota is by `hour`, `day`, `week` or `month`" in said, said
    without = t.gateway(QUOTA.replace("quota: @quota@", "rate: 9/1s"), {"echo": t.echo(), "quota": "5/day"}, state=f'"{state}"')
    assert "the state cannot be kept" in without.reload_refused(QUOTA)


PLANS = """
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
plans:
  free: { limits: [ { rate: 2/1h } ] }
  gold: { limits: [ { rate: 100/1s }, { quota: 5/month } ] }
consumers:
  anna: { credentials: [ { api_key: anna } ], subscriptions: [ { api: a, plan: gold } ] }
  ben: { credentials: [ { api_key: ben } ] }
apis:
  a: { path: /a, upstream: one, policies: [ { api_key: {} }, { subscription: { default_plan: free } } ] }
  b: { path: /b, upstream: one, policies: [ { api_key: {} }, { subscription: {} } ] }
"""


def test_plans_and_subscriptions(t):
    """Contract, section 2 ("Who is calling"): `subscription` demands one and enforces its plan."""
    gateway = t.gateway(PLANS, {"echo": t.echo()}, state=f'"{t.new_folder("state")}"')
    client = t.client(gateway)

    def statuses(key, path, count):
        return [client.get(path, [("X-API-Key", key)]).status for _ in range(count)]

    check.equal(statuses("anna", "/a", 7), [200] * 5 + [429] * 2)
    check.equal(statuses("ben", "/a", 3), [200] * 2 + [429])
    answer = client.get("/b", [("X-API-Key", "ben")])
    check.problem(answer, 403, "not_subscribed")
    check.equal(statuses("anna", "/b", 1), [403])
    check.equal(gateway.log_line(plan="gold", status=429)["consumer"], "anna")
    gateway.reload(PLANS.replace("quota: 5/month", "quota: 6/month"))
    check.equal(statuses("anna", "/a", 2), [200, 429])
