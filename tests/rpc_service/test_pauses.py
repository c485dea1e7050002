"""Pauses with a reason and an end, and their ends: a workflow resumes the job, unless it was switched since."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, ScheduleHandle, WorkflowExecutionStatus, WorkflowHandle

from backup_scheduler.contract.errors import InvalidArguments, JobNotFound
from backup_scheduler.contract.methods import ADD, LIST, PAUSE, RESUME
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.pauses import PauseJob
from backup_scheduler.temporal.stored_jobs import StoredJob
from lab.parts.waiting import eventually, eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.calls import TERMS, Caller, assert_fails, job
from tests.support.gateway_jobs import SETTINGS, a_job


def a_pause(scheduler_id: str, reason: str | None = "repair", ends_in: float | None = 3600) -> PauseJob:
    until = None if ends_in is None else datetime.now(UTC) + timedelta(seconds=ends_in)
    return PauseJob(scheduler_id=scheduler_id, reason=reason, until=until)


async def note_of(schedule: ScheduleHandle) -> SwitchNote:
    note = SwitchNote.read((await schedule.describe()).schedule.state.note or "")
    assert note is not None
    return note


async def end_of(temporal: Client, schedule: ScheduleHandle) -> WorkflowHandle[Any, Any]:
    """The workflow that waits for the end of a job's pause."""
    return temporal.get_workflow_handle(f"resume-{(await note_of(schedule)).id}")


async def is_paused(schedule: ScheduleHandle) -> bool:
    return (await schedule.describe()).schedule.state.paused


def test_the_reason_and_the_end_of_a_pause_are_listed(call: Caller, scheduler_id: str) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    assert job(call(PAUSE, scheduler_id, reason="repair", until="2099-01-01 06:00"))["next_run_time"] is None

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call(LIST, prefix=scheduler_id, paused=True)["description"]["jobs"]
        return found

    [found] = eventually(listed)
    facts = {"paused_until": "2099-01-01 06:00:00", "paused_by": PAUSE, "paused_why": "repair"}
    assert found.items() >= facts.items()
    assert job(call(RESUME, scheduler_id))["next_run_time"]


def test_a_pause_ends_ahead(call: Caller, scheduler_id: str) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    reply = call(PAUSE, scheduler_id, None, "2026-01-01T00:00:00Z")
    assert_fails(reply, 400, "until must be a moment", "that lies ahead, not '2026-01-01 00:00:00+00:00'")
    assert_fails(call(PAUSE, f"{scheduler_id}-not-there", None, "2099-01-01 06:00"), 404)


