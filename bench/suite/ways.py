"""The ways by which requests come to the servers: what each server's configuration and the proof need to know of them."""
from dataclasses import dataclass


@dataclass(frozen=True)
class Way:
    name: str
    job: str = ""          # "": the gateway's whole job; else a plain proxy of that protocol, in templates of its own
    tls: bool = False
    http2: bool = False
    certificate: str = "ecdsa"

    @property
    def curl(self):
        """How curl comes in."""
        if self.http2:
            return ["--http2", "--insecure"] if self.tls else ["--http2-prior-knowledge"]
        return ["--http1.1", "--insecure"] if self.tls else ["--http1.1"]

    @property
    def scheme(self):
        return "https" if self.tls else "http"


PLAIN = Way("plain")
TLS = Way("tls", tls=True)
TLS_RSA = Way("tls_rsa", tls=True, certificate="rsa")
H2 = Way("h2", http2=True)
H2_TLS = Way("h2_tls", tls=True, http2=True)
GRPC = Way("grpc", job="grpc", http2=True)
WEBSOCKET = Way("websocket", job="websocket")
TCP = Way("tcp", job="tcp")
BALANCE = Way("balance", job="balance")
