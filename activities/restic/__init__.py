"""The restic engine: snapshots of files of the worker's machine in a restic repository."""
