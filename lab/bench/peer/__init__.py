"""What this project replaces: nameko and APScheduler 3 on SQLite, written for comparison on their public parts."""
