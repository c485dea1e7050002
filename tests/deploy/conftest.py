"""A Temporal node with rights: namespace and search attributes are made as docs/cluster.md says."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from temporalio.client import Client

from backup_scheduler.jobs.names import SEARCH_ATTRIBUTES
from lab.parts.waiting import eventually_async
from tests.support.temporal_nodes import NAMESPACE, TemporalNode

MAKE_SEARCH_ATTRIBUTES = f"operator search-attribute create --namespace {NAMESPACE}" + "".join(
    f" --name {key.name} --type Keyword" for key in SEARCH_ATTRIBUTES
)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TemporalNode]:
    with TemporalNode(tmp_path_factory.mktemp("node"), with_rights=True) as running:
        make = f"operator namespace create --namespace {NAMESPACE} --retention 1d"
        made = await asyncio.to_thread(running.temporal, make, f"{NAMESPACE}:admin")
        assert made.returncode == 0, made.stderr

        async def known() -> bool:  # all parts of the server hear of both within seconds
            done = await asyncio.to_thread(running.temporal, MAKE_SEARCH_ATTRIBUTES, f"{NAMESPACE}:admin")
            query = "schedule list --query BackupSchedulerId='x'"
            listed = await asyncio.to_thread(running.temporal, query, f"{NAMESPACE}:read")
            return done.returncode == listed.returncode == 0

        await eventually_async(known)
        yield running


@pytest.fixture
async def as_operator(node: TemporalNode) -> Client:
    return await node.client(f"{NAMESPACE}:write")
