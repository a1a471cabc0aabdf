#!/usr/bin/python3
"""The steps of `./dev test`: what must hold before a change goes in. One line a step with its time, the output of
the first step that failed, and last of all `N passed, M failed`. Every step's output is kept in build/test/."""

import argparse
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOGS = ROOT / "build/test"
CORES = len(os.sched_getaffinity(0))
JOBS = ["-j", os.environ["JOBS"]] if os.environ.get("JOBS") else []
FUZZ_SECONDS = 60          # of wall time, over all targets
STEP_SECONDS_MAX = 45 * 60  # a build of everything on one slow core; what hangs longer is a failure
OUTPUT_LINES_MAX = 400
SHOWN = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": "second_deadlock_stack=1",
    "ASAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-19",
    "UBSAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-19",
    "TSAN_SYMBOLIZER_PATH": "/usr/bin/llvm-symbolizer-19",
}

Outcome = namedtuple("Outcome", "passed failed output")
# `run` returns an Outcome; a step is not run when one that it needs has failed.
Step = namedtuple("Step", "name title needs run")


def colour(code, text):
    return f"\x1b[{code}m{text}\x1b[0m" if SHOWN else text


def execute(command, environment=None, seconds=STEP_SECONDS_MAX):
    """(exit code, output) of a command run in the repository's root; all its processes end with it."""
    try:
        process = subprocess.Popen([str(part) for part in command], cwd=ROOT, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
                                   env={**os.environ, **(environment or {})})
    except OSError as error:
        return 127, f"{command[0]}: {error.strerror}\n"
    try:
        output, _ = process.communicate(timeout=seconds)
        return process.returncode, output.decode(errors="replace")
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return -1, output.decode(errors="replace") + f"\nstopped: still running after {seconds} s\n"
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        raise


def one_check(*command):
    """A command that counts as one test."""
    def run():
        code, output = execute(command)
        return Outcome(int(code == 0), int(code != 0), output)
    return run


def counted(*command):
    """A command whose last line is `N passed, M failed`."""
    def run():
        code, output = execute(command)
        last = output.rstrip().rpartition("\n")[2]
        match = re.fullmatch(r"(\d+) passed, (\d+) failed", last)
        if not match:
            return Outcome(0, 1, output + "\nits last line is not `N passed, M failed`\n")
        passed, failed = int(match.group(1)), int(match.group(2))
        if failed == 0 and (code != 0 or passed == 0):
            failed, output = 1, output + f"\nexit code {code}, {passed} tests\n"
        return Outcome(passed, failed, output)
    return run


def build(preset, *targets):
    """Configures and builds; not a test, so only a failure counts."""
    def run():
        code, output = execute(["bash", "-c", 'source tools/common.sh; build "$@"', "build", preset, *targets])
        return Outcome(0, int(code != 0), output)
    return run


def read_gtest(output):
    """(passed, failed, what the failed tests printed). A test that was skipped, or that began and never ended
    (a crash), has failed."""
    passed = failed = 0
    block, shown, running = [], [], False
    for line in output.splitlines():
        block.append(line)
        if line.startswith("[ RUN      ]"):
            block, running = [line], True
        elif running and line.startswith("[       OK ]"):
            passed, block, running = passed + 1, [], False
        elif running and line.startswith(("[  FAILED  ]", "[  SKIPPED ]")):
            shown += block
            failed, block, running = failed + 1, [], False
    if running:
        failed += 1
        shown += block
    return passed, failed, "\n".join(shown)


