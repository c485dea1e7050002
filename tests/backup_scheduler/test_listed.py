"""Jobs are read from Temporal's list of schedules, but for those of which it does not tell enough."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.schedule.v1 import ScheduleListEntry
from temporalio.converter import encode_search_attributes

from backup_scheduler.jobs.listed import ListedJob
from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.to_schedule import Alignment, schedule_attributes, schedule_for
from tests.support.backup_requests import a_request
from tests.support.described_jobs import FIRST, described, message_of

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | st.floats(allow_nan=False, allow_infinity=False) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=5,
)

NOW = FIRST - timedelta(hours=5)


async def entry_of(request: BackupRequest, now: BackupRequest | None = None, **info: Any) -> ScheduleListEntry:
    """Return the entry of a job made with `request`; by a modify its terms are those of `now`."""
    now = now or request
    entry = ScheduleListEntry(schedule_id=schedule_id(request.scheduler_id), memo=(await described(request)).memo)
    entry.info.spec.CopyFrom((await message_of(schedule_for(Alignment(now, FIRST), "backups"))).spec)
    entry.info.workflow_type.name = "BackupWorkflow"
    entry.info.paused = info.get("paused", False)
    for moment in info.get("starts", [FIRST]):
        entry.info.future_action_times.add().FromDatetime(moment)
    encode_search_attributes(schedule_attributes(now), entry.search_attributes)
    return entry


def of_bytes(count: int) -> BackupRequest:
    """Return a request whose terms take at least that many bytes."""
    return a_request(url_kwargs={"path": "x" * count})


@given(NAMES, NAMES, st.dictionaries(NAMES, JSON, max_size=3), st.booleans())
async def test_terms_come_back_from_a_list_as_they_were(
    scheduler_id: str, policy_name: str, url_kwargs: dict[str, Any], modified: bool
) -> None:
    request = a_request(scheduler_id=scheduler_id, policy_name=policy_name, url_kwargs=url_kwargs)
    entry = await entry_of(a_request(scheduler_id=scheduler_id) if modified else request, request)
    job = ListedJob.read(entry, NOW)
    in_attribute = len(request.model_dump_json(exclude={"scheduler_id"}).encode()) <= 255
    assert (job and job.request) == (request if in_attribute or not modified else None)


async def test_no_search_attribute_is_longer_than_a_store_takes() -> None:
    for count in range(300):
        for pair in schedule_attributes(of_bytes(count)):
            assert isinstance(pair.value, str)
            assert len(pair.value.encode()) <= 255


async def test_long_terms_are_read_from_the_memo_until_a_modify() -> None:
    long, other = of_bytes(500), of_bytes(600)
    job = ListedJob.read(await entry_of(long), NOW)
    assert job is not None
    assert job.request == long
    assert ListedJob.read(await entry_of(long, other), NOW) is None, "its memo has the terms of before"
    again = ListedJob.read(await entry_of(long, a_request()), NOW)
    assert again is not None
    assert again.request == a_request()


async def test_a_page_of_a_list_has_no_memo_of_many_kilobytes() -> None:
    entry = await entry_of(of_bytes(5000))
    assert entry.ByteSize() < 1000
    assert ListedJob.read(entry, NOW) is None


async def test_the_next_run_is_the_first_that_lies_ahead() -> None:
    starts = [FIRST, FIRST + timedelta(days=1)]
    job = ListedJob.read(await entry_of(a_request(), starts=starts), NOW)
    assert job is not None
    assert job.next_run(FIRST) == starts[1]
    assert job.next_run(starts[1]) is None
    paused = ListedJob.read(await entry_of(a_request(), starts=starts, paused=True), NOW)
    assert paused is not None
    assert paused.next_run(FIRST - timedelta(days=1)) is None


def _attribute(value: bytes) -> Callable[[ScheduleListEntry], object]:
    def change(entry: ScheduleListEntry) -> None:
        entry.search_attributes.indexed_fields["BackupTerms"].data = value

    return change


UNCLEAR: dict[str, Callable[[ScheduleListEntry], object]] = {
    "no terms": lambda entry: entry.search_attributes.indexed_fields.pop("BackupTerms"),
    "not JSON": _attribute(b'"nonsense"'),
    "a number": _attribute(b"5"),
    "a list": _attribute(b'"[1]"'),
    "no policy": _attribute(b'"{}"'),
    "made for no job": lambda entry: entry.memo.fields.pop("scheduler_id"),
    "a copy under another id": lambda entry: setattr(entry, "schedule_id", "copy"),
    "another workflow": lambda entry: setattr(entry.info.workflow_type, "name", "SomebodyElses"),
    "another interval": lambda entry: entry.info.spec.interval[0].interval.FromTimedelta(timedelta(days=9)),
    "a second interval": lambda entry: entry.info.spec.interval.add(),
    "a calendar": lambda entry: entry.info.spec.structured_calendar.add(),
    "skipped days": lambda entry: entry.info.spec.exclude_structured_calendar.add(),
    "an end": lambda entry: entry.info.spec.end_time.FromSeconds(1),
    "no next run": lambda entry: entry.info.ClearField("future_action_times"),
    "a next run that is past": lambda entry: entry.info.future_action_times[0].FromDatetime(NOW),
    "a next run in two years": lambda entry: entry.info.future_action_times[0].FromDatetime(NOW + timedelta(days=730)),
    "another jitter": lambda entry: entry.info.spec.jitter.FromTimedelta(timedelta(minutes=7)),
}


@pytest.mark.parametrize("change", UNCLEAR.values(), ids=UNCLEAR)
async def test_a_job_of_which_the_list_does_not_tell_enough_is_not_read_from_it(
    change: Callable[[ScheduleListEntry], object],
) -> None:
    entry = await entry_of(a_request())
    assert ListedJob.read(entry, NOW) is not None
    change(entry)
    assert ListedJob.read(entry, NOW) is None
