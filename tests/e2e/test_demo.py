"""`sluice run --demo` and the README's first calls, copied from the file. The demo has fixed ports, so one at a time."""

import fcntl
import os
import re
import signal
import socket
import subprocess
import tempfile

from harness import check, raw

PORTS = (8080, 8081, 8443, 7001, 7002)


class _Demo:
    """Holds a lock of this machine while the demo has its ports."""

    def __init__(self, t):
        self.t = t
        self.lock = open(os.path.join(tempfile.gettempdir(), f"sluice-e2e-demo.{os.getuid()}.lock"), "w")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        for port in PORTS:
            with socket.socket() as probe:
                assert probe.connect_ex(("127.0.0.1", port)) != 0, f"port {port} is taken: the demo needs it"
        self.output = os.path.join(t.folder, "demo.out")
        self.process = subprocess.Popen([t.binary, "run", "--demo"], cwd=t.folder, stdin=subprocess.DEVNULL,
                                        stdout=open(self.output, "wb"), stderr=subprocess.STDOUT, env={**os.environ, "NO_COLOR": "1"})
        t.on_end(self.stop)
        t.poll("the demo is ready", self._ready)

    def _ready(self):
        assert self.process.poll() is None, f"the demo ended: {self.said()}"
        try:
            with raw.Client(8081, self.t.transcript, name="status") as client:
                return client.get("/readyz").status == 200
        except (OSError, AssertionError):
            return False

    def said(self):
        return open(self.output, errors="replace").read()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                check.equal(self.process.wait(20), 0, "exit code of the demo")
            finally:
                if self.process.poll() is None:
                    self.process.kill()
        self.lock.close()


def _shell(line):
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60).stdout


def _commands(text):
    """The `$ ` lines of the console blocks, with the lines that they go on to, and what their comment promises."""
    for block in re.findall(r"```console\n(.*?)```", text, re.DOTALL):
        for command in re.findall(r"^\$ (.*(?:\n(?!\$ ).*)*)", block, re.MULTILINE):
            promise = re.search(r"\s{2,}#\s*(.*)$", command)
            yield re.sub(r"\s{2,}#.*$", "", command, flags=re.MULTILINE).strip(), promise[1] if promise else ""


def test_readme_calls(t):
    _Demo(t)
    tried = 0
    for command, promise in _commands((t.root / "README.md").read_text()):
        if not command.startswith(("curl", "for ")):
            continue
        tried += 1
        with t.case(command):
            said = _shell(command)
            status = re.match(r"(\d{3})", promise)
            if command.startswith("for "):
                codes = said.split()
                assert codes[0] == "200" and codes[-1] == "429" and set(codes) == {"200", "429"}, codes
            elif status:
                assert said.startswith(f"HTTP/1.1 {status[1]} "), said
            else:
                assert "sluice_" in said, said
    assert tried >= 4, tried


def test_summary_shows_lines_that_work(t):
    """Issue 8: a call with a key, one without (401), the 429, a 404, ready to copy."""
    demo = _Demo(t)
    said = t.poll("the summary", lambda: demo.said() if "curl" in demo.said() else "")
    assert "\x1b" not in said, "colour without a terminal"
    lines = [line.strip().removeprefix("$ ") for line in said.splitlines() if "curl" in line]
    lines = [line[line.index("curl"):] if not line.startswith("for ") else line for line in lines]
    statuses = []
    for line in lines:
        line = re.sub(r"\s{2,}#.*$", "", line)
        statuses += re.findall(r"\b(200|401|404|429)\b", _shell(line.replace("curl ", "curl -w ' %{http_code} ' ", 1)))
    assert {"200", "401", "404"} <= set(statuses), (lines, statuses)


def test_demo_logs_and_limits(t):
    demo = _Demo(t)
    client = t.client(8080)
    answers = [client.get("/api/v1/users/1", [("X-API-Key", "demo-key")]) for _ in range(12)]
    check.equal([answer.status for answer in answers], [200] * 10 + [429] * 2)
    for path in ("/api/v1/users", "/api/v1/orders"):
        answer = client.get(path, [("X-API-Key", "demo-key")])
        assert answer.status in (200, 429), answer.status
    assert demo.process.poll() is None


def test_demo_is_not_handed_over(t):
    """Its backends live in the same process."""
    demo = _Demo(t)
    demo.process.send_signal(signal.SIGUSR2)
    t.poll("it says so", lambda: "the demo cannot be handed over" in demo.said())
    assert demo.process.poll() is None
