"""A Temporal dev server of its own for the worker side, without the stack; a repository for other users."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from tests.support.restic_repository import Restic


@pytest.fixture(scope="session")
def temporal(temporal_server: WorkflowEnvironment) -> Client:
    return temporal_server.client


@pytest.fixture
def open_restic(made_repository: Path) -> Iterator[Restic]:
    """A repository that other users reach; pytest closes its own folders to them, also while others use them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        restic = Restic(Path(folder))
        shutil.copytree(made_repository, restic.repository)
        yield restic