def unit_tests(preset):
    """The unit tests, sharded over the cores."""
    def shard(index):
        environment = {"GTEST_TOTAL_SHARDS": str(CORES), "GTEST_SHARD_INDEX": str(index), "GTEST_COLOR": "no",
                       **SANITIZER_ENVIRONMENT}
        code, output = execute([f"build/{preset}/sluice_tests"], environment, seconds=15 * 60)
        passed, failed, shown = read_gtest(output)
        if code != 0 and failed == 0:  # a leak, a race: reported at the end, outside any test
            failed, shown = 1, output
        return Outcome(passed, failed, shown + f"\nshard {index + 1} of {CORES}: exit code {code}\n")

    def run():
        with ThreadPoolExecutor(CORES) as pool:
            shards = list(pool.map(shard, range(CORES)))
        passed, failed = sum(one.passed for one in shards), sum(one.failed for one in shards)
        output = "\n".join(one.output for one in shards if one.failed or failed == 0)
        if passed + failed == 0:
            failed, output = 1, "no unit test was found\n"
        return Outcome(passed, failed, output)
    return run


def fuzz_one(binary, seconds):
    name = binary.name.removesuffix("_fuzz")
    artifacts = ROOT / "build/fuzz/artifacts"
    artifacts.mkdir(exist_ok=True)
    command = [binary, f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048",
               f"-artifact_prefix={artifacts}/{name}-"]
    dictionary = ROOT / f"fuzz/{name}.dict"
    if dictionary.exists():
        command.append(f"-dict={dictionary}")
    corpus = ROOT / "fuzz/corpus" / binary.name
    with tempfile.TemporaryDirectory(prefix="sluice-fuzz-") as found:
        command += [found] + ([corpus] if corpus.is_dir() else [])
        code, output = execute(command, SANITIZER_ENVIRONMENT, seconds + 120)
    kept = output if code != 0 else "\n".join(output.splitlines()[-1:])
    return Outcome(int(code == 0), int(code != 0), f"{name} for {seconds} s: exit code {code}\n{kept}\n")


