"""Limits that several gateways share through a real Redis 7 (issue 11, "Many nodes")."""

import threading

from harness import check, patience, ports
from harness.redis import Redis
from harness.tls import Authority

SHARED = """
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
redis: { shared: { url: "@url@", timeout: 2s } }
apis:
  a: { path: /, upstream: one, policies: [ { rate_limit: { @limit@, key: api, store: shared, @how@ } } ] }
"""


def _gateway(t, redis, limit, how="mode: strict", entities=SHARED, **values):
    url = f"redis://127.0.0.1:{getattr(redis, 'port', redis)}"
    return t.gateway(entities, {"echo": t.echo(), "url": url, "limit": limit, "how": how, **values})


def _crowd(gateways, requests, threads=4):
    """How many of `requests` at each gateway pass, from several threads at once."""
    statuses, lock = [], threading.Lock()

    def ask(gateway):
        with gateway.client() as client:
            for _ in range(requests // threads):
                status = client.get("/").status
                with lock:
                    statuses.append(status)

    workers = [threading.Thread(target=ask, args=(gateway,)) for gateway in gateways for _ in range(threads)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert set(statuses) <= {200, 429}, set(statuses)
    return statuses.count(200)


def test_strict_admits_exactly_the_limit(t):
    redis = Redis(t)
    for limit in ("rate: 100/24h", "rate: 100/24h, algorithm: fixed_window", "rate: 100/24h, algorithm: sliding_window",
                  "quota: 100/month", "limits: [ { rate: 300/1h }, { rate: 100/24h } ]"):
        with t.case(limit):
            gateways = [_gateway(t, redis, limit) for _ in range(3)]
            check.equal(_crowd(gateways, 100), 100)
            answer = gateways[0].client().get("/")
            check.equal(answer.status, 429)
            assert int(answer.get("retry-after")) >= 1
            assert ";r=0;" in answer.get("ratelimit"), answer.get("ratelimit")
            sent = sum(g.metrics().sum("sluice_store_requests_total", store="shared", result="ok") for g in gateways)
            assert sent >= 301, sent
            for gateway in gateways:
                gateway.stop()
            redis.ask("FLUSHALL")


def test_a_lease_admits_at_most_a_twentieth_more(t):
    redis = Redis(t)
    gateways = [_gateway(t, redis, "rate: 2000/24h", "mode: lease") for _ in range(3)]
    passed = _crowd(gateways, 1600)
    assert 1900 <= passed <= 2100, passed
    sent = sum(g.metrics().sum("sluice_store_requests_total", store="shared") for g in gateways)
    assert sent < 4800 / 2, f"{sent} commands for 4800 requests"


def test_keys_reveal_nothing_and_expire(t):
    redis = Redis(t)
    gateway = _gateway(t, redis, "rate: 5/1m")
    gateway.client().get("/")
    keys = redis.ask("KEYS", "*").split()
    check.equal(len(keys), 1)
    assert keys[0].startswith("sluice:{"), keys
    assert 0 < int(redis.ask("PTTL", keys[0])) <= 60_000


def test_what_happens_while_the_store_is_gone(t):
    redis = Redis(t)
    for how, status, code in (("allow", 200, None), ("deny", 503, "limit_unavailable"), ("local", 200, None)):
        with t.case(how):
            gateway = _gateway(t, redis, "rate: 3/24h", f"mode: strict, on_store_failure: {how}")
            client = t.client(gateway)
            check.equal([client.get("/").status for _ in range(4)], [200, 200, 200, 429])
            redis.kill()
            patience.poll("it is known", lambda: gateway.metrics().sum("sluice_store_connections", store="shared") == 0)
            answer = client.get("/")
            check.equal(answer.status, status)
            if code:
                check.problem(answer, 503, code)
            elif how == "allow":
                check.equal(answer.get("ratelimit"), None)
            else:
                check.equal([client.get("/").status for _ in range(3)], [200, 200, 429], "three of its own")
            assert "store shared cannot be used" in gateway.said()
            assert gateway.metrics().sum("sluice_store_requests_total", store="shared", result="disconnected") >= 1
            redis.start()  # it has forgotten its scripts, and what was counted
            patience.poll("it is used again", lambda: client.get("/").get("ratelimit") is not None and
                          gateway.metrics().sum("sluice_store_connections", store="shared") == 1)
            gateway.stop()
            redis.ask("FLUSHALL")


def test_a_silent_store_is_waited_for_only_so_long(t):
    silent = t.upstream(lambda connection: connection.wait_for_close(), "silent")
    gateway = _gateway(t, silent, "rate: 3/24h", "mode: strict, on_store_failure: deny",
                       SHARED.replace("timeout: 2s", "timeout: 20ms"))
    client = t.client(gateway)
    check.problem(client.get("/"), 503, "limit_unavailable")
    check.equal(gateway.metrics().sum("sluice_store_requests_total", store="shared", result="timeout"), 1)
    check.equal(gateway.metrics().sum("sluice_store_errors_total", store="shared"), 1)


def test_users_databases_and_tls(t):
    ca = Authority(t.folder)
    cert, key = ca.issue("redis", "localhost")
    users = t.file("users.acl", "user default off\nuser gate on >s3cret/ ~sluice:* +select +eval +evalsha +time +get +set +hgetall +hincrby +hdel +pexpire\n")
    redis = Redis(t, "--aclfile", users, tls=(ca.cert, cert, key))
    entities = SHARED + "trust: { ours: { ca: @ca@ } }\n"
    entities = entities.replace('url: "@url@"', 'url: "@url@", tls: { ca: ours }')

    def gateway(url, text=entities):
        return t.gateway(text, {"echo": t.echo(), "url": url, "limit": "rate: 2/24h, algorithm: sliding_window", "ca": ca.cert,
                                "how": "mode: strict, on_store_failure: deny"})

    good = gateway(f"rediss://gate:s3cret%2F@localhost:{redis.port}/3")
    client = t.client(good)
    check.equal([client.get("/").status for _ in range(3)], [200, 200, 429])
    wrong = gateway(f"rediss://gate:wrong@localhost:{redis.port}")
    check.problem(t.client(wrong).get("/"), 503, "limit_unavailable")
    assert "WRONGPASS" in wrong.said() and "wrong@" not in wrong.said(), wrong.said()
    untrusted = gateway(f"rediss://gate:s3cret%2F@localhost:{redis.port}", entities.replace(", tls: { ca: ours }", ""))
    check.problem(t.client(untrusted).get("/"), 503, "limit_unavailable")


def test_what_is_wrong_is_said(t):
    port = ports.free_port()
    for line, problem in (
            ("store: shard, mode: strict", "there is no store `shard` in `redis`"),
            ("mode: strict", "it is about a `store`, and there is none")):
        with t.case(line):
            text = SHARED.replace("store: shared, @how@", line).replace("@limit@", "rate: 1/1s").replace("@url@", "redis://x:1")
            document = "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:%d } ] }\n" % port
            done = t.sluice("check", t.file("sluice.yaml", document + text.replace("@echo@", "1")))
            check.equal(done.returncode, 1)
            assert problem in done.stdout + done.stderr, done.stdout + done.stderr
