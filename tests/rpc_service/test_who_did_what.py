"""Who changed a job, and why, stands at its schedule: in the note, in the details of its runs, in the delete."""

from collections.abc import Iterator
from typing import Any

import pytest
from temporalio.client import Client, ScheduleActionStartWorkflow, ScheduleHandle

from backup_scheduler.contract.methods import ADD, GET_RUN, LIST, MODIFY, PAUSE, REMOVE, RESUME, RUN
from backup_scheduler.temporal.schedule_engine import SCHEDULER_WORKFLOW
from devstack.running import StackInfo
from lab.parts.waiting import eventually
from tests.support.calls import TERMS, Caller, calling, job

WHO = {"caller": "shop.nightly", "reason": "move to the\nnew disks"}


@pytest.fixture(scope="module")
def named(stack: StackInfo) -> Iterator[Caller]:
    """A caller that says in nameko's context data who it is, and why it calls."""
    with calling(stack.amqp_uri, WHO) as call:
        yield call


async def note(schedule: ScheduleHandle) -> str:
    return (await schedule.describe()).schedule.state.note or ""


async def details(schedule: ScheduleHandle) -> str:
    action = (await schedule.describe()).schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    return str(action.static_details)


async def test_an_add_and_a_modify_say_whose_terms_a_job_has(
    named: Caller, call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    job(named(ADD, scheduler_id, *TERMS))
    assert "; terms from shop.nightly at " in await note(schedule)
    assert (await note(schedule)).endswith(" UTC: move to the new disks")
    assert "* terms from shop.nightly at " in await details(schedule)
    job(call(MODIFY, scheduler_id, *TERMS))
    assert "terms from " in await note(schedule)
    assert "shop.nightly" not in await note(schedule) + await details(schedule)


async def test_a_modify_of_a_paused_job_leaves_who_paused_it(
    named: Caller, call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    job(call(PAUSE, scheduler_id, reason="repair"))
    job(named(MODIFY, scheduler_id, *TERMS))
    assert (await note(schedule)).startswith("paused by pause_job")
    assert "* terms from shop.nightly at " in await details(schedule)


async def test_a_pause_and_a_resume_say_who_asked_for_them(
    named: Caller, call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    job(named(PAUSE, scheduler_id))

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = call(LIST, prefix=scheduler_id, paused=True)["description"]["jobs"]
        return found

    [paused] = eventually(listed)
    assert (paused["paused_by"], paused["paused_why"]) == ("pause_job for shop.nightly", "move to the new disks")
    job(named(RESUME, scheduler_id))
    assert (await note(schedule)).startswith("resumed by resume_job for shop.nightly at ")
    assert (await note(schedule)).endswith(": move to the new disks")


async def test_a_remove_says_who_asked_for_it(named: Caller, temporal: Client, scheduler_id: str) -> None:
    job(named(ADD, scheduler_id, *TERMS))
    job(named(REMOVE, scheduler_id))
    history = await temporal.get_workflow_handle(f"{SCHEDULER_WORKFLOW}{scheduler_id}").fetch_history()
    end = history.events[-1].workflow_execution_terminated_event_attributes
    assert " for shop.nightly move to the new disks " in end.identity


@pytest.mark.parametrize("given", ["", "\n", 7, None, ["shop"]])
async def test_a_caller_that_gives_no_name_is_not_named(
    stack: StackInfo, schedule: ScheduleHandle, scheduler_id: str, given: Any
) -> None:
    context = {"caller": given, "reason": given}
    with calling(stack.amqp_uri, context) as call:
        job(call(ADD, scheduler_id, *TERMS))
    assert (await note(schedule)).endswith(" UTC")


async def test_long_names_and_reasons_do_not_make_a_call_fail(
    stack: StackInfo, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    context = {"caller": "𠀀" * 5000, "reason": "𠀁" * 5000}
    with calling(stack.amqp_uri, context) as call:
        for method in (ADD, PAUSE, RESUME, MODIFY, REMOVE):
            job(call(method, scheduler_id, *(TERMS if method in (ADD, MODIFY) else ())))
            if method is RESUME:
                assert "𠀀…" in await note(schedule)


SECRET = "see https://bob:geheim123@host/x?token=abc"
MASKED = "see https://***@host/x?***"


async def test_secrets_in_a_reason_are_masked_before_anything_keeps_them(
    stack: StackInfo, call: Caller, schedule: ScheduleHandle, scheduler_id: str
) -> None:
    job(call(ADD, scheduler_id, *TERMS))
    job(call(PAUSE, scheduler_id, reason=SECRET))
    assert (await note(schedule)).endswith(f": {MASKED}")
    with calling(stack.amqp_uri, {"caller": SECRET, "reason": f"{'x' * 70} {SECRET}"}) as other:
        job(other(RESUME, scheduler_id))
    assert f"resume_job for {MASKED} at" in await note(schedule)
    assert "geheim" not in await note(schedule)
    run = call(RUN, scheduler_id, reason=SECRET)["description"]
    assert call(GET_RUN, run["run_id"])["description"]["reason"] == MASKED
