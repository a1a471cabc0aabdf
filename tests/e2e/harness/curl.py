"""curl as a real client."""

import shutil
import subprocess
from dataclasses import dataclass


@dataclass
class Answer:
    status: int
    head: str
    body: str


def peer(name):
    """The path of a peer; a missing one fails the test by name."""
    import os
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    assert path, f"missing peer: {name} (./dev deps --test installs it)"
    return path


def curl(*arguments, timeout=30):
    command = [peer("curl"), "--silent", "--show-error", "--include", "--noproxy", "*", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=timeout)
    assert done.returncode == 0, f"{' '.join(command)}: exit {done.returncode}: {done.stderr.decode()}"
    head, _, body = done.stdout.decode("latin-1").partition("\r\n\r\n")
    while head.startswith("HTTP/1.1 1"):
        head, _, body = body.partition("\r\n\r\n")
    return Answer(int(head.split(" ")[1]), head, body)
