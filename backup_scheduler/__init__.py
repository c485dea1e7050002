"""The middle that the RPC side and the worker side share: pure functions and models, no I/O but `temporal.connect`."""
