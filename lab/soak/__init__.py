"""Soaks: they run a whole stack under load, kill its parts, and audit that nothing was lost and nothing ran twice."""
