"""The middle that the RPC side and the worker side share: one package for each subject, without nameko and eventlet."""

__version__ = "0.1.0"
