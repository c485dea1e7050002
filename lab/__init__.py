"""Benchmarks and soaks, and the parts that they and the tests share."""
