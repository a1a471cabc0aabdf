"""HTTP/1.1 messages read from a socket without any leniency (RFC 9112): whatever is odd is an error of who sent it."""

import json
import re
import socket
import time
from dataclasses import dataclass, field

from harness import patience

TOKEN = re.compile(r"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")
STATUS_LINE = re.compile(r"^(HTTP/1\.[01]) ([1-5][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)$")
REQUEST_LINE = re.compile(r"^([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) (HTTP/1\.[01])$")
CHUNK_LINE = re.compile(r"^([0-9A-Fa-f]{1,16})((?:[ \t]*;[^\r\n]*)?)$")


class ProtocolError(AssertionError):
    """The peer sent something that no HTTP/1.1 sender may send."""


class Closed(AssertionError):
    """The peer closed or reset before the message was whole; `received` is the part of the body that came."""

    def __init__(self, text, received=b"", reset=False):
        super().__init__(text)
        self.received = received
        self.reset = reset


class Silent(AssertionError):
    """Nothing came within the patience of the test."""


class Reader:
    """Buffered reading from one socket; what belongs to the next message stays."""

    def __init__(self, sock, transcript, who):
        self.sock, self.transcript, self.who = sock, transcript, who
        self.buffer = bytearray()
        self.ended = False

    def fill(self, seconds=None):
        """Waits for more bytes; False at the end of the stream."""
        if self.ended:
            return False
        self.sock.settimeout(max(0.001, patience.SECONDS if seconds is None else seconds))
        try:
            data = self.sock.recv(65536)
        except (socket.timeout, BlockingIOError):
            raise Silent(f"{self.who}: nothing came; unread so far: {bytes(self.buffer[:200])!r}") from None
        except OSError as error:
            self.ended = True
            self.transcript.add(self.who, "error", str(error).encode())
            raise Closed(f"{self.who}: {error}", bytes(self.buffer), reset=True) from None
        if not data:
            self.ended = True
            self.transcript.add(self.who, "end")
            return False
        self.transcript.add(self.who, "received", data)
        self.buffer += data
        return True

    def line(self):
        """One line without its CRLF; a bare CR or LF is an error."""
        scanned = 0
        while True:
            end = self.buffer.find(b"\n", scanned)
            if end >= 0:
                break
            scanned = len(self.buffer)
            if not self.fill():
                raise Closed(f"{self.who}: closed within a line: {bytes(self.buffer[:200])!r}", bytes(self.buffer))
        line = bytes(self.buffer[:end + 1])
        del self.buffer[:end + 1]
        if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
            raise ProtocolError(f"{self.who}: bare CR or LF in {line!r}")
        return line[:-2].decode("latin-1")

    def exact(self, count):
        while len(self.buffer) < count:
            if not self.fill():
                raise Closed(f"{self.who}: closed after {len(self.buffer)} of {count} bytes", bytes(self.buffer))
        data = bytes(self.buffer[:count])
        del self.buffer[:count]
        return data

    def to_end(self, seconds=None):
        """Everything until the peer closes in an orderly way."""
        end = patience.deadline(seconds)
        while self.fill(max(0.001, end - time.monotonic())):
            pass
        data = bytes(self.buffer)
        self.buffer.clear()
        return data


@dataclass
class Message:
    version: str
    fields: list
    framing: str = "none"  # none | length | chunked | close
    body: bytes = b""
    trailers: list = field(default_factory=list)
    chunks: int = 0

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name):
        values = self.all(name)
        if len(values) > 1:
            raise ProtocolError(f"{name} repeated: {values}")
        return values[0] if values else None

    def has(self, name):
        return bool(self.all(name))

    def trailer(self, name):
        return next((value for key, value in self.trailers if key.lower() == name.lower()), None)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def keeps_open(self):
        options = [option.strip().lower() for value in self.all("connection") for option in value.split(",")]
        if self.version == "HTTP/1.0":
            return "keep-alive" in options
        return "close" not in options


@dataclass
class Request(Message):
    method: str = ""
    target: str = ""


@dataclass
class Response(Message):
    status: int = 0
    reason: str = ""
    interim: list = field(default_factory=list)  # the 1xx that came before


def read_fields(reader):
    fields = []
    while True:
        line = reader.line()
        if line == "":
            return fields
        name, colon, value = line.partition(":")
        if not colon or not TOKEN.match(name):
            raise ProtocolError(f"{reader.who}: not a field line: {line!r}")
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", value):
            raise ProtocolError(f"{reader.who}: control byte in field {line!r}")
        fields.append((name, value.strip(" \t")))


def framing_of(reader, message):
    """RFC 9112, section 6.3, for what stands in the fields: chunked, a length, or neither."""
    codings, lengths = message.all("transfer-encoding"), message.all("content-length")
    if codings and lengths:
        raise ProtocolError(f"{reader.who}: Transfer-Encoding and Content-Length together")
    if codings:
        if [coding.lower() for coding in codings] != ["chunked"]:
            raise ProtocolError(f"{reader.who}: Transfer-Encoding {codings}")
        if message.version != "HTTP/1.1":
            raise ProtocolError(f"{reader.who}: Transfer-Encoding in {message.version}")
        return "chunked", 0
    if lengths:
        if len(lengths) > 1 or not re.match(r"^[0-9]+$", lengths[0]):
            raise ProtocolError(f"{reader.who}: Content-Length {lengths}")
        return "length", int(lengths[0])
    return "none", 0


def read_chunked(reader, message):
    body = bytearray()
    try:
        while True:
            line = reader.line()
            match = CHUNK_LINE.match(line)
            if not match:
                raise ProtocolError(f"{reader.who}: not a chunk line: {line!r}")
            size = int(match[1], 16)
            if size == 0:
                break
            message.chunks += 1
            body += reader.exact(size)
            if reader.exact(2) != b"\r\n":
                raise ProtocolError(f"{reader.who}: chunk data not followed by CRLF")
        message.trailers = read_fields(reader)
    except Closed as closed:
        raise Closed(f"{closed}; in a chunked body", bytes(body), closed.reset) from None
    message.body = bytes(body)


def read_request_head(reader):
    line = reader.line()
    match = REQUEST_LINE.match(line)
    if not match:
        raise ProtocolError(f"{reader.who}: not a request line: {line!r}")
    request = Request(version=match[3], fields=[], method=match[1], target=match[2])
    request.fields = read_fields(reader)
    return request


def read_request_body(reader, request):
    request.framing, length = framing_of(reader, request)
    if request.framing == "chunked":
        read_chunked(reader, request)
    elif request.framing == "length":
        request.body = reader.exact(length)
    return request


def read_response_head(reader):
    line = reader.line()
    match = STATUS_LINE.match(line)
    if not match:
        raise ProtocolError(f"{reader.who}: not a status line: {line!r}")
    response = Response(version=match[1], fields=[], status=int(match[2]), reason=match[3])
    response.fields = read_fields(reader)
    return response


def read_response_body(reader, response, method):
    """RFC 9112, section 6.3: HEAD, 1xx, 204 and 304 have no body; without framing the body ends with the connection."""
    response.framing, length = framing_of(reader, response)
    if response.status < 200 or response.status == 204:
        if response.framing != "none":
            raise ProtocolError(f"{reader.who}: framing field in a {response.status}")
        return response
    if method == "HEAD" or response.status == 304:
        return response
    if response.framing == "chunked":
        read_chunked(reader, response)
    elif response.framing == "length":
        response.body = reader.exact(length)
    else:
        response.framing = "close"
        response.body = reader.to_end()
    return response
