"""The activities: a package for each engine, the modules that all engines share, and the pass over all jobs."""
