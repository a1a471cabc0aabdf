"""As much of HTTP/1.1 as the soak's traffic and upstream need, and bodies that tell whose they are."""



class Head:
    def __init__(self, text):
        self.first, *lines = text.decode("latin-1").rstrip("\r\n").split("\r\n")
        self.fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            self.fields[name.lower()] = value.strip()


def body_of(identity, size):
    """Bytes that no other identity has in the same places."""
    unit = f"<{identity}>".encode()
    return (unit * (size // len(unit) + 1))[:size]


async def read_head(reader):
    return Head(await reader.readuntil(b"\r\n\r\n"))


async def read_body(reader, head):
    if "chunked" in head.fields.get("transfer-encoding", ""):
        body = bytearray()
        while True:
            size = int(await reader.readuntil(b"\r\n"), 16)
            body += (await reader.readexactly(size + 2))[:size]
            if size == 0:
                return bytes(body)
    return await reader.readexactly(int(head.fields.get("content-length", "0")))


async def read_answer(reader):
    """(status, body, whether the connection goes on); 1xx are passed over."""
    while True:
        head = await read_head(reader)
        status = int(head.first.split(" ")[1])
        if status >= 200:
            break
    body = await read_body(reader, head)
    return status, body, head.fields.get("connection", "").lower() != "close"


def chunked(body, size):
    pieces = [body[start:start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
