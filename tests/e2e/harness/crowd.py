"""Many clients at once from one thread: what a hostile peer opens by the thousand, and what becomes of it."""

import errno
import os
import resource
import select
import socket
import struct
import time

from harness import patience


class Member:
    """One connection of a crowd. `received` is what came, `ended` whether the peer closed or reset it."""

    def __init__(self, sock):
        self.sock, self.received, self.ended, self.reset = sock, b"", False, False

    def status(self):
        return int(self.received[9:12]) if self.received.startswith(b"HTTP/1.1 ") else None


class Crowd:
    """`count` connections to a port of loopback, from 127.0.0.1 to 127.0.0.`sources`. Reads only in `watch`."""

    def __init__(self, port, count, sources=1):
        room_for_descriptors(count)
        self.members = []
        for number in range(count):
            sock = socket.socket()
            if sources > 1:
                # The port is chosen at connect, so that one address's ports are not used up by another's.
                sock.setsockopt(socket.IPPROTO_IP, getattr(socket, "IP_BIND_ADDRESS_NO_PORT", 24), 1)
                sock.bind((f"127.0.0.{1 + number % sources}", 0))
            sock.settimeout(patience.SECONDS)
            member = Member(sock)
            try:
                sock.connect(("127.0.0.1", port))
            except OSError:
                member.ended = member.reset = True
            sock.setblocking(False)
            self.members.append(member)

    def open(self):
        return [member for member in self.members if not member.ended]

    def send(self, text, members=None):
        """The same bytes on each; what a full socket does not take is dropped."""
        for member in self.open() if members is None else members:
            try:
                member.sock.send(text)
            except BlockingIOError:
                pass
            except OSError:
                member.ended = member.reset = True

    def read(self, wait=0.02):
        """Takes what has come to whom."""
        poller = select.epoll()
        by_descriptor = {}
        for member in self.open():
            by_descriptor[member.sock.fileno()] = member
            poller.register(member.sock.fileno(), select.EPOLLIN)
        for descriptor, _ in poller.poll(wait):
            member = by_descriptor[descriptor]
            try:
                data = member.sock.recv(65536)
                member.received += data
                member.ended = not data
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EINTR):
                    member.ended = member.reset = True
        poller.close()

    def watch(self, what, predicate, meanwhile=None, seconds=None):
        """Reads until `predicate()` is true; `meanwhile()` is called between looks."""
        end = patience.deadline(seconds)
        while not predicate():
            assert time.monotonic() < end, f"never happened: {what}"
            self.read()
            if meanwhile:
                meanwhile()

    def close(self, members=None, reset=False):
        for member in list(self.members if members is None else members):
            if reset and member.sock.fileno() >= 0:
                member.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            member.sock.close()
            member.ended = True


def room_for_descriptors(count):
    """Raises our own soft limit; what the hard one does not allow is the machine's limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    assert count + 200 < hard, f"{count} connections need more descriptors than the {hard} allowed"


def descriptors(gateway):
    return len(os.listdir(f"/proc/{gateway.process.pid}/fd"))


def private_bytes(gateway):
    """Memory of its own: what no other process shares and no file backs."""
    for line in open(f"/proc/{gateway.process.pid}/smaps_rollup"):
        if line.startswith("Private_Dirty:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no Private_Dirty in smaps_rollup")
