"""Many jobs are paused and resumed at once; a receipt names each of them, and what others did is not undone."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.client import Client, ScheduleUpdate, ScheduleUpdateInput

from backup_scheduler.contract.methods import ADD, LIST, PAUSE_ALL, RESUME_ALL
from backup_scheduler.jobs.filters import ListJobs
from backup_scheduler.jobs.notes import SwitchNote
from backup_scheduler.jobs.pauses import PauseJobs, ResumeJobs
from backup_scheduler.temporal.stored_jobs import StoredJob
from lab.parts.waiting import eventually, eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.calls import TERMS, Caller, assert_fails, job
from tests.support.gateway_jobs import SETTINGS, a_job, overtaken
from tests.support.listed_jobs import has

NOTHING: dict[str, Any] = {"changed": [], "already": [], "left": [], "failed": {}}
PAUSED: dict[str, Any] = NOTHING | {"dry_run": False, "timer": None}


@pytest.fixture
async def jobs(gateway: ScheduleGateway, other: ScheduleGateway, policy: str) -> list[str]:
    """Four jobs, which lists have."""
    ids = [f"{policy}-{number}" for number in range(4)]
    for each in ids:
        await gateway.add(a_job(each, policy_name=policy), "add")
    await has(other, ids, policy_name=policy)
    return ids


def pausing(policy: str, **others: Any) -> PauseJobs:
    return PauseJobs(filter={"policy_name": policy}, reason="repair", **others)


def resuming(policy: str) -> ResumeJobs:
    return ResumeJobs(filter={"policy_name": policy})


async def notes_of(temporal: Client, ids: list[str]) -> list[tuple[bool, str]]:
    states = [(await temporal.get_schedule_handle(each).describe()).schedule.state for each in ids]
    return [(state.paused, state.note or "") for state in states]


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


async def test_a_call_that_comes_again_undoes_nothing_and_has_the_same_receipt(
    temporal: Client, gateway: ScheduleGateway, other: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    paused = await gateway.pause_all(pausing(policy), f"pause {policy}")
    assert paused["changed"] == jobs
    assert await gateway.pause_all(pausing(policy), f"pause {policy}", redelivered=True) == paused
    await has(other, jobs, policy_name=policy, paused=True)
    assert await other.pause_all(pausing(policy), f"pause {policy}", redelivered=True) == paused
    await gateway.resume(jobs[0])
    again = await gateway.pause_all(pausing(policy), f"pause {policy}", redelivered=True)
    assert again == paused
    assert [each for each, _ in await notes_of(temporal, jobs)] == [False, True, True, True]
    resumed = await gateway.resume_all(resuming(policy), f"resume {policy}")
    assert resumed == NOTHING | {"changed": jobs[1:], "already": jobs[:1]}
    await gateway.pause(jobs[3])
    again = await gateway.resume_all(resuming(policy), f"resume {policy}", redelivered=True)
    assert again["changed"] == jobs[1:]
    assert [each for each, _ in await notes_of(temporal, jobs)] == [False, False, False, True]


async def test_a_call_that_comes_again_finds_the_jobs_that_its_filter_does_not_fit_any_more(
    temporal: Client, gateway: ScheduleGateway, other: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    until = datetime.now(UTC) + timedelta(hours=1)
    pause = PauseJobs(filter={"prefix": policy, "paused": False}, reason="repair", until=until)
    paused = await gateway.pause_all(pause, f"pause {policy}")
    assert paused["changed"] == jobs
    await has(other, jobs, policy_name=policy, paused=True)
    await gateway.resume(jobs[0])  # somebody does since: it fits the filter again
    assert await other.pause_all(pause, f"pause {policy}", redelivered=True) == paused
    assert [each for each, _ in await notes_of(temporal, jobs)] == [False, True, True, True]
    resume = ResumeJobs(filter={"policy_name": policy, "paused": True})
    resumed = await gateway.resume_all(resume, f"resume {policy}")
    assert resumed["changed"] == jobs[1:]
    await has(other, jobs, policy_name=policy, paused=False)
    assert (await other.resume_all(resume, f"resume {policy}", redelivered=True))["changed"] == jobs[1:]


async def test_a_call_that_comes_again_leaves_the_timer_of_its_first_delivery(
    temporal: Client, gateway: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    """Even if it finds none of the jobs that it paused, such as those that were given another policy since."""
    until = datetime.now(UTC) + timedelta(hours=1)

    def pausing_one(job: str) -> PauseJobs:
        return PauseJobs(filter={"prefix": job}, reason="repair", until=until)

    receipt = await gateway.pause_all(pausing_one(jobs[0]), f"pause {policy}")
    assert receipt["changed"] == jobs[:1]

    async def by_hand() -> None:
        await temporal.get_schedule_handle(jobs[1]).pause(note="disk is broken")

    other = overtaken(temporal, by_hand)
    again = await other.pause_all(pausing_one(jobs[1]), f"pause {policy}", redelivered=True)
    assert (again["changed"], again["already"], again["timer"]) == ([], jobs[1:2], receipt["timer"])
    asked_to_end = [
        event
        async for event in temporal.get_workflow_handle(receipt["timer"]).fetch_history_events()
        if event.HasField("workflow_execution_cancel_requested_event_attributes")
    ]
    assert asked_to_end == []


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

    gateway = ScheduleGateway(temporal, SETTINGS, list_deadline=2, stored_job=Slow)
    receipt = await gateway.pause_all(pausing(policy), f"pause {policy}")
    assert receipt == PAUSED | {"changed": jobs[1:], "failed": {jobs[0]: "not confirmed within 2.4 s"}}
