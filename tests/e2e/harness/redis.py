"""A real redis-server of our own, and a few commands to it."""

import os
import socket
import subprocess

from harness import patience, ports


class Redis:
    """`arguments` are options of redis-server. With `tls=(ca, cert, key)` it listens with TLS alone."""

    def __init__(self, context, *arguments, port=None, tls=None):
        self.port, self.folder = port or ports.free_port(), context.new_folder("redis")
        self.tls = tls
        listen = ["--port", str(self.port)]
        if tls:
            listen = ["--port", "0", "--tls-port", str(self.port), "--tls-ca-cert-file", tls[0], "--tls-cert-file", tls[1],
                      "--tls-key-file", tls[2], "--tls-auth-clients", "no"]
        self.command = ["redis-server", *listen, "--bind", "127.0.0.1", "--save", "", "--dir", self.folder, *arguments]
        context.on_end(self.kill)
        self.start()

    def start(self):
        self.output = open(os.path.join(self.folder, "stdout"), "ab")
        self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        patience.poll("redis-server listens", self._listens)

    def _listens(self):
        assert self.process.poll() is None, open(os.path.join(self.folder, "stdout")).read()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def ask(self, *words):
        """By redis-cli; its text."""
        more = ["--tls", "--cacert", self.tls[0]] if self.tls else []
        done = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *more, *words], capture_output=True, text=True,
                              timeout=patience.SECONDS)
        return done.stdout.strip()

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()
