"""A raw client: sends exactly the bytes it is told and reads answers strictly."""

import socket
import struct
import time

from harness import message, patience

HOST = "gateway.test"


def encode_request(method, target, fields=(), body=None, host=HOST, version="HTTP/1.1"):
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


class Client:
    """One connection. With `reconnect` a request after one that ended it (or failed) goes out on a new one: for tables
    whose subject is not the connection's life."""

    def __init__(self, port, transcript, source=None, name="client", receive_buffer=None, reconnect=False):
        self.transcript, self.name, self.reconnect = transcript, name, reconnect
        self._port, self._source, self._receive_buffer = port, source, receive_buffer
        self._spent = False
        self._connect()

    def _connect(self):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if self._receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        if self._source:
            self.sock.bind((self._source, 0))
        self.sock.settimeout(patience.SECONDS)
        self.sock.connect(("127.0.0.1", self._port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.reader = message.Reader(self.sock, self.transcript, self.name)

    def send(self, *pieces):
        """Bytes are sent each in a write of its own; a number is a wait in seconds between them."""
        for piece in pieces:
            if isinstance(piece, (int, float)):
                time.sleep(piece)
                continue
            self.transcript.add(self.name, "sends", piece)
            self.sock.settimeout(patience.SECONDS)
            self.sock.sendall(piece)

    def try_send(self, *pieces):
        """As `send`; False when the peer has already closed."""
        try:
            self.send(*pieces)
            return True
        except OSError as error:
            self.transcript.add(self.name, "error", str(error).encode())
            return False

    def head(self):
        """The next response head, 1xx included."""
        return message.read_response_head(self.reader)

    def body(self, response, method="GET"):
        return message.read_response_body(self.reader, response, method)

    def response(self, method="GET"):
        """The next final response, whole; the 1xx before it are in `interim`."""
        interim = []
        while True:
            response = self.head()
            if response.status >= 200 or response.status == 101:
                response.interim = interim
                return self.body(response, method)
            self.body(response, method)
            interim.append(response)

    def request(self, method, target, fields=(), body=None, host=HOST, version="HTTP/1.1"):
        if self._spent and self.reconnect:
            self.close()
            self._connect()
        self._spent = True  # until a whole answer says otherwise
        self.send(encode_request(method, target, fields, body, host, version))
        response = self.response(method)
        self._spent = not response.keeps_open
        return response

    def get(self, target, fields=(), **more):
        return self.request("GET", target, fields, **more)

    def expect_closed(self):
        """The peer closes (a reset counts) and sends nothing more."""
        try:
            while self.reader.fill():
                pass
        except message.Closed:
            pass
        rest = bytes(self.reader.buffer)
        assert not rest, f"{self.name}: unexpected bytes before the close: {rest[:300]!r}"

    def expect_open(self, target="/", status=200):
        """The connection still serves: proved by a request, not by waiting."""
        response = self.get(target)
        assert response.status == status, f"next request on the connection: {response.status}"

    def half_close(self):
        self.transcript.add(self.name, "half-close")
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.transcript.add(self.name, "reset")
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
