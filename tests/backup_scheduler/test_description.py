"""The description of a job in a reply."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from backup_scheduler.jobs.description import describe_broken_job, describe_job
from tests.support.backup_requests import a_request

ZONE = ZoneInfo("Europe/Berlin")


def test_a_job_is_described_with_its_terms_and_its_next_run_by_the_clock_of_the_service() -> None:
    job = a_request(url_kwargs={"path": "/srv"}, duration=2)
    assert describe_job(job, ZONE, datetime(2026, 7, 1, 0, 1, tzinfo=UTC)) == {
        "job_id": "job-1",
        "func": "start_backup",
        "args": [],
        "kwargs": {"policy_name": "nightly", "duration": 2, "start_time": "02:00", "path": "/srv"},
        "misfire_grace_time": 3600,
        "next_run_time": "2026-07-01 02:01:00",
    }
    assert describe_job(job, ZONE, None)["next_run_time"] is None


def test_a_broken_job_is_described_with_the_same_keys_and_nothing_that_is_not_known() -> None:
    broken = describe_broken_job("job-1")
    assert broken == {
        "job_id": "job-1",
        "func": "start_backup",
        "args": [],
        "kwargs": {"policy_name": None, "duration": None, "start_time": None},
        "misfire_grace_time": None,
        "next_run_time": None,
    }
    assert broken.keys() == describe_job(a_request(), ZONE, None).keys()
