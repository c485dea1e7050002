"""Parts that benchmarks, soaks and tests share."""
