"""Every byte that a test's own sockets exchanged, in order, for the report of a failure."""

import threading
import time

SHOWN = 300  # bytes of one entry that are worth printing


class Transcript:
    def __init__(self):
        self._entries = []
        self._lock = threading.Lock()
        self._start = time.monotonic()

    def add(self, who, what, data=b""):
        with self._lock:
            if len(self._entries) < 2000:
                self._entries.append((time.monotonic() - self._start, who, what, bytes(data[:SHOWN]), len(data)))

    def __len__(self):
        return len(self._entries)

    def text(self, last=60, since=0):
        with self._lock:
            entries = self._entries[since:][-last:]
        lines = []
        for when, who, what, data, size in entries:
            shown = repr(data)[1:] if data else ""
            more = f" ... {size} bytes" if size > len(data) else ""
            lines.append(f"  {when:7.3f} {who:<12} {what:<9} {shown}{more}")
        return "\n".join(lines)
