"""TLS on listeners (contract, section 2, `listen[].tls`, and section 3; docs/tls.md)."""

import contextlib
import os
import socket
import ssl
import subprocess
import time

from harness import check, patience, ports
from harness.curl import curl, peer
from harness.tls import Authority, TlsClient, client_context, openssl

DOCUMENT = """
version: 1
gateway:
  listen:
    - { name: plain, address: "127.0.0.1:@port@"@plain@ }
    - { name: public, address: "127.0.0.1:@tls@", tls: { @options@ } }
  status: { address: "127.0.0.1:@status@" }
  @more@
@entities@
upstreams:
  one: { targets: ["http://127.0.0.1:@echo@"] }
apis:
  a: { path: /a, upstream: one }
  big: { path: /big, routes: [ { name: r, respond: { body: "@big@" } } ] }
  ok: { path: /ok, routes: [ { name: r, respond: { body: "fine" } } ] }
"""


def document(options, entities="", plain="", more=""):
    return DOCUMENT.replace("@options@", options).replace("@entities@", entities).replace("@plain@", plain).replace("@more@", more)


def serve(t, options, entities="", values=None, **more):
    values = {"tls": ports.free_port(), "echo": t.echo(), "big": "x" * 200_000, **(values or {})}
    gateway = t.gateway("", values, whole_file=document(options, entities, more.pop("plain", ""), more.pop("gateway", "")), **more)
    gateway.tls_port = values["tls"]
    return gateway


def shop(t, **more):
    """A gateway with one certificate for shop.test and others."""
    ca = Authority(t.folder)
    cert, key = ca.issue("shop", "shop.test", "b2b.test", "may.test", "IP:127.0.0.1")
    gateway = serve(t, more.pop("options", "certificates: [shop]"),
                    f"certificates: {{ shop: {{ cert: {cert}, key: {key} }} }}\n" + more.pop("entities", ""), **more)
    gateway.ca = ca
    return gateway


def handshake_failures(gateway, reason):
    return gateway.metrics().sum("sluice_tls_handshake_failures_total", reason=reason)


def test_requests_over_both_versions(t):
    """Several on one connection, large bodies both ways; the scheme goes on (contract, section 3, Forwarding)."""
    gateway = shop(t)
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with t.case(version.name):
            client = TlsClient(t, gateway.tls_port, context=client_context(gateway.ca.cert, version=version))
            check.equal(client.sock.version(), version.name.replace("_", ".").replace("TLSv1.2", "TLSv1.2"))
            for _ in range(3):
                check.equal(client.get("/ok").body, b"fine")
            check.equal(client.get("/big").body, b"x" * 200_000)
            check.equal(check.field(client.get("/a/x").json, "X-Forwarded-Proto"), "https")
    assert gateway.metrics().sum("sluice_tls_handshakes_total", listener="public", kind="full") == 2


def test_curl_verifies_uploads_and_resumes_its_session(t):
    gateway = shop(t)
    url = f"https://shop.test:{gateway.tls_port}"
    to = ("--cacert", gateway.ca.cert, "--resolve", f"shop.test:{gateway.tls_port}:127.0.0.1")
    check.equal(curl(*to, url + "/ok").body, "fine")
    path = t.file("upload", "y" * 1_000_000)
    answer = curl(*to, "--http1.1", "--data-binary", "@" + path, url + "/a/up")
    check.equal(answer.status, 200)
    assert gateway.log_line(path="/a/up")["request_bytes"] > 1_000_000


def test_session_tickets_resume_on_any_worker(t):
    gateway = shop(t, gateway="workers: 3")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with t.case(version.name):
            context = client_context(gateway.ca.cert, version=version)
            client = TlsClient(t, gateway.tls_port, context=context)
            client.get("/ok")
            for _ in range(6):
                session = client.sock.session
                client = TlsClient(t, gateway.tls_port, context=context, session=session)
                client.get("/ok")
                check.equal(client.sock.session_reused, True)


def test_ticket_keys_of_a_file_are_shared_by_nodes(t):
    key = os.path.join(t.folder, "ticket.key")
    with open(key, "wb") as out:
        out.write(os.urandom(80))
    options = f"certificates: [shop], ticket_keys: [{key}]"
    one = shop(t, options=options)
    other = serve(t, options, f"certificates: {{ shop: {{ cert: {one.ca.path('shop.crt')}, key: {one.ca.path('shop.key')} }} }}")
    context = client_context(one.ca.cert, version=ssl.TLSVersion.TLSv1_2)
    client = TlsClient(t, one.tls_port, context=context)
    client.get("/ok")
    again = TlsClient(t, other.tls_port, context=context, session=client.sock.session)
    check.equal((again.get("/ok").body, again.sock.session_reused), (b"fine", True))


