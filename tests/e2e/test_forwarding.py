"""Fields on the way: hop-by-hop ones end here, ours are made, nobody else's may look like ours (contract, section 3)."""

from harness import check
from harness.raw import encode_request

ALL = """
upstreams:
  one: { targets: ["http://127.0.0.1:@upstream@"] }
policies: [ { request_id: {} } ]
apis:
  all: { path: /, upstream: one }
"""


def _through(t, fields, source=None, host="x.test", **settings):
    """What the upstream saw of a request with these fields, and what the client got."""
    gateway = t.gateway(ALL, {"upstream": t.echo()}, **settings)
    answer = t.client(gateway, source=source).get("/", fields, host=host)
    assert answer.status == 200, answer.status
    return answer.json, answer, gateway


# RFC 9110, section 7.6.1.
HOP_BY_HOP = ["Connection", "Keep-Alive", "Proxy-Connection", "Upgrade", "Transfer-Encoding", "HTTP2-Settings", "X-Named", "X-Also"]


def test_hop_by_hop_fields_end_here(t):
    seen, _, _ = _through(t, [("Connection", "keep-alive, X-Named"), ("Connection", "x-also,, upgrade, HTTP2-Settings"),
                              ("Keep-Alive", "timeout=5"), ("Proxy-Connection", "keep-alive"), ("Upgrade", "h2c"),
                              ("HTTP2-Settings", "AAMAAABk"), ("X-Named", "1"), ("X-Also", "2"), ("X-End-To-End", "3")])
    for name in HOP_BY_HOP:
        with t.case(name):
            values = [value for value in check.fields(seen, name) if value.lower() != "keep-alive"]
            assert values == [], f"{name}: {values}"
    check.equal(check.field(seen, "x-end-to-end"), "3")


def test_connection_cannot_remove_what_the_gateway_vouches_for(t):
    """RFC 9110, section 7.6.1: end-to-end fields are not to be named; ours are added after the removal."""
    seen, _, _ = _through(t, [("Connection", "Host, X-Forwarded-For, X-Request-Id, Via, Content-Length, X-Forwarded-Proto")])
    for name in ("host", "x-forwarded-for", "x-request-id", "via", "x-forwarded-proto"):
        with t.case(name):
            assert check.field(seen, name)


def test_te_is_made_anew(t):
    gateway = t.gateway(ALL, {"upstream": t.echo()})
    for sent in ("trailers", "gzip;q=0.5, trailers", "gzip"):
        with t.case(sent):
            seen = t.client(gateway).get("/", [("TE", sent), ("Connection", "TE")]).json
            assert check.fields(seen, "te") in ([], ["trailers"]), check.fields(seen, "te")
            if "trailers" in sent:
                check.equal(check.fields(seen, "te"), ["trailers"])


def test_hop_by_hop_fields_of_the_answer(t):
    def script(connection):
        while True:
            connection.read_request()
            connection.answer(b"ok", fields=[("Connection", "X-Secret"), ("X-Secret", "1"), ("Keep-Alive", "timeout=5"),
                                             ("Proxy-Connection", "keep-alive"), ("Upgrade", "h2c"), ("X-Open", "2"),
                                             ("Server", "theirs")])

    client = t.client(t.front_of(t.upstream(script)))
    for _ in range(2):
        answer = client.get("/")
        for name in ("x-secret", "keep-alive", "proxy-connection", "upgrade"):
            assert not answer.has(name), name
        check.equal((answer.get("x-open"), answer.get("server")), ("2", "theirs"))
        assert answer.get("date"), "Date is added when missing (RFC 9110, section 6.6.1)"


def test_date_of_the_upstream_stays(t):
    date = "Tue, 15 Nov 1994 08:12:31 GMT"
    answer = t.client(t.front_of(t.upstream(lambda c: (c.read_request(), c.answer(fields=[("Date", date)]))))).get("/")
    check.equal(answer.all("date"), [date])


def test_via(t):
    """RFC 9110, section 7.6.3; contract: `Via: 1.1 sluice` always."""
    gateway = t.gateway(ALL, {"upstream": t.echo()})
    for sent, want in ((None, "1.1 sluice"), ("1.0 fred", "1.0 fred, 1.1 sluice")):
        with t.case(sent):
            answer = t.client(gateway).get("/", [("Via", sent)] if sent else [])
            check.equal(", ".join(check.fields(answer.json, "via")), want)
            assert "1.1 sluice" in ", ".join(answer.all("via")), "the answer has no Via"


