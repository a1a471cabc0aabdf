"""The PROXY protocol, in and out, with HAProxy and nginx at the other side (docs/streams.md)."""

import os
import socket
import struct

from harness import check, plain
from harness.haproxy import Haproxy
from harness.raw import encode_request

GATEWAY = """version: 1
gateway:
  listen:
    - { name: plain, address: 127.0.0.1:@http@, proxy_protocol: @in@ }
    - { name: raw, address: 127.0.0.1:@port@, proxy_protocol: @in@ }
  status: { address: 127.0.0.1:@status@ }
  workers: 2
  io: @io@
  trusted_proxies: [@trusted@]
  timeouts: { header: 1s }
  limits: { connections_per_address: @per_address@ }
upstreams:
  http: { targets: ["http://127.0.0.1:@web@"], proxy_protocol: @out@ }
  tcp: { targets: ["tcp://127.0.0.1:@tcp@"], proxy_protocol: @out@ }
streams:
  raw: { listener: raw, upstream: tcp }
apis:
  web: { path: /, upstream: http }
"""
V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def _gateway(t, web=None, tcp=None, **more):
    values = {"http": t.free_port(), "web": getattr(web, "port", 1), "tcp": getattr(tcp, "port", 1), "in": "off", "out": "off",
              "trusted": "127.0.0.0/8", "per_address": 0, "io": os.environ.get("E2E_IO", "auto"), **more}
    gateway = t.gateway(values=values, whole_file=GATEWAY)
    gateway.http_port = values["http"]
    return gateway


def _v2(command, family, rest):
    return V2_SIGNATURE + bytes([command, family]) + struct.pack(">H", len(rest)) + rest


def _tcp4(source, source_port, destination="192.0.2.1", destination_port=443, more=b""):
    rest = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack(">HH", source_port, destination_port)
    return _v2(0x21, 0x11, rest + more)


def _haproxy(t, sections):
    haproxy = Haproxy(t.folder, sections)
    t.on_end(haproxy.stop)
    return haproxy


# --- in


def test_haproxy_names_the_client(t):
    for out in ("send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id"):
        with t.case(out):
            gateway = _gateway(t, t.echo(), **{"in": "required"})
            haproxy = _haproxy(t, f"""
listen l
  mode tcp
  bind 127.0.0.1:@port@
  server s 127.0.0.1:{gateway.http_port} {out}
""")
            client = t.client(haproxy, source="127.0.0.9")
            seen = client.get("/x").json
            check.equal(check.field(seen, "x-forwarded-for"), "127.0.0.9")
            check.equal(gateway.log_line(path="/x")["client_address"], "127.0.0.9")


def test_headers_are_read_for_http_and_streams(t):
    tcp = plain.TcpServer(plain.echo)
    t.on_end(tcp.stop)
    gateway = _gateway(t, t.echo(), tcp, **{"in": "required"})
    tables = (("v1", b"PROXY TCP4 198.51.100.7 192.0.2.1 5678 443\r\n", "198.51.100.7"),
              ("v1 of IPv6", b"PROXY TCP6 2001:db8::7 2001:db8::1 5678 443\r\n", "2001:db8::7"),
              ("v1 that knows nothing", b"PROXY UNKNOWN\r\n", "127.0.0.1"),
              ("v2", _tcp4("198.51.100.8", 5678), "198.51.100.8"),
              ("v2 with extensions", _tcp4("198.51.100.9", 5678, more=b"\x04\x00\x03abc"), "198.51.100.9"),
              ("v2 of a health check", _v2(0x20, 0x00, b""), "127.0.0.1"))
    for name, header, address in tables:
        with t.case(name):
            client = t.client(gateway.http_port)
            client.send(header + encode_request("GET", "/" + name.replace(" ", "-")))
            check.equal(client.response().status, 200)
            check.equal(gateway.log_line(path="/" + name.replace(" ", "-"))["client_address"], address)
            check.equal(client.get("/again").status, 200, "the header comes once a connection")
            before = len(gateway.log())
            with plain.connect(gateway.port) as sock:
                sock.sendall(header + b"hello")
                sock.shutdown(socket.SHUT_WR)
                check.equal(plain.receive_all(sock), b"hello")
            t.poll("a line of the stream", lambda: any(e.get("stream") == "raw" and e["client_address"] == address for e in gateway.log()[before:]))
    with t.case("byte by byte"):
        client = t.client(gateway.http_port)
        for byte in _tcp4("198.51.100.10", 1):
            client.send(bytes([byte]))
        check.equal(client.get("/slowly").status, 200)
        check.equal(gateway.log_line(path="/slowly")["client_address"], "198.51.100.10")


def test_a_client_does_not_name_itself(t):
    """X-Forwarded-For counts only from trusted proxies; the peer is now the client."""
    gateway = _gateway(t, t.echo(), **{"in": "required"})
    client = t.client(gateway.http_port)
    client.send(b"PROXY TCP4 198.51.100.7 192.0.2.1 5678 443\r\n" + encode_request("GET", "/", [("X-Forwarded-For", "203.0.113.1")]))
    check.equal(check.field(client.response().json, "x-forwarded-for"), "198.51.100.7")


