"""`Expect: 100-continue` (RFC 9110, section 10.1.1) and other interim answers (section 15.2)."""

import threading

from harness.raw import encode_request

ASKS = b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"


def test_expectation_is_forwarded_and_100_comes_back(t):
    def script(connection):
        while True:
            request = connection.read_head()
            assert (request.get("expect") or "").lower() == "100-continue"
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.answer(connection.read_body(request).body)

    client = t.client(t.front_of(t.upstream(script)))
    for _ in range(2):
        client.send(ASKS)
        assert client.head().status == 100
        client.send(b"abc")
        answer = client.response()
        assert answer.body == b"abc" and answer.interim == []


def test_upstream_rejects_the_expectation(t):
    """The final answer comes without a 100 and without the body having been sent."""

    def script(connection):
        connection.read_head()
        connection.answer(b"no", "417 Expectation Failed")
        connection.wait_for_close()

    client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
    client.send(ASKS)
    answer = client.response()
    assert answer.status == 417 and answer.interim == [] and answer.body == b"no"


def test_gateway_says_100_when_the_upstream_says_nothing(t):
    """Contract, section 3: the gateway says 100 itself after 1 s."""
    client = t.client(t.gateway(values={"upstream": t.echo()}))
    for _ in range(2):
        client.send(ASKS)
        assert client.head().status == 100
        client.send(b"abc")
        answer = client.response()
        assert answer.json["body"] == "abc"
        assert answer.interim == [], "100 was said twice"


def test_only_one_100(t):
    """An upstream that says 100 after the gateway did adds no second one that would confuse the client: still only 1xx."""

    def script(connection):
        request = connection.read_head()
        connection.reader.fill()  # the body comes because the gateway said 100
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.answer(connection.read_body(request).body)

    client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
    client.send(ASKS)
    assert client.head().status == 100
    client.send(b"abc")
    answer = client.response()
    assert answer.body == b"abc" and len(answer.interim) <= 1


def test_body_sent_without_waiting(t):
    client = t.client(t.gateway(values={"upstream": t.echo()}))
    client.send(ASKS + b"abc")
    assert client.response().json["body"] == "abc"
    client.expect_open()


def test_http_10_gets_no_100(t):
    """RFC 9110, section 10.1.1: the expectation of an HTTP/1.0 client is ignored; section 15.2: it gets no 1xx."""
    client = t.client(t.gateway(values={"upstream": t.echo()}))
    client.send(b"POST / HTTP/1.0\r\nHost: x.test\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc")
    answer = client.response()
    assert answer.interim == [] and answer.json["body"] == "abc"


def test_gateway_answers_without_asking_for_the_body(t):
    """An answer of the gateway's own needs no body: no 100 before a 404."""
    client = t.client(t.gateway("apis:\n  a: { path: /a, routes: [ { name: r, respond: { status: 204 } } ] }\n"))
    client.send(ASKS)
    answer = client.response()
    assert answer.status == 404 and answer.interim == []


def test_early_hints_pass(t):
    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
                            b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>; rel=preload\r\n\r\n")
            connection.answer(b"page")

    client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
    for _ in range(2):
        answer = client.get("/")
        assert answer.body == b"page"
        assert [(interim.status, interim.get("link")[:7]) for interim in answer.interim] == [(103, "</a.css"), (103, "</b.css")]
    client.send(b"GET / HTTP/1.0\r\nHost: x.test\r\n\r\n")
    answer = client.response()
    assert answer.body == b"page" and answer.interim == []


def test_hints_arrive_before_the_answer_is_ready(t):
    release = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        release.wait(10)
        connection.answer(b"page")

    client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
    client.send(encode_request("GET", "/"))
    assert client.head().status == 103
    release.set()
    assert client.response().body == b"page"


def test_endless_interim_answers(t):
    """Everything has a limit: an upstream that never comes to the final answer is 502 or 504."""

    def script(connection):
        connection.read_request()
        while True:
            connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" * 100)

    client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
    client.send(encode_request("GET", "/"))
    answer = client.response()
    assert answer.status in (502, 504), answer.status
