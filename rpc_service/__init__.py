"""The nameko side: RPC calls become Temporal Schedule calls."""
