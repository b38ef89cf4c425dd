"""Benchmarks: how fast and how large the server is on this machine. Imported by the command line only."""
