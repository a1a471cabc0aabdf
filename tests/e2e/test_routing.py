"""Which route a request takes (contract, section 2, Matching). Every route answers with its own name."""

from harness import check


def _answers(*names_and_conditions):
    """Route lines: `name: conditions` each answering 200 with the name."""
    return "".join(f"      - {{ name: {name}, {more + ', ' if more else ''}respond: {{ status: 200, body: {name} }} }}\n"
                   for name, more in names_and_conditions)


def _expect(t, client, rows):
    """(method, target, host, fields, body, want): want is a route's name or a status."""
    for method, target, host, fields, body, want in rows:
        with t.case(f"{method} {target} at {host} {fields or ''} {body or ''}"):
            answer = client.request(method, target, fields, body, host=host)
            if isinstance(want, int):
                check.problem(answer, want)
            else:
                check.equal((answer.status, answer.body.decode()), (200, want))


def _get(target, want, host="x.test", fields=(), method="GET", body=None):
    return (method, target, host, fields, body, want)


def test_hosts(t):
    """Exact, then the longest `*.suffix` at any depth, then APIs without hosts; case does not matter (RFC 9110, 4.2.3)."""
    client = t.caller(t.gateway("apis:\n" + "".join(
        f"  {name}:\n    {hosts}path: /\n    routes:\n{_answers((name, ''))}" for name, hosts in (
            ("exact", "hosts: [api.example.com]\n    "), ("wide", 'hosts: ["*.example.com"]\n    '),
            ("deep", 'hosts: ["*.eu.example.com", other.test]\n    '), ("any", "")))))
    _expect(t, client, [
        _get("/", "exact", "api.example.com"), _get("/", "exact", "API.Example.COM"), _get("/", "exact", "api.example.com:8080"),
        _get("/", "wide", "www.example.com"), _get("/", "wide", "a.b.example.com"),
        _get("/", "deep", "x.eu.example.com"), _get("/", "deep", "x.y.eu.example.com"), _get("/", "wide", "eu.example.com"),
        _get("/", "any", "example.com"), _get("/", "any", "badexample.com"), _get("/", "any", "example.com.evil.test"),
        _get("/", "deep", "other.test"), _get("/", "any", "127.0.0.1"), _get("/", "any", "[::1]:80"),
    ])
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.response().body == b"any"


def test_api_paths_are_prefixes_of_whole_segments(t):
    client = t.caller(t.gateway("apis:\n" + "".join(
        f"  {name}:\n    path: {path}\n    routes:\n{_answers((name, ''))}"
        for name, path in (("users", "/users"), ("admin", "/users/admin"), ("v1", "/v1/items")))))
    _expect(t, client, [
        _get("/users", "users"), _get("/users/", "users"), _get("/users/5", "users"), _get("/users?x", "users"),
        _get("/users/admin", "admin"), _get("/users/admin/x", "admin"), _get("/users/administrator", "users"),
        _get("/usersx", 404), _get("/user", 404), _get("/Users", 404), _get("/", 404), _get("/v1", 404), _get("/v1/items/1", "v1"),
        _get("/users/../v1/items", "v1"),
    ])


def test_route_paths(t):
    """Exact below the API's path; {name} one non-empty segment; {name**} and /** the rest; literal before parameter before rest."""
    client = t.caller(t.gateway("apis:\n  a:\n    path: /a\n    routes:\n" + _answers(
        ("root", 'path: "/"'), ("me", "path: /users/me"), ("user", 'path: "/users/{id}"'),
        ("orders", 'path: "/users/{id}/orders"'), ("order", 'path: "/users/{id}/orders/{order}"'), ("files", 'path: "/files/{path**}"'),
        ("css", "path: /files/css/site.css"), ("rest", "path: /rest/**"), ("mixed", 'path: "/mixed/{x}/end/**"'))))
    _expect(t, client, [
        _get("/a/users/me", "me"), _get("/a/users/5", "user"), _get("/a/users/meme", "user"), _get("/a/users/%6De", "me"),
        _get("/a/users/5/orders", "orders"), _get("/a/users/me/orders", "orders"), _get("/a/users/5/orders/7", "order"),
        _get("/a/users", 404), _get("/a/users/5/other", 404), _get("/a/users/5/orders/7/8", 404),
        _get("/a/files/x", "files"), _get("/a/files/x/y/z", "files"), _get("/a/files/css/site.css", "css"),
        _get("/a/files/css/site.css/x", "files"), _get("/a/files/css", "files"),
        _get("/a/rest/x/y", "rest"), _get("/a/mixed/1/end/2", "mixed"), _get("/a/mixed/1/other", 404),
        _get("/a/users/a%2Fb", "user"), _get("/a", "root"), _get("/a/", "root"),
    ])


