"""The policies `headers` and `rewrite`, and the chain they stand in (contract, section 2, Chains)."""

from harness import check


def _gateway(t, apis, policies="[]", more=""):
    return t.gateway(f"upstreams:\n  one: {{ targets: ['http://127.0.0.1:@echo@'] }}\npolicies: {policies}\n{more}\napis:\n{apis}",
                     {"echo": t.echo()})


def test_headers(t):
    client = t.caller(_gateway(t, """
  a:
    path: /
    upstream: one
    policies:
      - headers:
          request: { set: { x-a: b, X-Replaced: new }, add: { x-list: two }, remove: [X-Gone, cookie] }
          response: { set: { x-seen: gateway, X-Upstream: hidden }, add: { x-more: "1" }, remove: [content-type] }
"""))
    answer = client.get("/", [("X-Replaced", "old1"), ("x-replaced", "old2"), ("X-List", "one"), ("X-Gone", "1"), ("X-GONE", "2"),
                              ("Cookie", "a=b"), ("X-Stays", "here")])
    seen = answer.json
    for name, want in (("x-a", ["b"]), ("x-replaced", ["new"]), ("x-list", ["one", "two"]), ("x-gone", []), ("cookie", []),
                       ("x-stays", ["here"])):
        with t.case(f"request {name}"):
            check.equal(check.fields(seen, name), want)
    for name, want in (("x-seen", ["gateway"]), ("x-upstream", ["hidden"]), ("x-more", ["1"]), ("content-type", [])):
        with t.case(f"response {name}"):
            check.equal(answer.all(name), want)


def test_headers_on_answers_of_the_gateway(t):
    """An answer that the gateway makes passes the response phase of the policies before it."""
    gateway = t.gateway("""
policies: [ { headers: { id: outer, response: { set: { x-outer: "1" } } } } ]
apis:
  a:
    path: /a
    policies: [ { headers: { id: inner, response: { set: { x-inner: "1" } } } } ]
    routes:
      - { name: r, path: /r, methods: [GET], respond: { status: 200 } }
      - { name: closed, path: /closed, policies: [ { api_key: {} }, { headers: { id: after, response: { set: { x-after: "1" } } } } ], respond: { status: 200 } }
""")
    client = t.caller(gateway)
    for method, target, status, want in (("GET", "/a/r", 200, "outer inner"), ("GET", "/a/none", 404, "outer"), ("GET", "/none", 404, "outer"),
                                         ("POST", "/a/r", 405, "outer inner"), ("GET", "/a/closed", 401, "outer inner")):
        with t.case(f"{method} {target}"):
            answer = client.request(method, target)
            check.equal(answer.status, status, "status")
            have = " ".join(name for name in ("outer", "inner", "after") if answer.has(f"x-{name}"))
            if status != 404 or target == "/none":
                check.equal(have, want, "policies that saw the answer")
            else:
                assert have.startswith("outer"), have


def test_request_phase_runs_in_order_and_response_phase_backwards(t):
    client = t.caller(_gateway(t, """
  a:
    path: /
    upstream: one
    policies: [ { headers: { id: second, request: { add: { x-in: api } }, response: { add: { x-out: api } } } } ]
    routes:
      - name: r
        policies: [ { headers: { id: third, request: { add: { x-in: route } }, response: { add: { x-out: route } } } } ]
""", "[ { headers: { id: first, request: { add: { x-in: gateway } }, response: { add: { x-out: gateway } } } } ]"))
    answer = client.get("/")
    check.equal(",".join(check.fields(answer.json, "x-in")).replace(" ", ""), "gateway,api,route")
    check.equal(",".join(answer.all("x-out")).replace(" ", ""), "route,api,gateway")


CHAIN = """
  a:
    path: /
    upstream: one
    policies: [ { headers: { request: { set: { x-api: "1" } } } }, { headers: { id: other, request: { set: { x-other: "1" } } } } ]
    routes:
      - { name: plain, path: /plain }
      - { name: off, path: /off, policies: [ { headers: { enabled: false } } ] }
      - { name: other-off, path: /other-off, policies: [ { headers: { id: other, enabled: false } } ] }
      - { name: replaced, path: /replaced, policies: [ { headers: { request: { set: { x-route: "1" } } } } ] }
      - { name: added, path: /added, policies: [ { headers: { id: third, request: { set: { x-route: "1" } } } } ] }
"""


