"""The judge of runs, lists, windows and check-ups notices what is not true, and calls no true answer untrue."""

from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backup_scheduler.contract.methods import PAUSE, PAUSE_ALL, RUN
from lab.parts.answers import JobState, Reply, Terms
from lab.soak import looks
from lab.soak.job import Job, Trigger
from lab.soak.looks import End
from lab.soak.together import pages_fault, receipt_fault

TERMS = Terms("soak", 3, "02:00", 0, 3600, revision=1)
WIDE = Terms("soak", 1, "02:00", 2, 3600, revision=2)
LATER = Terms("soak-later", 1, "02:00", 2, 3600, revision=3)
NOW = datetime(2026, 1, 1, 12, 0, 7, tzinfo=UTC)
RUN_ID = "backup-job-2026-01-01T12:00:07Z"
STOPPED = {RUN_ID: End("cancelled", {"message": "no backup was made: enough"}, "enough")}
REPORTED = {RUN_ID: End("completed", {"message": "done", "files": 3})}
MAYBE = {RUN_ID: End("cancelled", {}, "enough", may_complete=True)}


def a_job(terms: Terms = TERMS, *, paused: bool = False) -> tuple[Job, Trigger]:
    job = Job("job", {JobState(terms, paused)}, asked_at={terms: NOW})
    trigger = job.trigger(NOW)
    trigger.by, trigger.confirmed, trigger.shown = RUN, True, True
    return job, trigger


def a_run(**changes: Any) -> dict[str, Any]:
    times = {"scheduled_at": "2026-01-01 12:00:07", "started_at": "2026-01-01 12:00:08"}
    others = ("reason", "attempt", "waits_for", "progress", "snapshot_id", "files", "bytes", "answer", "message")
    ended = {"closed_at": "2026-01-01 12:00:09", "outcome": "completed"}
    known = {"run_id": RUN_ID, "job_id": "job", "policy_name": "soak", "started_by": RUN}
    return dict.fromkeys(others) | known | times | ended | changes


UNDER_WAY = {"closed_at": None, "outcome": "running"}


@pytest.mark.parametrize(
    ("terms", "ends", "described"),
    [
        (TERMS, {}, a_run()),
        (TERMS, {}, a_run(**UNDER_WAY)),
        (TERMS, {}, a_run(**UNDER_WAY, started_by=None)),
        (LATER, {}, a_run(**UNDER_WAY, policy_name="soak-later")),
        (LATER, STOPPED, a_run(outcome="cancelled", policy_name="soak-later", message="no backup was made: enough")),
        (LATER, STOPPED, a_run(**UNDER_WAY, policy_name="soak-later", message="it is being cancelled")),
        (LATER, REPORTED, a_run(policy_name="soak-later", message="done", files=3)),
        (TERMS, MAYBE, a_run(outcome="cancelled")),
        (TERMS, MAYBE, a_run()),
    ],
)
def test_a_true_description_of_a_run_is_taken(terms: Terms, ends: looks.Ends, described: Any) -> None:
    assert looks.triggered_fault(*a_job(terms), described, ends) is None


@pytest.mark.parametrize(
    ("terms", "ends", "described"),
    [
        (TERMS, {}, "no run has the run_id"),
        (TERMS, {}, {name: value for name, value in a_run().items() if name != "answer"}),
        (TERMS, {}, a_run(run_id="another")),
        (TERMS, {}, a_run(job_id="another")),
        (TERMS, {}, a_run(policy_name="another")),
        (TERMS, {}, a_run(scheduled_at="2026-01-01 12:00:08")),
        (TERMS, {}, a_run(started_by="trigger")),
        (TERMS, {}, a_run(started_by=None)),
        (TERMS, {}, a_run(closed_at=None)),
        (TERMS, {}, a_run(outcome="running")),
        (TERMS, {}, a_run(outcome="cancelled")),
        (TERMS, {}, a_run(outcome="failed")),
        (LATER, {}, a_run(policy_name="soak-later")),
        (LATER, STOPPED, a_run(policy_name="soak-later")),
        (LATER, STOPPED, a_run(outcome="cancelled", policy_name="soak-later", message="no backup was made")),
        (LATER, REPORTED, a_run(policy_name="soak-later", message="done", files=4)),
        (LATER, REPORTED, a_run(outcome="cancelled", policy_name="soak-later")),
        (TERMS, MAYBE, a_run(outcome="terminated")),
    ],
)
def test_an_untrue_description_of_a_run_is_found_out(terms: Terms, ends: looks.Ends, described: Any) -> None:
    assert looks.triggered_fault(*a_job(terms), described, ends)


def test_a_list_of_runs_has_those_that_were_asked_for_and_no_others() -> None:
    job, trigger = a_job()
    late = NOW + timedelta(seconds=1)
    assert looks.runs_fault(job, [a_run()], {}, late) is None
    assert looks.runs_fault(job, [], {}, None) is None
    assert looks.runs_fault(job, [], {}, NOW) is None
    assert looks.runs_fault(job, [], {}, late) == f"not listed: {RUN_ID}"
    assert "twice" in str(looks.runs_fault(job, [a_run(), a_run()], {}, late))
    by_a_killed_server = a_run(started_at="2026-01-31 12:00:10")
    assert looks.runs_fault(job, [by_a_killed_server, a_run()], {}, late) is None
    assert "nobody asked for" in str(looks.runs_fault(job, [a_run(run_id="another")], {}, None))
    assert "wrong job_id" in str(looks.runs_fault(job, [a_run(job_id="another")], {}, None))
    trigger.confirmed = False
    assert looks.runs_fault(job, [], {}, late) is None


