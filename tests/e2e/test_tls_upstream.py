"""TLS towards upstreams (contract, section 2, `upstreams.*.tls`; docs/tls.md)."""

import ssl

from harness import check, patience, ports
from harness.tls import Authority, TlsServer

DOCUMENT = """
upstreams:
  u: { targets: [@targets@], tls: { @tls@ }, retry: { attempts: 1 } }
apis:
  a: { path: /, upstream: u }
@more@
"""


def gateway_of(t, targets, tls="", more="", **options):
    targets = ", ".join(f'"{target}"' for target in targets)
    text = DOCUMENT.replace("@targets@", targets).replace("@tls@", tls).replace("@more@", more)
    return t.gateway(text.replace("tls: {  }, ", ""), **options)


def test_verified_target_gets_requests_on_kept_connections(t):
    ca = Authority(t.folder)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with t.case(version.name):
            server = TlsServer(t, ca.issue("ledger", "localhost"), version=version, protocols=["http/1.1"])
            gateway = gateway_of(t, [f"https://localhost:{server.port}"], "ca: ours", f"trust: {{ ours: {{ ca: {ca.cert} }} }}")
            client = t.client(gateway)
            for i in range(5):
                answer = client.get(f"/{i}")
                check.equal((answer.status, answer.body.split(b"\n")[0]), (200, b"/%d by nobody alpn http/1.1" % i))
            check.equal(server.names, ["localhost"], "one connection, with SNI")


def test_what_cannot_be_verified_is_502(t):
    """Chain, name, time; the log and the metric say why, the client does not."""
    ca, other = Authority(t.folder), Authority(t.folder, "other")
    trust = f"trust: {{ ours: {{ ca: {ca.cert} }} }}"
    rows = (("another CA", other.issue("a", "localhost"), "ca: ours", "untrusted_certificate"),
            ("the system's CAs", ca.issue("b", "localhost"), "", "untrusted_certificate"),
            ("another name", ca.issue("c", "elsewhere.test"), "ca: ours", "wrong_host"),
            ("another sni", ca.issue("d", "localhost"), "ca: ours, sni: elsewhere.test", "wrong_host"),
            ("expired", ca.issue("e", "localhost", start="20200101000000Z", end="20210101000000Z"), "ca: ours", "expired_certificate"))
    for name, certificate, tls, reason in rows:
        with t.case(name):
            server = TlsServer(t, certificate)
            gateway = gateway_of(t, [f"https://localhost:{server.port}"], tls, trust)
            told = check.problem(t.client(gateway).get("/"), 502, "upstream_tls_failed")
            assert "localhost" not in str(told) and "expired" not in str(told), told
            patience.poll("the log says why", lambda: f"failed: {reason}" in gateway.said())
            check.equal(gateway.metrics().sum("sluice_upstream_requests_total", result="connect_failure"), 1)


def test_name_address_and_no_verification(t):
    ca = Authority(t.folder)
    trust = f"trust: {{ ours: {{ ca: {ca.cert} }} }}"
    rows = (("sni", ca.issue("ledger", "ledger.test"), "ca: ours, sni: ledger.test", ["ledger.test"]),
            ("an address in the certificate", ca.issue("address", "IP:127.0.0.1"), "ca: ours", [None]),
            ("verify: false", ca.issue("any", "elsewhere.test"), "verify: false", [None]))
    for name, certificate, tls, names in rows:
        with t.case(name):
            server = TlsServer(t, certificate)
            gateway = gateway_of(t, [f"https://127.0.0.1:{server.port}"], tls, trust)
            check.equal((t.client(gateway).get("/").status, server.names), (200, names))


def test_client_certificate_is_shown_to_the_target(t):
    ca = Authority(t.folder)
    cert, key = ca.issue("gateway", "gateway.test")
    server = TlsServer(t, ca.issue("ledger", "localhost"), ca=ca.cert)
    more = f"trust: {{ ours: {{ ca: {ca.cert} }} }}\ncertificates: {{ me: {{ cert: {cert}, key: {key} }} }}"
    with_one = gateway_of(t, [f"https://localhost:{server.port}"], "ca: ours, certificate: me", more)
    assert t.client(with_one).get("/").body.startswith(b"/ by gateway")
    without = gateway_of(t, [f"https://localhost:{server.port}"], "ca: ours", more)
    check.equal(t.client(without).get("/").status, 502)