def test_via_loop(t):
    """Contract: own name a fourth time: 508."""
    echo = t.echo()
    gateway = t.gateway(ALL, {"upstream": echo})
    for count, spelled in ((0, []), (1, [1]), (2, [2]), (2, [1, 1])):
        with t.case(f"{count} before, as {spelled}"):
            fields = [("Via", ", ".join(["1.1 sluice"] * number)) for number in spelled]
            assert t.client(gateway).get("/", fields).status == 200
    for spelled in ([4], [2, 2], [1, 1, 1, 1], [3]):
        with t.case(f"refused, as {spelled}"):
            fields = [("Via", ", ".join(["1.1 sluice"] * number)) for number in spelled]
            check.problem(t.client(gateway).get("/", fields), 508)
    with t.case("names that only look like ours"):
        assert t.client(gateway).get("/", [("Via", "1.1 sluice2, 1.1 asluice, 1.1 a (sluice), 1.1 b (1.1 sluice)")]).status == 200


def test_real_loop_ends(t):
    """A gateway whose upstream is itself."""
    gateway = t.gateway("upstreams:\n  me: { targets: ['http://127.0.0.1:1'] }\napis:\n  a: { path: /, upstream: me }\n")
    gateway.reload(f"upstreams:\n  me: {{ targets: ['http://127.0.0.1:{gateway.port}'] }}\napis:\n  a: {{ path: /, upstream: me }}\n")
    check.problem(t.client(gateway).get("/"), 508)


SPOOFED = [("X-Forwarded-For", "6.6.6.6"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.test"),
           ("X-Forwarded-Prefix", "/evil"), ("X-Consumer-Id", "admin"), ("X-Consumer-Groups", "admins"),
           ("X-Original-URL", "/evil"), ("X-Rewrite-URL", "/evil"), ("X-Request-Id", "evil-id"),
           ("X_Forwarded_For", "6.6.6.6"), ("X_Consumer_Id", "admin"), ("X-Consumer_Groups", "admins"),
           ("X_Request_Id", "evil-id"), ("X_Forwarded-Proto", "https"), ("x_original_url", "/evil"), ("Forwarded", "for=6.6.6.6")]


def test_spoofed_fields_are_replaced_or_removed(t):
    seen, answer, gateway = _through(t, SPOOFED)
    check.equal(check.field(seen, "x-forwarded-for"), "127.0.0.1")
    check.equal(check.field(seen, "x-forwarded-proto"), "http")
    check.equal(check.field(seen, "x-forwarded-host"), "x.test")
    for name in ("x-consumer-id", "x-consumer-groups", "x-original-url", "x-rewrite-url", "x-forwarded-prefix"):
        with t.case(name):
            check.equal(check.fields(seen, name), [])
    for name, value in seen["fields"]:
        assert "_" not in name, f"{name} got through"
        assert "evil" not in value and "6.6.6.6" not in value, f"{name}: {value} got through"
    entry = gateway.log_line(status=200)
    check.equal(entry["client_address"], "127.0.0.1")


def test_foreign_underscores_stay(t):
    """Only what would read as one of ours is removed."""
    seen, _, _ = _through(t, [("my_field", "1"), ("X_Other", "2")])
    check.equal((check.field(seen, "my_field"), check.field(seen, "x_other")), ("1", "2"))


def test_trusted_proxies(t):
    """Appended to when the peer is trusted; the client is the first untrusted address from the right."""
    gateway = t.gateway(ALL, {"upstream": t.echo()}, trusted_proxies="[127.0.0.2, 10.0.0.0/8]")
    for number, (source, sent, forwarded, client) in enumerate((
            ("127.0.0.2", "203.0.113.9", "203.0.113.9, 127.0.0.2", "203.0.113.9"),
            ("127.0.0.2", "6.6.6.6, 203.0.113.9, 10.1.2.3", "6.6.6.6, 203.0.113.9, 10.1.2.3, 127.0.0.2", "203.0.113.9"),
            ("127.0.0.2", "10.1.2.3", "10.1.2.3, 127.0.0.2", "10.1.2.3"),
            ("127.0.0.2", None, "127.0.0.2", "127.0.0.2"),
            ("127.0.0.3", "203.0.113.9", "127.0.0.3", "127.0.0.3"),
            ("127.0.0.2", "2001:db8::7", "2001:db8::7, 127.0.0.2", "2001:db8::7"))):
        with t.case(f"{source} says {sent}"):
            fields = [("X-Forwarded-For", sent), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "shop.test")] if sent else []
            answer = t.client(gateway, source=source).get(f"/{number}", fields)
            check.equal(", ".join(check.fields(answer.json, "x-forwarded-for")), forwarded, "X-Forwarded-For")
            check.equal(gateway.log_line(path=f"/{number}")["client_address"], client, "client_address")
            proto = check.field(answer.json, "x-forwarded-proto")
            assert proto.startswith("https" if sent and source == "127.0.0.2" else "http"), proto
            assert (proto == "http") == (not sent or source == "127.0.0.3"), proto
            host = check.field(answer.json, "x-forwarded-host")
            assert host.startswith("shop.test" if sent and source == "127.0.0.2" else "gateway.test"), host


