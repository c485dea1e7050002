"""The activities of runs: one package for each engine, and what all engines share."""
