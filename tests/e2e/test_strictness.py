"""What is not HTTP/1.1 is refused (contract, section 3, Strictness; issue 8): 400 and closed where framing is in doubt."""

from harness import check
from harness.raw import encode_request

HOST = b"Host: x.test\r\n"

# name: (bytes, statuses). All of them end the connection. Sections are RFC 9112's.
CLOSED = {
    # 2.2: lines end with CRLF.
    "bare LF after the request line": (b"GET / HTTP/1.1\nHost: x.test\r\n\r\n", {400}),
    "bare LF after a field": (b"GET / HTTP/1.1\r\nHost: x.test\n\r\n", {400}),
    "bare LF at the end of the head": (b"GET / HTTP/1.1\r\nHost: x.test\r\n\n", {400}),
    "only LF": (b"GET / HTTP/1.1\nHost: x.test\n\n", {400}),
    "bare CR in the request line": (b"GET /\r HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "bare CR instead of CRLF": (b"GET / HTTP/1.1\rHost: x.test\r\r", {400}),
    "bare CR in a value": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\rc\r\n\r\n", {400}),
    "bare CR before CRLF": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\r\n\r\n", {400}),
    "CR CR LF ends the head": (b"GET / HTTP/1.1\r\n" + HOST + b"\r\r\n", {400}),
    "space before the first field": (b"GET / HTTP/1.1\r\n Host: x.test\r\n\r\n", {400}),
    # 3: the request line.
    "no version": (b"GET /\r\n\r\n", {400}),
    "two spaces": (b"GET  / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "two spaces before the version": (b"GET /  HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "tab": (b"GET\t/\tHTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "space at the end": (b"GET / HTTP/1.1 \r\n" + HOST + b"\r\n", {400}),
    "space at the start": (b" GET / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "method is no token": (b"GE(T / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "method missing": (b" / HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "target missing": (b"GET  HTTP/1.1\r\n" + HOST + b"\r\n", {400}),
    "small letters in the version": (b"GET / http/1.1\r\n" + HOST + b"\r\n", {400}),
    "version of many digits": (b"GET / HTTP/1.10\r\n" + HOST + b"\r\n", {400}),
    "version 11.1": (b"GET / HTTP/11.1\r\n" + HOST + b"\r\n", {400, 505}),
    "version without a minor": (b"GET / HTTP/1\r\n" + HOST + b"\r\n", {400}),
    "another protocol": (b"GET / ICY/1.1\r\n" + HOST + b"\r\n", {400}),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50 + b"\r\n\r\n", {400}),
    # 5: fields.
    "obs-fold with space": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n c\r\n\r\n", {400}),
    "obs-fold with tab": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\r\n\tc\r\n\r\n", {400}),
    "obs-fold of Host": (b"GET / HTTP/1.1\r\nHost:\r\n x.test\r\n\r\n", {400}),
    "space before the colon": (b"GET / HTTP/1.1\r\n" + HOST + b"A : b\r\n\r\n", {400}),
    "tab before the colon": (b"GET / HTTP/1.1\r\n" + HOST + b"A\t: b\r\n\r\n", {400}),
    "space before the colon of a length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length : 3\r\n\r\nabc", {400}),
    "no colon": (b"GET / HTTP/1.1\r\n" + HOST + b"Abc\r\n\r\n", {400}),
    "empty name": (b"GET / HTTP/1.1\r\n" + HOST + b": b\r\n\r\n", {400}),
    "name is no token": (b"GET / HTTP/1.1\r\n" + HOST + b"A(b: c\r\n\r\n", {400}),
    "name beyond ASCII": (b"GET / HTTP/1.1\r\n" + HOST + b"A\xe4: c\r\n\r\n", {400}),
    "space in a name": (b"GET / HTTP/1.1\r\n" + HOST + b"A b: c\r\n\r\n", {400}),
    "NUL in a value": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x00c\r\n\r\n", {400}),
    "control in a value": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x01c\r\n\r\n", {400}),
    "DEL in a value": (b"GET / HTTP/1.1\r\n" + HOST + b"A: b\x7fc\r\n\r\n", {400}),
    # 3.2: Host.
    "no Host": (b"GET / HTTP/1.1\r\n\r\n", {400}),
    "two Hosts": (b"GET / HTTP/1.1\r\n" + HOST + b"Host: y.test\r\n\r\n", {400}),
    "two equal Hosts": (b"GET / HTTP/1.1\r\n" + HOST + HOST + b"\r\n", {400}),
    "two Hosts beside an absolute target": (b"GET http://x.test/ HTTP/1.1\r\n" + HOST + HOST + b"\r\n", {400}),
    # 6: framing.
    "length and chunked": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "chunked and length": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", {400}),
    "two lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc", {400}),
    "two equal lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", {400}),
    "list of equal lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 3\r\n\r\nabc", {400}),
    "list of lengths": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3, 4\r\n\r\nabc", {400}),
    "empty length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length:\r\n\r\nabc", {400}),
    "signed length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: +3\r\n\r\nabc", {400}),
    "negative length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\nabc", {400}),
    "hex length": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 0x3\r\n\r\nabc", {400}),
    "length with a space": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3 3\r\n\r\nabc", {400}),
    "length with a point": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 3.0\r\n\r\nabc", {400}),
    "length beyond 64 bits": (b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 18446744073709551619\r\n\r\nabc", {400, 413}),
    "chunked twice": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", {400}),
    "chunked in two fields": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "chunked not last": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", {400, 501}),
    "chunked with a parameter": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", {400, 501}),
    "empty coding": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n", {400}),
    "vertical tab before chunked": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", {400}),
    "quoted chunked": (b"POST / HTTP/1.1\r\n" + HOST + b'Transfer-Encoding: "chunked"\r\n\r\n0\r\n\r\n', {400, 501}),
    "coding in HTTP/1.0": (b"POST / HTTP/1.0\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {400}),
    "identity": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", {400, 501}),
    # Contract: 501 unknown transfer coding (RFC 9112, section 6.1); 505 major version not 1 or 2.
    "unknown coding before chunked": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", {501}),
    "unknown coding alone": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: cow\r\n\r\n0\r\n\r\n", {400, 501}),
    "nearly chunked": (b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", {400, 501}),
    "version 3.0": (b"GET / HTTP/3.0\r\n" + HOST + b"\r\n", {505}),
    "version 0.9": (b"GET / HTTP/0.9\r\n" + HOST + b"\r\n", {505}),
}


def test_refused_and_closed(t):
    echo = t.echo()
    gateway = t.gateway(values={"upstream": echo})
    for name, (sent, statuses) in CLOSED.items():
        with t.case(name):
            client = t.client(gateway)
            # What follows must never be answered: it may be the smuggled part.
            client.send(sent + b"GET /smuggled HTTP/1.1\r\nHost: x.test\r\n\r\n")
            answer = client.response()
            assert answer.status in statuses, f"{answer.status} instead of {statuses}"
            check.problem(answer, answer.status)
            check.equal(answer.get("connection"), "close", "connection")
            client.expect_closed()
    assert echo.requests == [], [(request.target, request.fields) for request in echo.requests]
    assert t.client(gateway).get("/").status == 200


# A Host that is no host (RFC 9112, section 3.2: 400). Framing is clear; the contract leaves open whether it closes.
BAD_HOSTS = ["a b", "a,b", "a/b", "user@a", "a:b", "a:99999999", "[::1", "a?b", "a#b", "a\\b", "<a>", "a%zz", "\xe4.test"]


def test_bad_hosts(t):
    echo = t.echo()
    gateway = t.gateway(values={"upstream": echo})
    for host in BAD_HOSTS:
        with t.case(host):
            check.problem(t.client(gateway).get("/", host=host), 400)
    for target in ("http://a b/", "http:///x", "http://user@x.test/", "ftp://x.test/", "x.test/a", "//", "?a", "http:/x"):
        with t.case(f"target {target}"):
            if target == "//":
                continue  # a path, see test_paths
            check.problem(t.client(gateway).get(target), 400)
    assert echo.requests == []


# RFC 9112 and contract: accepted although unusual.
ACCEPTED = {
    "obs-text in a value": b"GET / HTTP/1.1\r\n" + HOST + b"A: \xe4\xf6\r\n\r\n",
    "empty value": b"GET / HTTP/1.1\r\n" + HOST + b"A:\r\n\r\n",
    "no space after the colon": b"GET / HTTP/1.1\r\nHost:x.test\r\nA:b\r\n\r\n",
    "tabs and spaces around a value": b"GET / HTTP/1.1\r\n" + HOST + b"A: \t b \t \r\n\r\n",
    "tab within a value": b"GET / HTTP/1.1\r\n" + HOST + b"A: b\tc\r\n\r\n",
    "every byte of a token": b"GET / HTTP/1.1\r\n" + HOST + b"!#$%&'*+-.^`|~aZ09: b\r\n\r\n",
    "other letters": b"POST / HTTP/1.1\r\nhOsT: x.test\r\ntRANSFER-eNCODING: ChUnKeD\r\n\r\n0\r\n\r\n",
    "leading zeros in a length": b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 003\r\n\r\nabc",
    "minor version 2": b"GET / HTTP/1.2\r\n" + HOST + b"\r\n",
    "host with port": b"GET / HTTP/1.1\r\nHost: x.test:8080\r\n\r\n",
    "host without a port's digits": b"GET / HTTP/1.1\r\nHost: x.test:\r\n\r\n",
    "IPv6 host": b"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n",
    "CRLF before the request": b"\r\nGET / HTTP/1.1\r\n" + HOST + b"\r\n",
}


def test_accepted_although_unusual(t):
    gateway = t.gateway(values={"upstream": t.echo()})
    for name, sent in ACCEPTED.items():
        with t.case(name):
            client = t.client(gateway)
            client.send(sent)
            assert client.response().status == 200
            client.expect_open()


def test_methods_that_no_gateway_passes(t):
    """Contract, section 3: TRACE and CONNECT are 405, with Allow (RFC 9110, section 15.5.6)."""
    echo = t.echo()
    gateway = t.gateway(values={"upstream": echo})
    for head in (b"TRACE / HTTP/1.1\r\n" + HOST, b"CONNECT x.test:443 HTTP/1.1\r\nHost: x.test:443\r\n"):
        with t.case(head.split()[0].decode()):
            client = t.client(gateway)
            client.send(head + b"\r\n")
            answer = client.response()
            check.problem(answer, 405)
            assert answer.has("allow")
    assert echo.requests == []


def test_refused_pipelined_after_good_ones(t):
    """What came before the bad request is still answered, in order."""
    client = t.client(t.gateway(values={"upstream": t.echo()}))
    client.send(encode_request("GET", "/1") + encode_request("GET", "/2") + b"GET / HTTP/1.1\r\nBad : x\r\n\r\n")
    check.equal([client.response().json["target"] for _ in range(2)], ["/1", "/2"])
    check.problem(client.response(), 400)
    client.expect_closed()
