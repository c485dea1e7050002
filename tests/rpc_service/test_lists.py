"""All jobs at once: read from Temporal's list, which lags, and described where the list does not tell enough."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
from temporalio.api.schedule.v1 import ScheduleListEntry
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleHandle, ScheduleUpdate, ScheduleUpdateInput

from backup_scheduler.contract.errors import ListTimeout
from backup_scheduler.jobs.description import Description, describe_broken_job
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.temporal.lists import pages_of_jobs
from backup_scheduler.temporal.stored_jobs import read_job
from devstack.running import StackInfo
from lab.parts.clients import client_of
from rpc_service.gateway import changes, listing
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.doors import Door
from tests.support.gateway_jobs import SETTINGS, a_job


@pytest.fixture
def described(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the schedules that lists have described."""
    ids: list[str] = []

    async def read(client: Client, schedule_id: str) -> ScheduledJob | None:
        ids.append(schedule_id)
        return await read_job(client, schedule_id)

    monkeypatch.setattr(listing, "read_job", read)
    return ids


async def listed(gateway: ScheduleGateway, scheduler_id: str) -> Description | None:
    return next((each for each in await gateway.get_all() if each["job_id"] == scheduler_id), None)


async def until(found: Callable[[], Awaitable[Any]], wanted: object) -> None:
    async with asyncio.timeout(30):
        while await found() != wanted:
            await asyncio.sleep(0.05)


async def test_a_list_that_lags_hides_no_change_of_this_process(
    gateway: ScheduleGateway, temporal: Client, scheduler_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = [f"{scheduler_id}-{change}" for change in ("modified", "paused", "resumed", "removed")]
    before = {each: await gateway.add(a_job(each), "add") for each in ids}
    await gateway.pause(ids[2])
    async with asyncio.timeout(30):
        while {*ids} - {entry.schedule_id async for page in pages_of_jobs(temporal) for entry in page}:
            await asyncio.sleep(0.05)
    pages = [page async for page in pages_of_jobs(temporal)]

    async def as_they_were(*_: object) -> AsyncIterator[Sequence[ScheduleListEntry]]:
        for page in pages:
            yield page

    monkeypatch.setattr(listing, "pages_of_jobs", as_they_were)
    monkeypatch.setattr(changes, "_LISTS_LAG", 60)  # this list never shows the changes, however long they take
    added = await gateway.add(a_job(f"{scheduler_id}-added"), "add")
    modified = await gateway.modify(a_job(ids[0], "03:01"), "modify")
    paused = await gateway.pause(ids[1])
    await gateway.resume(ids[2])
    await gateway.remove(ids[3], "remove")
    seen = {each["job_id"]: each for each in await gateway.get_all() if each["job_id"].startswith(scheduler_id)}
    assert seen == {
        f"{scheduler_id}-added": added,
        ids[0]: modified,
        ids[1]: paused,
        ids[2]: before[ids[2]],
    }


@pytest.mark.parametrize("length", [0, 500], ids=["short terms", "long terms"])
async def test_a_job_is_read_from_the_list_until_a_modify_makes_its_terms_too_long(
    gateway: ScheduleGateway, other: ScheduleGateway, scheduler_id: str, described: list[str], length: int
) -> None:
    made = await gateway.add(a_job(scheduler_id, url_kwargs={"path": "x" * length}), "add")
    await until(lambda: listed(other, scheduler_id), made)
    await gateway.pause(scheduler_id)
    await until(lambda: listed(other, scheduler_id), made | {"next_run_time": None})
    assert await gateway.resume(scheduler_id) == made
    modified = await gateway.modify(a_job(scheduler_id, "05:06", url_kwargs={"region": "eu"}), "modify")
    await until(lambda: listed(other, scheduler_id), modified)
    assert scheduler_id not in described
    longest = await gateway.modify(a_job(scheduler_id, "05:06", url_kwargs={"path": "y" * 500}), "longest")
    await until(lambda: listed(other, scheduler_id), longest)
    assert scheduler_id in described


async def test_an_edited_schedule_is_described_and_found_broken(
    gateway: ScheduleGateway, other: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")

    def edit(seen: ScheduleUpdateInput) -> ScheduleUpdate:
        seen.description.schedule.spec.cron_expressions = ["0 4 * * *"]
        return ScheduleUpdate(seen.description.schedule)

    await schedule.update(edit)
    await until(lambda: listed(other, scheduler_id), describe_broken_job(scheduler_id))


async def test_a_schedule_that_carries_out_something_else_is_described_and_found_broken(
    gateway: ScheduleGateway, other: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")

    def edit(seen: ScheduleUpdateInput) -> ScheduleUpdate:
        assert isinstance(seen.description.schedule.action, ScheduleActionStartWorkflow)
        seen.description.schedule.action.workflow = "SomebodyElses"
        return ScheduleUpdate(seen.description.schedule)

    await schedule.update(edit)
    await until(lambda: listed(other, scheduler_id), describe_broken_job(scheduler_id))


async def test_a_list_of_all_jobs_has_one_bound_for_all_of_it(stack: StackInfo, scheduler_id: str) -> None:
    with Door(stack.temporal_address) as door:
        client = await client_of(stack, door.address)
        gateway = ScheduleGateway(client, SETTINGS, list_deadline=1)
        for number in range(3):
            await gateway.add(a_job(f"{scheduler_id}-{number}"), "call")
        door.delay = 1.2  # each request stays well within its own bound
        began = time.monotonic()
        with pytest.raises(ListTimeout, match=r"within 1 s: .* get_job describes one") as caught:
            await gateway.get_all()
        assert time.monotonic() - began < 3
        assert (await gateway.get(f"{scheduler_id}-0"))["job_id"] == f"{scheduler_id}-0"
    assert caught.value.code == 504
