"""Targets of an upstream: round robin with weights, names, splits (contract, section 2)."""

from collections import Counter

from harness import check

ROUND = """
upstreams:
  many:
    targets:
      - http://127.0.0.1:@a@
      - { url: "http://127.0.0.1:@b@", weight: 2 }
      - { url: "http://127.0.0.1:@c@", weight: 3 }
    balance: round_robin
apis:
  all: { path: /, upstream: many }
"""


def test_round_robin_follows_the_weights_exactly(t):
    peers = {name: t.echo(name) for name in "abc"}
    client = t.client(t.gateway(ROUND, peers, workers="1"))
    seen = [client.get("/").json["upstream"] for _ in range(60)]
    check.equal(Counter(seen), Counter(a=10, b=20, c=30))
    for start in range(0, 60, 6):
        check.equal(Counter(seen[start:start + 6]), Counter(a=1, b=2, c=3), f"round at {start}")


def test_equal_weights_take_turns(t):
    peers = {name: t.echo(name) for name in "ab"}
    client = t.client(t.gateway("upstreams:\n  two: { targets: ['http://127.0.0.1:@a@', 'http://127.0.0.1:@b@'] }\n"
                                "apis:\n  all: { path: /, upstream: two }\n", peers, workers="1"))
    seen = [client.get("/").json["upstream"] for _ in range(10)]
    assert seen in (["a", "b"] * 5, ["b", "a"] * 5), seen


def test_all_workers_share_the_load(t):
    """Over several workers and connections no target is left out, and the sums stay near their weights."""
    peers = {name: t.echo(name) for name in "abc"}
    gateway = t.gateway(ROUND, peers, workers="2")
    seen = Counter()
    for _ in range(20):
        client = t.client(gateway)
        seen.update(client.get("/").json["upstream"] for _ in range(12))
    check.equal(sum(seen.values()), 240)
    for name, want in (("a", 40), ("b", 80), ("c", 120)):
        assert abs(seen[name] - want) <= 24, seen  # each worker may be in the middle of a round


def test_upstream_by_name(t):
    """The resolver reads /etc/hosts; every address of a name is good."""
    echo = t.echo(also_ipv6=True)
    gateway = t.gateway("upstreams:\n  one: { targets: ['http://localhost:@echo@'], host: target }\napis:\n  a: { path: /, upstream: one }\n",
                        {"echo": echo})
    client = t.client(gateway)
    for _ in range(4):
        answer = client.get("/")
        check.equal(answer.status, 200)
        check.equal(check.field(answer.json, "host"), f"localhost:{echo.port}")


def test_name_with_an_address_where_nobody_listens(t):
    """localhost may be ::1 first; the upstream is on 127.0.0.1 alone."""
    echo = t.echo()
    client = t.client(t.gateway("upstreams:\n  one: { targets: ['http://localhost:@echo@'] }\napis:\n  a: { path: /, upstream: one }\n",
                                {"echo": echo}))
    for _ in range(4):
        check.equal(client.get("/").status, 200)


def test_name_that_does_not_exist(t):
    client = t.client(t.gateway("upstreams:\n  one: { targets: ['http://does-not-exist.invalid:80'] }\napis:\n  a: { path: /, upstream: one }\n"))
    answer = client.get("/")
    assert answer.status in (502, 503, 504), answer.status
    check.problem(answer, answer.status)


def test_split(t):
    """Contract: `split` by weight; both sides get their share."""
    peers = {name: t.echo(name) for name in "ab"}
    client = t.client(t.gateway("""
upstreams:
  a: { targets: ["http://127.0.0.1:@a@"] }
  b: { targets: ["http://127.0.0.1:@b@"] }
apis:
  half: { path: /half, split: [ { upstream: a, weight: 50 }, { upstream: b, weight: 50 } ] }
  all: { path: /all, split: [ { upstream: a, weight: 0 }, { upstream: b, weight: 1 } ] }
""", peers, workers="1"))
    seen = Counter(client.get("/half").json["upstream"] for _ in range(200))
    assert 40 <= seen["a"] <= 160 and sum(seen.values()) == 200, seen  # 6 sigma is 42 for a random choice
    check.equal({client.get("/all").json["upstream"] for _ in range(20)}, {"b"})
