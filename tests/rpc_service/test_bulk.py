"""Many jobs are paused and resumed at once; a receipt names each of them, and what others did is not undone."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, ScheduleUpdate, ScheduleUpdateInput

from backup_scheduler.contract.methods import ADD, LIST, PAUSE_ALL, RESUME_ALL
from backup_scheduler.jobs.filters import ListJobs
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.temporal.stored_jobs import StoredJob
from lab.parts.waiting import eventually, eventually_async
from rpc_service.gateway import bulk
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.calls import TERMS, Caller, assert_fails, job
from tests.support.gateway_jobs import SETTINGS, overtaken
from tests.support.listed_jobs import has
from tests.support.pauses_of_many import NOTHING, PAUSED, notes_of, pausing, resuming


def test_jobs_are_paused_and_resumed_by_what_they_have_in_common(call: Caller, policy: str) -> None:
    ids = [f"{policy}-{number}" for number in range(3)]
    for each in ids:
        job(call(ADD, each, policy, *TERMS[1:]))
    eventually(lambda: call(LIST, policy_name=policy)["description"]["count"] == 3)
    wanted = {"policy_name": policy}
    dry = call(PAUSE_ALL, wanted, "repair", dry_run=True)
    assert dry["description"] == NOTHING | {"changed": ids, "dry_run": True, "timer": None}
    assert not call(LIST, policy_name=policy, paused=True)["description"]["jobs"]
    assert call(PAUSE_ALL, wanted, "repair") == {
        "status": "success",
        "description": PAUSED | {"changed": ids},
        "code": 200,
    }
    eventually(lambda: len(call(LIST, policy_name=policy, paused=True)["description"]["jobs"]) == 3)
    for found in call(LIST, policy_name=policy)["description"]["jobs"]:
        assert (found["paused_by"], found["paused_why"], found["paused_until"]) == (PAUSE_ALL, "repair", None)
    assert call(PAUSE_ALL, wanted, "repair again")["description"] == PAUSED | {"already": ids}
    assert call(RESUME_ALL, wanted)["description"] == NOTHING | {"changed": ids}
    eventually(lambda: len(call(LIST, policy_name=policy, paused=False)["description"]["jobs"]) == 3)
    assert call(RESUME_ALL, wanted)["description"] == NOTHING | {"already": ids}


def test_an_empty_filter_is_refused(call: Caller) -> None:
    assert_fails(call(PAUSE_ALL, {}, "repair"), 400, "filter must not be empty")
    assert_fails(call(RESUME_ALL, {}), 400, "filter must not be empty")
    past = call(PAUSE_ALL, {"prefix": "nobody's"}, "repair", "2026-01-01T00:00:00Z")
    assert_fails(past, 400, "until must be a moment", "that lies ahead")


async def test_a_job_that_a_person_paused_stays_as_it_is(
    temporal: Client, gateway: ScheduleGateway, other: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    await temporal.get_schedule_handle(jobs[0]).pause(note="disk is broken")
    await gateway.pause(jobs[1])
    before = await notes_of(temporal, jobs[:2])
    for gate in (gateway, other):  # the list of the second one may lag
        receipt = await gate.pause_all(pausing(policy), f"pause {policy} {gate is other}")
        assert {*jobs[:2]} <= {*receipt["already"]}
    assert {paused for paused, _ in await notes_of(temporal, jobs)} == {True}
    assert await notes_of(temporal, jobs[:2]) == before
    await has(other, jobs, policy_name=policy, paused=True)
    receipt = await other.resume_all(resuming(policy), f"resume {policy}")
    assert receipt == NOTHING | {"changed": jobs[2:], "left": jobs[:2]}
    assert await notes_of(temporal, jobs[:2]) == before


@pytest.mark.parametrize("paused", [True, False])
async def test_what_a_person_does_in_between_is_not_undone(
    temporal: Client, gateway: ScheduleGateway, policy: str, jobs: list[str], paused: bool
) -> None:
    for each in jobs[1:]:
        await gateway.remove(each, "remove")
    if not paused:
        await gateway.pause_all(pausing(policy), f"pause {policy}")
    await has(ScheduleGateway(temporal, SETTINGS), jobs[:1], policy_name=policy, paused=not paused)

    async def by_hand() -> None:
        await temporal.get_schedule_handle(jobs[0]).pause(note="disk is broken")

    other = overtaken(temporal, by_hand)
    if paused:
        until = datetime.now(UTC) + timedelta(hours=1)
        receipt = await other.pause_all(pausing(policy, until=until), f"another {policy}")
        assert (receipt["changed"], receipt["already"], receipt["timer"]) == ([], jobs[:1], None)
    else:
        receipt = await other.resume_all(resuming(policy), f"resume {policy}")
        assert (receipt["changed"], receipt["left"]) == ([], jobs[:1])
    assert await notes_of(temporal, jobs[:1]) == [(True, "disk is broken")]


async def test_a_job_that_fails_does_not_stop_the_others(
    temporal: Client, gateway: ScheduleGateway, other: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    def edit(seen: ScheduleUpdateInput) -> ScheduleUpdate:
        seen.description.schedule.spec.cron_expressions = ["0 4 * * *"]
        return ScheduleUpdate(seen.description.schedule)

    await temporal.get_schedule_handle(jobs[1]).update(edit)
    broken = "the job is broken: get_job says more"

    async def listed() -> bool:
        dry = await other.pause_all(pausing(policy, dry_run=True), f"dry {policy}")
        return bool(dry["failed"] == {jobs[1]: broken})

    await eventually_async(listed)
    await gateway.remove(jobs[2], "remove")
    receipt = await other.pause_all(pausing(policy), f"pause {policy}")
    assert receipt["changed"] == [jobs[0], jobs[3]]
    assert receipt["failed"].keys() - {jobs[2]} == {jobs[1]}


async def test_two_processes_pause_the_same_jobs_and_each_pause_is_of_one_of_them(
    temporal: Client, gateway: ScheduleGateway, other: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    one, two = await asyncio.gather(
        gateway.pause_all(pausing(policy), f"one {policy}"), other.pause_all(pausing(policy), f"two {policy}")
    )
    assert sorted(one["changed"] + two["changed"]) == jobs
    assert sorted(one["already"] + one["changed"]) == sorted(two["already"] + two["changed"]) == jobs
    ids = {SwitchNote.read(note).id: note for _, note in await notes_of(temporal, jobs)}  # type: ignore[union-attr]  # each has a note
    assert len(ids) == bool(one["changed"]) + bool(two["changed"])
    one, two = await asyncio.gather(
        gateway.resume_all(resuming(policy), f"three {policy}"), other.resume_all(resuming(policy), f"four {policy}")
    )
    assert sorted(one["changed"] + two["changed"]) == jobs


async def test_many_jobs_are_resumed_at_the_end_of_their_pause_but_for_those_switched_since(
    temporal: Client, gateway: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    until = datetime.now(UTC) + timedelta(seconds=16)
    receipt = await gateway.pause_all(pausing(policy, until=until), f"pause {policy}")
    assert receipt["changed"] == jobs
    ends = temporal.get_workflow_handle(receipt["timer"])
    await temporal.get_schedule_handle(jobs[0]).pause(note="disk is broken")
    await gateway.resume(jobs[1])
    await gateway.remove(jobs[2], "remove")
    assert await ends.result() == {"resumed": 1, "scheduler_ids": [jobs[3]], "failures": {}}
    assert await notes_of(temporal, [jobs[0]]) == [(True, "disk is broken")]
    [(paused, note)] = await notes_of(temporal, [jobs[3]])
    assert not paused
    assert note.startswith("resumed by the end of its pause at")


async def test_jobs_that_are_paused_only_after_the_end_of_their_pause_are_resumed(
    temporal: Client, policy: str, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their process hung in between, as one that is frozen does."""
    monkeypatch.setattr(bulk, "_MARGIN", 1)

    class Late(StoredJob):
        async def switch(self, job: Any, note: SwitchNote, request_id: str) -> None:
            await temporal.get_workflow_handle(f"resume-{note.id}").result()
            await super().switch(job, note, request_id)

    late = ScheduleGateway(temporal, SETTINGS, stored_job=Late)
    until = datetime.now(UTC) + timedelta(seconds=6)
    assert (await late.pause_all(pausing(policy, until=until), f"pause {policy}"))["changed"] == jobs

    async def are_resumed() -> bool:
        return [paused for paused, _ in await notes_of(temporal, jobs)] == [False] * 4

    await eventually_async(are_resumed)


async def test_no_job_is_paused_when_its_pause_is_about_to_end(
    gateway: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    receipt = await gateway.pause_all(
        pausing(policy, until=datetime.now(UTC) + timedelta(seconds=5)), f"pause {policy}"
    )
    assert receipt["changed"] == []
    assert receipt["failed"].keys() == {*jobs}
    assert "too soon to begin it" in receipt["failed"][jobs[0]]
    assert not (await gateway.list_page(ListJobs(policy_name=policy, paused=True)))["jobs"]


async def test_jobs_whose_change_is_not_confirmed_in_time_are_named(
    temporal: Client, policy: str, jobs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Slow(StoredJob):
        async def read(self) -> Any:
            if self.scheduler_id == jobs[0]:
                await asyncio.sleep(60)
            return await super().read()

    gateway = ScheduleGateway(temporal, SETTINGS, list_deadline=3, stored_job=Slow)
    receipt = await gateway.pause_all(pausing(policy), f"pause {policy}")
    assert receipt == PAUSED | {"changed": jobs[1:], "failed": {jobs[0]: "not confirmed within 3.4 s"}}