def test_sessions_are_resumed(t):
    ca = Authority(t.folder)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with t.case(version.name):
            server = TlsServer(t, ca.issue("ledger", "localhost"), version=version)
            text = DOCUMENT.replace("tls: {", "timeouts: { idle: 0s }, tls: {")
            text = text.replace("@targets@", f'"https://localhost:{server.port}"').replace("@tls@", "ca: ours")
            gateway = t.gateway(text.replace("@more@", f"trust: {{ ours: {{ ca: {ca.cert} }} }}"), workers="1")
            client = t.client(gateway)
            for _ in range(4):
                check.equal(client.get("/").status, 200)
            patience.poll("all connections are told of", lambda: len(server.resumed) == 4)
            check.equal(server.resumed, [False, True, True, True])


def test_new_trust_makes_new_connections(t):
    """TLS is a part of a target's identity: after a reload nothing goes over what another rule has let through."""
    ca, other = Authority(t.folder), Authority(t.folder, "other")
    server = TlsServer(t, ca.issue("ledger", "localhost"))
    more = f"trust: {{ ours: {{ ca: {ca.cert} }}, theirs: {{ ca: {other.cert} }} }}"
    gateway = gateway_of(t, [f"https://localhost:{server.port}"], "ca: ours", more)
    client = t.client(gateway)
    check.equal(client.get("/").status, 200)
    text = DOCUMENT.replace("@targets@", f'"https://localhost:{server.port}"').replace("@tls@", "ca: theirs").replace("@more@", more)
    gateway.reload(text)
    check.problem(client.get("/"), 502, "upstream_tls_failed")


def test_a_target_that_does_not_speak_tls(t):
    nginx = t.nginx("server { listen 127.0.0.1:@port@; return 200 plain; }")
    gateway = gateway_of(t, [f"https://localhost:{nginx.port}"])
    check.problem(t.client(gateway).get("/"), 502, "upstream_tls_failed")


def test_nginx_as_a_target(t):
    """Large bodies both ways, kept connections."""
    ca = Authority(t.folder)
    cert, key = ca.issue("ledger", "localhost", kind="rsa")
    t.file("www/big", "z" * 3_000_000)
    nginx = t.nginx(f"server {{ listen 127.0.0.1:@port@ ssl; ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {cert}; ssl_certificate_key {key}; root {t.folder}/www;"
                    f" client_max_body_size 0; location /up {{ proxy_pass http://127.0.0.1:{t.echo().port}; add_header x-tls $ssl_protocol; }} }}")
    gateway = gateway_of(t, [f"https://localhost:{nginx.port}"], "ca: ours", f"trust: {{ ours: {{ ca: {ca.cert} }} }}")
    client = t.client(gateway)
    for _ in range(3):
        check.equal(len(client.get("/big").body), 3_000_000)
        answer = client.request("POST", "/up", body=b"q" * 300_000)
        check.equal((answer.status, answer.get("x-tls")), (200, "TLSv1.3"))
    t.poll("the connection is kept", lambda: gateway.metrics().sum("sluice_upstream_connections", state="idle") == 1)


def test_response_without_close_notify_is_not_whole(t):
    """RFC 8446, section 6.1; RFC 9112, section 9.8: a body that ends with the connection may have been truncated."""
    import socket
    import threading
    ca = Authority(t.folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*ca.issue("ledger", "localhost"))
    port = ports.free_port()
    listener = socket.create_server(("127.0.0.1", port))
    t.on_end(listener.close)
    polite = [True]

    def serve():
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            tls = context.wrap_socket(sock, server_side=True)
            tls.recv(65536)
            tls.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of it")
            try:
                if polite[0]:
                    tls.unwrap()
            except OSError:
                pass
            tls.close()

    threading.Thread(target=serve, daemon=True).start()
    gateway = gateway_of(t, [f"https://localhost:{port}"], "ca: ours", f"trust: {{ ours: {{ ca: {ca.cert} }} }}")
    check.equal(t.client(gateway).get("/").body, b"half of it")
    polite[0] = False
    try:
        answer = t.client(gateway).get("/")
        raise AssertionError(f"a truncated response looked whole: {answer.body!r}")
    except AssertionError as error:
        assert "looked whole" not in str(error), error
