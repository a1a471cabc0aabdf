"""The soak's clients: one process of coroutines, each of which does one thing after another on its connection and checks
every answer. What goes wrong is excused only while an upstream was just killed."""

import asyncio
import collections
import random
import socket
import struct
import time
import zlib

from messages import body_of, chunked, read_answer

KEY = "X-Soak: 1"
PATIENCE = 30  # seconds for an answer: a hung exchange is a wrong one


class Wrong(Exception):
    """An answer that nobody may give."""


def request(method, target, fields=(), body=b""):
    lines = [f"{method} {target} HTTP/1.1", "Host: soak.test", KEY, *fields]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Client:
    def __init__(self, port, number, counts, trouble):
        self.port, self.number, self.counts, self.trouble = port, number, counts, trouble
        self.random = random.Random(number)
        self.serial = 0
        self.reader = self.writer = None

    def identity(self):
        self.serial += 1
        return f"{self.number}.{self.serial}"

    async def connect(self):
        self.reader, self.writer = await asyncio.open_connection("127.0.0.1", self.port, limit=1 << 20)

    def drop(self, reset=False):
        if not self.writer:
            return
        sock = self.writer.get_extra_info("socket")
        if reset and sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort() if reset else self.writer.close()
        self.reader = self.writer = None

    async def expect(self, wanted):
        status, body, goes_on = await asyncio.wait_for(read_answer(self.reader), PATIENCE)
        self.counts["answers"] += 1
        if status == 200 and body != wanted:
            raise Wrong(f"200 with {len(body)} bytes {body[:60]!r} instead of {len(wanted)} bytes {wanted[:60]!r}")
        if status != 200:
            self.counts[f"status {status}"] += 1
            if status not in (502, 503, 504):
                raise Wrong(f"status {status}: {body[:200]!r}")
            raise ConnectionError(f"status {status}")
        if not goes_on:
            self.drop()

    # What a client does.

    async def get(self, size):
        identity = self.identity()
        self.writer.write(request("GET", f"/bytes/{size}/{identity}"))
        await self.expect(body_of(identity, size))

    async def small(self):
        for _ in range(self.random.randrange(1, 20)):
            await self.get(self.random.randrange(0, 3000))
            if not self.writer:
                return

    async def large(self):
        await self.get(self.random.randrange(100_000, 1_000_000))

    async def pipelined(self):
        asked = [(self.identity(), self.random.randrange(0, 5000)) for _ in range(self.random.randrange(2, 12))]
        self.writer.write(b"".join(request("GET", f"/bytes/{size}/{identity}") for identity, size in asked))
        for identity, size in asked:
            if not self.writer:
                return
            await self.expect(body_of(identity, size))

    async def upload(self):
        identity, body = self.identity(), self.random.randbytes(self.random.randrange(0, 300_000))
        wanted = f"{identity} {len(body)} {zlib.crc32(body)}".encode()
        if self.random.random() < 0.5:
            self.writer.write(request("POST", f"/sum/{identity}", ["Transfer-Encoding: chunked"],
                                      chunked(body, self.random.randrange(1000, 50_000))))
        else:
            self.writer.write(request("POST", f"/sum/{identity}", [f"Content-Length: {len(body)}"], body))
        await self.expect(wanted)

    async def abort(self):
        """Leaves at any byte of a request or of its answer, by an end or by a reset."""
        body = self.random.randbytes(20_000)
        if self.random.random() < 0.5:
            text = request("POST", f"/sum/{self.identity()}", ["Transfer-Encoding: chunked"], chunked(body, 5000))
            self.writer.write(text[:self.random.randrange(1, len(text))])
        else:
            self.writer.write(request("GET", f"/bytes/500000/{self.identity()}") * self.random.randrange(1, 4))
            try:
                await asyncio.wait_for(self.reader.read(self.random.randrange(1, 300_000)), PATIENCE)
            except OSError:
                pass
        await asyncio.sleep(self.random.random() * 0.02)
        self.counts["aborts"] += 1
        self.drop(reset=self.random.random() < 0.5)

    async def slow(self):
        """Sends and reads in small pieces."""
        identity, size = self.identity(), 50_000
        for piece in request("GET", f"/bytes/{size}/{identity}").split(b"s"):
            self.writer.write(piece + b"s" if not piece.endswith(b"\r\n\r\n") else piece)
            await asyncio.sleep(0.01)
        await self.expect(body_of(identity, size))

    async def run(self, until):
        deeds = [(self.small, 50), (self.large, 6), (self.pipelined, 12), (self.upload, 14), (self.abort, 12),
                 (self.slow, 4)]
        kinds, weights = zip(*deeds)
        while time.monotonic() < until.value:
            deed = self.random.choices(kinds, weights)[0]
            try:
                if not self.writer:
                    await self.connect()
                await deed()
                await asyncio.sleep(self.random.random() * 0.02)
            except Wrong as wrong:
                self.counts["wrong"] += 1
                print(f"wrong ({deed.__name__}): {wrong}", flush=True)
                self.drop()
            except (OSError, EOFError, asyncio.TimeoutError) as error:
                self.drop()
                # An exchange that was under way when its upstream died is broken for a good reason.
                excused = time.monotonic() < self.trouble.value and not isinstance(error, asyncio.TimeoutError)
                self.counts["excused" if excused else "wrong"] += 1
                if not excused:
                    print(f"wrong ({deed.__name__}): {type(error).__name__}: {error}", flush=True)
        self.drop()


def run(port, first, count, until, trouble, results):
    """The process's life. `until` and `trouble` are instants shared with the conductor."""
    counts = collections.Counter()

    async def all_clients():
        await asyncio.gather(*(Client(port, first + i, counts, trouble).run(until) for i in range(count)))

    asyncio.run(all_clients())
    results.put(dict(counts))
