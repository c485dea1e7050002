"""Policies of the http engine."""

from datetime import timedelta
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import SecretStr, field_validator

from backup_scheduler.policies.fields import AbsolutePath, Policy, Timeout


class HttpTarget(Policy):
    """A service that makes a backup for a POST request."""

    engine: ClassVar[str] = "http"

    url: SecretStr
    """http or https. Hidden from logs: the fallback's URL may hold credentials, and any URL may hold a key."""
    timeout: Timeout = timedelta(minutes=5)
    """Limit of one attempt, from connecting to the last byte read; in seconds."""
    token_file: AbsolutePath | None = None
    """A file with a bearer token to send; read at each attempt, so it can be changed while the worker runs."""

    @field_validator("url")
    @classmethod
    def _complete(cls, url: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(url.get_secret_value())
            complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            complete = False
        if not complete:
            raise ValueError("must be a complete URL such as 'https://backup.example.org/start'")
        return url


class HttpPolicy(HttpTarget):
    """`type = "http"`: a target in the policy file; its URL must not hold credentials."""

    type: Literal["http"]

    @field_validator("url")
    @classmethod
    def _without_credentials(cls, url: SecretStr) -> SecretStr:
        if "@" in urlsplit(url.get_secret_value()).netloc:
            raise ValueError("must not hold a user or password: put a token into a file and name it as token_file")
        return url
