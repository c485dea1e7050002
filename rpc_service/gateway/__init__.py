"""The RPC methods as requests to Temporal, and Temporal's errors as errors of the contract."""
