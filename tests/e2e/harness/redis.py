"""Real Redis servers of our own: one, a cluster, one with sentinels; and a few commands to them."""

import os
import socket
import subprocess

from harness import patience, ports


class Redis:
    """`arguments` are options of redis-server. With `tls=(ca, cert, key)` it listens with TLS alone."""

    def __init__(self, context, *arguments, port=None, tls=None):
        self.port, self.tls = port or ports.free_port(), tls
        folder = context.new_folder("redis")
        listen = ["--port", str(self.port)]
        if tls:
            listen = ["--port", "0", "--tls-port", str(self.port), "--tls-ca-cert-file", tls[0], "--tls-cert-file", tls[1],
                      "--tls-key-file", tls[2], "--tls-auth-clients", "no"]
        self.command = ["redis-server", *listen, "--bind", "127.0.0.1", "--save", "", "--repl-diskless-sync-delay", "0", "--dir", folder,
                        *arguments]
        self._begin(context, folder)

    def _begin(self, context, folder):
        self.folder = folder
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

    def told(self, *words):
        """`ask`, which must have been answered with OK."""
        said = self.ask(*words)
        assert said == "OK", f"{words}: {said}"

    def info(self, name):
        """A line of INFO."""
        return next((line.partition(":")[2] for line in self.ask("INFO").splitlines() if line.startswith(name + ":")), None)

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.output.close()


class Sentinel(Redis):
    """Looks after one master, which it calls `main`, and decides alone."""

    def __init__(self, context, master, *lines):
        self.port, self.tls = ports.free_port(), None
        folder = context.new_folder("sentinel")
        settings = os.path.join(folder, "sentinel.conf")
        with open(settings, "w") as file:
            file.write("\n".join([f"port {self.port}", "bind 127.0.0.1", f"dir {folder}", f"sentinel monitor main 127.0.0.1 {master.port} 1",
                                  "sentinel down-after-milliseconds main 2000", "sentinel failover-timeout main 10000", *lines, ""]))
        self.command = ["redis-server", settings, "--sentinel"]
        self._begin(context, folder)


class Cluster:
    """So many masters, and with `replica` one more server, of the first master. `arguments` as of `Redis`."""

    def __init__(self, context, *arguments, masters=3, replica=False):
        self.nodes = [Redis(context, "--cluster-enabled", "yes", "--cluster-port", str(ports.free_port()), "--cluster-node-timeout",
                            "1000", *arguments) for _ in range(masters + replica)]
        self._manage("create", *(f"127.0.0.1:{node.port}" for node in self.nodes[:masters]), "--cluster-replicas", "0", "--cluster-yes")
        if replica:
            first = self.nodes[0]
            self._manage("add-node", f"127.0.0.1:{self.nodes[-1].port}", f"127.0.0.1:{first.port}", "--cluster-slave",
                         "--cluster-master-id", first.ask("CLUSTER", "MYID"))
        patience.poll("every node knows the whole cluster", lambda: all(self._knows_all(node) for node in self.nodes), 30)

    def _manage(self, *words):
        done = subprocess.run(["redis-cli", "--cluster", *words], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def _knows_all(self, node):
        lines = node.ask("CLUSTER", "NODES").splitlines()
        return len(lines) == len(self.nodes) and node.ask("CLUSTER", "INFO").startswith("cluster_state:ok")

    def addresses(self):
        return ", ".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def with_key(self, pattern="*"):
        """The node that has the one key which fits, and that key."""
        found = [(node, key) for node in self.nodes for key in node.ask("KEYS", pattern).split()]
        assert len(found) == 1, found
        return found[0]
