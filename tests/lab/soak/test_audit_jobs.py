"""The judges of jobs name jobs that are lost, that nobody asked for, and that are not as they should be."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backup_scheduler.contract.methods import GET_ALL
from lab.parts.answers import JobState, Reply, State, Terms
from lab.parts.schedules import StoredJob, UnfitSchedule
from lab.soak.audit_jobs import jobs_tally, list_faults, schedules_nobody_asked_for
from lab.soak.job import Job

OLD = Terms("nightly", 1, "02:00", 1, 3600, revision=1)
NEW = Terms("nightly", 2, "03:00", 0, 60, revision=2)
ASKED = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_job(*possible: State, scheduler_id: str = "job") -> Job:
    return Job(scheduler_id, set(possible), asked_at={OLD: ASKED, NEW: ASKED})


def stored(terms: Terms = OLD, *, paused: bool = False, **changes: Any) -> StoredJob:
    first = datetime(2026, 1, 2, 2 if terms == OLD else 3, tzinfo=UTC)
    return replace(StoredJob(JobState(terms, paused), first, "UTC", "soak"), **changes)


def judged(job: Job, found: StoredJob | UnfitSchedule | None) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    tally = jobs_tally([job], {} if found is None else {"job": found}, "soak")
    return (
        (tally.certain, tally.open, tally.open_found),
        (len(tally.lost), len(tally.doubled), len(tally.wrong)),
    )


CERTAIN, OPEN, OPEN_FOUND, ABSENT = (1, 0, 0), (0, 1, 0), (0, 1, 1), (0, 0, 0)
NO_FAULT, LOST, DOUBLED, WRONG = (0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)


@pytest.mark.parametrize(
    ("possible", "found", "counted", "faults"),
    [
        ([JobState(OLD)], stored(), CERTAIN, NO_FAULT),
        ([JobState(OLD)], None, CERTAIN, LOST),
        ([JobState(OLD)], stored(NEW), CERTAIN, WRONG),
        ([JobState(OLD)], stored(paused=True), CERTAIN, WRONG),
        ([JobState(OLD)], UnfitSchedule("jitter"), CERTAIN, WRONG),
        ([JobState(OLD)], stored(first_run=ASKED + timedelta(days=2)), CERTAIN, WRONG),
        ([JobState(OLD)], stored(timezone="Asia/Kolkata"), CERTAIN, WRONG),
        ([JobState(OLD)], stored(task_queue="another"), CERTAIN, WRONG),
        ([None], None, ABSENT, NO_FAULT),
        ([None], stored(), ABSENT, DOUBLED),
        ([None], UnfitSchedule("jitter"), ABSENT, DOUBLED),
        ([JobState(OLD), None], None, OPEN, NO_FAULT),
        ([JobState(OLD), None], stored(), OPEN_FOUND, NO_FAULT),
        ([JobState(OLD), None], stored(NEW), OPEN_FOUND, WRONG),
        ([JobState(OLD), JobState(NEW)], None, OPEN, LOST),
        ([JobState(OLD), JobState(NEW)], stored(NEW), OPEN_FOUND, NO_FAULT),
    ],
)
def test_a_job_is_compared_with_the_answers_to_its_calls(
    possible: list[State],
    found: StoredJob | UnfitSchedule | None,
    counted: tuple[int, int, int],
    faults: tuple[int, int, int],
) -> None:
    assert judged(a_job(*possible), found) == (counted, faults)


def test_a_schedule_that_belongs_to_no_job_is_named() -> None:
    assert len(schedules_nobody_asked_for(["job", "stray", "timed"], {"job", "timed", "gone"})) == 1


def description(scheduler_id: str = "job", next_run_time: str | None = "2026-01-02 02:30:00") -> dict[str, Any]:
    kwargs = {"policy_name": "nightly", "duration": 1, "start_time": "02:00", "revision": 1}
    return {
        "job_id": scheduler_id,
        "func": "start_backup",
        "args": [],
        "kwargs": kwargs,
        "misfire_grace_time": 3600,
        "next_run_time": next_run_time,
    }


def listing(*descriptions: Any, code: int = 200) -> Reply:
    return {"code": code, "description": list(descriptions)}


FOUND: Mapping[str, StoredJob | UnfitSchedule] = {"job": stored(), "job-2": stored()}


@pytest.mark.parametrize(
    ("reply", "faults"),
    [
        (listing(description(), description("job-2")), 0),
        (listing(description(), description("job-2"), code=504), 1),
        (None, 1),
        (listing(description()), 1),
        (listing(description("job-2"), description()), 1),
        (listing(description(), description(), description("job-2")), 1),
        (listing(description(), description("job-2"), description("job-3")), 1),
        (listing(description(), description("job-2", next_run_time=None)), 1),
        (listing(description(), description("job-2", next_run_time="2026-01-03 02:30:00")), 1),
        (listing(description() | {"misfire_grace_time": 1}, description("job-2") | {"args": [1]}), 2),
        (listing("job", "job-2"), 1),
    ],
)
def test_get_jobs_is_compared_with_the_jobs_that_are_there(reply: Reply | None, faults: int) -> None:
    jobs = [a_job(JobState(OLD), scheduler_id=scheduler_id) for scheduler_id in FOUND]
    assert len(list_faults(GET_ALL, reply, jobs, FOUND)) == faults
