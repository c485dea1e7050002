"""The promises to RPC callers: method names, arguments, replies and errors (docs/api.md)."""
