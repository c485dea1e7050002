"""The bare SDK makes the requests that ours makes, and converts no more of their answers."""

import uuid
from collections.abc import Callable
from typing import Any

import pytest
from temporalio.client import Client, ScheduleDescription

from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.settings import Settings
from lab.bench import bare, jobs
from lab.bench.callers import CALLS
from rpc_service.gateway.jobs import ScheduleGateway


@pytest.fixture
def requests(temporal: Client, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the requests that the client makes, in order."""
    made: list[str] = []
    real = temporal.service_client._rpc_call

    async def noting(rpc: str, *args: Any, **kwargs: Any) -> Any:
        made.append(rpc)
        return await real(rpc, *args, **kwargs)

    monkeypatch.setattr(temporal.service_client, "_rpc_call", noting)
    return made


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the schedules whose descriptions the SDK converts, in order."""
    made: list[str] = []
    real: Callable[..., ScheduleDescription] = ScheduleDescription._from_proto

    def noting(id: str, *args: Any, **kwargs: Any) -> ScheduleDescription:
        made.append(id)
        return real(id, *args, **kwargs)

    monkeypatch.setattr(ScheduleDescription, "_from_proto", noting)
    return made


async def test_the_bare_sdk_makes_the_same_requests_as_ours(
    temporal: Client, requests: list[str], scheduler_id: str
) -> None:
    gateway = ScheduleGateway(temporal, Settings())
    job = BackupJob.from_call((), jobs.arguments(scheduler_id))
    changed = BackupJob.from_call((), jobs.arguments(scheduler_id, start_time="03:04"))
    by_ours = {
        "add": lambda: gateway.add(job, "one"),
        "get": lambda: gateway.get(scheduler_id),
        "pause": lambda: gateway.pause(scheduler_id, request_id="four"),
        "resume": lambda: gateway.resume(scheduler_id),
        "modify": lambda: gateway.modify(changed, "two"),
        "remove": lambda: gateway.remove(scheduler_id, "three"),
    }
    assert list(by_ours) == list(CALLS)
    for call in CALLS:
        requests.clear()
        await by_ours[call]()
        made_by_ours = [*requests]
        requests.clear()
        await bare.call(temporal, call, f"{scheduler_id}-bare")
        assert requests == made_by_ours, call
        assert requests


async def test_the_bare_sdk_converts_no_answer_that_ours_reads_as_it_is(
    temporal: Client, conversions: list[str], scheduler_id: str
) -> None:
    for call in CALLS:
        await bare.call(temporal, call, scheduler_id)
    assert conversions == []


async def test_the_bare_sdk_reads_no_settings_for_a_call(
    temporal: Client, monkeypatch: pytest.MonkeyPatch, scheduler_id: str
) -> None:
    read: list[str] = []
    real = Settings.__init__

    def noting(self: Settings, **values: Any) -> None:
        read.append("settings")
        real(self, **values)

    monkeypatch.setattr(Settings, "__init__", noting)
    for call in CALLS:
        await bare.call(temporal, call, scheduler_id)
    assert read == []


async def test_the_row_of_the_sdks_conversion_has_it(temporal: Client, conversions: list[str]) -> None:
    scheduler_id = f"converted-{uuid.uuid4().hex}"
    await bare.call(temporal, "add", scheduler_id)
    await bare.call(temporal, bare.CONVERTED, scheduler_id)
    assert conversions == [scheduler_id]
    await bare.call(temporal, "remove", scheduler_id)
