"""The command line `backupctl`: jobs and runs of the RPC service `scheduler`, for people and for scripts."""
