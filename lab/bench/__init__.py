"""Benchmarks: what a call, a burst, a crash, many jobs and a backup cost, beside what one would use instead."""
