"""Certificates that a CA gives by itself (RFC 8555, docs/acme.md), from Pebble."""

import os
import stat

from harness import check, patience, ports
from harness.acme import Pebble
from harness.tls import TlsClient, client_context

DOCUMENT = """
version: 1
gateway:
  listen:
    - { name: plain, address: "127.0.0.1:@port@" }
    - { name: http, address: "127.0.0.1:@http@", redirect_https: true }
    - { name: https, address: "127.0.0.1:@https@", tls: { certificates: [shop], strict_sni: true } }
  status: { address: "127.0.0.1:@status@" }
  state: "@state@"
trust: { pebble: { ca: "@ca@" } }
certificates:
  shop:
    acme: { directory: "@directory@", ca: pebble, email: admin@shop.example, domains: @domains@, challenge: @challenge@@more@ }
apis:
  ok: { path: /, routes: [ { name: r, respond: { body: "fine" } } ] }
"""


def _serve(t, challenge="http-01", domains="[shop.test, www.shop.test]", more="", reject_nonces=15):
    http, https = ports.free_port(), ports.free_port()
    pebble = Pebble(t, http, https, reject_nonces)
    state = os.path.join(t.new_folder("state"), "sluice-state")
    values = {"http": http, "https": https, "state": state, "ca": pebble.ca, "directory": pebble.directory,
              "domains": domains, "challenge": challenge, "more": more}
    gateway = t.gateway("", values, whole_file=DOCUMENT)
    gateway.pebble, gateway.https, gateway.state = pebble, https, state
    return gateway


def _issued(gateway, count=1):
    return gateway.metrics().sum("sluice_acme_orders_total", name="shop", result="success") >= count


def _shown(t, gateway, name="shop.test"):
    """What the listener shows, verified against the CA's root; None: it does not verify."""
    try:
        client = TlsClient(t, gateway.https, name, client_context(gateway.pebble.root()))
    except OSError:
        return None
    return client


def test_http_01_from_nothing_to_a_verified_handshake(t):
    gateway = _serve(t)
    patience.poll("it is issued", lambda: _issued(gateway), 60)
    client = patience.poll("it is shown", lambda: _shown(t, gateway), 60)
    check.equal(client.get("/").status, 200)
    names = {name for kind, name in client.sock.getpeercert()["subjectAltName"] if kind == "DNS"}
    check.equal(names, {"shop.test", "www.shop.test"})
    path = os.path.join(gateway.state, "acme", "shop.pem")
    check.equal(stat.S_IMODE(os.stat(path).st_mode), 0o600)
    assert f"certificate shop: issued, in {path}" in gateway.said(), gateway.said()
    assert "PRIVATE KEY" not in gateway.said()
    check.equal(gateway.metrics().sum("sluice_acme_orders_total", name="shop", result="failure"), 0)
    patience.poll("its end is in the metrics", lambda: gateway.metrics().sum("sluice_certificate_expires_seconds", name="shop") > 86400)


def test_tls_alpn_01(t):
    """RFC 8737; `strict_sni` and the redirect do not stand in its way."""
    gateway = _serve(t, "tls-alpn-01", "shop.test")
    patience.poll("it is issued", lambda: _issued(gateway), 60)
    client = patience.poll("it is shown", lambda: _shown(t, gateway), 60)
    check.equal(client.get("/").status, 200)


def test_a_restart_keeps_the_certificate(t):
    gateway = _serve(t)
    patience.poll("it is issued", lambda: _issued(gateway), 60)
    patience.poll("it is shown", lambda: _shown(t, gateway), 60)
    orders = gateway.pebble.log().count("new-order") + gateway.pebble.log().count("Added order")
    gateway.stop()
    again = t.gateway("", gateway.values, whole_file=DOCUMENT)
    again.pebble, again.https = gateway.pebble, gateway.https
    check.equal(_shown(t, again).get("/").status, 200, "at once")
    check.equal(again.metrics().sum("sluice_acme_orders_total", name="shop"), 0)
    check.equal(again.pebble.log().count("new-order") + again.pebble.log().count("Added order"), orders)


