"""Servers that the tests of this folder may kill; they are always left running."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from tests.support.servers import Servers


@pytest.fixture(scope="package")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with Servers(tmp_path_factory.mktemp("servers")) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def temporal(servers: Servers) -> AsyncIterator[Client]:
    """A client of its own for each test: the server it talks to may have been killed since the last one."""
    yield await Client.connect(servers.temporal_address, data_converter=pydantic_data_converter)
