"""Paths are normalised once; what is matched is what is sent (contract, section 2, Paths). The upstream is the judge."""

from harness import check
from harness.raw import encode_request

# (target sent, target that the upstream sees; None: 400)
TABLE = [
    ("/", "/"), ("/a", "/a"), ("/a/", "/a/"),
    # Unreserved escapes are decoded, hex is upper-cased, the rest stays (RFC 3986, section 6.2.2).
    ("/%61%62", "/ab"), ("/%7Euser", "/~user"), ("/%2D%2e%5f", "/-._"), ("/%41%5A%30", "/AZ0"),
    ("/%c3%a4", "/%C3%A4"), ("/%2b", "/%2B"), ("/a%20b", "/a%20b"), ("/%3f", "/%3F"), ("/%23", "/%23"), ("/%25", "/%25"),
    ("/%2561", "/%2561"), ("/%252e%252e/b", "/%252e%252e/b"), ("/%22", "/%22"), ("/%3b", "/%3B"),
    # Sub-delimiters stay as they are.
    ("/a;b=c,d", "/a;b=c,d"), ("/a!$&'()*+,;=:@b", "/a!$&'()*+,;=:@b"), ("/~tilde", "/~tilde"),
    # Dot segments are resolved once (RFC 3986, section 5.2.4), also encoded, also with parameters.
    ("/a/./b", "/a/b"), ("/a/b/..", "/a/"), ("/a/b/.", "/a/b/"), ("/a/../b", "/b"), ("/a/b/../../c", "/c"), ("/./a", "/a"),
    ("/a/%2e/b", "/a/b"), ("/a/%2e%2e/b", "/b"), ("/a/%2E./b", "/b"), ("/a/.%2e/b", "/b"),
    ("/a/..;/b", "/b"), ("/a/..;x=1/b", "/b"), ("/a/%2e%2e;/b", "/b"), ("/a/..;", "/"),
    ("/a/...", "/a/..."), ("/a/..b", "/a/..b"), ("/a/.b", "/a/.b"), ("/a..", "/a.."),
    # Above the root.
    ("/..", None), ("/../a", None), ("/a/../..", None), ("/a/../../b", None), ("/%2e%2e/a", None), ("/..;/a", None),
    ("/%2e%2e%2fa", "/..%2Fa"),
    # Repeated slashes are merged, after the dots: an empty segment is a segment (RFC 3986, section 5.2.4).
    ("//", "/"), ("//a", "/a"), ("/a//b", "/a/b"), ("/a///b//", "/a/b/"), ("/a//../b", "/a/b"),
    # An encoded slash or backslash is never a separator.
    ("/a%2Fb", "/a%2Fb"), ("/a%2fb", "/a%2Fb"), ("/a%5Cb", "/a%5Cb"), ("/a%5cb", "/a%5Cb"), ("/a/..%2fb", "/a/..%2Fb"),
    ("/%2F", "/%2F"), ("/a/%2F../b", "/a/%2F../b"),
    # Never allowed.
    ("/a%00", None), ("/%00", None), ("/a\\b", None), ("/a#b", None), ("/a%", None), ("/a%2", None), ("/a%zz", None), ("/a%2x", None),
    ("/\xe4", None), ("/a\x7f", None), ("/a\x01", None),
    # The query goes on untouched.
    ("/a?", "/a?"), ("/a?b=c&d=%2e%2f", "/a?b=c&d=%2e%2f"), ("/a?b//c/../d", "/a?b//c/../d"), ("/a?b?c", "/a?b?c"),
    ("/a?%zz", "/a?%zz"), ("/a/../b?c/../d", "/b?c/../d"), ("/?/../..", "/?/../.."),
]


def test_normalisation(t):
    echo = t.echo()
    gateway = t.gateway(values={"upstream": echo})
    client = t.client(gateway)
    for sent, want in TABLE:
        with t.case(repr(sent)):
            client.try_send(encode_request("GET", sent))
            answer = client.response()
            if not answer.keeps_open:
                client = t.client(gateway)
            if want is None:
                check.problem(answer, 400)
            else:
                check.equal(answer.status, 200, "status")
                check.equal(answer.json["target"], want, "target at the upstream")
    wanted = sum(want is not None for _, want in TABLE)
    check.equal(len(echo.requests), wanted, "requests that reached the upstream")


