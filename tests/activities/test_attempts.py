"""What all attempts have in common: heartbeats, details for the next attempt, log fields and failures."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import BaseModel
from structlog.testing import capture_logs
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.attempts import Attempt, Progress, attempt, kept
from activities.policy_lookup import PolicyLookup
from activities.restic.processes import StartedRestic
from backup_scheduler.policies.file import ChosenEngine, Policies
from backup_scheduler.policies.http import HttpTarget
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_task

RESTIC = StartedRestic(
    host="h", boot="b", pid_namespace="n", pid=7, uid=0, started=1, since=datetime(2026, 1, 1, tzinfo=UTC)
)


def listening() -> tuple[ActivityEnvironment, list[tuple[Any, ...]]]:
    environment, beats = attempt_of(), list[tuple[Any, ...]]()
    environment.on_heartbeat = lambda *details: beats.append(details)
    return environment, beats


async def failure_of(raised: BaseException) -> ApplicationError:
    async def run() -> None:
        async with attempt(a_task(), "working"):
            raise raised

    with pytest.raises(ApplicationError) as caught:
        await attempt_of().run(run)
    return caught.value


async def test_details_for_the_next_attempt_are_sent_at_once_and_with_each_heartbeat() -> None:
    environment, beats = listening()

    async def run() -> None:
        async with attempt(a_task(), "looking", timedelta(milliseconds=50)) as current:
            current.keep(RESTIC)
            assert beats == [(Progress(step="looking"), RESTIC)]
            current.step("backing up")
            while len(beats) < 3:
                await asyncio.sleep(0.01)
            current.keep()

    await asyncio.wait_for(environment.run(run), 20)
    assert beats[1] == beats[2] == (Progress(step="backing up"), RESTIC)
    assert beats[-1] == (Progress(step="backing up"),)
    sent = len(beats)
    await asyncio.sleep(0.2)
    assert len(beats) == sent, "no heartbeat after the end"


async def test_a_short_attempt_sends_no_heartbeat() -> None:
    environment, beats = listening()

    async def run() -> None:
        async with attempt(a_task(), "looking"):
            await asyncio.sleep(0.1)

    await environment.run(run)
    assert beats == []


@pytest.mark.parametrize(
    ("details", "found"),
    [
        ([], []),
        ([Progress(step="a").model_dump()], []),
        ([Progress(step="a").model_dump(), RESTIC.model_dump(mode="json")], [RESTIC]),
        ([Progress(step="a").model_dump(), {"of": "another release"}, RESTIC.model_dump(mode="json")], [RESTIC]),
    ],
)
async def test_an_attempt_finds_what_the_one_before_kept_for_it(details: Sequence[Any], found: list[BaseModel]) -> None:
    environment = attempt_of(2)
    environment.info = replace(environment.info, heartbeat_details=details)
    assert environment.run(lambda: kept(StartedRestic)) == found


async def test_an_attempt_is_logged_with_its_job_its_run_and_how_it_ended() -> None:
    environment = attempt_of(3)
    bound: dict[str, Any] = {}

    async def run() -> None:
        import structlog

        async with attempt(a_task(), "working"):
            bound.update(structlog.contextvars.get_contextvars())

    with capture_logs() as logs:
        await environment.run(run)
    info = environment.info
    assert bound == {
        "scheduler_id": "job-1",
        "policy_name": "nightly",
        "workflow_id": info.workflow_id,
        "run_id": info.workflow_run_id,
        "attempt": 3,
    }
    assert [line["event"] for line in logs] == ["backup attempt started", "backup attempt succeeded"]


@pytest.mark.parametrize("lasting", [True, False])
async def test_a_failure_keeps_all_that_temporal_goes_by_and_gets_a_text_that_can_be_sent(lasting: bool) -> None:
    raised = ApplicationError(
        "odd \ud800 text\n", "detail", type="Odd", non_retryable=lasting, next_retry_delay=timedelta(seconds=7)
    )
    failed = await failure_of(raised)
    assert failed.message == "odd � text"
    assert (failed.type, failed.non_retryable, failed.details) == ("Odd", lasting, ("detail",))
    assert failed.next_retry_delay == timedelta(seconds=7)


async def test_an_error_that_nobody_expected_is_tried_again_with_its_type() -> None:
    failed = await failure_of(KeyError("a\nb"))
    assert (failed.message, failed.type, failed.non_retryable) == (r"KeyError: 'a\nb'", "KeyError", False)


async def test_an_attempt_of_a_worker_that_stops_is_handed_over_and_one_that_was_cancelled_is_not() -> None:
    for details, expected in ((ActivityCancellationDetails(worker_shutdown=True), ApplicationError), (None, None)):
        environment = attempt_of()
        begun = asyncio.Event()

        async def run(begun: asyncio.Event = begun) -> None:
            async with attempt(a_task(), "working"):
                begun.set()
                await asyncio.sleep(60)

        running = asyncio.create_task(environment.run(run))
        await begun.wait()
        environment.cancel(details) if details else environment.cancel()
        with pytest.raises(expected or asyncio.CancelledError) as caught:
            await running
        if isinstance(caught.value, ApplicationError):
            assert caught.value.message == "the worker was stopped during the backup, another one takes over"
            assert (caught.value.type, caught.value.non_retryable) == ("WorkerStopped", False)
            assert caught.value.next_retry_delay == timedelta(seconds=1)


def test_progress_that_is_not_known_is_left_open() -> None:
    assert Attempt("looking").progress.model_dump(exclude_none=True) == {"step": "looking"}


async def test_a_policy_is_looked_up_once_and_a_missing_one_fails_for_good() -> None:
    listed = Policies(fallback=HttpTarget.model_validate({"url": "http://h/", "timeout": 7}))
    found = await attempt_of().run(PolicyLookup(listed).choose_policy, "any")
    assert found == ChosenEngine(type="http", timeout=timedelta(seconds=7))
    with pytest.raises(ApplicationError, match="the policy 'none' is not configured on the worker") as caught:
        await attempt_of().run(PolicyLookup(Policies()).choose_policy, "none")
    assert (caught.value.type, caught.value.non_retryable) == ("PolicyNotConfigured", True)
