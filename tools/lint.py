#!/usr/bin/python3
"""The house's rules that a machine can check. `./dev lint` runs it; each finding is one line, `file:line: rule: why`.

  layers     a file of src/ includes its own folder and lower layers only (src/layers.txt)
  facade     heavy third-party headers stay in .cpp files
  co_await   co_await stands alone (tools/coroutine_rule.py)
  length     a source file has at most 500 lines
  header     a header starts with a paragraph and has #pragma once
  notes      no note to finish something later
  tabs       no tabs
  links      what a document points to exists

A file that must break a rule is named, with the reason, in tools/lint_exempt.txt.
"""

import argparse
import re
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import coroutine_rule  # noqa: E402
import sources  # noqa: E402

MAX_LINES = 500
FACADES = ("src/tls/openssl.h",)  # a folder's own way to a heavy library, for its .cpp files and tests
HEAVY_HEADERS = ("boost/", "yaml.h", "ares.h", "openssl/", "spdlog/", "CLI/", "nghttp2/", "google/", "sqlite3.h", "date/", "hiredis/")
CODE_ENDINGS = (".h", ".cpp", ".py", ".sh", ".cmake", "CMakeLists.txt", "dev", ".ci/run")
# Spelled in halves, so that this file does not find itself.
NOTES = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
LINK = re.compile(r"\]\(([^)\s]+)\)")

Finding = namedtuple("Finding", "path line rule text")


def read_layers(root):
    lines = (root / "src/layers.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def includes(text):
    """(line, quote, path) of each #include."""
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match.group(1), match.group(2)


def check_layers(path, text, layers):
    parts = path.split("/")
    if parts[0] != "src" or not path.endswith((".h", ".cpp")):
        return
    if len(parts) < 3 or parts[1] not in layers:
        yield Finding(path, 1, "layers", "is in no layer of src/layers.txt")
        return
    own = parts[1]
    for number, quote, included in includes(text):
        if quote != '"':
            continue
        folder = included.split("/")[0]
        if folder not in layers:
            yield Finding(path, number, "layers", f'"{included}": name the file from src/, as "{own}/..."')
        elif layers.index(folder) > layers.index(own):
            yield Finding(path, number, "layers", f"{own}/ may not include {folder}/, which stands above it")


def check_facade(path, text):
    if path.startswith("src/") and path.endswith(".h") and path not in FACADES:
        for number, _, included in includes(text):
            if included.startswith(HEAVY_HEADERS):
                yield Finding(path, number, "facade", f"<{included}> belongs in a .cpp file, behind a small header")


def check_co_await(path, text):
    if path.endswith((".h", ".cpp")) and "co_await" in text:
        for number, reason in coroutine_rule.check(text):
            yield Finding(path, number, "co_await", f"must stand alone, but is {reason}")


def check_length(path, text):
    if path.startswith("src/") and path.endswith((".h", ".cpp")) and not path.endswith(("_test.cpp", "_contract.h")):
        count = text.count("\n")
        if count > MAX_LINES:
            yield Finding(path, count, "length", f"{count} lines; a file about one thing has at most {MAX_LINES}")


def check_header(path, text):
    if path.endswith(".h"):
        if not text.startswith("// "):
            yield Finding(path, 1, "header", "starts with a paragraph (//) that says what it is for")
        if not re.search(r"^#pragma once$", text, re.MULTILINE):
            yield Finding(path, 1, "header", "has no #pragma once")


def check_text(path, text):
    if not path.endswith(CODE_ENDINGS):
        return
    for number, line in enumerate(text.splitlines(), 1):
        if "\t" in line:
            yield Finding(path, number, "tabs", "has a tab")
        note = NOTES.search(line)
        if note:
            yield Finding(path, number, "notes", f"{note.group(1)}: finish it, or open an issue")


def check_links(path, text, root):
    if not path.endswith(".md"):
        return
    fenced = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            fenced = not fenced
        if fenced:
            continue
        for target in LINK.findall(line):
            file = target.split("#")[0]
            if file and "://" not in target and not target.startswith("mailto:"):
                if not (root / path).parent.joinpath(file).exists():
                    yield Finding(path, number, "links", f"{target} does not exist")


def read_exemptions(root):
    file = root / "tools/lint_exempt.txt"
    lines = file.read_text().splitlines() if file.exists() else []
    return {tuple(line.split()[:2]) for line in lines if line.strip() and not line.startswith("#")}


def find(root, only_layers=False):
    """All findings below `root`, less the exempted."""
    layers = read_layers(root)
    exempt = read_exemptions(root)
    findings = []
    for path in sources.all_files(root):
        code = sources.is_cpp(path)
        if not code and (only_layers or not path.endswith(CODE_ENDINGS + (".md",))):
            continue
        text = (root / path).read_text(errors="replace")
        if code:
            findings += check_layers(path, text, layers)
        if only_layers:
            continue
        if code:
            findings += check_facade(path, text)
            findings += check_co_await(path, text)
            findings += check_length(path, text)
            findings += check_header(path, text)
        findings += check_text(path, text)
        findings += check_links(path, text, root)
    return [finding for finding in findings if (finding.rule, finding.path) not in exempt]


def report(findings):
    for finding in findings:
        print(f"{finding.path}:{finding.line}: {finding.rule}: {finding.text}")
    return not findings


def check_format(root, rewrite):
    files = sources.cpp_files(root)
    how = ["-i"] if rewrite else ["--dry-run", "-Werror"]
    return not files or subprocess.run(["clang-format-19", *how, *files], cwd=root).returncode == 0


def check_tidy(root):
    """clang-tidy over the product, not its tests, with a compilation database of its own: no launcher and no
    precompiled header in the commands; what that header includes is included by name."""
    configured = subprocess.run(
        ["cmake", "--preset", "debug", "-B", "build/tidy", "-DCCACHE=OFF", "-DSLUICE_TESTS=OFF",
         "-DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON"], cwd=root, capture_output=True, text=True)
    if configured.returncode != 0:
        print(configured.stdout + configured.stderr)
        return False
    ran = subprocess.run(["run-clang-tidy-19", "-p", "build/tidy", "-quiet", "-extra-arg=-include",
                          f"-extra-arg={root}/src/base/pch.h", f"^{root}/src/.*"],
                         cwd=root, capture_output=True, text=True)
    if ran.returncode != 0:
        print("\n".join(line for line in ran.stdout.splitlines() if not line.startswith("[")))
    return ran.returncode == 0


def main():
    parser = argparse.ArgumentParser(prog="lint.py", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", action="store_true", help="only the include graph")
    parser.add_argument("--rules", action="store_true", help="the rules above (the default)")
    parser.add_argument("--format", action="store_true", help="check the format")
    parser.add_argument("--fix", action="store_true", help="rewrite the format")
    parser.add_argument("--tidy", action="store_true", help="clang-tidy over src/")
    chosen = parser.parse_args()
    root = sources.ROOT
    fine = True
    if chosen.format or chosen.fix:
        fine &= check_format(root, rewrite=chosen.fix)
    if chosen.layers:
        fine &= report(find(root, only_layers=True))
    elif chosen.rules or not (chosen.format or chosen.fix or chosen.tidy):
        fine &= report(find(root))
    if chosen.tidy:
        fine &= check_tidy(root)
    if fine:
        print("lint: fine")
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
