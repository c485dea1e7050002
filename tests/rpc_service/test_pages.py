"""list_jobs: pages of jobs by what they have in common, from Temporal's list, and what became of their last runs."""

from datetime import datetime
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import ListSchedulesResponse
from temporalio.client import (
    Client,
    ScheduleHandle,
    ScheduleUpdate,
    ScheduleUpdateInput,
)

from backup_scheduler.contract.errors import InvalidArguments
from backup_scheduler.contract.methods import ADD, LIST, PAUSE
from backup_scheduler.jobs.filters import ListJobs
from backup_scheduler.temporal.lists import page_of_jobs
from lab.parts.waiting import eventually
from rpc_service.gateway import changes, pages
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.calls import TERMS, Caller, assert_fails, job
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.listed_jobs import added, has, listed


def test_a_page_has_the_jobs_their_number_and_the_place_of_the_next(call: Caller, scheduler_id: str) -> None:
    made = [job(call(ADD, f"{scheduler_id}-{number}", *TERMS)) for number in range(3)]
    nothing = dict.fromkeys(("paused_since", "paused_until", "paused_by", "paused_why", "last_run", "last_outcome"))

    def whole() -> bool:
        return bool(call(LIST, prefix=scheduler_id)["description"]["count"] == 3)

    eventually(whole)
    reply = call(LIST, prefix=scheduler_id)
    assert (reply["status"], reply["code"]) == ("success", 200)
    assert reply["description"].keys() == {"jobs", "count", "next"}
    assert reply["description"]["next"] is None
    jobs = sorted(reply["description"]["jobs"], key=lambda each: str(each["job_id"]))
    assert jobs == [each | {"days": 3, "paused": False, "overdue": False} | nothing for each in made]
    first = call(LIST, prefix=scheduler_id, limit=2)["description"]
    assert (len(first["jobs"]), first["count"]) == (2, 3)
    rest = call(LIST, prefix=scheduler_id, limit=2, after=first["next"])["description"]
    assert (len(rest["jobs"]), rest["count"], rest["next"]) == (1, 3, None)
    assert sorted((first["jobs"] + rest["jobs"]), key=lambda each: str(each["job_id"])) == jobs


def test_a_pause_is_listed_with_its_moment_and_method(call: Caller, scheduler_id: str) -> None:
    call(ADD, scheduler_id, *TERMS)
    call(PAUSE, scheduler_id)

    def paused() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call(LIST, prefix=scheduler_id, paused=True)["description"]["jobs"]
        return found

    eventually(lambda: len(paused()) == 1)
    [found] = paused()
    assert (found["paused"], found["paused_by"], found["paused_why"], found["next_run_time"]) == (
        *(True, PAUSE, None),
        None,
    )
    assert datetime.strptime(found["paused_since"], "%Y-%m-%d %H:%M:%S")  # the clock of the service


@pytest.mark.parametrize("after", ["x", "", "AAAA"])
def test_a_place_that_no_page_had_is_refused(call: Caller, after: str) -> None:
    rule = "after must be the `next` of a list_jobs with the same filters"
    assert_fails(call(LIST, after=after), 400, f"{rule}, not {after!r}")


async def test_the_place_of_a_page_holds_for_the_same_filters_only(gateway: ScheduleGateway, policy: str) -> None:
    await added(gateway, policy, 2, policy)
    page = await gateway.list_page(ListJobs(policy_name=policy, limit=1))
    assert page["next"]
    assert (await gateway.list_page(ListJobs(policy_name=policy, limit=5, after=page["next"])))["jobs"]
    with pytest.raises(InvalidArguments, match="after must be"):
        await gateway.list_page(ListJobs(policy_name=policy, paused=False, limit=1, after=page["next"]))


@pytest.mark.parametrize("name", ["it's", 'a "quoted" one', "a\\b", "100%", "{}_", "Größe 備份", "x" * 150 + "é" * 50])
async def test_jobs_are_found_by_any_policy_name_and_by_any_beginning_of_their_ids(
    gateway: ScheduleGateway, other: ScheduleGateway, scheduler_id: str, policy: str, name: str
) -> None:
    whole = f"{policy[:40]} {name}"[:200]
    ids = await added(gateway, f"{whole[:190]}", 2, whole)
    await added(gateway, f"{scheduler_id}-other", 1, policy)
    await has(other, ids, policy_name=whole)
    await has(other, ids, prefix=whole[:190])
    await has(other, [], policy_name=whole[:-1])
    for gate in (gateway, other):
        assert not await listed(gate, policy_name=whole, paused=True)
        assert (await listed(gate, policy_name=whole, paused=False)).keys() == {*ids}


