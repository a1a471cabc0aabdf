"""Mirrored requests: the other upstream gets a copy, the client notices nothing (issue 11)."""

from harness import check, patience, ports

MIRRORED = """
upstreams:
  real: { targets: ["http://127.0.0.1:@real@"] }
  shadow: { targets: ["http://127.0.0.1:@shadow@"] }
apis:
  a: { path: /, upstream: real, mirror: { upstream: shadow, max_body: 1MiB } }
"""


def test_copies_arrive_whole(t):
    shadow = t.echo("shadow")
    gateway = t.gateway(MIRRORED, {"real": t.echo("real"), "shadow": shadow})
    client = t.client(gateway)
    body = b"x" * 700_000
    answer = client.request("POST", "/a/b?c=d", [("X-Test", "1")], body)
    check.equal((answer.status, answer.json["upstream"]), (200, "real"))
    shadow.wait_for(1)
    copy = shadow.requests[0]
    check.equal((copy.method, copy.target, len(copy.body)), ("POST", "/a/b?c=d", 700_000))
    check.equal(copy.get("x-test"), "1")
    check.equal(client.request("POST", "/", [], b"x" * 1_100_000).status, 200)
    patience.poll("too large", lambda: gateway.metrics().sum("sluice_mirrored_total", upstream="shadow", result="too_large") == 1)
    patience.poll("answered", lambda: gateway.metrics().sum("sluice_mirrored_total", upstream="shadow", result="answered") == 1)


def test_a_shadow_that_is_gone_or_silent_is_nobodys_business(t):
    silent = t.upstream(lambda connection: (connection.read_request(), connection.wait_for_close()), "silent")
    for name, port in (("gone", ports.free_port()), ("silent", silent.port)):
        with t.case(name):
            gateway = t.gateway(MIRRORED, {"real": t.echo("real"), "shadow": port})
            client = t.client(gateway)
            check.equal([client.get("/").status for _ in range(50)], [200] * 50)
            gateway.stop()