def test_bad_path_keeps_the_connection(t):
    """Contract, Strictness: only where framing is in doubt is the connection closed."""
    client = t.client(t.gateway(values={"upstream": t.echo()}))
    for target in ("/..", "/a%00", "/a%zz"):
        with t.case(target):
            answer = client.get(target)
            check.problem(answer, 400)
            assert answer.keeps_open
            client.expect_open()


def test_what_is_matched_is_what_is_sent(t):
    """A detour in the path reaches neither another route nor another target."""
    echo = t.echo()
    gateway = t.gateway("""
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
apis:
  open: { path: /open, upstream: one }
  closed: { path: /closed, routes: [ { name: no, respond: { status: 403 } } ] }
""", {"echo": echo})
    client = t.client(gateway)
    for target, status in (("/open/x", 200), ("/open/../closed/x", 403), ("/open/%2e%2e/closed/x", 403), ("/open/..;/closed/x", 403),
                           ("//closed/x", 403), ("/%63losed/x", 403), ("/open//..//closed", 200), ("/open/..//closed", 403), ("/closed/../open/y", 200),
                           ("/open/..%2fclosed", 200), ("/open%2f..%2fclosed", 404), ("/openx", 404), ("/open%2Fx", 404)):
        with t.case(target):
            answer = client.get(target)
            check.equal(answer.status, status, "status")
            if status == 200:
                assert answer.json["target"].startswith("/open/"), answer.json["target"]


def test_repeated_and_encoded_slashes_by_api(t):
    """Contract: `repeated_slash: keep | reject`, `encoded_slash: reject` per API."""
    echo = t.echo()
    client = t.client(t.gateway("""
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
apis:
  keep: { path: /keep, upstream: one, repeated_slash: keep }
  reject: { path: /reject, upstream: one, repeated_slash: reject }
  encoded: { path: /encoded, upstream: one, encoded_slash: reject }
""", {"echo": echo}))
    for sent, want in (("/keep/a//b", "/keep/a//b"), ("/keep/a/b", "/keep/a/b"), ("/reject/a/b", "/reject/a/b"), ("/reject/a//b", None),
                       ("/encoded/a", "/encoded/a"), ("/encoded/a%2Fb", None), ("/encoded/a%2fb", None),
                       ("/reject/a%2Fb", "/reject/a%2Fb")):
        with t.case(sent):
            answer = client.get(sent)
            if want is None:
                check.problem(answer, 400)
            else:
                check.equal(answer.json["target"], want)


def test_strip_path_and_base_path(t):
    """Contract: forwarded whole; strip_path removes it and sends X-Forwarded-Prefix; a target's base path comes before."""
    client = t.client(t.gateway("""
upstreams:
  root: { targets: ["http://127.0.0.1:@echo@"] }
  base: { targets: ["http://127.0.0.1:@echo@/base"] }
  slash: { targets: ["http://127.0.0.1:@echo@/base/"] }
apis:
  whole: { path: /api/v1/whole, upstream: root }
  strip: { path: /api/v1/strip, upstream: root, strip_path: true }
  based: { path: /based, upstream: base }
  both: { path: /both, upstream: base, strip_path: true }
  slashed: { path: /slashed, upstream: slash, strip_path: true }
""", {"echo": t.echo()}))
    for sent, want, prefix in (
            ("/api/v1/whole/5?q=1", "/api/v1/whole/5?q=1", None), ("/api/v1/strip/5?q=1", "/5?q=1", "/api/v1/strip"),
            ("/api/v1/strip", "/", "/api/v1/strip"), ("/api/v1/strip/", "/", "/api/v1/strip"), ("/based/x", "/base/based/x", None),
            ("/api/v1/strip?q", "/?q", "/api/v1/strip"), ("/both/x", "/base/x", "/both"), ("/slashed/x", "/base/x", "/slashed"),
            ("/api/v1/strip//x", "/x", "/api/v1/strip")):
        with t.case(sent):
            seen = client.get(sent).json
            check.equal(seen["target"], want, "target")
            check.equal(check.field(seen, "x-forwarded-prefix"), prefix, "X-Forwarded-Prefix")
