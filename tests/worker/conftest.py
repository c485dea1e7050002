"""Real parts for the worker: a Temporal dev server, restic repositories, and an HTTP endpoint that misbehaves."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from backup_scheduler import names
from tests.worker.parts import Restic, Target, backup_service, binary


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
def new_restic(tmp_path: Path) -> Restic:
    return Restic(tmp_path)


@pytest.fixture(scope="session")
async def made_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    restic = Restic(tmp_path_factory.mktemp("template"))
    await restic("init")
    return restic.repository


@pytest.fixture
def restic(new_restic: Restic, made_repository: Path) -> Restic:
    """An empty repository; a copy, because restic takes seconds on purpose to make one."""
    shutil.copytree(made_repository, new_restic.repository)
    return new_restic


@pytest.fixture
async def target() -> AsyncIterator[Target]:
    async with backup_service() as target:
        yield target