def test_methods(t):
    """404 and 405 with Allow; a GET route takes HEAD; an explicit method beats none."""
    gateway = t.gateway("apis:\n  a:\n    path: /a\n    routes:\n" + _answers(
        ("read", "path: /x, methods: [GET]"), ("write", "path: /x, methods: [POST, PUT]"), ("any", "path: /y"),
        ("special", "path: /y, methods: [PATCH]"), ("custom", "path: /z, methods: [PURGE]")))
    client = t.caller(gateway)
    _expect(t, client, [
        _get("/a/x", "read"), _get("/a/x", "write", method="POST"), _get("/a/x", "write", method="PUT"),
        _get("/a/x", 405, method="DELETE"), _get("/a/x", 405, method="get"), _get("/a/nowhere", 404, method="DELETE"),
        _get("/a/y", "any", method="DELETE"), _get("/a/y", "special", method="PATCH"), _get("/a/z", "custom", method="PURGE"),
        _get("/a/z", 405),
    ])
    allowed = client.request("DELETE", "/a/x").get("allow")
    check.equal({name.strip() for name in allowed.split(",")}, {"GET", "HEAD", "POST", "PUT"}, "Allow")
    with t.case("HEAD"):
        answer = client.request("HEAD", "/a/x")
        check.equal((answer.status, answer.get("content-length")), (200, "4"))


def test_an_api_owns_its_path(t):
    """If none of its routes fits, never another API's."""
    client = t.caller(t.gateway("apis:\n  outer:\n    path: /\n    routes:\n" + _answers(("outer", ""))
                                + "  inner:\n    path: /inner\n    routes:\n" + _answers(("inner", "path: /x, methods: [GET]"))))
    _expect(t, client, [_get("/other", "outer"), _get("/inner/x", "inner"), _get("/inner/y", 404),
                        _get("/inner/x", 405, method="POST"), _get("/innery", "outer")])


def test_header_conditions(t):
    client = t.caller(t.gateway("apis:\n  a:\n    path: /a\n    routes:\n" + _answers(
        ("beta", "match: { headers: { x-channel: beta } }"),
        ("both", "match: { headers: { x-channel: beta, x-level: '2' } }"), ("plain", ""))))
    _expect(t, client, [
        _get("/a", "plain"), _get("/a", "beta", fields=[("X-Channel", "beta")]), _get("/a", "plain", fields=[("X-Channel", "BETA")]),
        _get("/a", "plain", fields=[("X-Channel", "betas")]), _get("/a", "both", fields=[("x-level", "2"), ("x-CHANNEL", "beta")]),
        _get("/a", "plain", fields=[("X-Level", "2")]), _get("/a", "plain", fields=[("X_Channel", "beta")]),
    ])


def test_query_conditions(t):
    client = t.caller(t.gateway("apis:\n  a:\n    path: /a\n    routes:\n" + _answers(
        ("two", "priority: 1, match: { query: { version: '2' } }"), ("spaced", "match: { query: { name: 'a b' } }"), ("plain", ""))))
    _expect(t, client, [
        _get("/a", "plain"), _get("/a?version=2", "two"), _get("/a?x=1&version=2&y", "two"), _get("/a?version=22", "plain"),
        _get("/a?xversion=2", "plain"), _get("/a?Version=2", "plain"), _get("/a?v%65rsion=%32", "two"), _get("/a?name=a%20b", "spaced"),
        _get("/a?name=a+b", "spaced"), _get("/a?version", "plain"), _get("/a?version=", "plain"),
    ])


