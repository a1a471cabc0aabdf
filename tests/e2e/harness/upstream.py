"""Upstreams in threads: a scripted one that does exactly what a test says, and a well-behaved one that echoes."""

import json
import socket
import struct
import threading
import time

from harness import message, patience


class Connection:
    """One accepted connection, as a script sees it."""

    def __init__(self, sock, upstream, number):
        self.sock, self.upstream, self.number = sock, upstream, number
        self.name = f"{upstream.name}#{number}"
        self.reader = message.Reader(sock, upstream.transcript, self.name)

    def read_head(self):
        request = message.read_request_head(self.reader)
        self.upstream.note(request)
        return request

    def read_body(self, request):
        return message.read_request_body(self.reader, request)

    def read_request(self):
        request = message.read_request_head(self.reader)
        self.read_body(request)
        self.upstream.note(request)
        return request

    def send(self, *pieces):
        """Bytes each in a write of its own; a number is a wait in seconds."""
        for piece in pieces:
            if isinstance(piece, (int, float)):
                time.sleep(piece)
                continue
            self.upstream.transcript.add(self.name, "sends", piece)
            self.sock.settimeout(patience.SECONDS)
            self.sock.sendall(piece)

    def answer(self, body=b"ok", status="200 OK", fields=()):
        lines = [f"HTTP/1.1 {status}"] + [f"{name}: {value}" for name, value in fields]
        lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)

    def wait_for_close(self):
        """What else came before the peer closed or reset."""
        try:
            return self.reader.to_end()
        except message.Closed as closed:
            return closed.received

    def half_close(self):
        self.upstream.transcript.add(self.name, "half-close")
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.upstream.transcript.add(self.name, "reset")
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.upstream.transcript.add(self.name, "close")
        self.sock.close()


class Upstream:
    """Runs `script(connection)` in a thread for each accepted connection. `requests` and `connections` are what came."""

    def __init__(self, transcript, script, name="upstream", also_ipv6=False, port=0):
        self.transcript, self.script, self.name = transcript, script, name
        self.requests, self.connections, self.errors = [], 0, []
        self._lock = threading.Lock()
        self._open = set()
        self._stopping = False
        self._listeners = [self._listen(socket.AF_INET, "127.0.0.1", port)]
        self.port = self._listeners[0].getsockname()[1]
        if also_ipv6:
            try:
                self._listeners.append(self._listen(socket.AF_INET6, "::1", self.port))
            except OSError:
                pass  # a machine without IPv6 loopback resolves localhost to 127.0.0.1 alone
        for listener in self._listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    @staticmethod
    def _listen(family, address, port):
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(512)
        return listener

    def note(self, request):
        with self._lock:
            self.requests.append(request)

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.add(sock)
                connection = Connection(sock, self, self.connections)
            self.transcript.add(connection.name, "accepts")
            threading.Thread(target=self._run, args=(connection,), daemon=True).start()

    def _run(self, connection):
        try:
            self.script(connection)
        except (message.Closed, message.Silent, OSError) as error:
            self.transcript.add(connection.name, "ended", str(error).encode())
        except Exception as error:  # what a script asserts belongs to the test's verdict
            self.transcript.add(connection.name, "FAILED", repr(error).encode())
            if not self._stopping:
                self.errors.append(error)
        finally:
            with self._lock:
                self._open.discard(connection.sock)
            connection.sock.close()

    def wait_for(self, requests):
        patience.poll(f"{self.name} sees {requests} requests", lambda: len(self.requests) >= requests)

    def stop(self):
        self._stopping = True
        for listener in self._listeners:
            try:
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread in accept
            except OSError:
                pass
            listener.close()
        with self._lock:
            for sock in self._open:
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def check(self):
        if self.errors:
            raise AssertionError(f"{self.name}: {self.errors[0]!r}") from self.errors[0]


def echo_script(connection):
    """Answers each request with what it was, as JSON; keeps the connection as long as the gateway likes."""
    while True:
        request = connection.read_request()
        told = {
            "upstream": connection.upstream.name,
            "connection": connection.number,
            "method": request.method,
            "target": request.target,
            "version": request.version,
            "fields": [[name.lower(), value] for name, value in request.fields],
            "framing": request.framing,
            "body": request.body[:4096].decode("latin-1"),
            "body_bytes": len(request.body),
            "trailers": [[name.lower(), value] for name, value in request.trailers],
        }
        body = json.dumps(told).encode()
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Upstream: {connection.upstream.name}\r\n"
        head += f"Content-Length: {len(body)}\r\n\r\n"
        connection.send(head.encode() + (b"" if request.method == "HEAD" else body))


def once(*pieces):
    """A script: reads one request a connection, sends the pieces, closes."""

    def script(connection):
        connection.read_request()
        connection.send(*pieces)

    return script


def always(*pieces):
    """A script: answers every request of a connection with the same bytes."""

    def script(connection):
        while True:
            connection.read_request()
            connection.send(*pieces)

    return script
