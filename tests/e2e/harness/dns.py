"""A small name server: UDP, and TCP for answers that are too long for it (RFC 1035); what it knows changes at any time."""

import socket
import struct
import threading

from harness import patience

TYPES = {"A": 1, "AAAA": 28, "SRV": 33}
LONGEST = 512  # of an answer by UDP, without EDNS
NAME_ERROR = 3


def _name(text):
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def _data(kind, value):
    if kind == "A":
        return socket.inet_aton(value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    priority, weight, port, host = value
    return struct.pack("!HHH", priority, weight, port) + _name(host)


class DnsServer:
    """`known[name, kind]` is a list of values: an address, or (priority, weight, port, host) of an SRV record. What is
    not there does not exist. `questions` counts by name and kind; while `silent` none is answered."""

    def __init__(self, t, ttl=1):
        self.known, self.questions, self.ttl, self.silent = {}, {}, ttl, False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", self.port))
        self._lock, self._stopped = threading.Lock(), False
        for run in (self._serve_datagrams, self._serve_connections):
            threading.Thread(target=run, daemon=True).start()
        t.on_end(self.stop)

    @property
    def setting(self):
        """For `gateway.dns`."""
        return f'{{ servers: ["127.0.0.1:{self.port}"] }}'

    def address(self, name, value="127.0.0.1"):
        self.known[name, "A"] = [value]

    def service(self, name, *records):
        """(priority, weight, port, host) each."""
        self.known[name, "SRV"] = list(records)

    def forget(self, name, kind):
        self.known.pop((name, kind))

    def asked(self, name, kind):
        with self._lock:
            return self.questions.get((name, kind), 0)

    def await_questions(self, name, kind, count):
        """Until it was asked so many times more."""
        before = self.asked(name, kind)
        patience.poll(f"{count} questions for {name}", lambda: self.asked(name, kind) >= before + count)

    def _answer(self, question, longest):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode().lower())
            at += 1 + question[at]
        number, = struct.unpack_from("!H", question, at + 1)
        name, kind = ".".join(labels), next((kind for kind, its in TYPES.items() if its == number), None)
        with self._lock:
            self.questions[name, kind] = self.questions.get((name, kind), 0) + 1
        if self.silent:
            return None
        records = self.known.get((name, kind), [])
        exists = any(known == name for known, _ in list(self.known))
        body = question[12:at + 5]
        for value in records:
            data = _data(kind, value)
            body += struct.pack("!HHHIH", 0xC00C, number, 1, self.ttl, len(data)) + data
        flags, count = 0x8180 | (0 if exists else NAME_ERROR), len(records)
        if 12 + len(body) > longest:
            flags, count, body = flags | 0x0200, 0, question[12:at + 5]
        return question[:2] + struct.pack("!HHHHH", flags, 1, count, 0, 0) + body

    def _serve_datagrams(self):
        while True:
            try:
                question, asker = self._datagrams.recvfrom(4096)
            except OSError:
                return
            if self._stopped:
                return
            if answer := self._answer(question, LONGEST):
                self._datagrams.sendto(answer, asker)

    def _serve_connections(self):
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(sock,), daemon=True).start()

    def _serve_connection(self, sock):
        with sock, sock.makefile("rb") as reader:
            while len(size := reader.read(2)) == 2:
                answer = self._answer(reader.read(struct.unpack("!H", size)[0]), 65535)
                if answer:
                    sock.sendall(struct.pack("!H", len(answer)) + answer)

    def stop(self):
        self._stopped = True
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", ("127.0.0.1", self.port))
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._datagrams.close()