def windows(terms: Terms, *starts: str | None, paused: bool = False) -> Reply:
    opens = [terms.first_run(NOW) + number * timedelta(days=terms.days) for number in range(3)]
    shown = [
        {"opens": f"{each:%Y-%m-%d %H:%M:%S}", "closes": f"{each + timedelta(hours=terms.duration):%Y-%m-%d %H:%M:%S}"}
        for each in opens
    ]
    described = [{**window, "starts": start} for window, start in zip(shown, starts, strict=True)]
    return {
        "code": 200,
        "description": {"timezone": "UTC", "paused": paused, "windows": described, "clock_changes": []},
    }


NIGHTS = ("2026-01-02 02:00:00", "2026-01-05 02:00:00", "2026-01-08 02:00:00")
WIDE_NIGHTS = ("2026-01-02 03:59:59", "2026-01-03 02:00:00", "2026-01-04 04:00:00")
NEVER = (None, None, None)


@pytest.mark.parametrize(
    ("terms", "state", "reply", "is_true"),
    [
        (TERMS, None, windows(TERMS, *NIGHTS), True),
        (TERMS, None, windows(TERMS, *NEVER), False),
        (TERMS, None, windows(WIDE, *NIGHTS), False),
        (TERMS, None, windows(TERMS, *NIGHTS, paused=True), False),
        (TERMS, None, {"code": 504, "description": "no"}, False),
        (WIDE, None, windows(WIDE, *NEVER), True),
        (WIDE, None, windows(WIDE, *WIDE_NIGHTS), False),
        (WIDE, JobState(WIDE), windows(WIDE, *WIDE_NIGHTS), True),
        (WIDE, JobState(WIDE), windows(WIDE, *WIDE_NIGHTS[:2], "2026-01-04 04:00:01"), False),
        (WIDE, JobState(WIDE), windows(WIDE, *NEVER), False),
        (WIDE, JobState(WIDE, paused=True), windows(WIDE, *NEVER, paused=True), True),
        (TERMS, JobState(TERMS, paused=True), windows(TERMS, *NIGHTS, paused=True), False),
    ],
)
def test_windows_follow_from_the_terms(terms: Terms, state: JobState | None, reply: Reply, is_true: bool) -> None:
    assert (looks.preview_fault(deepcopy(reply), terms, NOW, state) is None) == is_true


@pytest.mark.parametrize(
    ("changes", "calm", "is_true"),
    [
        ({}, True, True),
        ({"timezone": "Europe/Berlin"}, True, False),
        ({"now": "2026-01-01 12:00:05"}, True, False),
        ({"now": "2026-01-01 12:00:10"}, True, False),
        ({"checks": []}, False, False),
        ({"checks": [{"state": "fault"}]}, True, False),
        ({"checks": [{"state": "fault"}]}, False, True),
    ],
)
def test_a_check_up_finds_no_fault_where_there_is_none(changes: dict[str, Any], calm: bool, is_true: bool) -> None:
    description = {"timezone": "UTC", "now": "2026-01-01 12:00:07", "checks": [{"state": "warning"}], **changes}
    reply = {"code": 200, "description": description}
    assert (looks.check_fault(reply, NOW, NOW + timedelta(seconds=1), calm=calm) is None) == is_true


FREE, BY_HAND, TOGETHER = JobState(TERMS), JobState(TERMS, paused=True), JobState(TERMS, paused=True, together=True)


def listed(state: JobState = FREE, **changes: Any) -> dict[str, Any]:
    described = {"job_id": "job", "func": "start_backup", "args": [], "kwargs": TERMS.kwargs()}
    times = {"misfire_grace_time": 3600, "next_run_time": None if state.paused else NIGHTS[0]}
    by = (PAUSE_ALL if state.together else PAUSE) if state.paused else None
    paused = {"paused": state.paused, "paused_by": by, "paused_why": "repair of the disk" if state.together else None}
    since = {"paused_since": "2026-01-01 12:00:07" if state.paused else None, "paused_until": None}
    last = {"days": 3, "last_run": None, "last_outcome": None, "overdue": False}
    return described | times | paused | since | last | changes


@pytest.mark.parametrize("state", [FREE, BY_HAND, TOGETHER])
def test_a_page_has_each_job_as_it_is(state: JobState) -> None:
    jobs = [Job("job", {state}, asked_at={TERMS: NOW})]
    others = [each for each in (FREE, BY_HAND, TOGETHER) if each != state]
    assert pages_fault([{"count": 1, "jobs": [listed(state)]}], jobs) is None
    assert all(pages_fault([{"count": 1, "jobs": [listed(each)]}], jobs) for each in others)
    assert pages_fault([{"count": 2, "jobs": [listed(state)]}], jobs)
    assert pages_fault([{"count": 1, "jobs": []}], jobs)
    assert pages_fault([{"count": 1, "jobs": [listed(state)]}] * 2, jobs)
    wrong: list[dict[str, Any]] = [{"days": 4}, {"overdue": True}, {"last_run": "x"}, {"misfire_grace_time": 1}]
    assert all(pages_fault([{"count": 1, "jobs": [listed(state, **each)]}], jobs) for each in wrong)


def test_a_receipt_names_no_other_job_and_its_timer() -> None:
    receipt: dict[str, Any] = {"changed": ["job"], "already": [], "left": [], "failed": {}, "timer": "resume-1"}
    reply = {"code": 200, "description": receipt}
    assert receipt_fault(reply, {"job"}, NOW) is None
    assert receipt_fault(reply, {"another"}, NOW)
    assert receipt_fault(reply, {"job"}, None)
    receipt["timer"] = None
    assert receipt_fault(reply, {"job"}, NOW)
    assert receipt_fault(reply, {"job"}, None) is None
