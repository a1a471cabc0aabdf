"""Peers that come from npm (package.json beside run.py): installed when first wanted, run by Node."""

import fcntl
import os
import subprocess
from pathlib import Path

from harness import patience

FOLDER = Path(__file__).resolve().parent.parent


def _install():
    """What package-lock.json says, once, whatever number of tests want it at the same time."""
    installed, wanted = FOLDER / "node_modules/.package-lock.json", FOLDER / "package-lock.json"
    with open(FOLDER / "package.json") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if installed.exists() and installed.stat().st_mtime >= wanted.stat().st_mtime:
            return
        subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=FOLDER, check=True, capture_output=True, timeout=300)
        os.utime(installed)


def run(script, *arguments, timeout=60):
    """A script of node/ to its end; what it wrote."""
    _install()
    done = subprocess.run(["node", str(FOLDER / "node" / script), *map(str, arguments)], capture_output=True, text=True, timeout=timeout * patience.SECONDS / 10)
    assert done.returncode == 0, f"{script}: exit code {done.returncode}\n{done.stderr}"
    return done.stdout


class Server:
    """A script of node/ that writes its port as its first line."""

    def __init__(self, context, script, *arguments):
        _install()
        self.output = os.path.join(context.new_folder("node"), "stdout")
        self.process = subprocess.Popen(["node", str(FOLDER / "node" / script), *map(str, arguments)],
                                        stdin=subprocess.DEVNULL, stdout=open(self.output, "wb"), stderr=subprocess.STDOUT)
        context.on_end(self.stop)
        patience.poll(f"{script} listens", lambda: self.lines() or self.process.poll() is not None)
        lines = self.lines()
        assert lines and lines[0].isdigit(), f"{script}: {lines}"
        self.port = int(lines[0])

    def lines(self):
        """Whole lines of what it wrote."""
        return open(self.output).read().split("\n")[:-1]

    def stop(self):
        self.process.kill()
        self.process.wait()
