"""Who asked for a run, by the history of the schedule's workflow."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType, ScheduleOverlapPolicy
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.schedule.v1 import BackfillRequest, SchedulePatch, TriggerImmediatelyRequest

from backup_scheduler.runs.asked import Asked, StartedBy, Why, requests

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def trigger(seconds: float | None = None) -> SchedulePatch:
    message = TriggerImmediatelyRequest()
    if seconds is not None:
        message.scheduled_time.FromDatetime(at(seconds))
    return SchedulePatch(trigger_immediately=message)


def backfill(first: float, last: float) -> SchedulePatch:
    message = BackfillRequest()
    message.start_time.FromDatetime(at(first))
    message.end_time.FromDatetime(at(last))
    return SchedulePatch(backfill_request=[message])


def history(*what: Any) -> list[HistoryEvent]:
    """Events in their order: patches, each perhaps with an identity, and "task" for a task that takes all before it."""
    events: list[HistoryEvent] = []

    def add(kind: str) -> HistoryEvent:
        event = HistoryEvent(event_id=len(events) + 1, event_type=EventType.Value(f"EVENT_TYPE_{kind}"))
        event.event_time.FromDatetime(at(len(events)))
        events.append(event)
        return event

    for each in what:
        if each in ("task", "failed task"):
            started = add("WORKFLOW_TASK_STARTED").event_id
            ended = add("WORKFLOW_TASK_COMPLETED" if each == "task" else "WORKFLOW_TASK_TIMED_OUT")
            if each == "task":
                ended.workflow_task_completed_event_attributes.started_event_id = started
            continue
        patch, identity = each if isinstance(each, tuple) else (each, "somebody")
        signal = add("WORKFLOW_EXECUTION_SIGNALED").workflow_execution_signaled_event_attributes
        signal.signal_name, signal.identity = "patch", identity
        data = patch if isinstance(patch, bytes) else patch.SerializeToString()
        signal.input.CopyFrom(Payloads(payloads=[Payload(data=data)]))
    return events


def taken(*what: Any) -> list[tuple[datetime, bool]]:
    return [(each.first, each.taken) for each in requests(reversed(history(*what)))]


def test_each_request_counts_that_a_task_took_alone() -> None:
    assert taken(trigger(1), "task", trigger(2), "task") == [(at(2), True), (at(1), True)]


def test_of_requests_that_one_task_took_the_last_one_counts() -> None:
    assert taken(trigger(1), trigger(2), trigger(3), "task") == [(at(3), True), (at(2), False), (at(1), False)]


def test_a_task_that_was_lost_took_nothing() -> None:
    assert taken(trigger(1), "failed task", trigger(2), "task") == [(at(2), True), (at(1), False)]


@pytest.mark.parametrize("later", [SchedulePatch(pause="x"), SchedulePatch(unpause="x")], ids=["pause", "resume"])
def test_a_pause_or_a_resume_behind_it_drops_a_request(later: SchedulePatch) -> None:
    assert taken(trigger(1), later, "task") == [(at(1), False)]
    assert taken(trigger(1), "task", later, "task") == [(at(1), True)]
    assert taken(later, trigger(1), "task") == [(at(1), True)]


def test_a_schedule_that_continued_as_new_counts_its_events_anew() -> None:
    earlier, later = history(trigger(1), "task", trigger(2), "task"), history("task", trigger(3), "task")
    began = HistoryEvent(event_id=1, event_type=EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED)
    for event in later:
        event.event_id += 1
    later[1].workflow_task_completed_event_attributes.started_event_id = 2
    later[-1].workflow_task_completed_event_attributes.started_event_id = later[-2].event_id
    found = requests(reversed([*earlier, began, *later]))
    assert [(each.first, each.taken) for each in found] == [(at(3), True), (at(2), True), (at(1), True)]


@pytest.mark.parametrize(
    ("policy", "buffered"),
    [("UNSPECIFIED", True), ("SKIP", False), ("BUFFER_ONE", True), ("BUFFER_ALL", True), ("ALLOW_ALL", False)],
)
def test_a_request_waits_for_the_run_before_by_its_overlap_policy(policy: str, *, buffered: bool) -> None:
    one, many = trigger(1), backfill(-100, -50)
    one.trigger_immediately.overlap_policy = ScheduleOverlapPolicy.Value(f"SCHEDULE_OVERLAP_POLICY_{policy}")
    many.backfill_request[0].overlap_policy = one.trigger_immediately.overlap_policy
    assert [each.buffered for each in requests(reversed(history(one, "task", many, "task")))] == [buffered] * 2


def test_a_request_that_no_task_has_taken_yet_counts_unless_another_came_behind_it() -> None:
    assert taken("task", trigger(1), trigger(2)) == [(at(2), True), (at(1), False)]


def test_a_signal_that_is_no_patch_is_nothing() -> None:
    assert taken(b"\xff\xff", "task") == []


def test_a_caller_of_run_job_is_found_with_its_reason() -> None:
    why = Why(reason="before the upgrade 每日", caller="shop.nightly", call="abc")
    [found] = requests(reversed(history((trigger(-5), why.identity()), "task")))
    assert found.asked == Asked(by=StartedBy.RUN_JOB, at=at(0), reason=why.reason, caller="shop.nightly")
    assert found.call == "abc"
    assert found.asks_for(at(-5))
    assert not found.asks_for(at(-4))


def test_what_another_release_wrote_beside_a_call_is_passed_over() -> None:
    [found] = requests(reversed(history((trigger(1), "run_job: something"), "task")))
    assert found.asked == Asked(by=StartedBy.RUN_JOB, at=at(0))


def test_a_trigger_by_other_means_has_the_moment_of_its_coming_unless_it_names_one() -> None:
    [found] = requests(reversed(history(trigger(), "task")))
    assert (found.asked.by, found.asked.caller, found.first) == (StartedBy.TRIGGER, "somebody", at(0))


def test_a_trigger_names_its_run_to_the_second() -> None:
    [found] = requests(reversed(history(trigger(1.75), "task")))
    assert found.asks_for(at(1))


def test_a_backfill_asks_for_all_runs_of_its_time() -> None:
    [found] = requests(reversed(history(backfill(-100, -50), "task")))
    assert found.asked.by is StartedBy.BACKFILL
    assert [found.asks_for(at(second)) for second in (-101, -100, -50, -49)] == [False, True, True, False]
