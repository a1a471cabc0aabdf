"""The Prometheus text format, as far as a test needs it."""

import re

SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? ([^ ]+)(?: [0-9]+)?$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"(?:,|$)')


class Metrics:
    def __init__(self, text):
        self.samples = []  # (name, {label: value}, number)
        self.types = {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ", 3)
                self.types[name] = kind
            if not line or line.startswith("#"):
                continue
            match = SAMPLE.match(line)
            assert match, f"not a line of the Prometheus text format: {line!r}"
            labels = dict(LABEL.findall(match[2] or ""))
            self.samples.append((match[1], labels, float(match[3])))

    def names(self):
        return {name for name, _, _ in self.samples} | set(self.types)

    def find(self, name, /, **labels):
        return [(have, value) for sample, have, value in self.samples
                if sample == name and all(have.get(key) == wanted for key, wanted in labels.items())]

    def sum(self, name, /, **labels):
        return sum(value for _, value in self.find(name, **labels))
