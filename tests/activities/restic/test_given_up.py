"""An attempt begins no restic beside that of another attempt, also when it cannot know that Temporal gave it up."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest
from pydantic import BaseModel
from temporalio.exceptions import ApplicationError

from activities.attempts import Tell
from activities.restic import session
from activities.restic.processes import StartedRestic
from backup_scheduler.runs.results import Outcome
from lab.parts.waiting import eventually_async
from tests.support.restic_attempts import made, refused, snapshots
from tests.support.restic_repository import Restic
from workflows.engines import HEARTBEAT_TIMEOUT, RESTIC_RETRIES

MEASURED_TO_END = timedelta(seconds=13)
"""Longest time that restic took to end after SIGINT."""


class Temporal:
    """Takes the first `answers` heartbeats at once, and no other for as long as it is away."""

    def __init__(self, answers: int) -> None:
        self.told: list[Sequence[BaseModel]] = []
        self.back = asyncio.Event()
        self._answers = answers

    async def tell(self, details: Sequence[BaseModel]) -> None:
        self.told.append(details)
        if len(self.told) > self._answers:
            await self.back.wait()


def gives_up_after(answers: int) -> Tell:
    """Return what tells Temporal of an attempt that Temporal gives up after so many answers."""
    temporal = Temporal(answers)

    async def tell(details: Sequence[BaseModel]) -> None:
        temporal.back.set()
        await temporal.tell(details)
        if len(temporal.told) > answers:
            raise ApplicationError("given up")

    return tell


async def test_restic_begins_when_temporal_has_said_that_the_attempt_counts(restic: Restic) -> None:
    away = Temporal(answers=0)
    waiting = asyncio.create_task(made(restic.policy(), tell=away.tell))
    await eventually_async(lambda: asyncio.sleep(0, away.told))
    assert not restic.locks() + await snapshots(restic)
    assert not waiting.done()
    away.back.set()
    assert (await waiting).outcome is Outcome.COMPLETED


async def test_restic_does_not_begin_in_an_attempt_that_was_given_up(restic: Restic) -> None:
    error = await refused(restic.policy(), tell=gives_up_after(0))
    assert not error.non_retryable
    assert await snapshots(restic) == []


async def test_temporal_is_told_of_the_restic_that_began(restic: Restic) -> None:
    temporal = Temporal(answers=2)
    await made(restic.policy(), tell=temporal.tell)
    before, after = temporal.told
    assert not any(isinstance(detail, StartedRestic) for detail in before)
    assert any(isinstance(detail, StartedRestic) for detail in after)


async def test_a_restic_that_temporal_does_not_learn_of_is_ended(
    restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "KNOWN_WITHIN", timedelta(seconds=1))
    monkeypatch.setenv("PATH", restic.slow_path())
    restic.fill(60)
    error = await refused(restic.policy(), tell=Temporal(answers=1).tell)
    assert (error.message, error.non_retryable) == (
        "restic was ended: Temporal did not learn in time that it runs",
        False,
    )
    assert not restic.locks() + await snapshots(restic)


async def test_a_restic_whose_attempt_was_given_up_is_ended_at_once(
    restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "KNOWN_WITHIN", timedelta(hours=1))
    monkeypatch.setenv("PATH", restic.slow_path())
    restic.fill(60)
    await refused(restic.policy(), tell=gives_up_after(1))
    assert not restic.locks() + await snapshots(restic)


async def test_a_restic_that_temporal_learns_of_late_goes_on(restic: Restic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "KNOWN_WITHIN", timedelta(seconds=4))
    monkeypatch.setenv("PATH", restic.slow_path())
    restic.fill(30)
    temporal = Temporal(answers=1)
    backing_up = asyncio.create_task(made(restic.policy(), tell=temporal.tell))
    await eventually_async(lambda: asyncio.sleep(0, len(temporal.told) == 2))
    temporal.back.set()
    assert (await backing_up).outcome is Outcome.COMPLETED


def test_the_next_attempt_begins_when_a_restic_that_nobody_knows_of_was_ended() -> None:
    first_wait = RESTIC_RETRIES.initial_interval
    assert HEARTBEAT_TIMEOUT + first_wait >= session.KNOWN_WITHIN + MEASURED_TO_END
