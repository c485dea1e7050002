"""The messages by which a job is stored and found, made without a server."""

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from backup_scheduler.temporal.lists import ALL_JOBS
from backup_scheduler.temporal.stored_jobs import StoredJob, schedules_query
from tests.support.described_jobs import job_of
from tests.support.pages import text

DIVISION = "AND TemporalNamespaceDivision='TemporalScheduler'"


async def lazy_client() -> Client:
    return await Client.connect(
        "127.0.0.1:1", namespace="backups", lazy=True, data_converter=pydantic_data_converter, identity="7@nas"
    )


async def test_a_job_is_stored_under_its_id_as_far_as_that_fits() -> None:
    client = await lazy_client()
    assert StoredJob(client, "job-1").scheduler_id == StoredJob(client, "job-1").schedule_id == "job-1"
    long = StoredJob(client, "é" * 200)
    assert long.scheduler_id == "é" * 200
    assert len(long.schedule_id.encode()) <= 200


async def test_an_update_tells_whose_it_is_and_replaces_only_what_was_read() -> None:
    current = await job_of()
    current.description.conflict_token = b"token"
    stored, wanted = StoredJob(await lazy_client(), "job-1"), current.description.schedule
    updates = [stored._update(current, wanted) for _ in range(2)]
    for update in updates:
        assert (update.namespace, update.schedule_id, update.identity) == ("backups", "job-1", "7@nas")
        assert update.conflict_token == b"token"
        assert update.schedule == wanted
    assert len({update.request_id for update in updates} - {""}) == 2, "each is a change of its own"


@pytest.mark.parametrize(
    ("workflow_id", "condition"),
    [
        ("temporal-sys-scheduler:job-1", "WorkflowId='temporal-sys-scheduler:job-1'"),
        ("a'b", "WorkflowId='a''b'"),
        ('a"b', "WorkflowId STARTS_WITH 'a'"),
        ("a\\b", "WorkflowId STARTS_WITH 'a'"),
        ("a'b\"c\\d", "WorkflowId STARTS_WITH 'a''b'"),
    ],
)
def test_the_schedules_of_an_id_are_asked_for_by_as_much_of_it_as_a_query_takes(
    workflow_id: str, condition: str
) -> None:
    assert schedules_query(workflow_id) == f"{condition} {DIVISION}"


def test_the_list_of_all_jobs_is_the_one_that_the_documentation_shows() -> None:
    assert ALL_JOBS == "BackupSchedulerId IS NOT NULL"
    assert f"temporal schedule list --query '{ALL_JOBS}'" in text("docs/operations.md")
