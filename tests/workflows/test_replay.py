"""Runs that are in flight survive a new version of their workflow: stored histories replay with today's code."""

from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from workflows.all_jobs import LookAfterJobsWorkflow
from workflows.backup import BackupWorkflow
from workflows.resume_jobs import ResumeJobsWorkflow

HISTORIES = Path(__file__).parent / "histories"
KINDS = (
    *("http", "restic", "failed", "not_configured", "missed", "cancelled", "waited", "asked_anew"),
    *("missed_behind_another", "asked_for", "cancelled_with_a_reason", "cancelled_before_it_began"),
    *("polled", "cancelled_at_the_answer", "reported"),
    "no_worker",  # from before a run was asked for anew
    "cancelled_without_a_word",  # from before a run that was cancelled before it began said why
    "polled_though_cancelled",  # from before a cancellation was heeded that comes as the answer does
    "missed_completed",  # from before a missed run failed
    *("pass_over_all_jobs", "pass_among_backups"),  # the latter from before passes had a task queue of their own
    *("resumed", "not_resumed"),
)


async def replay(name: str) -> None:
    history = WorkflowHistory.from_json(name, (HISTORIES / f"{name}.json").read_text())
    await Replayer(
        workflows=[BackupWorkflow, LookAfterJobsWorkflow, ResumeJobsWorkflow], data_converter=pydantic_data_converter
    ).replay_workflow(history)


@pytest.mark.parametrize("name", KINDS)
async def test_a_stored_history_replays(name: str) -> None:
    await replay(name)


async def test_a_history_of_another_workflow_does_not() -> None:
    with pytest.raises(NondeterminismError):
        await replay("broken")


def test_every_stored_history_is_replayed() -> None:
    assert {path.stem for path in HISTORIES.glob("*.json")} == {*KINDS, "broken"}
