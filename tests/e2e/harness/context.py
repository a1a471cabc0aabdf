"""What a test function gets: it starts peers, remembers everything for the report, and stops all in reverse order."""

import contextlib
import os
import subprocess
import traceback

from harness import patience, ports, raw, seccomp
from harness.curl import curl
from harness.gateway import Gateway
from harness.nginx import Nginx
from harness.transcript import Transcript
from harness.upstream import Upstream, echo_script

ONE_UPSTREAM = """
upstreams:
  one: { targets: ["http://127.0.0.1:@upstream@"] }
apis:
  all: { path: /, upstream: one }
"""


class Context:
    def __init__(self, binary, folder, front, root):
        self.binary, self.folder, self.front, self.root = binary, folder, front, root
        self.transcript = Transcript()
        self.gateways, self._upstreams, self._stack = [], [], []
        self.failures, self.cases = [], 0
        self._case = None
        self.poll, self.free_port, self.curl = patience.poll, ports.free_port, curl

    def new_folder(self, name):
        path = os.path.join(self.folder, f"{name}-{len(os.listdir(self.folder))}")
        os.makedirs(path)
        return path

    def on_end(self, function):
        self._stack.append(function)

    # Peers.

    def upstream(self, script, name="upstream", **more):
        upstream = Upstream(self.transcript, script, name, **more)
        self._upstreams.append(upstream)
        self.on_end(upstream.stop)
        return upstream

    def echo(self, name="echo", **more):
        return self.upstream(echo_script, name, **more)

    def gateway(self, entities=ONE_UPSTREAM, values=None, **more):
        """`values` fill @name@ in the entities: an upstream stands for its port."""
        values = {name: getattr(value, "port", value) for name, value in (values or {}).items()}
        known = ("arguments", "environment", "open_files", "refused_call", "more_listeners", "whole_file")
        options = {key: more.pop(key) for key in known if key in more}
        gateway = None
        try:
            gateway = Gateway(self, entities, values, more, **options)
        finally:
            if gateway is None:
                self._keep_failed_start()
        self.gateways.append(gateway)
        self.on_end(gateway.stop)
        return gateway

    def _keep_failed_start(self):
        for name in sorted(os.listdir(self.folder)):
            for part in ("sluice.yaml", "stderr"):
                path = os.path.join(self.folder, name, part)
                if name.startswith("gateway-") and os.path.exists(path):
                    self.transcript.add(name, part, open(path, "rb").read()[-500:])

    def front_of(self, upstream, **settings):
        """Everything goes to one upstream. `run.py --front nginx` puts nginx in the gateway's place."""
        if self.front == "nginx":
            nginx = Nginx.proxy(self.folder, upstream.port)
            self.on_end(nginx.stop)
            return nginx
        return self.gateway(ONE_UPSTREAM, {"upstream": upstream.port}, **settings)

    def nginx(self, http, port=None):
        """A real upstream; `http` is the inside of nginx's http block, @port@ its port."""
        nginx = Nginx(self.folder, http, port)
        self.on_end(nginx.stop)
        return nginx

    def client(self, target, **more):
        client = raw.Client(getattr(target, "port", target), self.transcript, **more)
        self.on_end(client.close)
        return client

    def caller(self, target, **more):
        """A client for tables whose subject is not the connection: it connects anew when it must."""
        return self.client(target, reconnect=True, **more)

    def sluice(self, *arguments, stdin=None, environment=None, cwd=None, timeout=30, refused_call=None):
        """Runs a subcommand to its end."""
        return subprocess.run([self.binary, *arguments], input=stdin, capture_output=True, text=True, timeout=timeout,
                              cwd=cwd or self.folder, env={**os.environ, "NO_COLOR": "1", **(environment or {})},
                              preexec_fn=(lambda: seccomp.refuse(*refused_call)) if refused_call else None)

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as out:
            out.write(text)
        return path

    # Verdicts.

    @contextlib.contextmanager
    def case(self, name):
        """One row of a table: its failure is noted and the next row goes on, as long as the gateway lives."""
        self.cases += 1
        begun = len(self.transcript)
        self.transcript.add("test", "case", str(name).encode())
        try:
            yield
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            said = f"{type(error).__name__}: {error or where.line} ({os.path.basename(where.filename)}:{where.lineno})"
            self.failures.append(f"case {name}: {said}\n{self.transcript.text(10, begun)}")
        for gateway in self.gateways:
            gateway.check_alive()

    def finish(self):
        """Stops everything, last started first; what goes wrong now is a failure too."""
        for function in reversed(self._stack):
            try:
                function()
            except Exception as error:
                self.failures.append(f"at the end: {type(error).__name__}: {error}")
        for upstream in self._upstreams:
            try:
                upstream.check()
            except AssertionError as error:
                self.failures.append(str(error))
        for gateway in self.gateways:
            gateway.kill()
