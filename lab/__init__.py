"""All that measures or torments: benchmarks and soaks, and the parts that they and tests share."""