def test_another_domain_is_asked_for(t):
    gateway = _serve(t)
    patience.poll("it is issued", lambda: _issued(gateway), 60)
    patience.poll("it is shown", lambda: _shown(t, gateway), 60)
    gateway.write_whole(open(gateway.file).read().replace("[shop.test, www.shop.test]", "[shop.test, new.shop.test]"))
    gateway.process.send_signal(1)
    patience.poll("it is issued again", lambda: _issued(gateway, 2), 60)
    client = patience.poll("it is shown", lambda: _shown(t, gateway, "new.shop.test"), 60)
    check.equal(client.get("/").status, 200)


def test_a_ca_that_finds_nothing_or_is_not_there(t):
    """Its reason is in the log, requests go on with the certificate that the gateway has signed itself."""
    http, https = ports.free_port(), ports.free_port()
    with t.case("it looks elsewhere"):
        pebble = Pebble(t, ports.free_port(), ports.free_port())
        values = {"http": http, "https": https, "state": t.new_folder("state"), "ca": pebble.ca, "directory": pebble.directory,
                  "domains": "shop.test", "challenge": "http-01", "more": ""}
        gateway = t.gateway("", values, whole_file=DOCUMENT)
        patience.poll("it has failed", lambda: gateway.metrics().sum("sluice_acme_orders_total", name="shop", result="failure") >= 1, 60)
        assert "it has not seen what it wants" in gateway.said(), gateway.said()
        check.equal(TlsClient(t, https).get("/").status, 200)
    with t.case("it is not there"):
        values = {**values, "http": ports.free_port(), "https": ports.free_port(), "directory": f"https://localhost:{ports.free_port()}/dir",
                  "state": t.new_folder("other")}
        gateway = t.gateway("", values, whole_file=DOCUMENT)
        patience.poll("it has failed", lambda: gateway.metrics().sum("sluice_acme_orders_total", name="shop", result="failure") >= 2, 60)
        assert "it cannot be reached; asking again in" in gateway.said(), gateway.said()
    with t.case("it is somebody else"):
        values = {**values, "http": ports.free_port(), "https": ports.free_port(), "directory": pebble.directory, "state": t.new_folder("third"),
                  "ca": pebble.root()}
        gateway = t.gateway("", values, whole_file=DOCUMENT)
        patience.poll("it has failed", lambda: gateway.metrics().sum("sluice_acme_orders_total", name="shop", result="failure") >= 1, 60)
        assert "its TLS cannot be set up or trusted" in gateway.said(), gateway.said()


def test_what_check_refuses(t):
    for name, acme, wanted in (
            ("wildcard", "domains: ['*.shop.test']", "a CA gives wildcards for a challenge over DNS only"),
            ("address", "domains: [127.0.0.1]", "must be a name, not an address"),
            ("no name", "domains: [shop]", "must be the name of a host"),
            ("capitals", "domains: [Shop.test]", "in lower case"),
            ("no https", "domains: [shop.test], directory: 'http://ca.test/dir'", "must be a URL with `https://`"),
            ("no such trust", "domains: [shop.test], ca: nobody", "there is no entry `nobody` in `trust`"),
            ("none", "email: a@b.test", "`domains` is missing"),
            ("kind", "domains: [shop.test], challenge: dns-01", "expected one of `http-01`, `tls-alpn-01`")):
        with t.case(name):
            path = t.file("bad.yaml", f"version: 1\ncertificates: {{ shop: {{ acme: {{ {acme} }} }} }}\n")
            ran = t.sluice("check", path)
            check.equal(ran.returncode, 1)
            assert wanted in ran.stdout + ran.stderr, ran.stdout + ran.stderr
