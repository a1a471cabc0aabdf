"""Routes that the gateway answers itself: `respond` and `redirect` (contract, section 2)."""

from harness import check
from harness.raw import encode_request

RESPOND = """
apis:
  a:
    path: /a
    routes:
      - { name: full, path: /full, respond: { status: 200, headers: { content-type: text/plain, x-own: yes }, body: ok } }
      - { name: empty, path: /empty, respond: { status: 204 } }
      - { name: error, path: /error, respond: { status: 503, body: "closed for today" } }
      - name: lines
        path: /lines
        respond:
          status: 201
          body: |
            one
            two
"""


def test_respond(t):
    client = t.client(t.gateway(RESPOND))
    answer = client.get("/a/full")
    check.equal((answer.status, answer.body, answer.get("content-type"), answer.get("x-own")), (200, b"ok", "text/plain", "yes"))
    check.equal(answer.get("content-length"), "2")
    assert answer.has("date")
    answer = client.get("/a/empty")
    check.equal((answer.status, answer.body), (204, b""))
    answer = client.get("/a/error")
    check.equal((answer.status, answer.body), (503, b"closed for today"))
    check.equal(client.get("/a/lines").body, b"one\ntwo\n")
    answer = client.request("HEAD", "/a/full")
    check.equal((answer.status, answer.get("content-length"), answer.body), (200, "2", b""))
    answer = client.request("POST", "/a/full", body=b"dropped" * 1000)
    check.equal(answer.status, 200)
    client.expect_open("/a/full")


def test_respond_pipelined(t):
    client = t.client(t.gateway(RESPOND))
    client.send(encode_request("GET", "/a/full") * 100)
    for _ in range(100):
        check.equal(client.response().body, b"ok")


def test_redirect(t):
    client = t.client(t.gateway("""
apis:
  a:
    path: /api
    routes:
      - { name: old, path: "/old/{rest**}", redirect: { to: "/api/new/{rest}", status: 308 } }
      - { name: one, path: "/one/{id}", redirect: { to: "https://other.test/items/{id}", status: 301 } }
      - { name: plain, path: /plain, redirect: { to: /elsewhere } }
"""))
    for target, status, location in (
            ("/api/old/x/y", 308, "/api/new/x/y"), ("/api/old/x%2Fy", 308, "/api/new/x%2Fy"), ("/api/one/7", 301, "https://other.test/items/7"),
            ("/api/one/a%20b", 301, "https://other.test/items/a%20b"), ("/api/plain", None, "/elsewhere")):
        with t.case(target):
            answer = client.get(target)
            assert answer.status == status or (status is None and answer.status in (301, 302, 303, 307, 308)), answer.status
            check.equal(answer.get("location"), location, "Location")
    with t.case("nothing in the target becomes a field of the answer"):
        answer = client.get("/api/one/a%0d%0aSet-Cookie:%20x=1")
        assert not answer.has("set-cookie")
        assert answer.status == 400 or "\r" not in answer.get("location")
    client.expect_open("/api/plain", client.get("/api/plain").status)
