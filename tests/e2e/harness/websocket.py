"""WebSockets by the book (RFC 6455) over the raw client and the scripted upstreams: handshakes, frames, nothing hidden."""

import base64
import hashlib
import os
import socket
import struct

from harness import message, patience

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()


def handshake(key="dGhlIHNhbXBsZSBub25jZQ==", target="/", host="gateway.test", fields=(), version="13", upgrade="websocket"):
    lines = [f"GET {target} HTTP/1.1", f"Host: {host}", f"Upgrade: {upgrade}", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key}"] if key is not None else []
    lines += [f"Sec-WebSocket-Version: {version}"] if version is not None else []
    lines += [f"{name}: {value}" for name, value in fields]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def frame(opcode, payload=b"", masked=True, fin=True, reserved=0):
    first = (0x80 if fin else 0) | reserved << 4 | opcode
    size = len(payload)
    mask = 0x80 if masked else 0
    if size <= 125:
        head = struct.pack("!BB", first, mask | size)
    elif size < 65536:
        head = struct.pack("!BBH", first, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask | 127, size)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask_bytes(payload, key)


def mask_bytes(payload, key):
    size = len(payload)
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(size, "big") if size else b""


def close_payload(code, reason=""):
    return struct.pack("!H", code) + reason.encode()


class Frame:
    def __init__(self, opcode, payload, fin, masked, reserved):
        self.opcode, self.payload, self.fin, self.masked, self.reserved = opcode, payload, fin, masked, reserved

    @property
    def code(self):
        return struct.unpack("!H", self.payload[:2])[0] if len(self.payload) >= 2 else None

    def __repr__(self):
        return f"Frame({self.opcode}, {self.payload[:60]!r}, fin={self.fin}, masked={self.masked})"


class Peer:
    """One end after the handshake. `left`: bytes that came with the head."""

    def __init__(self, sock, masks, left=b""):
        self.sock, self.masks, self.buffer = sock, masks, left

    def send(self, opcode, payload=b"", **more):
        self.send_bytes(frame(opcode, payload, masked=self.masks, **more))

    def send_bytes(self, data):
        self.sock.settimeout(patience.SECONDS)
        self.sock.sendall(data)

    def _need(self, size):
        self.sock.settimeout(patience.SECONDS)
        while len(self.buffer) < size:
            try:
                got = self.sock.recv(1 << 20)
            except (TimeoutError, socket.timeout):
                raise message.Silent(f"no frame came: {self.buffer[:100]!r}") from None
            if not got:
                raise message.Closed("ended within a frame", self.buffer)
            self.buffer += got

    def read(self):
        """The next frame, unmasked; None when the peer ended between frames."""
        try:
            self._need(2)
        except message.Closed:
            if self.buffer:
                raise
            return None
        first, second = self.buffer[0], self.buffer[1]
        size, at = second & 0x7F, 2
        if size == 126:
            self._need(4)
            size, at = struct.unpack("!H", self.buffer[2:4])[0], 4
        elif size == 127:
            self._need(10)
            size, at = struct.unpack("!Q", self.buffer[2:10])[0], 10
        masked = bool(second & 0x80)
        key = None
        if masked:
            self._need(at + 4)
            key, at = self.buffer[at : at + 4], at + 4
        self._need(at + size)
        payload, self.buffer = self.buffer[at : at + size], self.buffer[at + size :]
        assert masked != self.masks, f"a frame of the wrong side: masked {masked}"
        return Frame(first & 15, mask_bytes(payload, key) if masked else payload, bool(first & 0x80), masked, first >> 4 & 7)

    def message(self):
        """The next whole message's payload; control frames on the way are an error."""
        whole = b""
        while True:
            part = self.read()
            assert part is not None and part.opcode < 8, f"no message: {part}"
            whole += part.payload
            if part.fin:
                return whole

    def ends(self):
        """Reads to the peer's end; what came on the way."""
        seen = []
        while True:
            try:
                part = self.read()
            except ConnectionResetError:
                return seen
            if part is None:
                return seen
            seen.append(part)


def open_on(client, **more):
    """Shakes hands on a raw client; gives back the peer and the 101's head."""
    client.send(handshake(**more))
    answer = client.head()
    assert answer.status == 101, f"no WebSocket: {answer.status} {answer.fields}"
    return Peer(client.sock, True, bytes(client.reader.buffer)), answer


def accept_on(connection, fields=()):
    """The server's side, on a scripted upstream's connection; gives back the peer and the request."""
    request = connection.read_head()
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    lines.append(f"Sec-WebSocket-Accept: {accept_of(request.get('sec-websocket-key'))}")
    lines += [f"{name}: {value}" for name, value in fields]
    connection.send(("\r\n".join(lines) + "\r\n\r\n").encode())
    return Peer(connection.sock, False, bytes(connection.reader.buffer)), request


def echo_script(connection):
    """Sends back each message and each close; answers pings."""
    peer, _ = accept_on(connection)
    while True:
        part = peer.read()
        if part is None:
            return
        peer.send(PONG if part.opcode == PING else part.opcode, part.payload, fin=part.fin)
        if part.opcode == CLOSE:
            return


class Http2Socket:
    """The stream of a WebSocket on an HTTP/2 connection (RFC 8441) with the face of a socket: frames by hand, for h2 takes
    nothing more after a GOAWAY."""

    DATA, RST_STREAM, PING, GOAWAY, WINDOW_UPDATE = 0, 3, 6, 7, 8

    def __init__(self, client, stream):
        self.client, self.stream, self.ended, self.goaways = client, stream, False, []
        self._frames = client.frames()

    def settimeout(self, seconds):
        self.client.sock.settimeout(seconds)

    def _put(self, kind, payload, flags=0, stream=None):
        head = struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", self.stream if stream is None else stream)
        self.client.sock.sendall(head + payload)

    def sendall(self, data):
        for at in range(0, len(data), 16384):
            self._put(self.DATA, data[at : at + 16384])

    def shutdown(self, _=None):
        self._put(self.DATA, b"", flags=1)

    def reset(self):
        self._put(self.RST_STREAM, struct.pack("!I", 8))

    def recv(self, _):
        while not self.ended:
            for kind, flags, stream, payload in self._frames:
                if kind == self.PING and not flags & 1:
                    self._put(self.PING, payload, flags=1, stream=0)
                elif kind == self.GOAWAY:
                    self.goaways.append(payload)
                elif kind == self.RST_STREAM and stream == self.stream:
                    raise ConnectionResetError(f"the stream was reset: {payload.hex()}")
                elif kind == self.DATA and stream == self.stream:
                    self.ended = bool(flags & 1)
                    if payload:
                        for number in (0, stream):
                            self._put(self.WINDOW_UPDATE, struct.pack("!I", len(payload)), stream=number)
                        return payload
                    if self.ended:
                        return b""
            else:
                self.ended = True
        return b""


def open_on_http2(client, target="/", fields=()):
    """Shakes hands by extended CONNECT on a harness.http2.Client; gives back the peer and the answer."""
    assert client.wait_for(lambda: client.h2.remote_settings.enable_connect_protocol), "no extended CONNECT"
    pseudo = [(":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":path", target), (":authority", "gateway.test")]
    stream = client.request("CONNECT", target, end=False, pseudo=pseudo, fields=[("sec-websocket-version", "13"), *fields])
    answer = client.answers[stream]
    assert client.wait_for(lambda: answer.status is not None), "no answer"
    if answer.status != 200:
        return None, answer
    return Peer(Http2Socket(client, stream), True, answer.body), answer
