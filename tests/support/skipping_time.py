"""A Temporal server on which waiting takes no time. It knows no schedules."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from backup_scheduler.temporal.namespace import register_search_attributes
from tests.support.programs import binary


@asynccontextmanager
async def skipping_time() -> AsyncIterator[WorkflowEnvironment]:
    """Run a server that skips the time until something is due, while somebody awaits the result of a run."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=binary("temporal-test-server"), data_converter=pydantic_data_converter
    ) as environment:
        await register_search_attributes(environment.client)
        yield environment
