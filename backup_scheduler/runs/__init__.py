"""Runs of backup jobs: what goes into a run and what comes out."""
