"""Descriptor exhaustion sheds new connections and recovers (issue 8, Bad input)."""

import socket

from harness import check


def test_exhaustion_sheds_and_recovers(t):
    gateway = t.gateway(values={"upstream": t.echo()}, open_files=80)
    kept = t.client(gateway)
    check.equal(kept.get("/").status, 200)
    for turn in range(3):
        with t.case(f"turn {turn}"):
            crowd = []
            for _ in range(200):
                sock = socket.socket()
                sock.settimeout(0.5)
                try:
                    sock.connect(("127.0.0.1", gateway.port))
                except OSError:
                    sock.close()
                    continue
                crowd.append(sock)
            gateway.check_alive()
            # What is connected already goes on: its upstream connection is kept, no new descriptor is needed.
            check.equal(kept.get("/").status, 200, "on the connection that was there before")
            for sock in crowd:
                sock.close()
            t.poll("new connections are served again", lambda: _serves(t, gateway))


def _serves(t, gateway):
    try:
        with gateway.context.client(gateway) as client:
            return client.get("/").status == 200
    except (OSError, AssertionError):
        return False


def test_no_spinning_while_exhausted(t):
    """A listener that cannot accept must not burn a core (EMFILE leaves it readable)."""
    gateway = t.gateway(values={"upstream": t.echo()}, open_files=64)
    crowd = []
    for _ in range(150):
        sock = socket.socket()
        sock.settimeout(0.5)
        try:
            sock.connect(("127.0.0.1", gateway.port))
        except OSError:
            pass
        crowd.append(sock)
    before = _cpu_seconds(gateway)
    import time
    time.sleep(1)
    burnt = _cpu_seconds(gateway) - before
    for sock in crowd:
        sock.close()
    assert burnt < 0.5, f"{burnt:.2f} s of CPU in a second of waiting"


def _cpu_seconds(gateway):
    import os
    fields = open(f"/proc/{gateway.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
