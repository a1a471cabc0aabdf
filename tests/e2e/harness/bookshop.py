"""The gRPC service of examples/grpc-transcode.proto, served by @grpc/grpc-js, and its descriptors as protoc makes them."""

import os
import subprocess
from pathlib import Path

from harness import node
from harness.curl import peer

PROTOS = Path(__file__).resolve().parent.parent / "protos"


def descriptors(t):
    """The path of a descriptor set."""
    path = os.path.join(t.new_folder("protoc"), "bookshop.pb")
    subprocess.run([peer("protoc"), f"-I{t.root / 'examples'}", f"-I{PROTOS}", "--include_imports", f"-o{path}", "grpc-transcode.proto"],
                   check=True, capture_output=True, timeout=30)
    return path


def start(t, set_path=None):
    return node.Server(t, "bookshop.js", set_path or descriptors(t))
