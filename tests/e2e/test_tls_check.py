"""`sluice check` and certificates: what does not fit, cannot be read, has expired or soon will (docs/tls.md)."""

import datetime
import os

from harness import check
from harness.tls import Authority, openssl

DOCUMENT = """version: 1
gateway:
  listen:
    - { name: public, address: 127.0.0.1:8443, tls: { certificates: [shop]@listener@ } }
certificates:
  shop: { cert: @cert@, key: @key@@more@ }
@rest@
apis:
  ok: { path: /, routes: [ { name: r, respond: { body: ok } } ] }
"""


def test_what_is_wrong_is_said_where_it_stands(t):
    ca = Authority(t.folder)
    cert, key = ca.issue("shop", "shop.test")
    other, other_key = ca.issue("other", "other.test")
    soon = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(days=10, hours=1)).strftime("%Y%m%d%H%M%SZ")
    expired = ca.issue("old", "shop.test", start="20200101000000Z", end="20210101000000Z")
    ending = ca.issue("ending", "shop.test", start="20200101000000Z", end=soon)
    junk = t.file("junk.pem", "no certificate")
    wrong_chain = t.file("chain.pem", open(cert).read() + open(other).read())
    right_chain = t.file("right.pem", open(cert).read() + open(ca.cert).read())
    locked = os.path.join(t.folder, "locked.key")
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:x", "-out", locked)
    rows = (("all is well", {}, 0, ["ok"]), ("with its issuer", {"cert": right_chain}, 0, ["ok"]),
            ("another's key", {"key": other_key}, 1, [":6:", "the key is not that of the certificate"]),
            ("an encrypted key", {"key": locked}, 1, ["the key is encrypted"]), ("no such file", {"cert": "none.crt"}, 1, ["cannot read", "none.crt"]),
            ("junk", {"cert": junk}, 1, ["no certificate in PEM form"]), ("a chain out of order", {"cert": wrong_chain}, 1, ["has not issued certificate 1"]),
            ("expired", {"cert": expired[0], "key": expired[1]}, 1, ["has expired"]),
            ("soon", {"cert": ending[0], "key": ending[1]}, 0, ["warning", "expires in 10 days"]),
            ("ocsp that is none", {"more": f", ocsp: {junk}"}, 1, ["no OCSP response in DER form"]),
            ("nobody to ask about it", {"cert": right_chain, "more": ", fetch_ocsp: true"}, 1, ["names no responder"]),
            ("an unknown cipher", {"listener": ", ciphers: [NONE]"}, 1, ["there is no cipher `NONE`"]),
            ("an unknown group", {"listener": ", groups: [X25519, NONE]"}, 1, ["has no group `NONE`"]),
            ("a ticket key of the wrong size", {"listener": f", ticket_keys: [{junk}]"}, 1, ["bytes instead of 80"]),
            ("a CA that does not exist", {"listener": ", client_certificates: [ { ca: none } ]"}, 1, ["there is no entry `none` in `trust`"]),
            ("no CA", {"listener": ", client_certificates: [ { mode: optional } ]"}, 1, ["need a `ca`"]),
            ("a CA that is none", {"rest": f"trust: {{ ours: {{ ca: {junk} }} }}"}, 1, ["no certificate in PEM form"]),
            ("a list that is none", {"rest": f"trust: {{ ours: {{ ca: {ca.cert}, crl: {junk} }} }}"}, 1, ["no revocation list"]),
            ("a redirect to nowhere", {"plain": True}, 1, ["no listener with `tls`"]))
    for name, change, code, wanted in rows:
        with t.case(name):
            text = DOCUMENT
            if change.pop("plain", False):
                text = text.replace("tls: { certificates: [shop]@listener@ }", "redirect_https: true")
            for part, value in {"cert": cert, "key": key, "more": "", "rest": "", "listener": "", **change}.items():
                text = text.replace(f"@{part}@", value)
            done = t.sluice("check", t.file("check.yaml", text))
            check.equal(done.returncode, code, done.stdout)
            for words in wanted:
                assert words in done.stdout, done.stdout


def test_paths_are_relative_to_the_document(t):
    ca = Authority(t.folder)
    ca.issue("shop", "shop.test")
    text = DOCUMENT.replace("@cert@", "test-ca/shop.crt").replace("@key@", "test-ca/shop.key")
    for part in ("@more@", "@rest@", "@listener@"):
        text = text.replace(part, "")
    done = t.sluice("check", t.file("relative.yaml", text), cwd="/")
    check.equal(done.returncode, 0, done.stdout)


def test_an_expired_certificate_does_not_keep_a_gateway_from_starting(t):
    """It serves the others; `check` fails."""
    ca = Authority(t.folder)
    cert, key = ca.issue("old", "shop.test", start="20200101000000Z", end="20210101000000Z")
    text = DOCUMENT.replace("@cert@", cert).replace("@key@", key).replace("127.0.0.1:8443", "127.0.0.1:@port@")
    for part in ("@more@", "@rest@", "@listener@"):
        text = text.replace(part, "")
    gateway = t.gateway(whole_file=text.replace("  listen:", '  status: { address: "127.0.0.1:@status@" }\n  listen:'))
    assert "has expired" in gateway.said()
    assert gateway.metrics().sum("sluice_certificate_expires_seconds") < 0


def test_doctor_tells_of_the_hybrid_group(t):
    said = t.sluice("doctor").stdout
    assert "X25519MLKEM768" in said, said
