#!/usr/bin/python3
"""Counts the gateway's own instructions a request (in user mode; the kernel's are not seen) while it does compare.py's job.

Unlike CPU time the count hardly depends on the machine or on what else it does: one run shows a difference of 1 %. The
gateway runs in callgrind, on epoll: valgrind 3.19 stops all threads while one waits in io_uring_enter. The digest of the API
key is counted apart, for valgrind has no SHA instructions, and without them it costs ten times what it does otherwise.
"""
import argparse
import collections
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

from suite import machine, servers

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STARTING = 120  # seconds; callgrind is some fifty times slower


class Counted(servers.SluiceOnEpoll):
    """The gateway in callgrind, without debug information: valgrind 3.19 does not read that of clang 19."""
    real_time = False

    def __init__(self, world, profile):
        self.profile = profile
        self.stripped = os.path.join(world.directory, "sluice")
        subprocess.run(["objcopy", "--strip-debug", world.sluice, self.stripped], check=True)
        super().__init__(world)

    def command(self):
        return ["valgrind", "--tool=callgrind", "--dump-instr=no", f"--callgrind-out-file={self.profile}", self.stripped,
                *super().command()[1:]]

    def start(self):
        self.port = machine.free_port()
        log = os.path.join(self.world.directory, "counted.log")
        self.process = machine.Process(self.name, self.command(), machine.SERVER_CORE, log, self.real_time)
        self.process.await_listening(self.port, STARTING)

    def control(self, what):
        subprocess.run(["callgrind_control", what, str(self.process.popen.pid)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def costs_of(profile):
    """Instructions by function, without what a function calls."""
    names, costs, function, is_call = {}, collections.Counter(), None, False
    for line in profile:
        named = re.match(r"(c?fn)=\((\d+)\)(?: (.*))?", line)
        if named:
            kind, number, name = named.groups()
            if name:
                names[number] = name
            if kind == "fn":
                function = number
        elif line.startswith("calls="):
            is_call = True  # the next line says what the call took
        elif re.match(r"[\d+*-]", line):
            if not is_call:
                costs[function] += int(line.split()[1])
            is_call = False
    return {names[number]: cost for number, cost in costs.items()}


def count(server, load, target, connections, requests):
    load.run(server.port, target=target, connections=connections, requests=max(2000, connections * 4))  # warm
    server.control("--zero")
    answered = load.run(server.port, target=target, connections=connections, requests=requests)["requests"]
    server.control("--dump")
    time.sleep(1)  # written by the gateway's own process
    with open(server.profile + ".1") as f:
        return {name: cost / answered for name, cost in costs_of(f).items()}


def report(costs, top):
    digest = sum(cost for name, cost in costs.items() if name.startswith("SHA256_"))
    print(f"{sum(costs.values()) - digest:,.0f} instructions a request, and {digest:,.0f} for the digest without SHA instructions")
    for name, cost in sorted(costs.items(), key=lambda each: -each[1])[:top]:
        print(f"{cost:8,.0f}  {name[:140]}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--top", type=int, default=20, help="functions shown (default: %(default)s)")
    p.add_argument("--target", default="/1k", help="what is asked for: /1k, /100k (default: %(default)s)")
    p.add_argument("--connections", type=int, default=128, help="(default: %(default)s)")
    p.add_argument("--requests", type=int, default=20000, help="(default: %(default)s)")
    p.add_argument("--sluice", default=os.path.join(ROOT, "build/release/sluice"), metavar="PATH")
    p.add_argument("--tools", default=os.path.join(ROOT, "build/release/bench"), metavar="DIR")
    a = p.parse_args()
    a.nginx = a.haproxy = None
    a.idle = 0
    for program, package in (("callgrind_control", "valgrind"), ("objcopy", "binutils")):
        if not shutil.which(program):
            sys.exit(f"instructions: {program} is not there; Debian's package {package} has it")
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as directory:
        descriptors = machine.raise_descriptor_limit()
        machine.REAL_TIME.clear()
        keys = servers.Keys(directory, 10000)
        world = servers.World(directory, a, keys, descriptors)
        server = Counted(world, os.path.join(directory, "profile"))
        try:
            server.start()
            servers.prove_same_job(server)
            costs = count(server, machine.Load(a.tools, keys.file), a.target, a.connections, a.requests)
        except machine.BenchError as error:
            print(f"instructions: {error}", file=sys.stderr)
            return 1
        finally:
            server.stop()
            world.stop()
    report(costs, a.top)
    return 0


if __name__ == "__main__":
    sys.exit(main())
