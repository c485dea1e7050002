"""Pure functions on the status of a backup that a service has begun: its URL, and what it says."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote, unquote, urldefrag, urljoin, urlsplit

import requests

from activities.attempts import Progress
from activities.http import answers
from activities.http.asking import host_of, permanent
from activities.http.exchange import LONGEST_STATUS, Answer
from backup_scheduler.masking import masked, without_known
from backup_scheduler.policies.http import RUN_ID, STATUS_FIELD, HttpTarget, pointer
from backup_scheduler.policies.pointers import count_at, number_at, text_at
from backup_scheduler.runs.results import BackupReport, BegunBackup, Outcome
from backup_scheduler.texts import clean

_LONGEST_WORDS = 300
"""Characters of a state or a message that sentences quote."""

_UNDER_WAY = 202
"""Status of an answer that tells no end, where the policy does not say where the state is."""

_STEPS = re.compile(r"[/\\]")


@dataclass(frozen=True)
class Status:
    """What an answer says of a backup."""

    sentence: str
    """What it says, for people; without secrets."""
    made: bool
    """The backup has ended, and was made."""
    failed: bool
    """The backup has ended, and was not made."""
    percent: float | None = None
    files: int | None = None
    bytes: int | None = None
    snapshot_id: str | None = None

    def progress(self) -> Progress:
        """Return what the Web UI shows of a backup under way."""
        return Progress(step=self.sentence, percent=self.percent, files_done=self.files, bytes_done=self.bytes)


def begun(target: HttpTarget, answer: Answer, body: bytes, url: str) -> BegunBackup:
    """Return what the answer to the POST, which came from `url`, says of the backup.

    The answer itself may tell the end. Raises ApplicationError when the backup failed, and when nothing tells how to
    learn of its end.
    """
    host = host_of(target.url.get_secret_value())
    if not 200 <= answer.status < 300 and answer.status != HTTPStatus.SEE_OTHER:
        raise permanent(answers.describe(host, answer, body))
    told = look(target, answer, body, host)
    named = answer.headers.get("Operation-Location") or answer.headers.get("Location")
    has_url = target.status_url is not None or named is not None
    # Without states, a 200 that names a status URL may well be a beginning.
    if told.failed or (told.made and (target.state is not None or not has_url)):
        return BegunBackup(**report(told, answer, body).model_dump(), ended=True)
    backup = BegunBackup(outcome=Outcome.COMPLETED, message=f"{host} answered {answer.status}")
    if delay := answers.retry_after(answer.headers.get("Retry-After"), datetime.now(UTC)):
        backup.first_pause = delay.total_seconds()
    if target.status_url is not None:
        backup.status_fields = _fields(target.status_url.get_secret_value(), answer, body, host)
    elif named is not None:
        backup.status_url = _named(named, url, host, query_is_public=target.query_is_public)
    else:
        raise permanent(
            f"{host} answered {answer.status} and named no status URL (Operation-Location or Location): "
            "how the backup ends cannot be known without status_url in the policy"
        )
    return backup


def address(target: HttpTarget, begun: BegunBackup, run_id: str) -> str:
    """Return the URL of the status."""
    if target.status_url is None:
        if begun.status_url is None:
            raise permanent("the policy has no status_url any more, by which the end of the backup was to be known")
        return begun.status_url
    values = {RUN_ID: run_id, **begun.status_fields}
    try:
        return _filled(target.status_url.get_secret_value(), values)
    except KeyError as missing:
        raise permanent(
            f"the status_url of the policy has the field {missing} since after the backup began, which has no value"
        ) from None


def may_have_token(target: HttpTarget, url: str) -> bool:
    """Return whether the policy's token may go to a URL: by the rule of `requests` for redirects of the POST."""
    return not requests.Session().should_strip_auth(target.url.get_secret_value(), url)


