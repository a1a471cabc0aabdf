"""`sluice explain`: which route, policies and upstream a request would take, and why the others do not match."""

import json

from harness import check

FILE = """version: 1
gateway: { listen: [ { name: plain, address: 127.0.0.1:8080 } ] }
upstreams:
  users: { targets: [http://127.0.0.1:7001] }
  beta-users: { targets: [http://127.0.0.1:7003] }
policies: [ { request_id: {} } ]
apis:
  shop:
    hosts: [api.example.com]
    path: /v1
    upstream: users
    policies: [ { api_key: {} }, { rate_limit: { id: per-app, rate: 5/1m, key: consumer } } ]
    routes:
      - { name: bulk, methods: [POST], match: { body: { "$.kind": bulk } }, upstream: beta-users }
      - { name: beta, methods: [GET], match: { headers: { x-channel: beta } }, upstream: beta-users }
      - { name: item, methods: [GET], path: "/items/{id}" }
      - { name: moved, path: /old, redirect: { to: /new, status: 308 } }
"""


def _explained(t, *arguments):
    done = t.sluice("explain", t.file("sluice.yaml", FILE), *arguments)
    return done.returncode, done.stdout + done.stderr


def test_winner(t):
    for arguments, words in (
            (["GET", "http://api.example.com/v1/items/7"], ["shop", "item", "users", "request_id", "api_key", "per-app"]),
            (["GET", "http://api.example.com/v1", "-H", "X-Channel: beta"], ["beta", "beta-users"]),
            (["GET", "http://api.example.com/v1", "-H", "x-channel:beta"], ["beta", "beta-users"]),
            (["POST", "http://api.example.com/v1", "-d", '{"kind": "bulk"}'], ["bulk", "beta-users"]),
            (["GET", "http://api.example.com/v1/x/../old"], ["moved", "308", "/new"])):
        with t.case(" ".join(arguments)):
            code, said = _explained(t, *arguments)
            check.equal(code, 0, said)
            for word in words:
                assert word in said, f"{word} is not in {said}"


def test_losers_and_why(t):
    code, said = _explained(t, "GET", "http://api.example.com/v1/items/7")
    check.equal(code, 0)
    for route, reason in (("bulk", "method"), ("beta", "x-channel"), ("moved", "path")):
        with t.case(route):
            line = next((line for line in said.splitlines() if route in line and reason in line.lower()), None)
            assert line, f"no line has {route} and {reason}: {said}"


def test_nothing_matches(t):
    for arguments, words in ((["GET", "http://other.test/v1"], ["404"]), (["PUT", "http://api.example.com/v1/items/7"], ["405"]),
                             (["GET", "http://api.example.com/v2"], ["404"]), (["GET", "http://api.example.com/v1/%00"], ["400"])):
        with t.case(" ".join(arguments)):
            code, said = _explained(t, *arguments)
            assert code in (0, 1), code
            for word in words:
                assert word in said, f"{word} is not in {said}"


def test_what_it_says_is_what_the_gateway_does(t):
    """The same matcher answers both."""
    gateway = t.gateway(FILE.split("\n", 2)[2].replace("127.0.0.1:7001", "127.0.0.1:@users@").replace("127.0.0.1:7003", "127.0.0.1:@beta@")
                        .replace("policies: [ { api_key: {} }, { rate_limit: { id: per-app, rate: 5/1m, key: consumer } } ]", "policies: []"),
                        {"users": t.echo("users"), "beta": t.echo("beta-users")})
    client = t.client(gateway)
    for method, target, fields, body in (("GET", "/v1/items/7", [], None), ("GET", "/v1/items/7", [("X-Channel", "beta")], None),
                                         ("POST", "/v1", [], b'{"kind":"bulk"}'), ("GET", "/v1", [("X-Channel", "beta")], None)):
        with t.case(f"{method} {target} {fields}"):
            real = client.request(method, target, fields, body, host="api.example.com").json["upstream"]
            arguments = [method, "http://api.example.com" + target]
            for name, value in fields:
                arguments += ["-H", f"{name}: {value}"]
            done = t.sluice("explain", gateway.file, *arguments, *(["-d", body.decode()] if body else []))
            assert real in done.stdout, done.stdout


def test_secrets_are_not_shown(t):
    text = FILE + 'consumers:\n  app: { credentials: [ { api_key: "${env:SECRET_KEY}" } ] }\n'
    done = t.sluice("explain", t.file("sluice.yaml", text), "GET", "http://api.example.com/v1/items/7", "-H", "X-API-Key: very-secret",
                    environment={"SECRET_KEY": "very-secret"})
    check.equal(done.returncode, 0, done.stderr)
    assert "very-secret" not in done.stdout


def test_json(t):
    """Contract, section 1: `--json` everywhere a table is printed."""
    done = t.sluice("explain", t.file("sluice.yaml", FILE), "GET", "http://api.example.com/v1/items/7", "--json")
    check.equal(done.returncode, 0, done.stderr)
    told = json.dumps(json.loads(done.stdout))
    for word in ("shop", "item", "users"):
        assert f'"{word}"' in told, told
