#!/usr/bin/python3
"""Runs the end-to-end tests: functions test_*(t) in test_*.py, each in a process of its own, several at a time.

  tests/e2e/run.py                           all, against build/release/sluice
  tests/e2e/run.py chunked 'test_paths'      those whose file:name contains one of the words
  tests/e2e/run.py --list                    names only
  tests/e2e/run.py --binary PATH             another build
  tests/e2e/run.py --front nginx proxying    nginx in the gateway's place, to try the tests themselves

A test needs the peers that it names (nginx, curl); a missing one is a failure. The last line is `N passed, M failed`.
"""

import argparse
import importlib
import json
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
DEFAULT_TIMEOUT = 60  # seconds a test; a function's attribute `timeout` says otherwise
GRACE = 20            # seconds to write the report after the timeout


class TimedOut(Exception):
    pass


def discover(words):
    sys.path.insert(0, str(HERE))
    found = []
    for path in sorted(HERE.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in vars(module).items():
            full = f"{path.stem}:{name}"
            if name.startswith("test_") and callable(function) and function.__module__ == path.stem:
                if not words or any(word in full for word in words):
                    found.append((full, function))
    return found


def run_in_child(function, options, folder):
    """The child's whole life: run the test, stop its peers, leave the verdict in a file."""
    from harness.context import Context

    def on_alarm(*_):
        raise TimedOut("the test took too long")

    signal.signal(signal.SIGALRM, on_alarm)
    context = Context(os.path.abspath(options.binary), str(folder), options.front, options.root.resolve())
    problem = ""
    try:
        signal.alarm(timeout_of(function))
        function(context)
    except BaseException:
        problem = traceback.format_exc()
    signal.alarm(GRACE - 5)
    try:
        context.finish()
    except BaseException:
        problem += traceback.format_exc()
    signal.alarm(0)
    failed = bool(problem or context.failures)
    report = ""
    if failed:
        report = "\n".join([problem.rstrip(), *context.failures]).strip()
        report += "\n" + "\n".join(gateway.report() for gateway in context.gateways)
        report += "\n--- exchanged\n" + context.transcript.text()
    verdict = {"passed": not failed, "report": report, "cases": context.cases}
    (folder / "verdict.new").write_text(json.dumps(verdict))
    (folder / "verdict.new").rename(folder / "verdict")


def timeout_of(function):
    return getattr(function, "timeout", DEFAULT_TIMEOUT)


def start(name, function, options, parent):
    folder = pathlib.Path(tempfile.mkdtemp(dir=parent))
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        os.setsid()  # so that whatever the test leaves behind ends with it
        try:
            run_in_child(function, options, folder)
        finally:
            sys.stdout.flush()
            os._exit(0)
    return {"name": name, "pid": pid, "folder": folder, "started": time.monotonic(), "timeout": timeout_of(function)}


def end_group(pid):
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run_all(tests, options, parent):
    waiting, running, verdicts = list(tests), {}, []
    while waiting or running:
        while waiting and len(running) < options.jobs:
            name, function = waiting.pop(0)
            job = start(name, function, options, parent)
            running[job["pid"]] = job
        time.sleep(0.02)
        for pid, job in list(running.items()):
            ended, _ = os.waitpid(pid, os.WNOHANG)
            if not ended and time.monotonic() - job["started"] < job["timeout"] + GRACE:
                continue
            end_group(pid)
            if not ended:
                os.waitpid(pid, 0)
            del running[pid]
            verdicts.append(judge(job, options))
    return verdicts


def judge(job, options):
    path = job["folder"] / "verdict"
    verdict = {"passed": False, "report": "the test's process died without a verdict", "cases": 0}
    if path.exists():
        verdict = json.loads(path.read_text())
    verdict["name"], verdict["seconds"] = job["name"], time.monotonic() - job["started"]
    mark = "ok  " if verdict["passed"] else "FAIL"
    if options.verbose or not verdict["passed"]:
        print(f"{mark} {job['name']} ({verdict['seconds']:.1f} s)", flush=True)
    if not verdict["passed"]:
        print(verdict["report"], end="\n\n", flush=True)
    if verdict["passed"] or not options.keep:
        shutil.rmtree(job["folder"], ignore_errors=True)
    else:
        print(f"kept: {job['folder']}")
    return verdict


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="run only tests whose file:name contains one of these")
    parser.add_argument("--binary", default=str(ROOT / "build/release/sluice"))
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help="where README.md, docs and examples are")
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--io", choices=["auto", "epoll", "io_uring"], default="auto", help="the gateway's I/O back-end")
    parser.add_argument("--front", choices=["gateway", "nginx"], default="gateway")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--keep", action="store_true", help="keep the folders of failed tests")
    parser.add_argument("-v", "--verbose", action="store_true", help="name the passed tests too")
    options = parser.parse_args()
    os.environ["E2E_IO"] = options.io  # before the harness is imported
    tests = discover(options.words)
    if options.list:
        print("\n".join(name for name, _ in tests))
        return 0
    started = time.monotonic()
    if options.front == "gateway" and not os.access(options.binary, os.X_OK):
        print(f"no binary at {options.binary}: ./dev build makes it, --binary names another")
        return 1
    parent = tempfile.mkdtemp(prefix="sluice-e2e-")
    try:
        verdicts = run_all(tests, options, parent)
    finally:
        if not options.keep:
            shutil.rmtree(parent, ignore_errors=True)
    failed = [verdict["name"] for verdict in verdicts if not verdict["passed"]]
    for name in failed:
        print(f"failed: {name}")
    print(f"{sum(verdict['cases'] for verdict in verdicts)} table rows, {time.monotonic() - started:.0f} s")
    print(f"{len(verdicts) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed or not verdicts else 0


if __name__ == "__main__":
    sys.exit(main())
