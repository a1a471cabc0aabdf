"""The parts of bench/compare.py: processes, servers under test, measurements, report."""
