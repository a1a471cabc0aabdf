"""Pebble, Let's Encrypt's small CA for tests (RFC 8555), and the DNS server that comes with it."""

import json
import os
import socket
import ssl
import subprocess
import urllib.request

from harness import patience, ports
from harness.curl import peer
from harness.tls import Authority


class Pebble:
    """A CA that looks for names at 127.0.0.1, at `http_port` and `tls_port`."""

    def __init__(self, t, http_port, tls_port, reject_nonces=15, name="pebble"):
        self.folder = t.new_folder(name)
        authority = Authority(self.folder, "directory")
        cert, key = authority.issue("pebble", "localhost", "IP:127.0.0.1")
        self.ca, self.port, self.management = authority.cert, ports.free_port(), ports.free_port()
        self.directory = f"https://localhost:{self.port}/dir"
        dns, control = ports.free_port(), ports.free_port()
        config = os.path.join(self.folder, "pebble.json")
        with open(config, "w") as out:
            json.dump({"pebble": {"listenAddress": f"127.0.0.1:{self.port}", "managementListenAddress": f"127.0.0.1:{self.management}",
                                  "certificate": cert, "privateKey": key, "httpPort": http_port, "tlsPort": tls_port,
                                  "externalAccountBindingRequired": False}}, out)
        self._t = t
        self._run("pebble-challtestsrv", "-dns01", f"127.0.0.1:{dns}", "-management", f"127.0.0.1:{control}", "-http01", "", "-https01", "",
                  "-tlsalpn01", "", "-defaultIPv6", "")
        # It refuses so many good nonces, in percent: clients must ask for another one (section 6.5).
        self._run("pebble", "-config", config, "-dnsserver", f"127.0.0.1:{dns}",
                  PEBBLE_VA_NOSLEEP="1", PEBBLE_WFE_NONCEREJECT=str(reject_nonces), PEBBLE_AUTHZREUSE="0")
        for port in (self.port, self.management):
            patience.poll(f"pebble listens on {port}", lambda: self._listens(port))

    def _run(self, name, *arguments, **environment):
        log = open(os.path.join(self.folder, name + ".log"), "wb")
        process = subprocess.Popen([peer(name), *arguments], stdout=log, stderr=log, env={**os.environ, **environment})
        self._t.on_end(lambda: (process.kill(), process.wait()))
        self.process = process

    @staticmethod
    def _listens(port):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    def log(self):
        return open(os.path.join(self.folder, "pebble.log"), errors="replace").read()

    def root(self):
        """A file with the CA's own certificate, which it makes anew at each start."""
        context = ssl.create_default_context(cafile=self.ca)
        with urllib.request.urlopen(f"https://localhost:{self.management}/roots/0", context=context, timeout=patience.SECONDS) as answer:
            path = os.path.join(self.folder, "root.pem")
            with open(path, "wb") as out:
                out.write(answer.read())
        return path
