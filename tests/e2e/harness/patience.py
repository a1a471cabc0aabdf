"""How long anything may take before a test gives up. Generous on purpose: no test's verdict depends on speed."""

import os
import time

SECONDS = 10.0 * float(os.environ.get("E2E_PATIENCE", "1"))


def deadline(seconds=None):
    return time.monotonic() + (SECONDS if seconds is None else seconds)


def poll(what, predicate, seconds=None):
    """Calls `predicate` until it gives something true, and gives that back."""
    end = deadline(seconds)
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"never happened: {what}")
        time.sleep(0.02)
