"""Streams on a listener with TLS of its own: HTTP, passthrough and terminated streams on one port (docs/streams.md)."""

import os
import socket
import ssl

from harness import check, plain, ports
from harness.tls import Authority, TlsClient, TlsServer, client_context

GATEWAY = """version: 1
gateway:
  listen:
    - { name: public, address: 127.0.0.1:@port@, tls: { certificates: [shop, mail] }, proxy_protocol: @in@ }
  status: { address: 127.0.0.1:@status@ }
  workers: 2
  io: @io@
  trusted_proxies: [127.0.0.0/8]
  timeouts: { header: 2s }
certificates:
  shop: { cert: @shop_cert@, key: @shop_key@ }
  mail: { cert: @mail_cert@, key: @mail_key@ }
trust: { own: { ca: @ca@ } }
upstreams:
  echo: { targets: ["tcp://127.0.0.1:@echo@"], proxy_protocol: @out@ }
  secret: { targets: ["https://127.0.0.1:@secret@"], tls: { ca: own, sni: secret.test } }
streams:
  mail: { listener: public, sni: mail.test, tls: terminate, upstream: echo }
  pass: { listener: public, sni: secret.test, tls: passthrough, upstream: secret }
  again: { listener: public, sni: again.test, tls: terminate, upstream: secret }
apis:
  web: { path: /, routes: [ { name: r, respond: { body: web } } ] }
"""


class _Setting:
    def __init__(self, t, **more):
        self.ca = Authority(t.folder)
        shop, mail = self.ca.issue("shop", "shop.test"), self.ca.issue("mail", "mail.test", "again.test")
        self.secret = TlsServer(t, self.ca.issue("secret", "secret.test"))
        self.echo = plain.TcpServer(more.pop("script", plain.echo))
        t.on_end(self.echo.stop)
        values = {"shop_cert": shop[0], "shop_key": shop[1], "mail_cert": mail[0], "mail_key": mail[1], "ca": self.ca.cert, "in": "off",
                  "out": "off", "echo": self.echo.port, "secret": self.secret.port, "io": os.environ.get("E2E_IO", "auto"), **more}
        self.gateway = t.gateway(values=values, whole_file=GATEWAY)
        self.context = client_context(self.ca.cert)

    def connect(self, name, context=None, said=b""):
        sock = plain.connect(self.gateway.port)
        sock.sendall(said)
        return (context or self.context).wrap_socket(sock, server_hostname=name)


def test_http_and_streams_share_a_port(t):
    s = _Setting(t)
    with t.case("HTTP by the listener's own TLS"):
        check.equal(TlsClient(t, s.gateway.port, "shop.test", s.context).get("/").body, b"web")
    with t.case("terminated"):
        with s.connect("mail.test") as sock:
            sock.sendall(b"hello")
            check.equal(plain.receive(sock, 5), b"hello")
        line = s.gateway.log_line(stream="mail")
        check.equal((line["protocol"], line["host"], line["request_bytes"], line["response_bytes"]), ("tls", "mail.test", 5, 5))
    with t.case("passthrough: the target's own certificate"):
        answer = TlsClient(t, s.gateway.port, "secret.test", s.context)
        check.equal(answer.sock.getpeercert()["subject"], ((("commonName", "secret"),),))
        check.equal(answer.get("/x").body.split(b" ")[0], b"/x")
    with t.case("terminated, and TLS to the target again"):
        client = TlsClient(t, s.gateway.port, "again.test", s.context)
        check.equal(client.sock.getpeercert()["subject"], ((("commonName", "mail"),),))
        check.equal(client.get("/y").body.split(b" ")[0], b"/y")
        check.equal(s.secret.names[-1], "secret.test")
    with t.case("a name that nobody has is HTTP, with the first certificate"):
        client = TlsClient(t, s.gateway.port, "other.test", client_context())
        check.equal(client.get("/").body, b"web")
    with t.case("no name"):
        context = client_context()
        sock = context.wrap_socket(plain.connect(s.gateway.port))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
    with t.case("no TLS"):
        # RFC 8446, section 6.2: an alert is allowed before the connection ends, not demanded.
        assert plain.resets(s.gateway.port, b"GET / HTTP/1.1\r\n\r\n") or s.gateway.metrics().sum("sluice_tls_handshake_failures_total") == 1


def test_large_transfers_and_ends_through_terminated_tls(t):
    s = _Setting(t)
    data = os.urandom(3_000_000)
    with s.connect("mail.test") as sock:
        sent = 0
        got = b""
        sock.settimeout(10)
        while sent < len(data):
            part = data[sent:sent + 100_000]
            sock.sendall(part)
            sent += len(part)
            got += plain.receive(sock, len(part))
        assert got == data
        sock.unwrap()  # close_notify both ways: the echo's end comes back as one
    line = s.gateway.log_line(stream="mail")
    check.equal((line.get("error_code"), line["request_bytes"]), (None, len(data)))


def test_terminated_streams_choose_no_protocol(t):
    """ALPN of the listener is HTTP's: for a stream none is chosen, and an unknown one is no error."""
    s = _Setting(t)
    for offered in (["h2"], ["imap"]):
        with t.case(offered):
            with s.connect("mail.test", client_context(s.ca.cert, protocols=offered)) as sock:
                check.equal(sock.selected_alpn_protocol(), None)
                sock.sendall(b"x")
                check.equal(plain.receive(sock, 1), b"x")


def test_a_target_that_is_not_trusted(t):
    s = _Setting(t)
    other = TlsServer(t, Authority(t.folder, "other-ca").issue("secret", "secret.test"))
    s.gateway.values["secret"] = other.port
    s.gateway.write_whole(GATEWAY)
    s.gateway.reload()
    with s.connect("again.test") as sock:
        try:
            sock.sendall(b"x")
            data = sock.recv(1)
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            data = b""
        check.equal(data, b"")
    check.equal(s.gateway.log_line(stream="again")["error_code"], "upstream_tls_failed")


def test_proxy_header_before_tls(t):
    """Section 2 of the PROXY protocol: the header comes first, whatever follows; and goes on before ours."""
    headers = []

    def script(sock):
        headers.append(plain.receive(sock, len(b"PROXY TCP4 198.51.100.7 192.0.2.1 5678 443\r\n")))
        plain.echo(sock)

    s = _Setting(t, script=script, **{"in": "required", "out": "v1"})
    said = b"PROXY TCP4 198.51.100.7 192.0.2.1 5678 443\r\n"
    with s.connect("mail.test", said=said) as sock:
        sock.sendall(b"hello")
        check.equal(plain.receive(sock, 5), b"hello")
    check.equal(headers, [said])
    check.equal(s.gateway.log_line(stream="mail")["client_address"], "198.51.100.7")
    with s.connect("shop.test", said=said) as sock:
        sock.sendall(b"GET /p HTTP/1.1\r\nHost: shop.test\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 200")
    check.equal(s.gateway.log_line(path="/p")["client_address"], "198.51.100.7")
