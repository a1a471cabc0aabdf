#!/usr/bin/python3
"""Proof that the simulator finds things: plants each defect of tests/sim/defects/ into a copy of the source that it
changes, links a simulator with it, and runs seeds until one fails. Every defect must be found within --seeds.

A defect is a patch of one .cpp file of src/, with a first line that says what it breaks."""

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEFECTS = ROOT / "tests/sim/defects"
WORK = ROOT / "build/sim-defects"

Found = namedtuple("Found", "name what seed invariant")


def run(command, **options):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", **options)


def plant(patch, build):
    """The simulator with the defect, or exits."""
    text = patch.read_text()
    changed = re.search(r"^\+\+\+ b/(\S+)", text, re.M).group(1)
    folder = WORK / patch.stem
    shutil.rmtree(folder, ignore_errors=True)
    copy = folder / changed
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / changed, copy)
    patched = run(["patch", "-s", "-p1", "-d", str(folder), "-i", str(patch)])
    if patched.returncode:
        sys.exit(f"{patch.name} does not apply: {patched.stdout}{patched.stderr}")

    commands = json.loads((build / "compile_commands.json").read_text())
    entry = next(one for one in commands if one["file"] == str(ROOT / changed))
    planted = folder / "planted.o"
    command = entry["command"].replace(f"-c {ROOT / changed}", f"-c {copy}")
    command = re.sub(r" -o \S+", f" -o {planted}", command)
    compiled = run(["bash", "-c", f"cd {entry['directory']} && {command}"])
    if compiled.returncode:
        sys.exit(f"{patch.name} does not compile:\n{compiled.stderr}")

    # What is linked before the library takes the place of the library's own.
    link = run(["ninja", "-C", str(build), "-t", "commands", "sluice_sim"]).stdout.strip().splitlines()[-1]
    binary = folder / "sluice_sim"
    link = link.replace(" -o sluice_sim", f" {planted} -o {binary}")
    linked = run(["bash", "-c", f"cd {build} && {link}"])
    if linked.returncode:
        sys.exit(f"{patch.name} does not link:\n{linked.stderr}")
    return binary


def hunt(binary, seeds):
    """(seed, which invariant) of the first failure, or None."""
    try:
        output = run([str(binary), "--seeds", str(seeds)], timeout=600).stdout
    except subprocess.TimeoutExpired:
        return None
    failed = re.search(r"^seed (\d+): FAILED", output, re.M)
    if not failed:
        return None
    invariant = re.search(r"^  invariant (\d)", output[failed.end():], re.M)
    return int(failed.group(1)), invariant.group(1) if invariant else "assertion"


def main():
    parser = argparse.ArgumentParser(prog="./dev sim --defects")
    parser.add_argument("--seeds", type=int, default=2000)
    parser.add_argument("--only", default="", help="a part of a defect's name")
    parser.add_argument("--table", action="store_true", help="as rows of docs/simulation.md")
    chosen = parser.parse_args()
    patches = [one for one in sorted(DEFECTS.glob("*.patch")) if chosen.only in one.stem]
    passed = failed = 0
    for patch in patches:
        what = patch.read_text().splitlines()[0].lstrip("# ")
        found = hunt(plant(patch, ROOT / "build/release"), chosen.seeds)
        passed, failed = passed + bool(found), failed + (not found)
        if chosen.table and found:
            print(f"| {patch.stem} | {what} | {found[1]} | {found[0]} |", flush=True)
        elif found:
            print(f"found  {patch.stem:<28} seed {found[0]:<5} invariant {found[1]}", flush=True)
        else:
            print(f"MISSED {patch.stem:<28} in {chosen.seeds} seeds: {what}", flush=True)
        shutil.rmtree(WORK / patch.stem)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed or not passed else 0)


if __name__ == "__main__":
    main()
