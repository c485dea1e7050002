"""Policies: how backups are made. Each engine has a file with the fields of its policies."""