def test_body_conditions(t):
    """First bytes of a JSON body, path subset `$.a.b[0]`; the body reaches the upstream whole."""
    client = t.caller(t.gateway("""
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
  bulk: { targets: ["http://127.0.0.1:@bulk@"] }
apis:
  a:
    path: /a
    upstream: one
    routes:
      - { name: bulk, methods: [POST], match: { body: { "$.kind": bulk } }, upstream: bulk }
      - { name: first, methods: [POST], priority: 1, match: { body: { "$.items[0].id": "7" } }, upstream: bulk }
      - { name: deep, methods: [POST], priority: 2, match: { body: { "$.a.b[1]": x } }, upstream: bulk }
      - { name: plain }
""", {"echo": t.echo("one"), "bulk": t.echo("bulk")}))
    for body, want in ((b'{"kind": "bulk"}', "bulk"), (b'{"x": [1, {"kind": "bulk"}], "kind": "single"}', "one"), (b'{"kind": "bulky"}', "one"),
                       (b' {"pad": "' + b"x" * 3000 + b'", "kind": "bulk"}', "bulk"), (b'{"items": [{"id": "7"}]}', "bulk"),
                       (b'{"items": [{"id": "8"}, {"id": "7"}]}', "one"), (b'{"a": {"b": [0, "x"]}}', "bulk"), (b"no json", "one"),
                       (b'{"kind": "bu\\u006ck"}', "bulk"), (b"", "one"), (b'["kind", "bulk"]', "one"),
                       (b'{"kind": "other", "pad": "' + b"x" * 200_000 + b'"}', "one")):
        with t.case(body[:40]):
            answer = client.request("POST", "/a", [("Content-Type", "application/json")], body)
            check.equal(answer.status, 200, "status")
            check.equal(answer.json["upstream"], want, "upstream")
            check.equal(answer.json["body_bytes"], len(body), "body's size at the upstream")
    with t.case("chunked, condition across chunks"):
        client.send(b"POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
                    b'7\r\n{"kind"\r\n8\r\n: "bulk"\r\n1\r\n}\r\n0\r\n\r\n')
        answer = client.response().json
        check.equal((answer["upstream"], answer["body"]), ("bulk", '{"kind": "bulk"}'))
    with t.case("Expect: the gateway asks for the body itself, because it must look at it (contract, section 3)"):
        client.send(b"POST /a HTTP/1.1\r\nHost: x.test\r\nContent-Length: 16\r\nExpect: 100-continue\r\n\r\n")
        check.equal(client.head().status, 100)
        client.send(b'{"kind": "bulk"}')
        check.equal(client.response().json["upstream"], "bulk")


def test_more_conditions_then_method_then_priority(t):
    client = t.caller(t.gateway("apis:\n  a:\n    path: /a\n    routes:\n" + _answers(
        ("low", "path: /p, priority: 1"), ("high", "path: /p, priority: 5"),
        ("method", "path: /q, methods: [GET]"), ("condition", "path: /q, match: { headers: { x-a: b } }"), ("none", "path: /q, priority: 9"))))
    _expect(t, client, [_get("/a/p", "high"), _get("/a/q", "method"), _get("/a/q", "condition", fields=[("X-A", "b")]),
                        _get("/a/q", "none", method="POST")])


def test_tie_is_a_configuration_error_that_names_both(t):
    path = t.file("tie.yaml", "version: 1\ngateway: { listen: [ { name: p, address: 127.0.0.1:8080 } ] }\napis:\n  a:\n    path: /a\n"
                  "    routes:\n" + _answers(("one", 'path: "/x/{id}"'), ("two", 'path: "/x/{other}"')))
    done = t.sluice("check", path)
    check.equal(done.returncode, 1, "exit code")
    said = done.stdout + done.stderr
    assert "one" in said and "two" in said, said


def test_listeners(t):
    """An API with `listeners` exists on those alone."""
    gateway = t.gateway("apis:\n  inner:\n    path: /in\n    listeners: [internal]\n    routes:\n" + _answers(("inner", ""))
                        + "  all:\n    path: /all\n    routes:\n" + _answers(("all", "")), more_listeners=["internal"])
    plain, internal = t.caller(gateway), t.caller(gateway.more_ports["internal"])
    _expect(t, plain, [_get("/in", 404), _get("/all", "all")])
    _expect(t, internal, [_get("/in", "inner"), _get("/all", "all")])


def test_not_found_is_a_problem(t):
    check.problem(t.caller(t.gateway("apis: {}\n")).get("/"), 404)


def test_many_routes(t):
    """A thousand routes with parameters; each finds its own."""
    count = 1000
    routes = _answers(*((f"r{n}", f'path: "/group{n % 10}/item{n}/{{id}}"') for n in range(count)))
    client = t.caller(t.gateway("apis:\n  a:\n    path: /a\n    routes:\n" + routes))
    _expect(t, client, [_get(f"/a/group{n % 10}/item{n}/x", f"r{n}") for n in range(0, count, 7)])
