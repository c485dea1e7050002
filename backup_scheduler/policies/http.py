"""Policies of the http engine."""

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr, field_validator, model_validator

from backup_scheduler.policies.fields import AbsolutePath, Policy, Text, Timeout
from backup_scheduler.policies.pointers import Pointer, is_pointer

STATUS_FIELD: Final = re.compile(r"\{([^{}]*)\}")
"""A field of status_url."""

RUN_ID: Final = "run_id"
"""The field of status_url that is the id of the run; all others are of the service's answer."""

_LONGEST: Final = timedelta(days=30)
"""Both time limits together (LONGEST_RUN of backup_scheduler/jobs/to_schedule.py)."""

_OF_POLL: Final = frozenset(
    {
        *("status_url", "query_is_public", "state", "done", "failed", "poll_every"),
        *("percent", "files", "bytes", "snapshot_id", "message"),
    }
)
_OF_LATER: Final = frozenset({"completes_within", "run_id_field"})
"""Fields of policies whose backups end later than the answer."""


def _other_than_policy_name(name: str) -> str:
    if name == "policy_name":
        raise ValueError("must not be 'policy_name', which is a field of the request already")
    return name


class HttpTarget(Policy):
    """A service that makes a backup for a POST request."""

    engine: ClassVar[str] = "http"

    url: SecretStr
    """http or https. Hidden from logs: the fallback's URL may hold credentials, and any URL may hold a key."""
    timeout: Timeout = timedelta(minutes=5)
    """Limit of one attempt, from connecting to the last byte read; in seconds."""
    token_file: AbsolutePath | None = None
    """A file with a bearer token to send; read at each attempt, so it can be changed while the worker runs."""

    completion: Literal["answer", "poll", "report"] = "answer"
    """How the end of the backup is known: by the answer to the POST, by a URL that tells its status, or by a call of
    report_run."""
    completes_within: Timeout = timedelta(hours=24)
    """Time from the answer to the end of the backup, in seconds."""
    run_id_field: Annotated[Text, AfterValidator(_other_than_policy_name)] | None = None
    """A field of the request that has the id of the run, beside the header `Backup-Run-Id`."""

    status_url: SecretStr | None = None
    """The URL of the status, with fields; default: the answer's Operation-Location or Location. Hidden like `url`."""
    query_is_public: bool = False
    """Whether the query of a URL that the service names may be in the history of the run; a signature may not."""
    state: Pointer | None = None
    """Where a status has the state; without it the HTTP status alone tells: 202 is under way, another 2xx the end of a
    backup that was made, whatever the body says."""
    done: tuple[Text, ...] = ()
    """States of a backup that was made."""
    failed: tuple[Text, ...] = ()
    """States of a backup that was not made. All states that are neither are under way."""
    poll_every: Timeout = timedelta(seconds=30)
    """Longest pause between two looks at the status, unless the service asks for another one; in seconds."""
    percent: Pointer | None = None
    files: Pointer | None = None
    bytes: Pointer | None = None
    snapshot_id: Pointer | None = None
    message: Pointer | None = None
    """Where a status has the progress, the counts and the name of the backup, and a sentence for people."""

    @field_validator("url")
    @classmethod
    def _complete(cls, url: SecretStr) -> SecretStr:
        if not _is_complete(url.get_secret_value()):
            raise ValueError("must be a complete URL such as 'https://backup.example.org/start'")
        return url

    @field_validator("status_url")
    @classmethod
    def _with_known_fields(cls, url: SecretStr | None) -> SecretStr | None:
        if url is None:
            return None
        text = url.get_secret_value()
        fields, filled = STATUS_FIELD.findall(text), STATUS_FIELD.sub("x", text)
        if not _is_complete(filled) or set(filled) & {*"{}"}:
            raise ValueError("must be a complete URL such as 'https://backup.example.org/jobs/{id}'")
        if not all(each and is_pointer(pointer(each)) for each in fields):
            raise ValueError("must have fields like {id}, {/job/id} or {run_id}")
        if "{" in text.partition("://")[2].partition("/")[0]:
            raise ValueError("must not have a field before its path: the service must not choose the host")
        if "@" in urlsplit(filled).netloc:
            raise ValueError("must not hold a user or password")
        return url

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        given = self.model_fields_set
        if unfit := sorted(given & _OF_POLL if self.completion != "poll" else set()):
            raise ValueError(f'{", ".join(unfit)}: only with completion = "poll"')
        if unfit := sorted(given & _OF_LATER if self.completion == "answer" else set()):
            raise ValueError(f'{", ".join(unfit)}: only with completion = "poll" or "report"')
        if len({self.state is None, not self.done, not self.failed}) > 1:
            raise ValueError("state, done and failed must be given together")
        if both := sorted({*self.done} & {*self.failed}):
            raise ValueError(f"done and failed must not both have {both[0]!r}")
        if self.completion != "answer" and self.timeout + self.completes_within > _LONGEST:
            raise ValueError("timeout and completes_within together must be at most 30 days")
        return self


class HttpPolicy(HttpTarget):
    """`type = "http"`: a target in the policy file; its URL must not hold credentials."""

    type: Literal["http"]

    @field_validator("url")
    @classmethod
    def _without_credentials(cls, url: SecretStr) -> SecretStr:
        if "@" in urlsplit(url.get_secret_value()).netloc:
            raise ValueError("must not hold a user or password: put a token into a file and name it as token_file")
        return url


def pointer(field: str) -> str:
    """Return the JSON pointer of a field of status_url: `id` is short for `/id`."""
    return field if field.startswith("/") else f"/{field}"


def _is_complete(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
