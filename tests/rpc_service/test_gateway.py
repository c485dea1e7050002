"""Requests of the RPC methods to Temporal that no caller sees: clocks, lost calls, changes that race."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import (
    Client,
    ScheduleActionStartWorkflow,
    ScheduleHandle,
    ScheduleUpdate,
)
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.contract.errors import SchedulerError, TemporalOverloaded, TemporalTimeout, TemporalUnavailable
from backup_scheduler.jobs.description import Description
from backup_scheduler.jobs.from_schedule import ScheduledJob
from backup_scheduler.jobs.notes import UNKNOWN
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.to_schedule import (
    Alignment,
    memo_for,
    schedule_attributes,
    schedule_for,
    search_attributes,
)
from backup_scheduler.temporal.stored_jobs import StoredJob
from devstack.running import StackInfo
from lab.parts.clients import client_of
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job, overtaken


@pytest.fixture
def slow_gateway(temporal: Client) -> ScheduleGateway:
    """A gateway whose calls take effect two minutes after it has read the clock."""
    return ScheduleGateway(temporal, SETTINGS, lambda: datetime.now(UTC) - timedelta(minutes=2))


async def test_an_add_that_takes_effect_after_the_run_it_aims_at_aims_at_the_next(
    slow_gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    missed = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    await slow_gateway.add(a_job(scheduler_id, f"{missed:%H:%M}"), "call")
    assert (await schedule.describe()).info.next_action_times[0] == missed + timedelta(days=1)  # and not days=7


async def test_a_modify_that_takes_effect_after_the_run_it_aims_at_aims_at_the_next(
    gateway: ScheduleGateway, slow_gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    missed = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=1)
    await gateway.add(a_job(scheduler_id), "call")
    await slow_gateway.modify(a_job(scheduler_id, f"{missed:%H:%M}"), "other call")
    assert (await schedule.describe()).info.next_action_times[0] == missed + timedelta(days=1)


async def test_new_terms_leave_out_the_window_that_is_open_already(temporal: Client, scheduler_id: str) -> None:
    opens = datetime.now(UTC) + timedelta(seconds=2)
    ids = [f"{scheduler_id}-{n}" for n in range(6)]
    for each in ids:  # each has another place in the window, most of them in the part that is ahead
        await temporal.create_schedule(each, schedule_for(daily(each, opens), "nobody's"))
    await asyncio.sleep((opens - datetime.now(UTC)).total_seconds() + 0.5)
    tomorrow = opens + timedelta(days=1)
    for each in ids:
        handle = temporal.get_schedule_handle(each)
        update = ScheduleUpdate(schedule_for(daily(each, tomorrow), "nobody's"))
        await handle.update(lambda _, update=update: update)  # type: ignore[misc]  # mypy infers no lambda with a default
        assert (await handle.describe()).info.next_action_times[0] >= tomorrow


def daily(scheduler_id: str, first_run: datetime) -> Alignment:
    job = a_job(scheduler_id).model_copy(update={"days": 1, "duration": 20})
    return Alignment(BackupRequest.of(job, "UTC", first_run.date()), first_run)


async def test_a_job_that_is_removed_while_it_is_described_is_not_called_broken(
    temporal: Client, scheduler_id: str
) -> None:
    async def look(stored: StoredJob) -> ScheduledJob | None:
        with suppress(TimeoutError):  # a server may answer such a description after its own time-out only
            async with asyncio.timeout(2):
                return await stored.read()
        return None

    async def made_and_removed(number: int) -> None:
        stored = StoredJob(temporal, f"{scheduler_id}-{number}")
        alignment = daily(stored.scheduler_id, datetime.now(UTC) + timedelta(hours=1))
        memo, attributes = memo_for(alignment.request, "call"), schedule_attributes(alignment.request)
        await stored.create(schedule_for(alignment, "nobody's"), memo, attributes)
        found = await asyncio.gather(
            *(look(stored) for _ in range(3)), stored.delete("gone", UNKNOWN), return_exceptions=True
        )
        faults = [each for each in found if isinstance(each, BaseException)]
        assert all(isinstance(each, RPCError) and each.status == RPCStatusCode.NOT_FOUND for each in faults), faults

    for number in range(10):
        await made_and_removed(number)


async def test_a_job_that_is_removed_before_its_add_is_answered_was_made(temporal: Client, scheduler_id: str) -> None:
    class Interrupted(StoredJob):
        async def create(self, *arguments: Any) -> None:
            await super().create(*arguments)
            await ScheduleGateway(temporal, SETTINGS).remove(scheduler_id, "gone")

    made = await ScheduleGateway(temporal, SETTINGS, stored_job=Interrupted).add(a_job(scheduler_id), "one")
    assert (made["job_id"], made["kwargs"]["policy_name"]) == (scheduler_id, "documents")
    assert made["next_run_time"] is None


@pytest.mark.parametrize(
    ("status", "message", "becomes"),
    [
        (RPCStatusCode.RESOURCE_EXHAUSTED, "consistent query buffer is full", TemporalOverloaded),
        (RPCStatusCode.UNKNOWN, "transport error", TemporalUnavailable),
        (RPCStatusCode.UNAVAILABLE, "no connection", TemporalUnavailable),
        (RPCStatusCode.DEADLINE_EXCEEDED, "too slow", TemporalTimeout),
        (RPCStatusCode.CANCELLED, "Timeout expired", TemporalTimeout),
        (RPCStatusCode.CANCELLED, "context canceled", TemporalUnavailable),  # by a server that is being stopped
    ],
)
async def test_what_a_server_in_trouble_says_becomes_a_503_or_504(
    temporal: Client, scheduler_id: str, status: RPCStatusCode, message: str, becomes: type[SchedulerError]
) -> None:
    class Troubled(StoredJob):
        async def read(self) -> ScheduledJob | None:
            raise RPCError(message, status, b"")

    with pytest.raises(becomes, match="get_job tells whether it did") as caught:
        await ScheduleGateway(temporal, SETTINGS, stored_job=Troubled).get(scheduler_id)
    assert caught.value.code == (504 if becomes is TemporalTimeout else 503)


async def test_control_calls_close_together_all_take_effect(
    gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "call")
    for round_ in range(8):
        changed = await gateway.modify(a_job(scheduler_id, policy_name=f"policy-{round_}"), f"call-{round_}")
        paused = await gateway.pause(scheduler_id)
        assert changed["kwargs"] == paused["kwargs"]
        state = (await schedule.describe()).schedule.state
        assert state.paused
        assert (await gateway.resume(scheduler_id))["next_run_time"] is not None


async def test_changes_of_one_job_asked_for_at_once_are_made_one_after_the_other(
    gateway: ScheduleGateway, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "call")
    policies = [f"policy-{n}" for n in range(6)]
    changed = await asyncio.gather(*(gateway.modify(a_job(scheduler_id, policy_name=each), each) for each in policies))
    assert [each["kwargs"]["policy_name"] for each in changed] == policies
    assert (await gateway.get(scheduler_id))["kwargs"]["policy_name"] in policies


async def test_a_modify_that_another_one_overtakes_is_not_made_again(
    gateway: ScheduleGateway, temporal: Client, scheduler_id: str
) -> None:
    class OvertakenAfterwards(StoredJob):
        reads = 0

        async def read(self) -> ScheduledJob | None:
            self.reads += 1
            if self.reads == 2:  # its own change is made, and not confirmed yet
                await gateway.modify(a_job(scheduler_id, policy_name="later"), "later")
            return await super().read()

    await gateway.add(a_job(scheduler_id), "one")
    description = await ScheduleGateway(temporal, SETTINGS, stored_job=OvertakenAfterwards).modify(
        a_job(scheduler_id, policy_name="earlier"), "earlier"
    )
    assert description["kwargs"]["policy_name"] == "later"
    assert (await gateway.get(scheduler_id))["kwargs"]["policy_name"] == "later"


async def test_a_modify_that_another_one_comes_before_is_made_after_it(
    gateway: ScheduleGateway, temporal: Client, scheduler_id: str
) -> None:
    async def another_modifies() -> None:
        await gateway.modify(a_job(scheduler_id, policy_name="earlier"), "earlier")

    await gateway.add(a_job(scheduler_id), "one")
    description = await overtaken(temporal, another_modifies).modify(a_job(scheduler_id, policy_name="later"), "later")
    assert description["kwargs"]["policy_name"] == "later"
    assert (await gateway.get(scheduler_id)) == description


async def test_a_modify_that_changes_the_next_job_of_the_same_id_says_that_it_did(
    gateway: ScheduleGateway, temporal: Client, scheduler_id: str
) -> None:
    async def another_makes_the_next() -> None:  # it has had as many changes, so Temporal takes it for the same
        await gateway.remove(scheduler_id, "gone")
        await gateway.add(a_job(scheduler_id, policy_name="next"), "next")

    await gateway.add(a_job(scheduler_id), "one")
    description = await overtaken(temporal, another_makes_the_next).modify(
        a_job(scheduler_id, policy_name="changed"), "changed"
    )
    assert description["kwargs"]["policy_name"] == "changed"
    assert await gateway.get(scheduler_id) == description


async def test_a_modify_leaves_a_pause_with_its_note(
    gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id), "one")
    await schedule.pause(note="holiday")
    await gateway.modify(a_job(scheduler_id, "03:04"), "two")
    state = (await schedule.describe()).schedule.state
    assert (state.paused, state.note) == (True, "holiday")


async def test_a_modify_renews_the_note_of_a_job_that_is_not_paused(
    gateway: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    await gateway.add(a_job(scheduler_id, policy_name="old"), "one")
    await gateway.modify(a_job(scheduler_id, policy_name="new"), "two")
    note = (await schedule.describe()).schedule.state.note
    assert note is not None
    assert "new" in note
    assert "old" not in note


async def test_a_schedule_that_was_changed_since_it_was_seen_is_not_replaced(
    temporal: Client, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    first_run = datetime.now(UTC) + timedelta(hours=1)
    alignment = daily(scheduler_id, first_run)
    await temporal.create_schedule(scheduler_id, schedule_for(alignment, "nobody's"))
    stored = StoredJob(temporal, scheduler_id)
    seen = await stored.read()
    assert seen is not None
    await schedule.pause()
    replacement, attributes = schedule_for(alignment, "somebody's"), search_attributes(alignment.request)
    await stored.replace(seen, replacement, attributes)
    current = await schedule.describe()
    assert current.schedule.state.paused
    assert isinstance(current.schedule.action, ScheduleActionStartWorkflow)
    assert current.schedule.action.task_queue == "nobody's"


async def test_a_pause_is_not_undone_by_another_process_that_modifies_the_job(
    gateway: ScheduleGateway, stack: StackInfo, scheduler_id: str
) -> None:
    other_client = await client_of(stack)
    other = ScheduleGateway(other_client, SETTINGS)
    await gateway.add(a_job(scheduler_id), "call")
    for round_ in range(15):
        await gateway.resume(scheduler_id)
        policy_name = f"policy-{round_}"

        async def pause_later(seconds: float = round_ / 500) -> Description:
            await asyncio.sleep(seconds)  # strikes another moment of the modification in each round
            return await gateway.pause(scheduler_id)

        changed, paused = await asyncio.gather(
            other.modify(a_job(scheduler_id, policy_name=policy_name), policy_name), pause_later()
        )
        assert changed["kwargs"]["policy_name"] == policy_name
        assert paused["next_run_time"] is None
        current = await gateway.get(scheduler_id)
        assert (current["kwargs"]["policy_name"], current["next_run_time"]) == (policy_name, None)
