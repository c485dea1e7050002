"""Backups that another service makes: one POST request for each attempt; the answer is the result."""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.attempts import attempt
from activities.http import answers, faults
from activities.http.exchange import Answer, Exchange
from activities.http.form import form
from backup_scheduler import masking
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.http import HttpTarget
from backup_scheduler.runs.results import BackupReport, Outcome
from backup_scheduler.runs.task import BackupTask

_HEARTBEAT_INTERVAL = timedelta(seconds=5)
"""Bounds how late a cancellation arrives; there is no progress to report."""

_LAST_WORDS = 2
"""Seconds in which an aborted exchange may still return the part of the answer that it has read."""


def activities(policies: Policies) -> list[Callable[..., Any]]:
    """Make the activities of the engine for a worker."""
    return [HttpBackup(policies).http_backup]


class HttpBackup:
    """Asks a backup service for a backup."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    @activity.defn
    async def http_backup(self, task: BackupTask) -> BackupReport:
        """POST the job's url_kwargs and policy_name; an answer with a status of 200 to 399 is success.

        Temporal retries transient faults; a permanent fault fails the backup.
        """
        target = self._policies.find(task.request.policy_name)
        if not isinstance(target, HttpTarget):
            raise _permanent(f"the policy {task.request.policy_name!r} is not of type http any more")
        async with attempt(task, "waiting for the answer of the backup service", _HEARTBEAT_INTERVAL):
            return await _ask(target, task)


async def _ask(target: HttpTarget, task: BackupTask) -> BackupReport:
    began = time.monotonic()
    url, token, limit = target.url.get_secret_value(), _token(target), target.timeout.total_seconds()
    host = urlsplit(url).hostname or url
    exchange = Exchange(
        url,
        form(task.request.url_kwargs, task.request.policy_name),
        # With it a service can tell a repeated request for one occurrence from the request for the next one.
        {"Idempotency-Key": quote(task.occurrence, safe="")},
        token,
    )
    try:
        answer = await _within(limit, exchange)
    except TimeoutError:
        raise _transient(f"{host} did not answer completely within {limit:g} s") from None
    except Exception as error:  # requests, urllib3, http.client and ssl have no common base of their errors
        sentence, is_transient = faults.explain(error, exchange, host)
        raise (_transient if is_transient else _permanent)(sentence) from None
    body = answers.unpack(answer.body, answer.headers.get("Content-Encoding", ""))
    if 200 <= answer.status < 400:
        return _report(answer, body, host)
    sentence = answers.describe(host, answer, body)
    if not answers.is_transient(answer.status):
        raise _permanent(sentence)
    delay = answers.retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))
    left = _time_left() - timedelta(seconds=time.monotonic() - began)
    raise _transient(sentence, delay and answers.bounded_delay(delay, left, target.timeout))


async def _within(limit: float, exchange: Exchange) -> Answer:
    """Run an exchange; abort it after `limit` seconds, and when this task is cancelled.

    The exchange has a thread of its own, because the search for a host's address cannot be aborted: a thread that stays
    in it must not take the place of another. Raises TimeoutError when not even a status was read.
    """
    thread = ThreadPoolExecutor(1, thread_name_prefix="http")
    posting = asyncio.get_running_loop().run_in_executor(thread, exchange.post, limit + _LAST_WORDS)
    thread.shutdown(wait=False)
    try:
        if (await asyncio.wait([posting], timeout=limit))[0]:
            return posting.result()
        exchange.abort(f"it was not complete within {limit:g} s")
        await asyncio.wait([posting], timeout=_LAST_WORDS)
        if not posting.done() or posting.exception():
            raise TimeoutError
        return posting.result()
    finally:
        exchange.abort("given up")
        posting.cancel()


def _report(answer: Answer, body: bytes, host: str) -> BackupReport:
    report = BackupReport(
        outcome=Outcome.COMPLETED,
        message=f"{host} answered {answer.status}",
        answer=answers.read_answer(answer, body),
    )
    if answer.fault:
        # The service has accepted the request: a retry would make the backup again.
        report.outcome = Outcome.COMPLETED_WITH_WARNINGS
        report.warnings = [f"the answer broke off after {len(answer.body):,} bytes: {faults.reason(answer.fault)}"]
    return report


def _token(target: HttpTarget) -> str | None:
    if target.token_file is None:
        return None
    try:
        token = target.token_file.read_text(encoding="ascii").strip()
        masking.hide(token)
    except OSError as error:
        raise _permanent(f"the token_file {target.token_file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        token = ""
    if not token.isprintable() or not token:
        raise _permanent(f"the token_file {target.token_file} does not hold a token: one line of ASCII text")
    return token


def _time_left() -> timedelta:
    info = activity.info()
    assert info.schedule_to_close_timeout  # noqa: S101  # the workflow sets it
    return info.scheduled_time + info.schedule_to_close_timeout - info.started_time  # all times by the server's clock


def _transient(sentence: str, delay: timedelta | None = None) -> ApplicationError:
    return ApplicationError(sentence, type="BackupTargetUnavailable", next_retry_delay=delay)


def _permanent(sentence: str) -> ApplicationError:
    return ApplicationError(sentence, type="BackupTargetRefused", non_retryable=True)
