"""Answers of unusual shape: ended by the close, earlier than the request's end, larger than memory."""

import threading
import time

from harness import message
from harness.raw import encode_request


def test_close_delimited_answer_is_framed_anew(t):
    """RFC 9112, section 6.3, rule 8; a 1.1 client gets chunks and keeps its connection."""

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", b"one", b"two")

    client = t.client(t.front_of(t.upstream(script)))
    for _ in range(3):
        answer = client.get("/")
        assert answer.body == b"onetwo" and answer.framing == "chunked" and answer.keeps_open


def test_answer_of_an_http_10_upstream(t):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.0 200 OK\r\nX-Old: yes\r\n\r\nold body")

    client = t.client(t.front_of(t.upstream(script)))
    for _ in range(2):
        answer = client.get("/")
        assert answer.version == "HTTP/1.1" and answer.body == b"old body" and answer.get("x-old") == "yes"


def test_http_10_upstream_that_keeps_its_connection(t):
    """RFC 9112, section 9.3: `Connection: keep-alive` of a 1.0 server with a length."""

    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold")

    client = t.client(t.front_of(t.upstream(script)))
    for _ in range(2):
        assert client.get("/").body == b"old"


def test_early_answer_while_the_body_is_coming(t):
    """RFC 9112, section 9.5 and issue 8: the client hears it before it has sent everything."""

    def script(connection):
        connection.read_head()
        connection.answer(b"enough", "403 Forbidden", [("Connection", "close")])
        connection.wait_for_close()

    client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
    client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: 1000000\r\n\r\n" + b"z" * 1000)
    answer = client.response()
    assert answer.status == 403 and answer.body == b"enough"
    # Then either the rest is read and dropped, or the connection ends; never is body taken for a request.
    if answer.keeps_open:
        if client.try_send(b"z" * 999_000, encode_request("GET", "/next")):
            try:
                assert client.response().status == 403
            except message.Closed as closed:
                assert not closed.received
    else:
        client.expect_closed()


def test_early_answer_and_upload_side_by_side(t):
    """The answer streams while the request's body still streams (architecture, section 2)."""

    def script(connection):
        request = connection.read_head()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert request.get("transfer-encoding") == "chunked"
        while True:
            size = int(connection.reader.line(), 16)
            data = connection.reader.exact(size + 2)[:-2]
            if not size:
                break
            connection.send(b"%x\r\n%s\r\n" % (size, data.upper()))
        connection.send(b"0\r\n\r\n")

    client = t.client(t.gateway(values={"upstream": t.upstream(script)}))
    client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n")
    head = client.head()
    assert head.status == 200
    for letter in b"bcdef":
        client.send(b"1\r\n%c\r\n" % letter)
        wanted = bytes([letter - 33])  # the answer to the letter before
        t.poll(f"{wanted} comes back", lambda: wanted in client.reader.buffer or client.reader.fill() and False)
    client.send(b"0\r\n\r\n")
    assert client.body(head).body == b"ABCDEF"


def test_slow_client_bounds_memory(t):
    """Architecture, section 4, Bodies: memory for an exchange is bounded whatever the sizes."""
    size, megabyte = 64, b"x" * 1_000_000

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (size * len(megabyte)))
        for _ in range(size):
            connection.send(megabyte)
            sent.append(1)

    sent = []
    gateway = t.gateway(values={"upstream": t.upstream(script)})
    before = gateway.resident_bytes()
    clients = [t.client(gateway, receive_buffer=4096) for _ in range(4)]
    for client in clients:
        client.send(encode_request("GET", "/"))
        client.reader.exact(1)
    # Nothing more is read: what the sockets do not hold must stay with the upstream.
    seen = [-1]

    def stalled():
        earlier, seen[0] = seen[0], len(sent)
        time.sleep(0.3)
        return seen[0] == earlier

    t.poll("back-pressure reaches the upstream", stalled)
    assert len(sent) < size * len(clients), "everything was taken from the upstream"
    grown = gateway.resident_bytes() - before
    assert grown < 8_000_000, f"the gateway holds {grown} bytes that its clients do not read"
    for client in clients:
        client.reset()


def test_slow_upstream_bounds_memory(t):
    release = threading.Event()

    def script(connection):
        request = connection.read_head()
        release.wait(20)
        connection.answer(b"%d" % len(connection.read_body(request).body))

    gateway = t.gateway(values={"upstream": t.upstream(script)}, limits="{ request_body: 1GiB }",
                        timeouts="{ body_progress: 30s }")
    client = t.client(gateway)
    before, total = gateway.resident_bytes(), 40_000_000
    client.send(b"POST / HTTP/1.1\r\nHost: x.test\r\nContent-Length: %d\r\n\r\n" % total)
    sender = threading.Thread(target=lambda: client.sock.sendall(b"y" * total), daemon=True)
    client.sock.settimeout(30)
    sender.start()
    sender.join(1.0)
    assert sender.is_alive(), "everything was taken from the client"
    assert gateway.resident_bytes() - before < 8_000_000
    release.set()
    sender.join(20)
    assert client.response().body == b"%d" % total
