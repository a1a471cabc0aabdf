"""Certificates by the openssl command, and clients and servers that speak TLS with Python's ssl."""

import os
import socket
import ssl
import subprocess
import threading

from harness import message, patience, ports
from harness.curl import peer


def openssl(*arguments, stdin=None, fails=False):
    done = subprocess.run([peer("openssl"), *arguments], input=stdin, capture_output=True, timeout=60)
    assert fails or done.returncode == 0, f"openssl {' '.join(arguments)}: {done.stderr.decode()}"
    return done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")


class Authority:
    """A CA whose files lie in a folder."""

    def __init__(self, folder, name="test-ca"):
        self.folder, self.name = os.path.join(folder, name), name
        os.makedirs(self.folder)
        self.cert, self.key, self.crl = self.path("ca.crt"), self.path("ca.key"), self.path("ca.crl")
        self._key("ca", "ec")
        openssl("req", "-x509", "-new", "-key", self.key, "-out", self.cert, "-days", "3650", "-subj", f"/CN={name}",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        open(self.path("index.txt"), "w").close()
        with open(self.path("ca.conf"), "w") as out:
            out.write(f"[ca]\ndefault_ca = d\n[d]\ndatabase = {self.path('index.txt')}\nunique_subject = no\nnew_certs_dir = {self.folder}\n"
                      f"rand_serial = yes\ndefault_md = sha256\ndefault_crl_days = 30\npolicy = p\ncopy_extensions = copy\n"
                      f"certificate = {self.cert}\nprivate_key = {self.key}\n[p]\ncommonName = supplied\n")

    def path(self, name):
        return os.path.join(self.folder, name)

    def _key(self, name, kind):
        options = ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if kind == "rsa" else ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
        openssl("genpkey", "-algorithm", *options, "-out", self.path(name + ".key"))

    def issue(self, name, *hosts, kind="ec", start=None, end=None, days=365, aia=None):
        """The paths of a certificate and its key; `start` and `end` are YYYYMMDDHHMMSSZ."""
        self._key(name, kind)
        names = ",".join(h if ":" in h and h.split(":")[0] in ("IP", "URI") else "DNS:" + h for h in hosts)
        openssl("req", "-new", "-key", self.path(name + ".key"), "-out", self.path(name + ".csr"), "-subj", f"/CN={name}",
                *(["-addext", "subjectAltName=" + names] if names else []), *(["-addext", "authorityInfoAccess=" + aia] if aia else []))
        times = ["-startdate", start or "20200101000000Z", *(["-enddate", end] if end else ["-days", str(days)])]
        if not start and not end:
            times = ["-days", str(days)]
        openssl("ca", "-batch", "-notext", "-config", self.path("ca.conf"), "-in", self.path(name + ".csr"),
                "-out", self.path(name + ".crt"), *times)
        return self.path(name + ".crt"), self.path(name + ".key")

    def revoke(self, *names):
        for name in names:
            openssl("ca", "-config", self.path("ca.conf"), "-revoke", self.path(name + ".crt"))
        openssl("ca", "-config", self.path("ca.conf"), "-gencrl", "-out", self.crl)
        return self.crl


def client_context(ca=None, certificate=None, version=None, protocols=None):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca:
        context.load_verify_locations(ca)
    else:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if certificate:
        context.load_cert_chain(*certificate)
    if version:
        context.minimum_version = context.maximum_version = version
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


class TlsClient:
    """One connection over TLS. Reads answers as `raw.Client` does."""

    def __init__(self, t, port, name="shop.test", context=None, session=None):
        sock = socket.create_connection(("127.0.0.1", port), timeout=patience.SECONDS)
        self.sock = (context or client_context()).wrap_socket(sock, server_hostname=name, session=session)
        t.on_end(self.sock.close)
        self.reader, self.name = message.Reader(self.sock, t.transcript, "tls client"), name

    def get(self, target, host=None, method="GET"):
        self.sock.sendall(f"{method} {target} HTTP/1.1\r\nHost: {host or self.name}\r\n\r\n".encode())
        response = message.read_response_head(self.reader)
        return message.read_response_body(self.reader, response, method) or response


class TlsServer:
    """Answers every request with one line: what it was asked, and by whom over TLS."""

    def __init__(self, t, certificate, ca=None, version=None, protocols=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*certificate)
        if ca:
            self.context.load_verify_locations(ca)
            self.context.verify_mode = ssl.CERT_REQUIRED
        if version:
            self.context.maximum_version = version
        if protocols:
            self.context.set_alpn_protocols(protocols)
        self.names, self.resumed, self.failures = [], [], []
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        self.port = ports.free_port()
        self.listener = socket.create_server(("127.0.0.1", self.port), backlog=64)
        t.on_end(self.listener.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        try:
            sock.settimeout(20)
            with self.context.wrap_socket(sock, server_side=True) as tls:
                self.resumed.append(bool(tls.session_reused))
                peer_name = dict(pair[0] for pair in tls.getpeercert()["subject"])["commonName"] if tls.getpeercert() else "nobody"
                data = b""
                while True:
                    while b"\r\n\r\n" not in data:
                        piece = tls.recv(65536)
                        if not piece:
                            return
                        data += piece
                    head, _, data = data.partition(b"\r\n\r\n")
                    text = f"{head.split(b' ')[1].decode()} by {peer_name} alpn {tls.selected_alpn_protocol()}\n{head.decode()}\n".encode()
                    tls.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(text) + text)
        except (OSError, ssl.SSLError) as error:
            self.failures.append(str(error))
