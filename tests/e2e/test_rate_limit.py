"""The policy `rate_limit`: GCRA, exact across workers (contract, section 2, Rates; issue 8)."""

import re
import threading

from harness import check

ONE = """
upstreams:
  one: {{ targets: ["http://127.0.0.1:@echo@"] }}
consumers:
  app: {{ credentials: [ {{ api_key: app }}, {{ api_key: app2 }} ] }}
  other: {{ credentials: [ {{ api_key: other }} ] }}
apis:
  a: {{ path: /a, upstream: one, policies: [ {policies} ] }}
  b: {{ path: /b, upstream: one }}
"""


def _gateway(t, policies, **settings):
    return t.gateway(ONE.format(policies=policies), {"echo": t.echo()}, **settings)


def test_burst_is_exact_across_workers(t):
    """A rate so low that nothing is refilled while the test runs: exactly the burst passes, whoever asks."""
    gateway = _gateway(t, "{ rate_limit: { rate: 25/24h, burst: 25, key: api } }", workers="4")
    statuses, lock = [], threading.Lock()

    def ask():
        with gateway.context.client(gateway) as client:
            for _ in range(5):
                status = client.get("/a").status
                with lock:
                    statuses.append(status)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check.equal((statuses.count(200), statuses.count(429), len(statuses)), (25, 75, 100))
    check.equal(gateway.metrics().sum("sluice_limited_total", policy="rate_limit"), 75, "sluice_limited_total")


def test_refused_answer(t):
    """429 with an integer Retry-After of at least 1, and the RateLimit fields named by the policy's id."""
    gateway = _gateway(t, "{ rate_limit: { id: tight, rate: 2/1h, burst: 2, key: address } }")
    client = t.client(gateway)
    for left in (1, 0):
        answer = client.get("/a")
        check.equal(answer.status, 200)
        check.equal(re.search(r'"tight".*;r=(\d+)', answer.get("ratelimit"))[1], str(left), "r")
        assert re.search(r'"tight".*;q=2\b', answer.get("ratelimit-policy")), answer.get("ratelimit-policy")
        assert re.search(r";w=3600\b", answer.get("ratelimit-policy")), answer.get("ratelimit-policy")
    answer = client.get("/a")
    check.problem(answer, 429)
    assert 1 <= int(answer.get("retry-after")) <= 3600, answer.get("retry-after")
    assert re.search(r'"tight".*;r=0\b', answer.get("ratelimit")), answer.get("ratelimit")
    assert "127.0.0.1" not in answer.get("ratelimit") + answer.get("ratelimit-policy")
    check.equal(client.get("/b").status, 200, "another API")


def test_refill(t):
    """GCRA refills evenly: what was refused passes later, without the whole period having gone by."""
    client = t.client(_gateway(t, "{ rate_limit: { rate: 50/10s, burst: 1, key: api } }"))
    check.equal(client.get("/a").status, 200)
    t.poll("a token comes back", lambda: client.get("/a").status == 200)


def test_keys(t):
    """`key: consumer | credential | address | api | route | gateway | header:NAME`, or a list."""
    for key, passes in (
            ("consumer", {"app": 1, "app2": 0, "other": 1}), ("credential", {"app": 1, "app2": 1, "other": 1}),
            ("api", {"app": 1, "app2": 0, "other": 0}), ("address", {"app": 1, "app2": 0, "other": 0}),
            ("gateway", {"app": 1, "app2": 0, "other": 0}), ("route", {"app": 1, "app2": 0, "other": 0}),
            ('"header:X-API-Key"', {"app": 1, "app2": 1, "other": 1}), ("[api, consumer]", {"app": 1, "app2": 0, "other": 1})):
        with t.case(key):
            client = t.client(_gateway(t, f"{{ api_key: {{}} }}, {{ rate_limit: {{ rate: 1/1h, burst: 1, key: {key} }} }}"))
            check.equal({name: int(client.get("/a", [("X-API-Key", name)]).status == 200) for name in passes}, passes)


def test_address_key_tells_clients_apart(t):
    gateway = _gateway(t, "{ rate_limit: { rate: 1/1h, burst: 1, key: address } }", trusted_proxies="[127.0.0.9]")
    for source, forwarded, status in (("127.0.0.1", None, 200), ("127.0.0.1", None, 429), ("127.0.0.2", None, 200),
                                      ("127.0.0.1", "203.0.113.1", 429), ("127.0.0.9", "203.0.113.1", 200),
                                      ("127.0.0.9", "203.0.113.2", 200), ("127.0.0.9", "203.0.113.2", 429)):
        with t.case(f"{source} for {forwarded}"):
            fields = [("X-Forwarded-For", forwarded)] if forwarded else []
            check.equal(t.client(gateway, source=source).get("/a", fields).status, status)


def test_consumer_key_falls_back_to_the_address(t):
    """Contract, Who is calling; and `sluice check` warns when nothing before it can set one."""
    gateway = _gateway(t, "{ rate_limit: { rate: 1/1h, burst: 1, key: consumer } }")
    check.equal([t.client(gateway, source=source).get("/a").status for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1")], [200, 200, 429])
    done = t.sluice("check", gateway.file)
    check.equal(done.returncode, 0, "exit code: a warning is no error")
    assert "warning" in (done.stdout + done.stderr).lower() and "consumer" in done.stdout + done.stderr, done.stdout + done.stderr


def test_counters_survive_a_reload(t):
    """Contract, Reload: what did not change keeps its state."""
    gateway = _gateway(t, "{ rate_limit: { rate: 2/1h, burst: 2, key: api } }")
    client = t.client(gateway)
    check.equal(client.get("/a").status, 200)
    gateway.reload(ONE.format(policies="{ rate_limit: { rate: 2/1h, burst: 2, key: api } }").replace("path: /b", "path: /c"))
    check.equal(client.get("/c").status, 200)
    check.equal([client.get("/a").status for _ in range(3)], [200, 429, 429])


def test_two_limits_in_one_chain(t):
    """The tighter one refuses; both are told by their ids."""
    client = t.client(_gateway(t, "{ rate_limit: { id: wide, rate: 100/1h, key: api } }, { rate_limit: { id: tight, rate: 1/1h, key: api } }"))
    answer = client.get("/a")
    told = ", ".join(answer.all("ratelimit"))
    assert '"wide"' in told and '"tight"' in told, told
    check.equal(client.get("/a").status, 429)
