"""Runs the micro benchmarks (bench/micro) and checks the targets that they carry.

A benchmark states its own limits as counters: `target_ns` limits its CPU time an iteration, `target_NAME` limits its
counter NAME. So a figure and what it has to be stand in one place, the benchmark's source."""
import json
import os
import subprocess

from .machine import BenchError, SERVER_CORE, on_core

NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
# What google-benchmark itself writes into a result; all other numbers are counters.
OWN_FIELDS = {"family_index", "per_family_instance_index", "repetitions", "repetition_index", "threads", "iterations",
              "real_time", "cpu_time"}


def run(directory, quick):
    """{benchmark name: {"ns": ..., counters...}}"""
    results = {}
    programs = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    for program in programs:
        command = [*on_core(SERVER_CORE), os.path.join(directory, program), "--benchmark_format=json"]
        if quick:
            command.append("--benchmark_min_time=0.05")
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise BenchError(f"{program} failed: {done.stderr.strip()[-500:]}")
        for b in json.loads(done.stdout)["benchmarks"]:
            if b.get("run_type", "iteration") != "iteration":
                continue
            if b.get("error_occurred"):
                raise BenchError(f"{b['name']}: {b['error_message']}")
            counters = {k: v for k, v in b.items() if isinstance(v, (int, float)) and k not in OWN_FIELDS}
            results[b["name"]] = {**counters, "ns": b["cpu_time"] * NANOSECONDS[b["time_unit"]]}
    return results


def report(results, targets):
    print("\n## Micro benchmarks\n\n| | ns | counters |\n| --- | --- | --- |")
    for name, values in results.items():
        counters = ", ".join(f"{k} {v:,.4g}" for k, v in values.items() if k != "ns" and not k.startswith("target_"))
        print(f"| {name} | {values['ns']:,.1f} | {counters} |")
        for key, limit in values.items():
            measured = key.removeprefix("target_")
            if key.startswith("target_") and measured in values:
                targets.at_most(f"{name}, {measured}", values[measured], limit)