def look(target: HttpTarget, answer: Answer, body: bytes, host: str) -> Status:
    """Return what an answer with this unpacked body says of the backup."""
    document = answers.document(answer, body)
    percent = number_at(document, target.percent)
    if target.state is None:
        made, failed = 200 <= answer.status < 300 and answer.status != _UNDER_WAY, False
        sentence = f"{host} answered {answer.status}"
    else:
        is_too_long = _is_too_long(answer, body)
        state = None if answer.fault or is_too_long else text_at(document, target.state)
        made, failed = state in target.done, state in target.failed
        missing = "with more than 1 MiB, too long to be a status" if is_too_long else "without a state"
        sentence = f"{host} says '{_words(state)}'" if state else f"{host} answered {answer.status} {missing}"
    message = text_at(document, target.message)
    if message:
        sentence += f": {_words(message)}"
    elif failed:
        sentence = f"{sentence}; {answers.describe(host, answer, body)}"
    return Status(
        sentence,
        made=made,
        failed=failed,
        percent=percent if percent is not None and percent <= 100 else None,
        files=count_at(document, target.files),
        bytes=count_at(document, target.bytes),
        snapshot_id=text_at(document, target.snapshot_id),
    )


def report(status: Status, answer: Answer, body: bytes) -> BackupReport:
    """Return the report on a backup that has ended. Raises ApplicationError when it was not made."""
    if status.failed:
        raise permanent(status.sentence)
    made = answers.report(answer, body, status.sentence)
    made.files, made.bytes_processed, made.snapshot_id = status.files, status.bytes, status.snapshot_id
    return made


def _named(header: str, url: str, host: str, *, query_is_public: bool) -> str:
    """Return the URL that a header of an answer from `url` names.

    The history of the run keeps it, where everybody who may look at the run can read it.
    """
    try:
        named = urldefrag(urljoin(url, answers.utf_8(header).strip())).url
        parts = urlsplit(named)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        complete = False
    if not complete:
        raise permanent(f"{host} named a status URL that is not valid")
    if "@" in parts.netloc or without_known(named) != named:
        raise permanent(
            f"{host} named a status URL with a secret, which would be in the history of the run: set status_url in the "
            "policy"
        )
    if parts.query and not query_is_public:
        raise permanent(
            f"{host} named a status URL with a query, which would be in the history of the run: if it is not secret, "
            "set query_is_public in the policy, else status_url"
        )
    return named


def _is_too_long(answer: Answer, body: bytes) -> bool:
    return max(len(body), len(answer.body)) > LONGEST_STATUS


def _fields(template: str, answer: Answer, body: bytes, host: str) -> dict[str, str]:
    values = {}
    named = {*STATUS_FIELD.findall(template)} - {RUN_ID}
    if named and _is_too_long(answer, body):
        raise permanent(
            f"the answer of {host} has more than 1 MiB, too long for the fields of status_url to be read from it"
        )
    document = answers.document(answer, body)
    for field in named:
        value = text_at(document, pointer(field))
        if not value:
            raise permanent(f"the answer of {host} has no value for the field {{{field}}} of status_url")
        if without_known(value) != value:
            raise permanent(f"the answer of {host} has a secret for the field {{{field}}} of status_url")
        values[field] = value
    if _dots(_filled(template, {RUN_ID: "x", **values})) > _dots(STATUS_FIELD.sub("x", template)):
        raise permanent(
            f"the answer of {host} has '.' or '..' for a field of status_url, which would ask another path than the "
            "policy says"
        )
    return values


def _filled(template: str, values: Mapping[str, str]) -> str:
    return STATUS_FIELD.sub(lambda field: quote(values[field[1]], safe=""), template)


def _dots(url: str) -> int:
    """Count the steps in a path that clients leave out, also those behind a slash that a service may decode."""
    return sum(step in (".", "..") for step in _STEPS.split(unquote(urlsplit(url).path)))


def _words(text: str) -> str:
    # Mask before the text is cut: half of a secret would not be recognized.
    return clean(masked(text), _LONGEST_WORDS)
