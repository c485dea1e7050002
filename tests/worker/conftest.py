"""Real parts for the worker: a Temporal dev server, restic repositories, and an HTTP endpoint that misbehaves."""

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from backup_scheduler import names
from tests.worker.parts import Restic, Target, backup_service, binary


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    # A shell that starts the tests in the background ignores SIGINT for them, and so for restic.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
async def temporal_server() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=binary("temporal"),
        data_converter=pydantic_data_converter,
        search_attributes=list(names.SEARCH_ATTRIBUTES),
    ) as environment:
        yield environment


@pytest.fixture(scope="session")
def temporal(temporal_server: WorkflowEnvironment) -> Client:
    return temporal_server.client


@pytest.fixture
def restic(tmp_path: Path) -> Restic:
    return Restic(tmp_path)


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with backup_service() as target:
        yield target
