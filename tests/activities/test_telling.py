"""An attempt learns whether Temporal has taken its heartbeat, and whether Temporal has given it up."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from temporalio import activity, workflow
from temporalio.api.enums.v1 import PendingActivityState
from temporalio.client import Client, WorkflowHandle
from temporalio.common import RetryPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.attempts import Progress, tell
from lab.parts.waiting import eventually_async

DETAILS = [Progress(step="a step")]


@workflow.defn
class Waiting:
    """Waits for one attempt of one activity."""

    @workflow.run
    async def run(self) -> None:
        await workflow.execute_activity(
            "wait",
            start_to_close_timeout=timedelta(minutes=5),
            heartbeat_timeout=timedelta(minutes=5),
            retry_policy=RetryPolicy(maximum_attempts=1),
            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        )


class Attempt:
    """A real attempt that is under way until `over` is set."""

    def __init__(self) -> None:
        self.info: activity.Info | None = None
        self.over = asyncio.Event()
        self.began = asyncio.Event()

    @activity.defn(name="wait")
    async def wait(self) -> None:
        self.info = activity.info()
        self.began.set()
        await self.over.wait()

    async def tell(self, client: Client) -> None:
        """Tell Temporal of it."""
        assert self.info
        environment = ActivityEnvironment(client)
        environment.info = replace(environment.info, task_token=self.info.task_token)
        told: Any = environment.run(tell, DETAILS)
        await told


@asynccontextmanager
async def under_way(client: Client) -> AsyncIterator[tuple[Attempt, WorkflowHandle[Waiting, None]]]:
    attempt, queue = Attempt(), f"queue-{uuid.uuid4()}"
    async with Worker(
        client,
        task_queue=queue,
        workflows=[Waiting],
        activities=[attempt.wait],
        workflow_runner=UnsandboxedWorkflowRunner(),  # the sandbox would import this test anew
    ):
        handle = await client.start_workflow(Waiting.run, id=f"waiting-{uuid.uuid4()}", task_queue=queue)
        await attempt.began.wait()
        try:
            yield attempt, handle
        finally:
            attempt.over.set()


async def test_temporal_has_what_it_was_told(temporal: Client) -> None:
    async with under_way(temporal) as (attempt, handle):
        await attempt.tell(temporal)
        [pending] = (await handle.describe()).raw_description.pending_activities
    [detail] = await temporal.data_converter.decode(pending.heartbeat_details.payloads, [Progress])
    assert detail == DETAILS[0]


async def test_an_attempt_that_temporal_gave_up_learns_it(temporal: Client) -> None:
    async with under_way(temporal) as (attempt, handle):
        await handle.terminate()
        with pytest.raises(ApplicationError, match="has given this attempt up"):
            await attempt.tell(temporal)


async def test_an_attempt_that_is_to_be_cancelled_waits_for_that(temporal: Client) -> None:
    async with under_way(temporal) as (attempt, handle):
        await handle.cancel()

        async def asked_to_end() -> bool:
            [pending] = (await handle.describe()).raw_description.pending_activities
            return pending.state == PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED

        await eventually_async(asked_to_end)
        telling = asyncio.create_task(attempt.tell(temporal))
        done, _ = await asyncio.wait([telling], timeout=3)
        assert not done
        telling.cancel()
