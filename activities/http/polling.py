"""The wait for the end of a backup that a service has begun: looks at its status, one after another.

A look that brings no news is no failed attempt: the next look asks anew, by the same URL, and changes nothing.
"""

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from temporalio import activity
from temporalio.exceptions import ApplicationError

from activities.attempts import Attempt
from activities.http import answers, redirects, status
from activities.http.asking import ask, host_of, permanent, run_id, token_of
from activities.http.exchange import LONGEST_STATUS, Exchange
from activities.http.redirects import REDIRECTS
from backup_scheduler.masking import masked
from backup_scheduler.policies.http import HttpTarget
from backup_scheduler.runs.results import BackupReport
from backup_scheduler.runs.task import PollTask
from backup_scheduler.texts import clean

_FIRST_PAUSE: Final = 2.0
"""Seconds before the first look."""

_LONGEST_PAUSE: Final = 900.0
"""Seconds; what a service asks for by Retry-After is bounded by it."""

_REFUSED_FOR: Final = 60.0
"""Seconds for which a service may refuse to tell the status: one that restarts may not know its backups for a while,
and a token may be renewed."""

_LAST_LOOK: Final = 10.0
"""Seconds that the last look may take beyond the time limit; Temporal ends the activity later than that."""


async def until_ended(target: HttpTarget, task: PollTask, current: Attempt) -> BackupReport:
    """Look at the status until the backup has ended, and report that.

    Raises ApplicationError, non-retryable: when the backup was not made, when the service refuses to tell, and when the
    time is up.
    """
    return await _Watch(target, task, current).until_ended()


def usual_pauses(longest: float) -> Iterator[float]:
    """Yield the pauses before looks, in seconds: each is half as long again as the one before, up to `longest`."""
    pause = _FIRST_PAUSE
    while True:
        yield min(pause, longest)
        pause = min(pause * 1.5, longest)


class _Refused(Exception):
    """The service refuses to tell the status; the text is a sentence."""


class _Watch:
    def __init__(self, target: HttpTarget, task: PollTask, current: Attempt) -> None:
        info = activity.info()
        self._target = target
        self._url = status.address(target, task.begun, run_id())
        self._host = host_of(self._url)
        self._limit = task.limit.total_seconds()
        # All times by the server's clock; an earlier attempt, and the wait for a worker, have taken their part.
        self._ends = time.monotonic() + (info.scheduled_time + task.limit - info.started_time).total_seconds()
        self._current = current
        asked_for = task.begun.first_pause if info.attempt == 1 else None
        self._usual_pauses = usual_pauses(target.poll_every.total_seconds())
        self._pause = min(asked_for or next(self._usual_pauses), _LONGEST_PAUSE)
        self._refused_since: float | None = None

    async def until_ended(self) -> BackupReport:
        while True:
            await asyncio.sleep(min(self._pause, max(self._left(), 0)))
            self._pause = next(self._usual_pauses)
            try:
                if (report := await self._look()) is not None:
                    return report
            except _Refused as refused:
                since = self._refused_since = self._refused_since or time.monotonic()
                if time.monotonic() - since >= _REFUSED_FOR:
                    raise permanent(f"how the backup ended is not known: {refused}, for a minute and more") from None
                self._show(f"the status is not known: {refused}")
            else:
                self._refused_since = None
            if self._left() <= 0:
                raise permanent(
                    f"the backup did not end within {self._limit:g} s; at last: {self._current.progress.step}"
                )

    def _left(self) -> float:
        return self._ends - time.monotonic()

    def _show(self, step: str) -> None:
        # Heartbeats pass neither through the failure converter nor through the mask of answers.
        self._current.progress = self._current.progress.model_copy(update={"step": clean(masked(step))})

    async def _look(self) -> BackupReport | None:
        """Look at the status once; return the report on a backup that was made.

        Raises ApplicationError, non-retryable, when it was not made or the service does not know it; and _Refused.
        """
        try:
            token = token_of(self._target) if status.may_have_token(self._target, self._url) else None
        except ApplicationError as error:
            raise _Refused(error.message) from None
        limit = min(self._target.timeout.total_seconds(), max(self._left(), _LAST_LOOK))
        follows = redirects.to_the_status if self._target.state is None else redirects.always
        exchange = Exchange(self._url, None, {}, token, follows=follows, longest=LONGEST_STATUS)
        try:
            answer, body = await ask(exchange, limit)
        except ApplicationError as error:
            if error.non_retryable and not exchange.redirects:  # a redirect is an answer, and the next may be better
                raise
            self._show(f"the status is not known: {error.message}")
            return None
        if delay := answers.retry_after(answer.headers.get("Retry-After"), datetime.now(UTC)):
            self._pause = min(delay.total_seconds(), _LONGEST_PAUSE)
        if answer.status >= 400:
            sentence = answers.describe(self._host, answer, body)
            if answer.status == HTTPStatus.GONE:
                raise permanent(f"how the backup ended is not known: {sentence}")
            if not answers.is_transient(answer.status):
                raise _Refused(sentence)
            self._show(f"the status is not known: {sentence}")
            return None
        if answer.status in REDIRECTS and self._target.state is None:
            place = redirects.place(exchange.url, answer.headers.get("Location"))
            raise _Refused(
                f"{self._host} answered {answer.status} and pointed to {place}, which without state in the policy is "
                "no status"
            )
        told = status.look(self._target, answer, body, self._host)
        self._current.progress = told.progress()
        return status.report(told, answer, body) if told.made or told.failed else None
