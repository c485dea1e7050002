"""Benchmarks of a call, a burst, a crash, many jobs and a backup, beside the alternatives to this project."""
