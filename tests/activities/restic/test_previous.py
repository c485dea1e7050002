"""Effects of the run before: a repository that is gone is not made anew, and a source that shrank gives a warning."""

import asyncio
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from temporalio.client import Client, Schedule, ScheduleActionStartWorkflow, ScheduleSpec

from backup_scheduler.jobs import names
from backup_scheduler.runs.results import Outcome
from backup_scheduler.runs.task import BackupTask, PreviousBackup
from lab.parts.waiting import eventually_async
from tests.support.backup_requests import a_request, a_task
from tests.support.restic_attempts import made, refused
from tests.support.restic_repository import Restic
from tests.support.workers import worker_with
from tests.support.workflow_runs import failure, run_of


def after(**changes: object) -> BackupTask:
    """Return a task whose job has a snapshot already."""
    terms = {"policy_name": "nightly", "snapshot_id": "0123abcd", "files": 2, "bytes_processed": 9}
    return a_task().model_copy(update={"previous": PreviousBackup.model_validate(terms | changes)})


async def test_a_repository_that_had_a_snapshot_of_the_job_is_not_made_anew(new_restic: Restic) -> None:
    error = await refused(new_restic.policy(), after(repository=str(new_restic.repository)))
    assert error.non_retryable
    assert error.message == (
        f"the repository at {new_restic.repository} is gone, which has this job's snapshot 0123abcd: a disk that is "
        "not mounted? (`restic init` makes a new one there, if that is wanted)"
    )
    assert not new_restic.repository.exists()


async def test_a_repository_at_another_place_is_made(new_restic: Restic) -> None:
    report = await made(new_restic.policy(), after(repository="/srv/another"))
    assert report.outcome is Outcome.COMPLETED
    assert report.repository == str(new_restic.repository)


@pytest.mark.parametrize(
    ("before", "words"),
    [
        ({"files": 5}, "2 files instead of 5"),
        ({"bytes_processed": 2000}, "9 bytes instead of 2,000"),
        ({"files": 5, "bytes_processed": 2000}, "2 files instead of 5 and 9 bytes instead of 2,000"),
    ],
)
async def test_a_source_that_shrank_to_less_than_half_makes_a_warning(
    restic: Restic, before: dict[str, int], words: str
) -> None:
    report = await made(restic.policy(), after(**before))
    assert report.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert report.warnings == [f"much less than in the run before: {words}"]


@pytest.mark.parametrize(
    ("policy", "before"),
    [({}, {"files": 4, "bytes_processed": 18}), ({"shrink_warning": 0}, {"files": 5}), ({}, {"policy_name": "other"})],
    ids=["half", "turned off", "another policy"],
)
async def test_a_source_that_is_as_large_as_it_may_be_is_plain(
    restic: Restic, policy: dict[str, float], before: dict[str, object]
) -> None:
    report = await made(restic.policy(**policy), after(**({"files": 5} | before)))
    assert (report.outcome, report.warnings) == (Outcome.COMPLETED, [])


async def test_a_job_knows_its_last_snapshot_over_failed_runs(
    temporal: Client, restic: Restic, scheduler_id: str, tmp_path: Path
) -> None:
    request = a_request(scheduler_id=scheduler_id)
    gone = tmp_path / "gone"
    async with worker_with(temporal, {"nightly": restic.policy()}) as runs:
        schedule = await temporal.create_schedule(
            scheduler_id,
            Schedule(
                action=ScheduleActionStartWorkflow(
                    names.BACKUP_WORKFLOW, request, id=names.workflow_id(scheduler_id), task_queue=runs.task_queue
                ),
                spec=ScheduleSpec(start_at=datetime.now(UTC) + timedelta(days=1)),
            ),
            trigger_immediately=True,
        )
        first = await (await run_of(temporal, scheduler_id, 1)).result()
        assert (first.outcome, first.repository) == (Outcome.COMPLETED, str(restic.repository))
        shutil.move(restic.repository, gone)
        for number in (2, 3):

            async def idle() -> bool:
                return not (await schedule.describe()).info.running_actions

            await eventually_async(idle)
            await asyncio.sleep(1.1)  # two triggers within a second would name their runs alike
            await schedule.trigger()
            error, result = await failure(await run_of(temporal, scheduler_id, number))
            assert f"is gone, which has this job's snapshot {first.snapshot_id}" in error.message
            assert result.outcome is Outcome.FAILED
        assert not restic.repository.exists()
