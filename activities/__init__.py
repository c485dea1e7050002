"""What a run does: each module holds one kind of backup, with all that it touches outside."""