def fuzz():
    """Every target for its share of a minute, as many at once as there are cores."""
    binaries = sorted(path for path in (ROOT / "build/fuzz/fuzz").glob("*_fuzz") if path.is_file())
    if not binaries:
        return Outcome(0, 1, "no fuzz target in build/fuzz/fuzz\n")
    rounds = -(-len(binaries) // CORES)
    seconds = max(1, FUZZ_SECONDS // rounds)
    with ThreadPoolExecutor(CORES) as pool:
        results = list(pool.map(lambda binary: fuzz_one(binary, seconds), binaries))
    return Outcome(sum(one.passed for one in results), sum(one.failed for one in results),
                   "\n".join(one.output for one in sorted(results, key=lambda one: -one.failed)))


def simulate(*arguments):
    """Simulated worlds; then some of them in two processes, which must see the same events."""
    def run():
        outcome = counted(SIMULATOR, *arguments)()
        first, second = (execute([SIMULATOR, "--seeds", 40, "--hash"])[1] for _ in range(2))
        hashes = [[line for line in output.splitlines() if re.fullmatch(r"\d+ [0-9a-f]{16}", line)]
                  for output in (first, second)]
        same = len(hashes[0]) >= 40 and hashes[0] == hashes[1]
        text = outcome.output + ("" if same else "\ntwo processes saw different events in one seed\n")
        return Outcome(outcome.passed + same, outcome.failed + (not same), text)
    return run


PYTHON = "/usr/bin/python3"
SIMULATOR = "build/release/sluice_sim"
SLUICE = "build/release/sluice"
STEPS = [
    Step("format", "format", [], one_check(PYTHON, "tools/lint.py", "--format")),
    Step("lint", "layers and rules", [], one_check(PYTHON, "tools/lint.py", "--rules")),
    Step("tools", "the tools' own tests", [], one_check(PYTHON, "-m", "unittest", "discover", "-s", "tools", "-p", "*_test.py")),
    Step("build", "release build", [], build("release", "sluice", "sluice_tests", "sluice_sim")),
    Step("unit", "unit tests", ["build"], unit_tests("release")),
    Step("sim", "simulated worlds", ["build"], simulate("--seeds", 200)),
    Step("e2e", "end-to-end tests, io_uring", ["build"], counted(PYTHON, "tests/e2e/run.py", "--binary", SLUICE, "--io", "io_uring")),
    Step("e2e-epoll", "end-to-end tests, epoll", ["build"], counted(PYTHON, "tests/e2e/run.py", "--binary", SLUICE, "--io", "epoll")),
    Step("examples", "the documents' examples", ["build"], counted(PYTHON, "tools/examples.py", "--binary", SLUICE)),
    Step("asan-build", "build with ASan and UBSan", [], build("asan", "sluice_tests")),
    Step("asan", "unit tests, ASan and UBSan", ["asan-build"], unit_tests("asan")),
    Step("fuzz-build", "build of the fuzz targets", [], build("fuzz", "all")),
    Step("fuzz", f"fuzzing, {FUZZ_SECONDS} s in all", ["fuzz-build"], fuzz),
]
FULL_STEPS = [
    Step("tsan-build", "build with TSan", [], build("tsan", "sluice_tests")),
    Step("tsan", "unit tests, TSan", ["tsan-build"], unit_tests("tsan")),
    Step("sim-full", "20,000 simulated worlds", ["build"], simulate("--seed", 201, "--seeds", 20_000)),
    Step("defects", "planted defects, simulated", ["build"], counted(PYTHON, "tools/sim_defects.py")),
    Step("tidy", "clang-tidy", [], one_check(PYTHON, "tools/lint.py", "--tidy")),
]


def choose(full, only):
    """The steps to run, with what they need."""
    every = STEPS + FULL_STEPS
    if not only:
        return every if full else STEPS
    wanted = set(only.split(","))
    unknown = wanted - {step.name for step in every}
    if unknown:
        print(f"dev test: no step named '{min(unknown)}'", file=sys.stderr)
        sys.exit(64)
    wanted |= {needed for step in every if step.name in wanted for needed in step.needs}
    return [step for step in every if step.name in wanted]


def run_steps(steps):
    """Runs all, also after a failure: (passed, failed)."""
    passed = failed = 0
    broken, first_shown = set(), False
    for step in steps:
        if SHOWN:
            print(f"  ....  {step.title}", end="\r", flush=True)
        started = time.monotonic()
        missing = [name for name in step.needs if name in broken]
        outcome = Outcome(0, 1, "") if missing else step.run()
        took = time.monotonic() - started
        (LOGS / f"{step.name}.log").write_text(outcome.output)
        passed, failed = passed + outcome.passed, failed + outcome.failed
        word = colour("31", "FAIL") if outcome.failed else colour("32", "ok  ")
        counts = f"not run, needs {missing[0]}" if missing else f"{outcome.passed} passed"
        if outcome.failed and not missing:
            counts += f", {outcome.failed} failed"
        print(f"  {word}  {step.title:<28} {took:7.1f} s   {counts if outcome.passed + outcome.failed else ''}".rstrip(),
              flush=True)
        if outcome.failed:
            broken.add(step.name)
            if not missing:
                show(step, outcome.output, in_full=not first_shown)
                first_shown = True
    return passed, failed


def show(step, output, in_full):
    log = f"build/test/{step.name}.log"
    if not in_full:
        print(f"        see {log}")
        return
    lines = output.rstrip().splitlines()
    if len(lines) > OUTPUT_LINES_MAX:
        print(f"        the last {OUTPUT_LINES_MAX} of {len(lines)} lines; all are in {log}")
    for line in lines[-OUTPUT_LINES_MAX:]:
        print(f"        {line}")


def main():
    parser = argparse.ArgumentParser(prog="./dev test", add_help=False)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--only", default="")
    try:
        chosen = parser.parse_args()
    except SystemExit:
        sys.exit(64)
    steps = choose(chosen.full, chosen.only)
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    passed, failed = run_steps(steps)
    print(f"\n{time.monotonic() - started:.0f} s in all")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