def test_junk_in_forwarded_for_of_a_trusted_peer(t):
    """What is no address ends the walk to the left; it never becomes the client's address in the log."""
    gateway = t.gateway(ALL, {"upstream": t.echo()}, trusted_proxies="[127.0.0.2]")
    answer = t.client(gateway, source="127.0.0.2").get("/junk", [("X-Forwarded-For", "not-an-address")])
    assert answer.status == 200
    check.equal(gateway.log_line(path="/junk")["client_address"], "127.0.0.2")


def test_request_id(t):
    """Taken over only from trusted proxies, else made and the client's logged as client_request_id."""
    gateway = t.gateway(ALL, {"upstream": t.echo()}, trusted_proxies="[127.0.0.2]")
    made = set()
    for number, (source, sent, kept) in enumerate((("127.0.0.1", None, False), ("127.0.0.1", "mine-1", False),
                                                   ("127.0.0.2", "mine-2", True), ("127.0.0.2", None, False))):
        with t.case(f"{source} says {sent}"):
            answer = t.client(gateway, source=source).get(f"/{number}", [("X-Request-Id", sent)] if sent else [])
            own = answer.get("x-request-id")
            check.equal(check.field(answer.json, "x-request-id"), own, "sent on")
            assert own and (own == sent) == kept, own
            entry = gateway.log_line(path=f"/{number}")
            check.equal(entry["request_id"], own, "logged")
            check.equal(entry.get("client_request_id"), sent if sent and not kept else None, "client_request_id")
            made.add(own)
    assert len(made) == 4, f"ids repeat: {made}"


def test_unfit_request_id_of_a_trusted_proxy(t):
    """An id that is empty or huge is not taken over."""
    gateway = t.gateway(ALL, {"upstream": t.echo()}, trusted_proxies="[127.0.0.2]")
    for sent in ("", "x" * 5000):
        with t.case(f"{len(sent)} bytes"):
            own = t.client(gateway, source="127.0.0.2").get("/", [("X-Request-Id", sent)]).get("x-request-id")
            assert own and own != sent


def test_host_to_the_upstream(t):
    """Contract, `host: received | target | a literal`."""
    echo = t.echo()
    client = t.client(t.gateway("""
upstreams:
  kept: { targets: ["http://127.0.0.1:@echo@"] }
  received: { targets: ["http://127.0.0.1:@echo@"], host: received }
  target: { targets: ["http://127.0.0.1:@echo@"], host: target }
  literal: { targets: ["http://127.0.0.1:@echo@"], host: inner.example }
apis:
  kept: { path: /kept, upstream: kept }
  received: { path: /received, upstream: received }
  target: { path: /target, upstream: target }
  literal: { path: /literal, upstream: literal }
""", {"echo": echo}))
    for name, want in (("kept", "outer.test:8080"), ("received", "outer.test:8080"), ("target", f"127.0.0.1:{echo.port}"),
                       ("literal", "inner.example")):
        with t.case(name):
            seen = client.get(f"/{name}", host="outer.test:8080").json
            check.equal(check.field(seen, "host"), want)
            check.equal(check.field(seen, "x-forwarded-host"), "outer.test:8080")


def test_values_and_order_of_other_fields_stay(t):
    """RFC 9110, section 5.3: the order of fields of one name matters."""
    client = t.client(t.front_of(t.echo()))
    fields = [("Accept", "a"), ("X-List", "1"), ("Cookie", "a=b; c=d"), ("X-List", "2"), ("X-Empty", ""), ("X-Obs", "\xe4\xff"),
              ("X-Tab", "a\tb"), ("X-List", "3, 4"), ("Authorization", "Basic eDp5")]
    client.send(encode_request("GET", "/", fields))
    seen = client.response().json
    names = {name.lower() for name, _ in fields}
    check.equal([tuple(pair) for pair in seen["fields"] if pair[0] in names and pair[0] != "x-list"],
                [(name.lower(), value) for name, value in fields if name != "X-List"])
    check.equal(check.fields(seen, "x-list"), ["1", "2", "3, 4"])
