"""Backup jobs: their terms, names and times, and their way to a Temporal Schedule and back."""
