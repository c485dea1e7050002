"""Backups that another service makes: one POST request for each attempt.

The answer is the result, or the beginning of a wait for the end of the backup.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from temporalio import activity

from activities.attempts import attempt
from activities.http import answers, polling, redirects, status
from activities.http.asking import ask, host_of, permanent, run_id, token_of, transient
from activities.http.exchange import LONGEST_BODY, LONGEST_STATUS, Answer, Exchange
from activities.http.form import form
from activities.http.redirects import REDIRECTS
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.http import HttpTarget
from backup_scheduler.runs.results import BackupReport, BegunBackup
from backup_scheduler.runs.task import BackupTask, PollTask

_HEARTBEAT_INTERVAL = timedelta(seconds=5)
"""Bounds how late a cancellation arrives, and how late progress is shown."""

_VERBATIM = "".join(character for character in map(chr, range(0x20, 0x7F)) if character != "%")
"""Characters of a run's id that its header has as they are."""


def activities(policies: Policies) -> list[Callable[..., Any]]:
    """Make the activities of the engine for a worker."""
    backup = HttpBackup(policies)
    return [backup.http_backup, backup.http_begin, backup.http_poll]


class HttpBackup:
    """Asks a backup service for a backup."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    @activity.defn
    async def http_backup(self, task: BackupTask) -> BackupReport:
        """POST the job's url_kwargs and policy_name; an answer with a status of 200 to 399 is success.

        Temporal retries transient faults; a permanent fault fails the backup.
        """
        target = self._target(task)
        async with attempt(task, "waiting for the answer of the backup service", _HEARTBEAT_INTERVAL):
            answer, body, _ = await _ask(target, task)
            return answers.report(answer, body, f"{host_of(target.url.get_secret_value())} answered {answer.status}")

    @activity.defn
    async def http_begin(self, task: BackupTask) -> BegunBackup:
        """POST as for `http_backup`, with the id of the run; the answer says how to learn of the end of the backup.

        A service that was asked is not asked again: all that is wrong with its answer fails the backup.
        """
        target = self._target(task)
        async with attempt(task, "waiting for the answer of the backup service", _HEARTBEAT_INTERVAL):
            answer, body, url = await _ask(target, task, begins=True)
            if target.completion == "poll":
                return status.begun(target, answer, body, url)
            host = host_of(target.url.get_secret_value())
            report = answers.report(answer, body, f"{host} answered {answer.status}")
            # "answer": the policy was changed meanwhile.
            return BegunBackup(**report.model_dump(), ended=target.completion == "answer")

    @activity.defn
    async def http_poll(self, task: PollTask) -> BackupReport:
        """Look at the status of a backup that has begun, until it has ended; report the end."""
        target = self._target(task)
        async with attempt(task, "waiting for the end of the backup", _HEARTBEAT_INTERVAL) as current:
            return await polling.until_ended(target, task, current)

    def _target(self, task: BackupTask) -> HttpTarget:
        target = self._policies.find(task.request.policy_name)
        if not isinstance(target, HttpTarget):
            raise permanent(f"the policy {task.request.policy_name!r} is not of type http any more")
        return target


async def _ask(target: HttpTarget, task: BackupTask, *, begins: bool = False) -> tuple[Answer, bytes, str]:
    """Return an answer of success, its body, and the URL that gave it after redirects.

    A backup that only `begins` is named by its run. A 303 is then the answer, and not followed: if the GET failed, the
    service would be asked for the backup again.
    """
    began = time.monotonic()
    url, limit = target.url.get_secret_value(), target.timeout.total_seconds()
    fields = form(task.request.url_kwargs, task.request.policy_name)
    if target.run_id_field in task.request.url_kwargs:
        raise permanent(
            f"the job has a url_kwarg {target.run_id_field!r}, which is the run_id_field of its policy: one of them "
            "needs another name"
        )
    if target.run_id_field:
        fields[target.run_id_field] = run_id()
    # With it a service can tell a repeated request for one occurrence from the request for the next one.
    headers = {"Idempotency-Key": quote(task.occurrence, safe="")}
    if begins:
        headers["Backup-Run-Id"] = quote(run_id(), safe=_VERBATIM)
    longest = LONGEST_STATUS if begins else LONGEST_BODY
    follows = redirects.as_it_was if begins else redirects.always
    exchange = Exchange(url, fields, headers, token_of(target), follows=follows, longest=longest)
    answer, body = await ask(exchange, limit)
    location = answer.headers.get("Location")
    if begins and answer.status in REDIRECTS and not redirects.sees_other(answer.status, exchange.url, location):
        place = redirects.place(exchange.url, location)
        raise permanent(
            f"{host_of(url)} answered {answer.status} and pointed to {place}: that is no sign of a backup; set url to "
            "the address that takes the request itself (a service that has taken it answers 2xx or 303)"
        )
    if 200 <= answer.status < 400:
        return answer, body, exchange.url
    sentence = answers.describe(host_of(url), answer, body)
    if not answers.is_transient(answer.status):
        raise permanent(sentence)
    delay = answers.retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))
    left = _time_left() - timedelta(seconds=time.monotonic() - began)
    raise transient(sentence, delay and answers.bounded_delay(delay, left, target.timeout))


def _time_left() -> timedelta:
    info = activity.info()
    assert info.schedule_to_close_timeout  # noqa: S101  # the workflow sets it
    return info.scheduled_time + info.schedule_to_close_timeout - info.started_time  # all times by the server's clock
