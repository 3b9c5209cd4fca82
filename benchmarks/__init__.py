"""Measurements of speed and memory: `python -m benchmarks.step --help`, and the README here."""
