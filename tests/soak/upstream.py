#!/usr/bin/python3
"""The soak's upstream, a process that may be killed at any moment: upstream.py PORT. Every answer can be checked:

  GET /bytes/N/ID    N bytes that follow from ID       POST /sum/ID   "ID LENGTH CRC32" of the body that came
"""

import asyncio
import sys
import zlib

from messages import body_of, read_body, read_head


async def serve(reader, writer):
    try:
        while True:
            head = await read_head(reader)
            _, kind, *rest = head.first.split(" ")[1].split("/")
            body = await read_body(reader, head)
            if kind == "bytes":
                answer = body_of(rest[1], int(rest[0]))
            else:
                answer = f"{rest[0]} {len(body)} {zlib.crc32(body)}".encode()
            if kind == "bytes" and len(answer) % 2:  # half of them without a length
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for start in range(0, len(answer), 30_000):
                    piece = answer[start:start + 30_000]
                    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    await writer.drain()
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(answer))
                writer.write(answer)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]), backlog=1000, limit=1 << 20)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