def test_deeper_levels_add_replace_and_switch_off(t):
    """By type and id; the id's default is the type."""
    client = t.caller(_gateway(t, CHAIN))
    for target, want in (("/plain", "api other"), ("/off", "other"), ("/other-off", "api"), ("/replaced", "other route"),
                         ("/added", "api other route")):
        with t.case(target):
            seen = client.get(target).json
            check.equal(" ".join(name for name in ("api", "other", "route") if check.field(seen, f"x-{name}")), want)


def test_locked_stays(t):
    """A deeper level never replaces or switches off what is locked: refused at check, or without effect."""
    for name, policy in (("switched off", "{ headers: { id: l, enabled: false } }"),
                         ("replaced", "{ headers: { id: l, request: { set: { x-free: '1' } } } }")):
        with t.case(name):
            entities = ("upstreams:\n  one: { targets: ['http://127.0.0.1:@echo@'] }\n"
                        "policies: [ { headers: { id: l, locked: true, request: { set: { x-locked: '1' } } } } ]\n"
                        f"apis:\n  a: {{ path: /, upstream: one, policies: [ {policy} ] }}\n")
            path = t.file("locked.yaml", "version: 1\n" + entities.replace("@echo@", "9"))
            done = t.sluice("check", path)
            if done.returncode == 1:
                assert "locked" in done.stdout + done.stderr, done.stdout + done.stderr
                continue
            seen = t.caller(t.gateway(entities, {"echo": t.echo()})).get("/").json
            check.equal((check.field(seen, "x-locked"), check.field(seen, "x-free")), ("1", None))


def test_named_chains(t):
    """Contract: `chains`, put in with `- use: NAME` at that very place."""
    client = t.caller(_gateway(t, """
  a:
    path: /
    upstream: one
    policies:
      - { headers: { id: before, request: { add: { x-in: before } } } }
      - { use: pair }
      - { headers: { id: after, request: { add: { x-in: after } } } }
  b: { path: /b, upstream: one }
""", more="""
chains:
  pair: [ { headers: { id: p1, request: { add: { x-in: one } } } }, { headers: { id: p2, request: { add: { x-in: two } } } } ]
"""))
    check.equal(",".join(check.fields(client.get("/").json, "x-in")).replace(" ", ""), "before,one,two,after")
    check.equal(check.fields(client.get("/b").json, "x-in"), [])


def test_dry_run(t):
    """Counted and logged, never enforced."""
    gateway = _gateway(t, """
  a:
    path: /
    upstream: one
    policies: [ { rate_limit: { rate: 2/1h, burst: 2, key: route, dry_run: true } }, { api_key: { dry_run: true } } ]
""")
    client = t.caller(gateway)
    for _ in range(6):
        check.equal(client.get("/").status, 200)
    check.equal(gateway.metrics().sum("sluice_limited_total"), 4, "sluice_limited_total")


def test_rewrite(t):
    client = t.caller(_gateway(t, """
  a:
    path: /a
    upstream: one
    routes:
      - { name: fixed, path: /fixed, policies: [ { rewrite: { path: /new/place } } ] }
      - { name: moved, path: "/users/{id}", policies: [ { rewrite: { path: "/people/{id}" } } ] }
      - { name: rest, path: "/files/{rest**}", policies: [ { rewrite: { path: "/archive/{rest}" } } ] }
"""))
    for sent, want in (("/a/fixed", "/new/place"), ("/a/fixed?q=1", "/new/place?q=1"), ("/a/users/7", "/people/7"),
                       ("/a/users/a%2Fb", "/people/a%2Fb"), ("/a/files/x/y?z", "/archive/x/y?z")):
        with t.case(sent):
            check.equal(client.get(sent).json["target"], want)


def test_rewrite_never_reroutes(t):
    """Architecture, section 3."""
    client = t.caller(_gateway(t, """
  a: { path: /a, upstream: one, policies: [ { rewrite: { path: /b/x } } ] }
  b: { path: /b, routes: [ { name: r, respond: { status: 403 } } ] }
"""))
    check.equal(client.get("/a").json["target"], "/b/x")
