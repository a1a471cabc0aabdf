"""Peers that speak no HTTP: TCP servers that follow a script, UDP servers, and small helpers for raw sockets."""

import socket
import struct
import threading

from harness import patience


class TcpServer:
    """Each connection runs `script(sock)` in a thread; what it leaves open is closed."""

    def __init__(self, script, port=0):
        self.listener = socket.create_server(("127.0.0.1", port))
        self.port = self.listener.getsockname()[1]
        self.connections = 0
        self.failures = []
        self._script = script
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        sock.settimeout(patience.SECONDS)
        try:
            with sock:
                self._script(sock)
        except OSError as error:
            self.failures.append(error)

    def stop(self):
        if self.listener.fileno() < 0:
            return
        self.listener.shutdown(socket.SHUT_RDWR)  # closing alone would leave it to the thread that accepts
        self.listener.close()


def echo(sock):
    """Sends back what comes, and its end."""
    while data := sock.recv(65536):
        sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def named(name):
    """As `echo`, after a greeting."""

    def script(sock):
        sock.sendall(name)
        echo(sock)

    return script


class UdpServer:
    """Answers each datagram with `prefix` and itself; no prefix: does not answer."""

    def __init__(self, prefix, port=0):
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", port))
        self.port = self.sock.getsockname()[1]
        self.prefix, self.received, self.stopped = prefix, [], False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while True:
            try:
                data, sender = self.sock.recvfrom(65536)
                self.received.append((data, sender))
                if self.stopped:
                    return
                if self.prefix is not None:
                    self.sock.sendto(self.prefix + data, sender)
            except OSError:
                return

    def stop(self):
        """Until the port is free: its thread must have left the socket."""
        if self.stopped:
            return
        self.stopped = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._thread.join()
        self.sock.close()


def connect(port, source=None):
    sock = socket.socket()
    sock.settimeout(patience.SECONDS)
    if source:
        sock.bind((source, 0))
    sock.connect(("127.0.0.1", port))
    return sock


def udp_client(port, source="127.0.0.1"):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(patience.SECONDS)
    sock.bind((source, 0))
    sock.connect(("127.0.0.1", port))
    return sock


def receive(sock, count):
    """Exactly so many bytes, or fewer when the end comes first."""
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            break
        data += more
    return data


def receive_all(sock):
    data = b""
    while more := sock.recv(65536):
        data += more
    return data


def reset(sock):
    """Closes with RST instead of FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def resets(port, said=b""):
    """Whether a new connection that says this is reset; it may be before it has said anything."""
    try:
        with connect(port) as sock:
            sock.sendall(said)
            receive_all(sock)
        return False
    except (ConnectionResetError, BrokenPipeError):
        return True


def is_reset(sock):
    """Whether the connection ends by a reset, whatever comes before."""
    try:
        receive_all(sock)
        return False
    except ConnectionResetError:
        return True
