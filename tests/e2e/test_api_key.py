"""The policy `api_key` (contract, section 2)."""

from harness import check

ENTITIES = """
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
consumers:
  app: { groups: [partners, eu], credentials: [ { api_key: key-of-app }, { api_key: "second key/+=" } ] }
  other: { credentials: [ { api_key: key-of-other } ] }
apis:
  header: { path: /header, upstream: one, policies: [ { api_key: { in: header, name: X-API-Key } } ] }
  default: { path: /default, upstream: one, policies: [ { api_key: {} } ] }
  query: { path: /query, upstream: one, policies: [ { api_key: { in: query, name: api_key } } ] }
  cookie: { path: /cookie, upstream: one, policies: [ { api_key: { in: cookie, name: session } } ] }
  mixed:
    path: /mixed
    upstream: one
    policies: [ { api_key: {} } ]
    routes:
      - { name: open, path: /open, policies: [ { api_key: { enabled: false } } ] }
      - { name: closed }
"""


def _gateway(t):
    return t.gateway(ENTITIES, {"echo": t.echo()})


def test_good_keys(t):
    gateway = _gateway(t)
    client = t.caller(gateway)
    for target, fields, consumer in (
            ("/header", [("X-API-Key", "key-of-app")], "app"), ("/header", [("x-api-key", "key-of-other")], "other"),
            ("/header", [("X-API-Key", "second key/+=")], "app"), ("/default", [("X-API-Key", "key-of-app")], "app"),
            ("/query?api_key=key-of-app", [], "app"), ("/query?a=b&api_key=key-of-other&c", [], "other"),
            ("/query?api_key=second%20key%2F%2B%3D", [], "app"), ("/cookie", [("Cookie", "session=key-of-app")], "app"),
            ("/cookie", [("Cookie", "a=b; session=key-of-other; c=d")], "other"), ("/mixed", [("X-API-Key", "key-of-app")], "app")):
        with t.case(f"{target} {fields}"):
            answer = client.get(target, fields)
            check.equal(answer.status, 200, "status")
            check.equal(check.field(answer.json, "x-consumer-id"), consumer, "X-Consumer-Id")
            groups = check.field(answer.json, "x-consumer-groups")
            check.equal((groups or "").replace(" ", ""), "partners,eu" if consumer == "app" else "", "X-Consumer-Groups")


def test_bad_and_missing_keys(t):
    """401 with WWW-Authenticate (RFC 9110, section 15.5.2), and nothing reaches the upstream."""
    echo = t.echo()
    gateway = t.gateway(ENTITIES, {"echo": echo})
    client = t.caller(gateway)
    for target, fields in (
            ("/header", []), ("/header", [("X-API-Key", "")]), ("/header", [("X-API-Key", "wrong")]), ("/header", [("X-API-Key", "key-of-ap")]),
            ("/header", [("X-API-Key", "key-of-app ".strip() + "x")]), ("/header", [("X-API-Key", "KEY-OF-APP")]),
            ("/header", [("X_API_Key", "key-of-app")]), ("/header", [("X-API-Key", "wrong"), ("X-API-Key", "key-of-app")]),
            ("/header", [("X-API-Key", "k" * 10000)]), ("/header?api_key=key-of-app", []), ("/header", [("Cookie", "session=key-of-app")]),
            ("/query", [("X-API-Key", "key-of-app")]), ("/query?api_key=wrong", []), ("/query?API_KEY=key-of-app", []),
            ("/query?x=api_key=key-of-app", []), ("/cookie", [("Cookie", "xsession=key-of-app")]), ("/cookie", [("Cookie", "session=wrong")]),
            ("/mixed/closed", []), ("/mixed/open/../closed", []), ("/default", [("X-API-Key", "\xe4")])):
        with t.case(f"{target} {str(fields)[:60]}"):
            answer = client.get(target, fields)
            told = check.problem(answer, 401)
            assert answer.has("www-authenticate"), "no WWW-Authenticate"
            assert "key-of" not in str(told) + str(answer.fields)
    check.equal(echo.requests, [], "requests at the upstream")


def test_open_route_of_a_closed_api(t):
    gateway = _gateway(t)
    answer = t.caller(gateway).get("/mixed/open")
    check.equal(answer.status, 200)
    check.equal(check.fields(answer.json, "x-consumer-id"), [])


def test_keys_follow_a_reload(t):
    gateway = _gateway(t)
    client = t.caller(gateway)
    new = ENTITIES.replace("key-of-app", "fresh-key")
    check.equal(client.get("/header", [("X-API-Key", "key-of-app")]).status, 200)
    gateway.reload(new)
    check.equal(client.get("/header", [("X-API-Key", "key-of-app")]).status, 401)
    check.equal(client.get("/header", [("X-API-Key", "fresh-key")]).status, 200)


def test_key_in_the_log_is_only_its_public_part(t):
    gateway = _gateway(t)
    t.caller(gateway).get("/query?api_key=key-of-app")
    entry = gateway.log_line(path="/query")
    check.equal(entry["consumer"], "app")
    t.caller(gateway).get("/header", [("X-API-Key", "wrong-secret")])
    gateway.log_line(path="/header")
    text = open(gateway.stdout).read() + gateway.said()
    assert "key-of-app" not in text and "wrong-secret" not in text


def test_one_key_of_two_consumers_is_an_error(t):
    path = t.file("twice.yaml", "version: 1\nconsumers:\n  a: { credentials: [ { api_key: same } ] }\n  b: { credentials: [ { api_key: same } ] }\n")
    done = t.sluice("check", path)
    check.equal(done.returncode, 1, "exit code")
