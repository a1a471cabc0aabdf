"""Which files of the repository are ours to check."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CPP_FOLDERS = ("src", "tests", "fuzz", "bench")
SKIPPED_FOLDERS = {".git", "build", "node_modules", "__pycache__", ".cache"}


def all_files(root=ROOT):
    """Paths relative to `root`: what git tracks or would track. Without git (an unpacked archive): every file."""
    try:
        listed = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True, capture_output=True).stdout.decode()
        found = {name for name in listed.split("\0") if name and (root / name).is_file()}
    except (OSError, subprocess.CalledProcessError):
        found = set()
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS]
            found.update(os.path.relpath(os.path.join(folder, name), root) for name in names)
    return sorted(found)


def is_cpp(name):
    return name.endswith((".h", ".cpp")) and name.split("/")[0] in CPP_FOLDERS


def cpp_files(root=ROOT):
    return [name for name in all_files(root) if is_cpp(name)]