async def test_a_job_is_resumed_at_the_end_of_its_pause(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")
    await gateway.pause(scheduler_id, a_pause(scheduler_id, ends_in=5), f"pause {scheduler_id}")
    ends = await end_of(temporal, schedule)
    assert await is_paused(schedule)
    assert await ends.result() == {"resumed": 1, "scheduler_ids": [scheduler_id], "failures": {}}
    assert not await is_paused(schedule)
    note = await note_of(schedule)
    assert (note.paused, note.by) == (False, "the end of its pause")


async def test_the_end_of_a_pause_is_seen_with_its_reason(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")
    await gateway.pause(scheduler_id, a_pause(scheduler_id), f"pause {scheduler_id}")
    note = await note_of(schedule)
    assert note.until
    described = await (await end_of(temporal, schedule)).describe()
    assert await described.static_summary() == f"Ends a pause at {note.until:%Y-%m-%d %H:%M:%S} UTC"
    assert await described.static_details() == note.text()
    assert note.reason == "repair"


async def test_a_resume_cancels_the_end_of_the_pause(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")
    await gateway.pause(scheduler_id, a_pause(scheduler_id), f"pause {scheduler_id}")
    ends = await end_of(temporal, schedule)
    await gateway.resume(scheduler_id)
    assert not await is_paused(schedule)
    await eventually_async(lambda: has_status(ends, WorkflowExecutionStatus.CANCELED))


async def has_status(handle: WorkflowHandle[Any, Any], status: WorkflowExecutionStatus) -> bool:
    return (await handle.describe()).status == status


async def test_another_pause_replaces_the_first_one_and_its_end(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")
    await gateway.pause(scheduler_id, a_pause(scheduler_id), f"pause {scheduler_id}")
    first = await end_of(temporal, schedule)
    await gateway.pause(scheduler_id)
    assert (await note_of(schedule)).reason == "repair", "a pause without reason and end leaves them"
    await gateway.pause(scheduler_id, a_pause(scheduler_id, "move", ends_in=None), f"another {scheduler_id}")
    note = await note_of(schedule)
    assert (note.reason, note.until, note.id) == ("move", None, None)
    await eventually_async(lambda: has_status(first, WorkflowExecutionStatus.CANCELED))


async def test_a_removed_job_leaves_no_end_of_its_pause(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")
    await gateway.pause(scheduler_id, a_pause(scheduler_id), f"pause {scheduler_id}")
    ends = await end_of(temporal, schedule)
    await gateway.remove(scheduler_id, "remove")
    await eventually_async(lambda: has_status(ends, WorkflowExecutionStatus.CANCELED))


async def test_the_end_of_a_pause_leaves_a_job_alone_that_a_person_paused_since(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")
    await gateway.pause(scheduler_id, a_pause(scheduler_id, ends_in=6), f"pause {scheduler_id}")
    ends = await end_of(temporal, schedule)
    await schedule.pause(note="disk is broken")
    assert (await ends.result())["resumed"] == 0
    state = (await schedule.describe()).schedule.state
    assert (state.paused, state.note) == (True, "disk is broken")


async def test_a_pause_that_comes_again_undoes_nothing_that_came_after_it(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    pause = a_pause(scheduler_id)
    await gateway.add(a_job(scheduler_id), "add")
    await gateway.pause(scheduler_id, pause, f"pause {scheduler_id}")
    note = await note_of(schedule)
    await gateway.pause(scheduler_id, pause, f"pause {scheduler_id}", redelivered=True)
    assert await note_of(schedule) == note
    await gateway.resume(scheduler_id)
    await gateway.pause(scheduler_id, pause, f"pause {scheduler_id}", redelivered=True)
    assert not await is_paused(schedule)
    await gateway.pause(scheduler_id, pause, f"pause {scheduler_id}")
    assert await is_paused(schedule), "a new call with the name of an earlier one"


async def test_a_pause_that_comes_again_leaves_the_end_of_a_later_one(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")
    first = a_pause(scheduler_id, "first", ends_in=1800)
    await gateway.pause(scheduler_id, first, f"first {scheduler_id}")
    await gateway.pause(scheduler_id, a_pause(scheduler_id, "later"), f"later {scheduler_id}")
    ends = await end_of(temporal, schedule)
    await gateway.pause(scheduler_id, first, f"first {scheduler_id}", redelivered=True)
    assert (await note_of(schedule)).reason == "later"
    events = [event async for event in ends.fetch_history_events()]
    assert not any(each.HasField("workflow_execution_cancel_requested_event_attributes") for each in events)


async def test_a_job_that_is_modified_keeps_the_end_of_its_pause(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")
    await gateway.pause(scheduler_id, a_pause(scheduler_id, ends_in=4), f"pause {scheduler_id}")
    ends = await end_of(temporal, schedule)
    await gateway.modify(a_job(scheduler_id, "05:06"), "modify")
    assert (await ends.result())["resumed"] == 1
    assert not await is_paused(schedule)
    assert (await gateway.get(scheduler_id))["kwargs"]["start_time"] == "05:06"


async def test_no_end_is_left_of_a_pause_of_no_job(gateway: ScheduleGateway, scheduler_id: str) -> None:
    with pytest.raises(JobNotFound):
        await gateway.pause(scheduler_id, a_pause(scheduler_id), f"pause {scheduler_id}")
    with pytest.raises(InvalidArguments):
        await gateway.pause(scheduler_id, a_pause(scheduler_id, ends_in=-1), f"pause {scheduler_id}")


async def test_a_job_that_is_paused_only_after_the_end_of_its_pause_is_resumed(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    """Its process hung in between, as one that is frozen does."""

    class Late(StoredJob):
        async def switch(self, job: ScheduledJob, note: SwitchNote, request_id: str) -> None:
            await temporal.get_workflow_handle(f"resume-{note.id}").result()
            await super().switch(job, note, request_id)

    await gateway.add(a_job(scheduler_id), "add")
    late = ScheduleGateway(temporal, SETTINGS, stored_job=Late)
    await late.pause(scheduler_id, a_pause(scheduler_id, ends_in=5), f"pause {scheduler_id}")

    async def is_resumed() -> bool:
        return not await is_paused(schedule)

    await eventually_async(is_resumed)
    assert (await note_of(schedule)).by == "the end of its pause"


async def test_a_pause_that_comes_again_after_its_end_is_answered_and_pauses_no_job(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "add")
    pause = a_pause(scheduler_id, ends_in=4)
    await gateway.pause(scheduler_id, pause, f"pause {scheduler_id}")
    await (await end_of(temporal, schedule)).result()
    for request in (f"pause {scheduler_id}", f"one that died before it paused {scheduler_id}"):
        described = await gateway.pause(scheduler_id, pause, request, redelivered=True)
        assert described["next_run_time"]
        assert not await is_paused(schedule)