async def test_small_letters_are_no_capital_ones(gateway: ScheduleGateway, other: ScheduleGateway, policy: str) -> None:
    small, capital = f"{policy}-a", f"{policy}-A"
    for each in (small, capital):
        await gateway.add(a_job(each, policy_name=policy), "add")
    await has(other, [small, capital], policy_name=policy)
    assert (await listed(other, prefix=small)).keys() == {small}
    assert (await listed(other, prefix=capital)).keys() == {capital}


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("wanted", [{}, {"overdue": False}], ids=["by Temporal", "by us"])
async def test_pages_of_any_length_have_each_job_once(
    gateway: ScheduleGateway, other: ScheduleGateway, policy: str, limit: int, wanted: dict[str, Any]
) -> None:
    ids = await added(gateway, policy, 7, policy)
    assert sorted(await listed(gateway, policy_name=policy, limit=limit, **wanted)) == ids, "the list may lag"
    await has(other, ids, policy_name=policy, limit=limit, **wanted)
    count = (await other.list_page(ListJobs(policy_name=policy, limit=limit, **wanted)))["count"]
    assert count == (7 if limit >= 7 or not wanted else None)


@pytest.mark.parametrize("wanted", [{}, {"overdue": False}], ids=["by Temporal", "by us"])
async def test_jobs_that_come_and_go_between_two_pages_leave_the_others_as_they_are(
    gateway: ScheduleGateway, other: ScheduleGateway, policy: str, wanted: dict[str, Any]
) -> None:
    ids = await added(gateway, policy, 9, policy)
    await has(other, ids, policy_name=policy)
    first = await other.list_page(ListJobs(policy_name=policy, limit=4, **wanted))
    assert [each["job_id"] for each in first["jobs"]] == ids[:4:-1]
    await gateway.remove(ids[8], "remove")
    await gateway.add(a_job(f"{policy}-new", policy_name=policy), "add")
    await gateway.pause(ids[1])
    await has(other, [*ids[:8], f"{policy}-new"], policy_name=policy)
    rest = await other.list_page(ListJobs(policy_name=policy, limit=9, after=first["next"], **wanted))
    assert [each["job_id"] for each in rest["jobs"]] == ids[4::-1]
    assert rest["next"] is None


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_a_list_that_lags_hides_no_change_of_this_process(
    gateway: ScheduleGateway, temporal: Client, policy: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await added(gateway, policy, 5, policy)
    await has(ScheduleGateway(temporal, SETTINGS), ids, policy_name=policy)
    before = (await page_of_jobs(temporal, f"BackupPolicyName='{policy}'")).schedules

    async def as_they_were(_: Client, query: str, token: bytes, size: int) -> ListSchedulesResponse:
        begins = int(token or b"0")
        ends = begins + size
        more = str(ends).encode() if ends < len(before) else b""
        return ListSchedulesResponse(schedules=before[begins:ends], next_page_token=more)

    monkeypatch.setattr(pages, "page_of_jobs", as_they_were)
    monkeypatch.setattr(changes, "_LISTS_LAG", 60)  # this list never shows the changes, however long they take
    wanted = {"policy_name": policy, "paused": False, "limit": limit}
    assert len(await listed(gateway, **wanted)) == 5
    await gateway.pause(ids[0])
    await gateway.remove(ids[1], "remove")
    await gateway.modify(a_job(ids[2], "03:01", policy_name=policy), "modify")
    await gateway.modify(a_job(ids[3], policy_name="another"), "modify")
    new = await added(gateway, f"{policy}-new", 3, policy)
    seen = await listed(gateway, **wanted)
    assert seen.keys() == {ids[2], ids[4], *new}
    assert seen[ids[2]]["kwargs"]["start_time"] == "03:01"


async def test_jobs_that_come_while_a_page_is_read_leave_it_as_it_is(
    gateway: ScheduleGateway, temporal: Client, policy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await added(gateway, policy, 7, policy)
    other = ScheduleGateway(temporal, SETTINGS)
    await has(other, ids, policy_name=policy)
    entries = [*(await page_of_jobs(temporal, f"BackupPolicyName='{policy}'")).schedules]
    late, there = entries[:3], entries[3:]

    async def growing(_: Client, query: str, token: bytes, size: int) -> ListSchedulesResponse:
        names = [entry.schedule_id for entry in there]
        begins = names.index(token.decode()) + 1 if token else 0
        answer = there[begins : begins + size]
        more = answer[-1].schedule_id.encode() if begins + size < len(there) else b""
        if late:
            there.insert(0, late.pop())
        return ListSchedulesResponse(schedules=answer, next_page_token=more)

    monkeypatch.setattr(pages, "page_of_jobs", growing)
    assert [*await listed(other, policy_name=policy, limit=2, overdue=False)] == ids[3::-1]


async def test_a_job_that_was_edited_is_listed_as_broken(
    gateway: ScheduleGateway, other: ScheduleGateway, schedule: ScheduleHandle, scheduler_id: str, policy: str
) -> None:
    await gateway.add(a_job(scheduler_id, policy_name=policy), "add")

    def edit(seen: ScheduleUpdateInput) -> ScheduleUpdate:
        seen.description.schedule.spec.cron_expressions = ["0 4 * * *"]
        seen.description.schedule.state.paused = True
        seen.description.schedule.state.note = "by hand"
        return ScheduleUpdate(seen.description.schedule)

    await schedule.update(edit)
    await has(other, [scheduler_id], policy_name=policy, paused=True)
    [found] = (await listed(other, policy_name=policy)).values()
    assert (found["days"], found["kwargs"]["policy_name"], found["paused_why"]) == (None, None, "by hand")