def test_bad_headers_end_the_connection(t):
    gateway = _gateway(t, t.echo(), **{"in": "required"})
    tables = (("none", encode_request("GET", "/")), ("another case", b"proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n"),
              ("a port too large", b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 1\r\n"), ("no end", b"PROXY " + b"x" * 200),
              ("v2 of datagrams", _v2(0x21, 0x12, bytes(12))), ("v2 cut short", _v2(0x21, 0x11, bytes(11))),
              ("v2 too long", _v2(0x21, 0x11, bytes(60000))), ("v2 with a wrong checksum", _tcp4("1.2.3.4", 1, more=b"\x03\x00\x04zzzz")))
    for name, said in tables:
        with t.case(name):
            assert plain.resets(gateway.http_port, said)
    check.equal(gateway.metrics().sum("sluice_refused_total", code="proxy_header_malformed"), len(tables))
    with t.case("nothing in time"):
        assert plain.resets(gateway.http_port, b"PROXY TCP4")
        line = gateway.log_line(error_code="proxy_header_timeout")
        check.equal((line["error_by"], line["client_address"]), ("client", "127.0.0.1"))
    t.poll("none is left", lambda: gateway.metrics().sum("sluice_connections") == 0)


def test_only_trusted_proxies_are_believed(t):
    with t.case("required"):
        gateway = _gateway(t, t.echo(), **{"in": "required", "trusted": "192.0.2.0/24"})
        assert plain.resets(gateway.http_port, b"PROXY TCP4 198.51.100.7 192.0.2.1 5678 443\r\n" + encode_request("GET", "/"))
        check.equal(gateway.metrics().sum("sluice_refused_total", code="proxy_untrusted"), 1)
    with t.case("trusted: a proxy must, others must not"):
        gateway = _gateway(t, t.echo(), **{"in": "trusted", "trusted": "127.0.0.7/32"})
        client = t.client(gateway.http_port)
        check.equal(client.get("/direct").status, 200)
        client = t.client(gateway.http_port)
        client.send(b"PROXY TCP4 198.51.100.7 192.0.2.1 5678 443\r\n" + encode_request("GET", "/"))
        client.expect_closed()  # no HTTP either, so that no answer would be understood
        check.equal(gateway.log_line(method="PROXY")["error_code"], "bad_start_line")
        client = t.client(gateway.http_port, source="127.0.0.7")
        client.send(b"PROXY TCP4 198.51.100.7 192.0.2.1 5678 443\r\n" + encode_request("GET", "/proxied"))
        check.equal(client.response().status, 200)
        check.equal(gateway.log_line(path="/proxied")["client_address"], "198.51.100.7")


def test_limits_count_the_client_and_not_the_proxy(t):
    gateway = _gateway(t, t.echo(), **{"in": "required", "per_address": 1})
    held = []
    for address in ("198.51.100.1", "198.51.100.2"):
        client = t.client(gateway.http_port)
        client.send(f"PROXY TCP4 {address} 192.0.2.1 1 1\r\n".encode() + encode_request("GET", "/"))
        check.equal(client.response().status, 200)
        held.append(client)
    assert plain.resets(gateway.http_port, b"PROXY TCP4 198.51.100.1 192.0.2.1 1 1\r\n" + encode_request("GET", "/"))
    check.equal(gateway.metrics().sum("sluice_limit_hits_total", limit="connections_per_address"), 1)
    for client in held:
        client.close()
    t.poll("they have gone", lambda: gateway.metrics().sum("sluice_connections") == 0)
    client = t.client(gateway.http_port)
    client.send(b"PROXY TCP4 198.51.100.1 192.0.2.1 1 1\r\n" + encode_request("GET", "/"))
    check.equal(client.response().status, 200, "there is room again")


# --- out


def test_streams_name_their_client_to_haproxy(t):
    seen = plain.TcpServer(plain.echo)
    t.on_end(seen.stop)
    for version in ("v1", "v2"):
        with t.case(version):
            haproxy = _haproxy(t, """
frontend f
  mode http
  bind 127.0.0.1:@port@ accept-proxy
  http-request return status 200 content-type text/plain lf-string "%ci %cp %[dst] %[dst_port]"
""")
            gateway = _gateway(t, tcp=haproxy, out=version)
            client = t.client(gateway.port, source="127.0.0.5")
            port = client.sock.getsockname()[1]
            check.equal(client.get("/").body.decode().split(), ["127.0.0.5", str(port), "127.0.0.1", str(gateway.port)])


def test_what_a_proxy_said_is_passed_on(t):
    headers = []

    def script(sock):
        headers.append(plain.receive(sock, len(b"PROXY TCP4 198.51.100.7 192.0.2.1 5678 443\r\nhello")))

    server = plain.TcpServer(script)
    t.on_end(server.stop)
    gateway = _gateway(t, tcp=server, out="v1", **{"in": "required"})
    with plain.connect(gateway.port) as sock:
        sock.sendall(_tcp4("198.51.100.7", 5678) + b"hello")
        plain.receive_all(sock)
    check.equal(headers, [b"PROXY TCP4 198.51.100.7 192.0.2.1 5678 443\r\nhello"])


def test_requests_name_their_client_to_nginx(t):
    """Each request has a connection of its own, for the header names one client."""
    for version in ("v1", "v2"):
        with t.case(version):
            nginx = t.nginx("""
  server {
    listen 127.0.0.1:@port@ proxy_protocol; keepalive_timeout 60;
    location / { return 200 "$proxy_protocol_addr $proxy_protocol_server_port $connection"; }
  }""")
            gateway = _gateway(t, nginx, out=version)
            connections = set()
            for source in ("127.0.0.5", "127.0.0.6"):
                client = t.client(gateway.http_port, source=source)
                for _ in range(3):
                    answer = client.get("/").body.decode().split()
                    check.equal(answer[:2], [source, str(gateway.http_port)])
                    connections.add(answer[2])
            check.equal(len(connections), 6)
