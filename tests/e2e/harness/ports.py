"""Ports for processes that must be told one. Below the kernel's own range, so that no outgoing connection takes it between
our choice and the bind; locked, because SO_REUSEPORT would let two gateways of two runs share one in silence."""

import fcntl
import os
import random
import socket
import tempfile

FIRST, LAST = 10240, 32000
_held = []


def free_port():
    folder = os.path.join(tempfile.gettempdir(), f"sluice-e2e-ports.{os.getuid()}")
    os.makedirs(folder, exist_ok=True)
    chooser = random.Random(os.urandom(8))
    for _ in range(1000):
        port = chooser.randrange(FIRST, LAST)
        handle = open(os.path.join(folder, str(port)), "w")
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("0.0.0.0", port))
        except OSError:
            handle.close()
            continue
        os.set_inheritable(handle.fileno(), False)
        _held.append(handle)  # until the test's process ends
        return port
    raise AssertionError("no free port found")
