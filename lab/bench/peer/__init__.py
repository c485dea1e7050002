"""The replaced service, written for comparison on the public parts of nameko and APScheduler 3, with SQLite."""
