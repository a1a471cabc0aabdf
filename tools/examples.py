#!/usr/bin/python3
"""Checks that every configuration we show is one that Sluice takes: examples/*.yaml, and each YAML block of a
document that is a whole configuration (its first key is `version:`). Ends with `N passed, M failed`."""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import sources  # noqa: E402

BLOCK = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def whole_documents(text):
    """(line, YAML) of each block that is a whole configuration."""
    for match in BLOCK.finditer(text):
        block = match.group(1)
        first = next((line for line in block.splitlines() if line.strip() and not line.startswith("#")), "")
        if first.startswith("version:"):
            yield text.count("\n", 0, match.start()) + 2, block


def check(binary, file, name):
    ran = subprocess.run([binary, "check", str(file)], capture_output=True, text=True, timeout=60)
    if ran.returncode != 0:
        print(f"{name}: exit code {ran.returncode}\n{ran.stdout}{ran.stderr}")
    return ran.returncode == 0


def main():
    parser = argparse.ArgumentParser(prog="examples.py", description=__doc__)
    parser.add_argument("--binary", required=True)
    binary = str(Path(parser.parse_args().binary).resolve())
    results = []
    names = sources.all_files()
    for name in names:
        if name.startswith("examples/") and name.endswith((".yaml", ".json")):
            results.append(check(binary, sources.ROOT / name, name))
    with tempfile.TemporaryDirectory(prefix="sluice-examples-") as folder:
        for name in names:  # what the documents' configurations read
            if name.startswith("examples/") and not name.endswith((".yaml", ".json")):
                shutil.copy(sources.ROOT / name, folder)
        for name in names:
            if not name.endswith(".md"):
                continue
            for line, block in whole_documents((sources.ROOT / name).read_text()):
                file = Path(folder) / "example.yaml"
                file.write_text(block)
                results.append(check(binary, file, f"{name}:{line}"))
    print(f"{results.count(True)} passed, {results.count(False)} failed")
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
