"""Runs by RPC: asked for, listed, described, cancelled."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web
from temporalio.client import Client

from backup_scheduler.contract.methods import ADD, CANCEL_RUN, GET_RUN, GET_RUNS, PAUSE, REMOVE, RUN
from backup_scheduler.jobs.names import bounded, run_id
from backup_scheduler.runs.asked import StartedBy
from backup_scheduler.runs.description import OUTCOMES
from lab.parts.backup_service import BackupService
from lab.parts.waiting import eventually, eventually_async
from tests.support.backup_requests import a_request
from tests.support.calls import Caller, assert_fails, job
from tests.support.rpc_processes import ZONE
from tests.support.slow_backups import requests_for, slow
from tests.support.workers import Runs

KEYS = {
    *("run_id", "job_id", "policy_name", "started_by", "reason", "scheduled_at", "started_at", "closed_at", "outcome"),
    *("message", "attempt", "waits_for", "progress", "snapshot_id", "files", "bytes", "answer"),
}


@pytest.fixture
def own(call: Caller, scheduler_id: str) -> Iterator[str]:
    """A job whose time does not come soon."""
    job(call(ADD, scheduler_id, "documents", 3, "02:01", 0, 3600))
    yield scheduler_id
    call(REMOVE, scheduler_id)


def run(reply: Any) -> dict[str, Any]:
    assert (reply["status"], reply["code"]) == ("success", 200), reply
    described: dict[str, Any] = reply["description"]
    assert set(described) == KEYS
    assert described["outcome"] in OUTCOMES
    return described


def runs(reply: Any) -> list[dict[str, Any]]:
    assert (reply["status"], reply["code"]) == ("success", 200), reply
    assert set(reply["description"]) == {"runs", "next"}
    assert all(set(each) == KEYS for each in reply["description"]["runs"])
    listed: list[dict[str, Any]] = reply["description"]["runs"]
    return listed


def ended(call: Caller, run_id: str) -> dict[str, Any]:
    def has_ended() -> bool:
        return run(call(GET_RUN, run_id))["closed_at"] is not None

    eventually(has_ended)
    return run(call(GET_RUN, run_id))


def test_a_run_is_started_named_and_described_to_its_end(
    call: Caller, own: str, backup_endpoint: BackupService
) -> None:
    with slow(backup_endpoint, own):
        begun = run(call(RUN, own, reason="before the upgrade"))
        assert (begun["job_id"], begun["outcome"], begun["started_by"]) == (own, "running", StartedBy.RUN_JOB)
        going = run(call(GET_RUN, begun["run_id"]))
        assert (going["outcome"], going["reason"], going["closed_at"]) == ("running", "before the upgrade", None)
    done = ended(call, begun["run_id"])
    assert (done["outcome"], done["started_by"], done["reason"]) == (
        "completed",
        StartedBy.RUN_JOB,
        "before the upgrade",
    )
    assert done["answer"]["body"] == {"id": 7}
    assert done["policy_name"] == "documents"


def test_a_run_that_is_asked_for_within_its_window_keeps_who_asked(call: Caller, scheduler_id: str) -> None:
    opened = datetime.now(ZoneInfo(ZONE)).replace(second=0, microsecond=0)
    job(call(ADD, scheduler_id, "documents", 1, f"{opened:%H:%M}", 2, 3600))
    job(call(PAUSE, scheduler_id))
    begun = run(call(RUN, scheduler_id, at=f"{opened.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z", reason="made up for"))
    done = ended(call, begun["run_id"])
    assert (done["outcome"], done["started_by"], done["reason"]) == ("completed", StartedBy.RUN_JOB, "made up for")


def test_the_same_moment_names_the_same_run_open_or_closed(
    call: Caller, own: str, backup_endpoint: BackupService, temporal: Client
) -> None:
    asked = requests_for(backup_endpoint, own)
    at = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m-%dT%H:%M:%S}Z"
    with slow(backup_endpoint, own):
        first = run(call(RUN, own, at=at))
        assert first["run_id"] == run_id(own, datetime.fromisoformat(at))
        assert run(call(RUN, own, at=at))["run_id"] == first["run_id"]
    ended(call, first["run_id"])
    again = run(call(RUN, own, at=at))
    assert (again["run_id"], again["outcome"]) == (first["run_id"], "completed")
    assert requests_for(backup_endpoint, own) == asked + 1


def test_a_run_waits_for_the_one_before_and_is_described_meanwhile(
    call: Caller, own: str, backup_endpoint: BackupService
) -> None:
    day = datetime.now(UTC) - timedelta(days=1)
    with slow(backup_endpoint, own):
        first = run(call(RUN, own, at=f"{day:%Y-%m-%dT%H:%M}:01Z"))
        second = run(call(RUN, own, at=f"{day:%Y-%m-%dT%H:%M}:02Z", reason="second"))
        third = run(call(RUN, own, at=f"{day:%Y-%m-%dT%H:%M}:03Z"))
        again = run(call(RUN, own, at=f"{day:%Y-%m-%dT%H:%M}:02Z"))
        assert [each["outcome"] for each in (first, second, third, again)] == ["running", *["waiting"] * 3]
        assert again == second
        assert (second["waits_for"], second["reason"], second["started_by"]) == (
            first["run_id"],
            "second",
            StartedBy.RUN_JOB,
        )
        assert run(call(GET_RUN, third["run_id"])) == third
        assert [each["run_id"] for each in runs(call(GET_RUNS, own))] == [
            each["run_id"] for each in (third, second, first)
        ]
        assert [each["run_id"] for each in runs(call(GET_RUNS, own, outcome="waiting"))] == [
            each["run_id"] for each in (third, second)
        ]
        assert_fails(call(CANCEL_RUN, third["run_id"]), 409, "waits for another one")
    assert ended(call, third["run_id"])["outcome"] == "completed"
    assert ended(call, second["run_id"])["reason"] == "second"


def test_a_run_of_a_job_with_a_long_id_is_found_while_it_waits(
    call: Caller, backup_endpoint: BackupService, scheduler_id: str
) -> None:
    long = scheduler_id + "备份" * 40
    job(call(ADD, long, "documents", 3, "02:01", 0, 3600))
    try:
        with slow(backup_endpoint, bounded(long)):
            run(call(RUN, long, at="2026-01-03T02:00:01Z"))
            waiting = run(call(RUN, long, at="2026-01-03T02:00:02Z"))
            assert run(call(GET_RUN, waiting["run_id"])) == waiting
            assert waiting["outcome"] == "waiting"
            assert_fails(call(CANCEL_RUN, waiting["run_id"]), 409, "waits for another one")
        assert ended(call, waiting["run_id"])["outcome"] == "completed"
    finally:
        call(REMOVE, long)


async def test_a_run_that_no_worker_takes_up_waits_for_one(call: Caller, temporal: Client) -> None:
    left = await Runs(temporal, f"nobody's-{uuid.uuid4()}").start(a_request())

    async def waits() -> bool:
        return bool(run(call(GET_RUN, left.id))["waits_for"] == "a worker")

    await eventually_async(waits)
    await left.terminate()
    assert run(call(GET_RUN, left.id))["waits_for"] is None


def test_a_paused_job_runs_when_it_is_asked_to(call: Caller, own: str) -> None:
    job(call(PAUSE, own))
    assert ended(call, run(call(RUN, own))["run_id"])["outcome"] == "completed"


def test_a_run_that_makes_up_for_an_old_night_is_not_missed(call: Caller, own: str) -> None:
    begun = run(call(RUN, own, at="2026-01-03 02:01:00"))
    assert ended(call, begun["run_id"])["outcome"] == "completed"
    assert begun["scheduled_at"] == "2026-01-03 02:01:00"


def test_a_cancelled_run_ends_without_its_backup_and_says_why(
    call: Caller, own: str, backup_endpoint: BackupService
) -> None:
    with slow(backup_endpoint, own):
        begun = run(call(RUN, own))
        eventually(lambda: run(call(GET_RUN, begun["run_id"]))["attempt"] == 1)
        for _ in range(2):
            cancelled = run(call(CANCEL_RUN, begun["run_id"], reason="disk is full"))
            assert cancelled["outcome"] in ("running", "cancelled")
        done = ended(call, begun["run_id"])
    assert (done["outcome"], done["message"]) == ("cancelled", "no backup was made: disk is full")
    assert run(call(CANCEL_RUN, begun["run_id"]))["outcome"] == "cancelled"


def test_a_run_that_has_ended_is_not_cancelled(call: Caller, own: str) -> None:
    begun = run(call(RUN, own))
    ended(call, begun["run_id"])
    assert_fails(call(CANCEL_RUN, begun["run_id"]), 409, "has ended (completed)")


def test_runs_are_listed_page_by_page_the_last_one_first(call: Caller, own: str) -> None:
    made = []
    for second in range(5):
        made.append(run(call(RUN, own, at=f"2026-01-03T02:00:{second:02}Z"))["run_id"])
        ended(call, made[-1])
    assert [each["run_id"] for each in runs(call(GET_RUNS, own))] == made[::-1]  # though the list lags
    eventually(lambda: len(runs(call(GET_RUNS, own, before=f"{datetime.now(UTC).isoformat()}"))) == 5)
    found, before = [], None
    for _ in range(3):
        page = call(GET_RUNS, own, limit=2, before=before)
        found += [each["run_id"] for each in runs(page)]
        before = page["description"]["next"]
    assert found == made[::-1]
    assert before is None


def test_runs_are_listed_by_outcome(call: Caller, own: str, backup_endpoint: BackupService) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.Response(status=403, reason="Forbidden")

    well = ended(call, run(call(RUN, own, at="2026-01-03T02:00:00Z"))["run_id"])
    backup_endpoint.answers.insert(0, refuse)
    failed = ended(call, run(call(RUN, own, at="2026-01-03T02:00:01Z"))["run_id"])
    assert (well["outcome"], failed["outcome"]) == ("completed", "failed")
    assert "Forbidden" in failed["message"]

    def listed(outcome: str) -> list[str]:
        return [each["run_id"] for each in runs(call(GET_RUNS, own, outcome=outcome))]

    eventually(lambda: listed("completed") == [well["run_id"]])
    eventually(lambda: listed("failed") == [failed["run_id"]])
    assert runs(call(GET_RUNS, own, outcome="terminated")) == []


def test_what_is_not_there_is_missing(call: Caller, own: str) -> None:
    nobody = run_id("nobody", datetime(2026, 1, 3, tzinfo=UTC))
    assert_fails(call(RUN, "nobody"), 404, "'nobody'")
    for conditions in ({}, {"outcome": "failed"}, {"outcome": "waiting"}, {"before": "2026-01-03 02:00:00"}):
        assert_fails(call(GET_RUNS, "nobody", **conditions), 404, "'nobody'")
        assert runs(call(GET_RUNS, own, **conditions)) == []
    for method in (GET_RUN, CANCEL_RUN):
        for missing in (nobody, "anything", run_id(own, datetime(2026, 1, 3, tzinfo=UTC)), "system-look-after-jobs"):
            assert_fails(call(method, missing), 404, repr(missing))


@pytest.mark.parametrize(
    ("method", "arguments", "text"),
    [
        (RUN, {"at": "tomorrow"}, "at must be a moment such as"),
        (RUN, {"at": "2200-01-01 00:00:00"}, "at must not be ahead"),
        (RUN, {"reason": ""}, "reason must be text of 1 to 500"),
        (RUN, {"other": 1}, "'other': not an argument"),
        (GET_RUNS, {"limit": 0}, "limit must be a whole number from 1 to 1000"),
        (GET_RUNS, {"outcome": "well"}, "outcome must be one of waiting, running"),
        (GET_RUNS, {"before": 7}, "before must be a moment"),
    ],
)
def test_a_wrong_argument_is_named(call: Caller, own: str, method: str, arguments: dict[str, Any], text: str) -> None:
    assert_fails(call(method, own, **arguments), 400, text)