def test_name_chooses_the_certificate(t):
    ca = Authority(t.folder)
    entries, names = [], {"first": ["first.test"], "wild": ["*.test"], "exact": ["a.test"], "rsa": ["both.test"], "ec": ["both.test"]}
    for name, hosts in names.items():
        cert, key = ca.issue(name, *hosts, kind="rsa" if name == "rsa" else "ec")
        entries.append(f"{name}: {{ cert: {cert}, key: {key} }}")
    gateway = serve(t, "certificates: [first, wild, exact, rsa, ec]", "certificates: { " + ", ".join(entries) + " }")

    def shown(name, *more):
        asked = ["-servername", name] if name else ["-noservername"]
        said = openssl("s_client", "-connect", f"127.0.0.1:{gateway.tls_port}", *asked, *more, stdin=b"", fails=True)
        return said.split("subject=CN = ")[1].split("\n")[0]

    for name, want in (("a.test", "exact"), ("b.test", "wild"), ("x.b.test", "first"), ("other.example", "first"), (None, "first")):
        with t.case(name):
            check.equal(shown(name), want)
    check.equal(shown("both.test", "-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), "rsa")
    check.equal(shown("both.test", "-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"), "ec")


def test_strict_sni_refuses_unknown_names(t):
    """Contract, section 3: an alert."""
    gateway = shop(t, options="certificates: [shop], strict_sni: true")
    TlsClient(t, gateway.tls_port, "shop.test").get("/ok")
    try:
        TlsClient(t, gateway.tls_port, "other.example")
        raise AssertionError("an unknown name was served")
    except ssl.SSLError as error:
        assert "UNRECOGNIZED_NAME" in str(error), error
    patience.poll("it is counted", lambda: handshake_failures(gateway, "server_name") == 1)


def test_protocol_by_alpn_or_an_alert(t):
    """RFC 7301, section 3.2."""
    gateway = shop(t)
    client = TlsClient(t, gateway.tls_port, context=client_context(protocols=["spdy/3", "http/1.1"]))
    check.equal((client.sock.selected_alpn_protocol(), client.get("/ok").body), ("http/1.1", b"fine"))
    try:
        TlsClient(t, gateway.tls_port, context=client_context(protocols=["spdy/3"]))
        raise AssertionError("an unknown protocol was served")
    except ssl.SSLError as error:
        assert "no application protocol" in str(error), error
    patience.poll("it is counted", lambda: handshake_failures(gateway, "protocol") == 1)


def test_profile_modern_speaks_tls_1_3_only(t):
    gateway = shop(t, options="certificates: [shop], profile: modern")
    check.equal(TlsClient(t, gateway.tls_port).sock.version(), "TLSv1.3")
    try:
        TlsClient(t, gateway.tls_port, context=client_context(version=ssl.TLSVersion.TLSv1_2))
        raise AssertionError("TLS 1.2 was spoken")
    except ssl.SSLError as error:
        assert "PROTOCOL_VERSION" in str(error), error


def client_certificates(t):
    partners = Authority(t.folder, "partners")
    partners.issue("acme", "acme.partner")
    partners.issue("gone", "gone.partner")
    partners.issue("old", start="20200101000000Z", end="20210101000000Z")
    partners.revoke("gone")
    Authority(t.folder, "strangers").issue("thief")
    rules = "client_certificates: [ { hosts: [b2b.test], mode: required, ca: partners }, { hosts: [may.test], mode: optional, ca: partners } ]"
    gateway = shop(t, options=f"certificates: [shop], {rules}",
                   entities=f"trust: {{ partners: {{ ca: {partners.cert}, crl: {partners.crl} }} }}")
    return gateway, partners


def test_client_certificates_by_host(t):
    gateway, partners = client_certificates(t)

    def ask(name, certificate):
        folder = os.path.join(t.folder, "strangers" if certificate == "thief" else "partners")
        pair = (os.path.join(folder, certificate + ".crt"), os.path.join(folder, certificate + ".key")) if certificate else None
        try:
            client = TlsClient(t, gateway.tls_port, name, client_context(gateway.ca.cert, pair))
            client.sock.settimeout(0.3)  # in TLS 1.3 the alert comes when the client is through (RFC 8446, section 4.4.2.4)
            with contextlib.suppress(TimeoutError):
                client.sock.recv(1)
            client.sock.settimeout(patience.SECONDS)
            return client.get("/ok").status
        except (ssl.SSLError, OSError, AssertionError) as error:
            return next((word for word in ("CERTIFICATE_REQUIRED", "CERTIFICATE_EXPIRED", "CERTIFICATE_REVOKED", "UNKNOWN_CA") if word in str(error)),
                        str(error))

    rows = (("b2b.test", "acme", 200, None), ("b2b.test", None, "CERTIFICATE_REQUIRED", "no_certificate"),
            ("b2b.test", "old", "CERTIFICATE_EXPIRED", "expired_certificate"), ("b2b.test", "gone", "CERTIFICATE_REVOKED", "revoked_certificate"),
            ("b2b.test", "thief", "UNKNOWN_CA", "untrusted_certificate"), ("may.test", None, 200, None), ("may.test", "acme", 200, None),
            ("may.test", "thief", "UNKNOWN_CA", None), ("shop.test", None, 200, None))
    for name, certificate, want, reason in rows:
        with t.case(f"{name} {certificate}"):
            check.equal(ask(name, certificate), want)
            if reason:
                patience.poll("it is counted", lambda: handshake_failures(gateway, reason) == 1)
                assert f"for b2b.test failed: {reason}" in gateway.said()


def test_a_host_with_another_client_rule_is_misdirected(t):
    """Contract, section 3: 421 only when Host and SNI select different client-certificate rules."""
    gateway, partners = client_certificates(t)
    client = TlsClient(t, gateway.tls_port, "shop.test", client_context(gateway.ca.cert))
    check.problem(client.get("/ok", host="b2b.test"), 421, "misdirected_request")
    check.equal(client.get("/ok", host="other.test").status, 200)
    check.equal(client.get("/ok", host="shop.test:8443").status, 200)
    acme = (partners.path("acme.crt"), partners.path("acme.key"))
    client = TlsClient(t, gateway.tls_port, "b2b.test", client_context(gateway.ca.cert, acme))
    check.equal(client.get("/ok", host="b2b.test").status, 200)
    check.problem(client.get("/ok", host="shop.test"), 421, "misdirected_request")


def test_junk_disturbs_nobody(t):
    gateway = shop(t, gateway="timeouts: { header: 500ms }")
    good = TlsClient(t, gateway.tls_port)
    good.get("/ok")

    def raw(data, keep=False):
        with socket.create_connection(("127.0.0.1", gateway.tls_port), timeout=patience.SECONDS) as sock:
            if data:
                sock.sendall(data)
            if not keep:
                sock.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while piece := sock.recv(4096):
                    answer += piece
            except ConnectionResetError:
                pass
            return answer

    with t.case("plain HTTP"):
        raw(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", keep=True)
        patience.poll("it is counted", lambda: handshake_failures(gateway, "not_tls") == 1)
    with t.case("junk"):
        raw(os.urandom(4000), keep=True)
    with t.case("a part of a ClientHello"):
        raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
        patience.poll("it is counted", lambda: handshake_failures(gateway, "closed") >= 1)
    with t.case("silence"):
        begun = time.monotonic()
        check.equal(raw(b"", keep=True), b"")
        assert time.monotonic() - begun < patience.SECONDS
        patience.poll("it is counted", lambda: handshake_failures(gateway, "timeout") == 1)
    with t.case("TLS cut off in the middle of a request"):
        client = TlsClient(t, gateway.tls_port)
        client.sock.sendall(b"POST /a/x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhalf")
        socket.socket(fileno=os.dup(client.sock.fileno())).shutdown(socket.SHUT_RDWR)
    check.equal(good.get("/ok").body, b"fine", "another's connection")
    assert "failed: not_tls" in gateway.said()


def test_renewed_certificate_is_taken_without_a_signal(t):
    """Kept connections go on; new ones get the new certificate."""
    gateway = shop(t)
    kept = TlsClient(t, gateway.tls_port, context=client_context(gateway.ca.cert))
    kept.get("/ok")
    before = kept.sock.getpeercert()["serialNumber"]
    revision = gateway.revision()
    gateway.ca.issue("shop", "shop.test")
    patience.poll("the configuration is read again", lambda: gateway.revision() > revision)
    fresh = TlsClient(t, gateway.tls_port, context=client_context(gateway.ca.cert))
    assert fresh.sock.getpeercert()["serialNumber"] != before
    check.equal((kept.get("/ok").body, fresh.get("/ok").body), (b"fine", b"fine"))


def test_listener_takes_on_tls_at_a_reload(t):
    gateway = shop(t)
    plain = t.client(gateway)
    plain.get("/ok")
    text = open(gateway.file).read().replace('name: plain, address: "127.0.0.1:%d"' % gateway.port,
                                             'name: plain, address: "127.0.0.1:%d", tls: { certificates: [shop] }' % gateway.port)
    before = gateway.revision()
    gateway.write_whole(text)
    gateway.process.send_signal(1)
    patience.poll("the revision changes", lambda: gateway.revision() != before)
    check.equal(plain.get("/ok").body, b"fine", "the connection in the clear that stands")
    check.equal(TlsClient(t, gateway.port).get("/ok").body, b"fine")


def test_a_certificate_of_our_own_for_trying_things_out(t):
    gateway = serve(t, "")
    client = TlsClient(t, gateway.tls_port, "localhost")
    check.equal(client.get("/ok").body, b"fine")
    assert "self-signed" in gateway.said() or "signed itself" in gateway.said(), gateway.said()


def test_redirect_to_https(t):
    """Everything but where ACME looks."""
    gateway = shop(t, plain=", redirect_https: true")
    client = t.client(gateway)
    answer = client.get("/a/x?y=1&z")
    check.equal((answer.status, answer.get("Location")), (308, f"https://gateway.test:{gateway.tls_port}/a/x?y=1&z"))
    check.problem(client.get("/.well-known/acme-challenge/token"), 404)
    check.equal(TlsClient(t, gateway.tls_port).get("/ok").status, 200)


def test_metric_says_when_certificates_expire(t):
    gateway = shop(t)
    (labels, left), = gateway.metrics().find("sluice_certificate_expires_seconds")
    check.equal(labels, {"name": "shop"})
    assert 364 * 86400 < left <= 365 * 86400, left


def test_stapled_response_of_a_file(t):
    """RFC 6066, section 8."""
    ca = Authority(t.folder)
    cert, key = ca.issue("shop", "shop.test")
    der = ca.path("shop.ocsp")
    openssl("ocsp", "-index", ca.path("index.txt"), "-rsigner", ca.cert, "-rkey", ca.key, "-CA", ca.cert, "-issuer", ca.cert, "-cert", cert,
            "-respout", der, "-ndays", "3")
    gateway = serve(t, "certificates: [shop]", f"certificates: {{ shop: {{ cert: {cert}, key: {key}, ocsp: {der} }} }}")
    said = openssl("s_client", "-connect", f"127.0.0.1:{gateway.tls_port}", "-servername", "shop.test", "-status", "-CAfile", ca.cert, stdin=b"",
                   fails=True)
    assert "OCSP Response Status: successful" in said and "Cert Status: good" in said, said
    with t.case("one that is about another certificate is refused"):
        other, _ = ca.issue("other", "other.test")
        openssl("ocsp", "-index", ca.path("index.txt"), "-rsigner", ca.cert, "-rkey", ca.key, "-CA", ca.cert, "-issuer", ca.cert, "-cert", other,
                "-respout", der + ".new", "-ndays", "3")
        refused = gateway.reloads_refused()
        os.rename(der + ".new", der)
        patience.poll("the reload is refused", lambda: gateway.reloads_refused() > refused)
        assert "is about another certificate" in gateway.said()


def test_ocsp_response_is_fetched(t):
    """RFC 6960, appendix A, with OpenSSL's responder; docs/tls.md, OCSP."""
    ca = Authority(t.folder)
    port = ports.free_port()
    cert, key = ca.issue("shop", "shop.test", aia=f"OCSP;URI:http://127.0.0.1:{port}/ocsp")
    with open(cert, "a") as chain, open(ca.cert) as issuer:
        chain.write(issuer.read())
    responder = subprocess.Popen([peer("openssl"), "ocsp", "-port", str(port), "-index", ca.path("index.txt"), "-rsigner", ca.cert, "-rkey", ca.key,
                                  "-CA", ca.cert, "-ndays", "3"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    t.on_end(lambda: (responder.kill(), responder.wait()))
    for line in responder.stdout:  # it would take a connection that asks nothing ill
        if b"waiting" in line:
            break
    gateway = serve(t, "certificates: [shop]", f"certificates: {{ shop: {{ cert: {cert}, key: {key}, fetch_ocsp: true }} }}")

    def good_for():
        return sum(value for labels, value in gateway.metrics().find("sluice_ocsp_expires_seconds") if labels["name"] == "shop")

    patience.poll("a response was fetched", lambda: good_for() > 2 * 86400)

    def said():
        return openssl("s_client", "-connect", f"127.0.0.1:{gateway.tls_port}", "-servername", "shop.test", "-status", "-CAfile", ca.cert, stdin=b"",
                       fails=True)

    assert "OCSP Response Status: successful" in said() and "Cert Status: good" in said(), said()
    with t.case("it stays after a reload"):
        responder.kill()
        gateway.reload()
        assert "Cert Status: good" in said(), said()


def test_drain_ends_connections_with_close_notify(t):
    gateway = shop(t)
    client = TlsClient(t, gateway.tls_port)
    client.get("/ok")
    client.sock.suppress_ragged_eofs = False
    gateway.terminate()
    check.equal(client.sock.recv(100), b"", "an end without close_notify would raise")
    check.equal(gateway.wait_exit(), 0)


def test_a_slow_reader_gets_everything(t):
    gateway = shop(t)
    client = TlsClient(t, gateway.tls_port)
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(3):
        client.sock.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
    time.sleep(0.3)
    from harness import message
    for _ in range(3):
        response = message.read_response_head(client.reader)
        response = message.read_response_body(client.reader, response, "GET") or response
        check.equal(len(response.body), 200_000)
