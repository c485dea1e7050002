"""Locks as restic prints them, and time limits of commands that retry: pure functions."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from activities.restic.locks import Lock, lock_ids, read_lock
from activities.restic.processes import StartedRestic
from activities.restic.session import _adjust, step_of

SINCE = datetime(2026, 1, 31, 2, 1, 7, tzinfo=UTC)
RESTIC = StartedRestic(host="nas", boot="b", pid_namespace="n", pid=42, uid=0, started=1, since=SINCE)
ID = "0a" * 32


def a_lock(**changes: Any) -> Lock:
    fields = {"id": ID, "time": SINCE, "hostname": "nas", "username": "root", "pid": 42, "uid": 0}
    return Lock.model_validate(fields | changes)


@pytest.mark.parametrize(
    ("changes", "ours"),
    [
        ({}, True),
        ({"time": SINCE + timedelta(days=1)}, True),
        ({"exclusive": True, "username": "another name"}, True),
        ({"time": SINCE - timedelta(microseconds=1)}, False),
        ({"hostname": "other"}, False),
        ({"pid": 43}, False),
        ({"uid": 1}, False),
    ],
)
def test_a_lock_is_ours_when_its_host_pid_user_and_time_are(changes: dict[str, Any], ours: bool) -> None:
    assert a_lock(**changes).is_of(RESTIC) is ours


def test_a_lock_is_named_by_its_owner() -> None:
    assert str(a_lock()) == "lock of root, pid 42 on nas, since 2026-01-31 02:01:07 +0000"
    assert str(a_lock(exclusive=True)) == "exclusive lock of root, pid 42 on nas, since 2026-01-31 02:01:07 +0000"


def test_ids_of_locks_are_found_among_other_lines() -> None:
    assert lock_ids(["repository opened", ID, f" {ID}", ID[1:], f"{ID}0", "", ID.upper()]) == [ID]


def test_a_lock_is_read_among_other_lines() -> None:
    printed = json.dumps({"time": "2026-01-31T02:01:07Z", "hostname": "nas", "username": "root", "pid": 42}, indent=2)
    assert read_lock(ID, ["repository {opened", "", *printed.splitlines(), "done"]) is None, "a brace before it"
    assert read_lock(ID, ["repository opened", *printed.splitlines(), "done"]) == a_lock()
    assert read_lock("1b" * 32, [printed.replace("}", ', "exclusive": true, "new": 1}')]) == a_lock(
        id="1b" * 32, exclusive=True
    )


@pytest.mark.parametrize("lines", [[], ["no lock"], ["{}"], ['{"time": "never"}'], ["{broken}"], ["}{"]])
def test_what_is_no_lock_is_none(lines: list[str]) -> None:
    assert read_lock(ID, lines) is None


def test_people_read_which_lock_is_looked_at() -> None:
    assert step_of(["list", "locks"]) == "looking at locks"
    assert step_of(["cat", "lock", ID]) == f"looking at {ID[:29]}"


RETRY = "Load(<config/0>) returned error, retrying after 552ms: refused"
RECOVERED = "Load(<config/0>) operation successful after 2 retries"


async def left_after(limit: float | None, *texts: str) -> float:
    """Return the seconds that a command has left after restic said this."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit) as timeout:
        await asyncio.sleep(0)
        for text in texts:
            _adjust(timeout, text)
        return (timeout.when() or loop.time()) - loop.time()


@pytest.mark.parametrize(
    ("limit", "texts", "seconds"),
    [
        (900, ["scanning"], 900),
        (900, [RETRY], 10),
        (900, [RETRY, RETRY], 10),
        (5, [RETRY], 5),
        (None, [RETRY], 10),
        (900, [RETRY, RECOVERED], 900),
        (900, [RETRY, "scanning"], 10),
        (900, [RETRY, RECOVERED, RETRY], 10),
    ],
)
async def test_a_command_that_reads_has_ten_seconds_to_retry_and_all_its_time_when_that_helped(
    limit: float | None, texts: list[str], seconds: float
) -> None:
    assert seconds - 2 < await left_after(limit, *texts) <= seconds


async def test_a_limit_that_is_over_stays_over() -> None:
    async def late() -> None:
        async with asyncio.timeout(0) as timeout:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                _adjust(timeout, RECOVERED)
                raise

    with pytest.raises(TimeoutError):
        await late()
