"""The http engine: backups that another service makes on request."""
