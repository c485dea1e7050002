"""Gateways of the stack's Temporal, and names of a test's own."""

import uuid
from functools import partial

import pytest
from temporalio.client import Client

from rpc_service.gateway.faults import answering
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.listed_jobs import has


@pytest.fixture
def gateway(temporal: Client) -> ScheduleGateway:
    return ScheduleGateway(temporal, SETTINGS)


@pytest.fixture
def other(temporal: Client) -> ScheduleGateway:
    """The gateway of another process, which knows nothing of the first one's changes."""
    return ScheduleGateway(temporal, SETTINGS)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let gateways in the test's own process take half a minute; how long others take, is in test_process.py."""
    for module in ("bulk", "changes", "jobs", "listing", "pages", "runs"):
        monkeypatch.setattr(f"rpc_service.gateway.{module}.answering", partial(answering, seconds=30))


@pytest.fixture
def policy() -> str:
    """A policy_name of the test's own."""
    return f"policy {uuid.uuid4().hex}"


@pytest.fixture
async def jobs(gateway: ScheduleGateway, other: ScheduleGateway, policy: str) -> list[str]:
    """Four jobs, which lists have."""
    ids = [f"{policy}-{number}" for number in range(4)]
    for each in ids:
        await gateway.add(a_job(each, policy_name=policy), "add")
    await has(other, ids, policy_name=policy)
    return ids
