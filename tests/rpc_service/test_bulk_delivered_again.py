"""A pause or resumption of many jobs that the broker delivers again has the same receipt, and undoes nothing."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.client import Client

from backup_scheduler.jobs.pauses import PauseJobs, ResumeJobs
from backup_scheduler.temporal.stored_jobs import StoredJob
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job, overtaken
from tests.support.listed_jobs import has
from tests.support.pauses_of_many import NOTHING, PAUSED, notes_of, pausing, resuming


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
    assert (again["changed"], again["already"], again["timer"]) == ([], jobs[1:2], None)
    assert not await is_asked_to_end(temporal, receipt["timer"])


async def test_a_call_that_its_own_redelivery_overtakes_has_the_same_receipt_and_leaves_the_timer(
    temporal: Client, gateway: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    """The first process lost its connection to the broker while it worked, and goes on."""
    asked = pausing(policy, until=datetime.now(UTC) + timedelta(hours=1))
    receipts: list[dict[str, Any]] = []
    one_at_a_time = asyncio.Lock()

    class Overtaken(StoredJob):
        async def read(self) -> Any:
            async with one_at_a_time:
                if not receipts:
                    receipts.append(await gateway.pause_all(asked, f"pause {policy}", redelivered=True))
            return await super().read()

    late = ScheduleGateway(temporal, SETTINGS, stored_job=Overtaken)
    receipts.append(await late.pause_all(asked, f"pause {policy}"))
    assert receipts[0] == receipts[1] == PAUSED | {"changed": jobs, "timer": receipts[0]["timer"]}
    assert not await is_asked_to_end(temporal, receipts[0]["timer"])


async def is_asked_to_end(temporal: Client, timer: str) -> bool:
    events = temporal.get_workflow_handle(timer).fetch_history_events()
    return any([each.HasField("workflow_execution_cancel_requested_event_attributes") async for each in events])


async def test_a_call_that_comes_again_after_the_end_of_its_pause_has_its_receipt_and_pauses_no_job(
    temporal: Client, gateway: ScheduleGateway, policy: str, jobs: list[str]
) -> None:
    asked = pausing(policy, until=datetime.now(UTC) + timedelta(seconds=16))
    receipt = await gateway.pause_all(asked, f"pause {policy}")
    assert receipt["changed"] == jobs
    later = f"{policy}-later"
    await gateway.add(a_job(later, policy_name=policy), "add")
    await temporal.get_workflow_handle(receipt["timer"]).result()
    again = await gateway.pause_all(asked, f"pause {policy}", redelivered=True)
    assert (again["changed"], again["failed"].keys()) == (jobs, {later})
    await temporal.get_workflow_handle(again["timer"]).result()
    assert [each for each, _ in await notes_of(temporal, [*jobs, later])] == [False] * 5
