"""Errors are problem details (RFC 9457; contract, section 3) and tell nothing of the inside."""

from harness import check
from harness.raw import encode_request

ENTITIES = """
upstreams:
  absent: { targets: ["http://127.0.0.1:@absent@"] }
policies: [ { request_id: {} } ]
apis:
  a:
    path: /a
    routes:
      - { name: get, path: /get, methods: [GET], respond: { status: 200 } }
      - { name: key, path: /key, policies: [ { api_key: {} } ], respond: { status: 200 } }
      - { name: limit, path: /limit, policies: [ { rate_limit: { rate: 1/1h, burst: 1, key: route } } ], respond: { status: 200 } }
      - { name: gone, path: /gone, upstream: absent }
"""


def test_every_error_is_a_problem(t):
    gateway = t.gateway(ENTITIES, {"absent": t.free_port()}, limits="{ request_target: 1KiB, request_body: 100 }")
    t.client(gateway).get("/a/limit")
    codes = {}
    for name, sent, status in (
            ("malformed", b"GET / HTTP/1.1\r\nA : b\r\n\r\n", 400), ("path", encode_request("GET", "/%00"), 400),
            ("key", encode_request("GET", "/a/key"), 401), ("not found", encode_request("GET", "/nowhere"), 404),
            ("no route", encode_request("GET", "/a/nowhere"), 404), ("method", encode_request("PUT", "/a/get"), 405),
            ("body", encode_request("POST", "/a/get", body=b"z" * 101), (413, 405)), ("target", encode_request("GET", "/" + "a" * 2000), 414),
            ("limit", encode_request("GET", "/a/limit"), 429), ("upstream", encode_request("GET", "/a/gone"), 502),
            ("version", b"GET / HTTP/4.0\r\nHost: a\r\n\r\n", 505)):
        with t.case(name):
            client = t.client(gateway)
            client.send(sent)
            answer = client.response()
            if isinstance(status, tuple):
                assert answer.status in status
                status = answer.status
            told = check.problem(answer, status)
            check.equal(int(answer.get("content-length")), len(answer.body))
            if name not in ("malformed", "path", "target", "version"):  # those run no policy, so not `request_id` either
                check.equal(answer.get("x-request-id"), told["request_id"], "X-Request-Id")
            assert answer.has("date")
            codes[name] = told["code"]
            text = answer.body.decode()
            for inside in (str(gateway.values["absent"]), "127.0.0.1", "errno", "refused (", ".cpp"):
                assert inside not in text, f"{inside} leaves in {text}"
            entry = gateway.log_line(request_id=told["request_id"])
            check.equal((entry["status"], entry["error_by"], entry["error_code"]),
                        (status, "upstream" if name == "upstream" else entry["error_by"], told["code"]))
    assert codes.get("key") != codes.get("limit"), codes
    for code in codes.values():
        assert code and all(letter.islower() or letter.isdigit() or letter == "_" for letter in code), code


def test_head_of_an_error_has_no_body(t):
    client = t.client(t.gateway(ENTITIES, {"absent": t.free_port()}))
    answer = client.request("HEAD", "/nowhere")
    check.equal((answer.status, answer.get("content-type")), (404, "application/problem+json"))
    client.expect_open("/a/get")


def test_what_the_client_sent_is_not_echoed_raw(t):
    """No bytes of the request become part of an answer unescaped."""
    client = t.client(t.gateway(ENTITIES, {"absent": t.free_port()}))
    answer = client.get('/%22%3Cscript%3E"', host="gateway.test")
    answer.json  # parses
    assert b"<script>" not in answer.body


def test_upstream_errors_pass_as_they_are(t):
    """A status of the upstream's own is not ours to change."""
    def script(connection):
        while True:
            connection.read_request()
            connection.answer(b"their words", "500 Internal Server Error", [("Content-Type", "text/plain")])

    gateway = t.gateway(values={"upstream": t.upstream(script)})
    answer = t.client(gateway).get("/x")
    check.equal((answer.status, answer.body, answer.get("content-type")), (500, b"their words", "text/plain"))
    entry = gateway.log_line(path="/x")
    check.equal((entry["status"], entry.get("error_by", "upstream")), (500, "upstream"))
