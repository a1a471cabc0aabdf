"""HAProxy as a peer: in front of the gateway or behind it, in TCP mode or HTTP."""

import os
import socket
import subprocess

from harness import patience, ports
from harness.curl import peer

HEAD = """
global
  maxconn 200
defaults
  timeout connect 5s
  timeout client 20s
  timeout server 20s
"""


class Haproxy:
    """`sections` is the configuration below `defaults`; @port@ is its port."""

    def __init__(self, folder, sections):
        self.folder = os.path.join(folder, f"haproxy-{os.urandom(4).hex()}")
        os.makedirs(self.folder)
        self.port = ports.free_port()
        config = os.path.join(self.folder, "haproxy.cfg")
        with open(config, "w") as out:
            out.write(HEAD + sections.replace("@port@", str(self.port)))
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen([peer("haproxy"), "-db", "-f", config], stdout=self.log, stderr=self.log)
        patience.poll("haproxy listens", self._listens)

    def _listens(self):
        assert self.process.poll() is None, f"haproxy ended: {open(self.log.name, errors='replace').read()}"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
