"""Runs of backup jobs: their tasks and their results."""
