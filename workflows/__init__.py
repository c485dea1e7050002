"""The workflows of the worker."""
