"""The gateway's process: its configuration file, its life, its log, its metrics."""

import json
import os
import re
import resource
import signal
import subprocess

from harness import patience, ports, raw, seccomp
from harness.metrics import Metrics
from harness.orphan import Orphan, adopt_orphans

DEFAULTS = {
    "io": os.environ.get("E2E_IO", "auto"),  # run.py --io
    "workers": "2",
    "drain": "{ delay: 0s, timeout: 5s }",
    "access_log": "{ format: json, path: stdout }",
}
SANITIZER = ("AddressSanitizer", "ThreadSanitizer", "LeakSanitizer", "runtime error:")


def fill_in(text, values):
    """Replaces @name@ by its value; YAML and Sluice's own `${...}` stay as they are."""
    for name, value in values.items():
        text = text.replace(f"@{name}@", str(value))
    return text


class Gateway:
    """`entities` is the YAML below `gateway:`; `settings` are lines of the `gateway:` section (YAML text, None: leave out)."""

    def __init__(self, context, entities, values=None, settings=None, arguments=(), environment=None, open_files=None, refused_call=None,
                 more_listeners=(), whole_file=None):
        self.context, self.values, self.settings = context, dict(values or {}), {**DEFAULTS, **(settings or {})}
        self.port, self.status_port = ports.free_port(), ports.free_port()
        self.more_ports = {name: ports.free_port() for name in more_listeners}
        self.folder = context.new_folder("gateway")
        self.file = os.path.join(self.folder, "sluice.yaml")
        self.write(entities) if whole_file is None else self.write_whole(whole_file)
        self.stdout, self.stderr = os.path.join(self.folder, "stdout"), os.path.join(self.folder, "stderr")
        command = [context.binary, "run", *arguments, self.file]

        def limit():
            if open_files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, open_files))
            if refused_call:
                seccomp.refuse(*refused_call)

        self.process = subprocess.Popen(command, cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=open(self.stdout, "wb"), stderr=open(self.stderr, "wb"),
                                        env={**os.environ, "NO_COLOR": "1", **(environment or {})}, preexec_fn=limit)
        self.stopped = False
        patience.poll("/readyz is 200", self.is_ready)

    # The configuration.

    def document(self, entities):
        lines = ["version: 1", "gateway:", "  listen:", f"    - {{ name: plain, address: 127.0.0.1:{self.port} }}"]
        lines += [f"    - {{ name: {name}, address: 127.0.0.1:{port} }}" for name, port in self.more_ports.items()]
        lines.append(f"  status: {{ address: 127.0.0.1:{self.status_port} }}")
        lines += [f"  {key}: {value}" for key, value in self.settings.items() if value is not None]
        return "\n".join(lines) + "\n" + fill_in(entities, self.values)

    def write(self, entities):
        self.write_whole(self.document(entities))

    def write_whole(self, text):
        """Replaces the file in one step, as an editor or `mv` does."""
        with open(self.file + ".new", "w") as out:
            out.write(fill_in(text, {**self.values, "port": self.port, "status": self.status_port}))
        os.rename(self.file + ".new", self.file)

    def reload(self, entities=None):
        """Writes, sends SIGHUP and waits until a new revision is active."""
        before = self.revision()
        if entities is not None:
            self.write(entities)
        self.process.send_signal(signal.SIGHUP)
        patience.poll("sluice_config_revision changes", lambda: self.revision() != before)

    def reload_refused(self, entities):
        """As `reload`, for a document that must be refused; gives back what the gateway said about it."""
        before, said, revision = self.reloads_refused(), len(self.said()), self.revision()
        self.write(entities)
        self.process.send_signal(signal.SIGHUP)
        patience.poll("sluice_reloads_total counts a failure", lambda: self.reloads_refused() > before)
        assert self.revision() == revision, "a refused document changed the revision"
        return self.said()[said:]

    def revision(self):
        return self.metrics().sum("sluice_config_revision")

    def reloads_refused(self):
        good = ("ok", "success", "applied", "unchanged")
        found = self.metrics().find("sluice_reloads_total")
        return sum(value for labels, value in found if labels.get("result") not in good)

    # What it says.

    def client(self, **more):
        return self.context.client(self.port, **more)

    def status(self, target):
        with raw.Client(self.status_port, self.context.transcript, name="status") as client:
            return client.get(target)

    def is_ready(self):
        self.check_alive()
        try:
            return self.status("/readyz").status == 200
        except (OSError, AssertionError):
            return False

    def metrics(self):
        answer = self.status("/metrics")
        assert answer.status == 200, f"/metrics: {answer.status}"
        return Metrics(answer.body.decode())

    def said(self):
        """What it wrote to stderr."""
        return open(self.stderr, errors="replace").read()

    def log(self):
        """The access log's complete lines so far."""
        entries = []
        for line in open(self.stdout, errors="replace").read().split("\n")[:-1]:
            if line.startswith("{"):
                entries.append(json.loads(line))
        return entries

    def log_line(self, **wanted):
        """The first line of the access log that has all these values; waits, because workers buffer."""

        def look():
            return next((e for e in self.log() if all(e.get(key) == value for key, value in wanted.items())), None)

        return patience.poll(f"an access log line with {wanted}", look)

    # Its successor.

    def hand_over(self, ends=True):
        """SIGUSR2, and from now on this is the successor. Waits for the predecessor to end; `ends` false: gives it back instead."""
        adopt_orphans()
        before, words = self.process, "has taken over"
        count = self.said().count(words)
        before.send_signal(signal.SIGUSR2)
        patience.poll("a successor takes over", lambda: self.said().count(words) > count or self.check_alive(), 30)
        self.process = Orphan(int(re.findall(rf"process (\d+) {words}", self.said())[-1]))
        if not ends:
            return before
        code = before.wait(30)
        assert code == 0, f"the predecessor's exit code: {code}"
        return None

    def hand_over_refused(self):
        """SIGUSR2 with a successor that does not take over; gives back what was said."""
        said = len(self.said())
        self.process.send_signal(signal.SIGUSR2)
        patience.poll("the successor gives up", lambda: self.check_alive() or "does not take over" in self.said()[said:], 30)
        return self.said()[said:]

    def resident_bytes(self):
        fields = open(f"/proc/{self.process.pid}/statm").read().split()
        return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")

    # The end.

    def check_alive(self):
        code = self.process.poll()
        if code is not None and not self.stopped:
            self.stopped = True
            raise AssertionError(f"the gateway ended with {code}")

    def terminate(self):
        self.stopped = True
        self.process.send_signal(signal.SIGTERM)

    def wait_exit(self, seconds=20):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError("the gateway does not end") from None

    def stop(self):
        """SIGTERM, and exit 0 without a sanitizer's word."""
        if not self.stopped:
            self.check_alive()
            self.terminate()
            code = self.wait_exit()
            assert code == 0, f"exit code after SIGTERM: {code}"
        for word in SANITIZER:
            assert word not in self.said(), f"{word} on stderr"

    def kill(self):
        self.stopped = True
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def report(self):
        parts = []
        shown = (("configuration", self.file, 60), ("stderr", self.stderr, 200), ("access log", self.stdout, 20))
        for title, path, count in shown:
            text = open(path, errors="replace").read() if os.path.exists(path) else ""
            lines = text.splitlines()
            parts.append(f"--- gateway's {title}\n" + "\n".join(lines[-count:]))
        return "\n".join(parts)
