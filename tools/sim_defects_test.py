#!/usr/bin/python3
"""The planted defects of tests/sim/defects/ fit the sources as they are: each can still be planted. Run by ./dev test."""

import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class PlantedDefects(unittest.TestCase):
    def test_each_patch_applies(self):
        patches = sorted((ROOT / "tests/sim/defects").glob("*.patch"))
        self.assertGreater(len(patches), 10)
        for patch in patches:
            with self.subTest(patch.stem):
                done = subprocess.run(["patch", "--dry-run", "-s", "-p1", "-d", str(ROOT), "-i", str(patch)], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main()
