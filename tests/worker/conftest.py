"""A Temporal dev server of its own for the worker side, without the stack."""

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment


@pytest.fixture(scope="session")
def temporal(temporal_server: WorkflowEnvironment) -> Client:
    return temporal_server.client
