"""Pause and resume look at a job before they write, and confirm it afterwards."""

from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client, ScheduleHandle, ScheduleUpdate, ScheduleUpdateInput

from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.notes import By, SwitchNote
from backup_scheduler.jobs.pauses import PauseJob
from backup_scheduler.temporal.stored_jobs import StoredJob
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job, overtaken


async def test_a_pause_that_temporal_lost_is_made_again(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    class Lossy(StoredJob):
        loses = True

        async def switch(self, current: ScheduledJob, note: SwitchNote, request_id: str) -> None:
            if not self.loses:
                await super().switch(current, note, request_id)
            self.loses = False

    await gateway.add(a_job(scheduler_id), "call")
    await ScheduleGateway(temporal, SETTINGS, stored_job=Lossy).pause(scheduler_id)
    assert (await schedule.describe()).schedule.state.paused


@pytest.mark.parametrize("paused", [True, False])
async def test_a_job_that_looks_as_it_should_be_is_switched_all_the_same(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str, paused: bool
) -> None:
    async def differs() -> None:
        await (schedule.unpause(note="past") if paused else schedule.pause(note="past"))

    await gateway.add(a_job(scheduler_id), "call")
    if paused:
        await gateway.pause(scheduler_id)
    other = overtaken(temporal, differs)
    await (other.pause(scheduler_id) if paused else other.resume(scheduler_id))
    assert (await schedule.describe()).schedule.state.paused is paused


async def test_a_look_shows_a_change_as_soon_as_its_call_has_returned(
    gateway: ScheduleGateway, temporal: Client, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "call")
    stored = StoredJob(temporal, scheduler_id)
    looks = []
    for number in range(20):
        note = f"change {number}"
        await (schedule.unpause(note=note) if number % 2 else schedule.pause(note=note))
        looks.append(await stored.look(datetime.now(UTC)))  # None as long as the change waits to be taken over
        assert looks[-1] is None or (looks[-1].paused, looks[-1].note) == (number % 2 == 0, note)
        await schedule.describe()  # answered when it is taken over
        seen = await stored.look(datetime.now(UTC))
        assert seen is not None
        assert (seen.paused, seen.note) == (number % 2 == 0, note)
    assert None in looks


async def test_a_look_leaves_what_is_no_whole_job_to_a_description(
    gateway: ScheduleGateway, temporal: Client, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    stored = StoredJob(temporal, scheduler_id)
    assert await stored.look(datetime.now(UTC)) is None
    await gateway.add(a_job(scheduler_id), "call")
    assert await stored.look(datetime.now(UTC)) is not None

    def edit(seen: ScheduleUpdateInput) -> ScheduleUpdate:
        seen.description.schedule.spec.jitter = timedelta(minutes=7)
        return ScheduleUpdate(seen.description.schedule)

    await schedule.update(edit)
    await schedule.describe()
    assert await stored.look(datetime.now(UTC)) is None


async def test_a_pause_of_a_paused_job_leaves_its_note(
    gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "call")
    await schedule.pause(note="holiday")
    await gateway.pause(scheduler_id)
    assert (await schedule.describe()).schedule.state.note == "holiday"


@pytest.mark.parametrize("is_paused_before", [True, False])
async def test_a_pause_without_an_end_leaves_one_that_comes_in_between(
    temporal: Client, gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str, is_paused_before: bool
) -> None:
    async def pause_until() -> None:
        pause = PauseJob(scheduler_id=scheduler_id, reason="repair", until=datetime(2090, 1, 1, tzinfo=UTC))
        await gateway.pause(scheduler_id, pause, "pause until")

    await gateway.add(a_job(scheduler_id), "call")
    if is_paused_before:
        await gateway.pause(scheduler_id, request_id="pause before")
    await overtaken(temporal, pause_until).pause(scheduler_id, request_id="pause")
    note = SwitchNote.read((await schedule.describe()).schedule.state.note or "")
    assert note is not None
    assert (note.reason, note.until) == ("repair", datetime(2090, 1, 1, tzinfo=UTC))


async def test_a_job_with_a_note_of_any_length_is_paused_and_resumed(
    gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    by = By("份" * 100)
    pause = PauseJob(scheduler_id=scheduler_id, reason="备" * 200, until=datetime(2090, 1, 1, tzinfo=UTC))
    await gateway.add(a_job(scheduler_id), "call", by)
    await gateway.pause(scheduler_id, pause, "pause", by)
    written = (await schedule.describe()).schedule.state.note
    await gateway.pause(scheduler_id)
    state = (await schedule.describe()).schedule.state
    assert (state.paused, state.note) == (True, written)

    def edit(seen: ScheduleUpdateInput) -> ScheduleUpdate:
        seen.description.schedule.state.note = "é" * 900
        return ScheduleUpdate(seen.description.schedule)

    await schedule.update(edit)
    await gateway.pause(scheduler_id)
    state = (await schedule.describe()).schedule.state
    assert (state.paused, state.note) == (True, "é" * 900)
    await gateway.resume(scheduler_id, by)
    assert not (await schedule.describe()).schedule.state.paused
