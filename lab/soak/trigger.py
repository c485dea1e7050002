"""Runs started by Temporal's trigger, each with a token of its own, so that a run that nobody asked for is known."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import SchedulePatch, TriggerImmediatelyRequest
from temporalio.api.workflowservice.v1 import DescribeScheduleRequest, DescribeScheduleResponse, PatchScheduleRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from lab.soak.job import Job, Trigger

BETWEEN: Final = 1.1
"""Seconds between a change of a job and a trigger: those that come closer together can undo each other
(docs/temporal-facts.md#control-calls-get-lost)."""

_PATIENCE = 2.0
"""Seconds in which a trigger has to show in the description, for the job to be used at once."""

_BY_TURNS = 6
"""Seconds between two triggers of jobs that run by turns; a backup with restic takes about half of that."""

_PAUSE = 0.2
_LONGEST_OUTAGE = 300
"""Seconds after which Temporal counts as gone for good."""


class Triggers:
    """Asks Temporal for runs, past the RPC service, as an operator does."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def run(
        self, job: Job, *, may_wait: bool, ask: Callable[[Job, Trigger], Awaitable[None]] | None = None
    ) -> None:
        """Ask for a run of the job, by default with a trigger, unless it cannot be asked for now.

        `may_wait` lets the run wait for the one before. Such a run gets lost when its job is paused or removed
        (docs/api.md#pause, docs/api.md#remove_job), so only jobs that stay take one.
        """
        if not await self.settled(job, may_wait=may_wait):
            return
        before = await self._described(job)
        if before is None or (not may_wait and (before.info.running_workflows or before.info.buffer_size)):
            return
        await asyncio.sleep(BETWEEN)
        trigger = job.trigger(datetime.now(UTC))
        await (ask or self._ask)(job, trigger)
        deadline = time.monotonic() + _PATIENCE
        while not await self.settled(job, may_wait=may_wait) and time.monotonic() < deadline:
            await asyncio.sleep(_PAUSE)

    async def _ask(self, job: Job, trigger: Trigger) -> None:
        try:
            await self._client.workflow_service.patch_schedule(self._patch(job, trigger), retry=True)
        except (RPCError, RuntimeError) as error:
            if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
                trigger.refused = True
        else:
            trigger.confirmed = True

    async def settled(self, job: Job, *, may_wait: bool = False) -> bool:
        """Whether every trigger of the job that Temporal took is shown, so that the job may be changed.

        With `may_wait` a run that waits counts as shown.
        """
        if not job.pending:
            return True
        now = await self._described(job)
        if now is not None:
            note_shown(job.triggers, now, may_wait=may_wait)
        return not job.pending

    def _patch(self, job: Job, trigger: Trigger) -> PatchScheduleRequest:
        request = TriggerImmediatelyRequest(overlap_policy=ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_BUFFER_ALL)
        request.scheduled_time.FromDatetime(trigger.moment)
        return PatchScheduleRequest(
            namespace=self._client.namespace,
            schedule_id=job.scheduler_id,
            patch=SchedulePatch(trigger_immediately=request),
            identity=self._client.identity,
            request_id=str(uuid.uuid4()),  # the client may send the request again, and the server takes it once
        )

    async def _described(self, job: Job) -> DescribeScheduleResponse | None:
        """Describe the schedule, waiting for Temporal where it is down; None when there is none."""
        request = DescribeScheduleRequest(namespace=self._client.namespace, schedule_id=job.scheduler_id)
        async with asyncio.timeout(_LONGEST_OUTAGE):
            while True:
                try:
                    return await self._client.workflow_service.describe_schedule(request, retry=True)
                except (RPCError, RuntimeError) as error:
                    if isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND:
                        return None
                await asyncio.sleep(_PAUSE)


async def by_turns(
    jobs: Sequence[Job],
    triggers: Triggers,
    before: Callable[[], None],
    after: Callable[[str], Awaitable[None]],
    stop: asyncio.Event,
) -> None:
    """Ask for runs of the jobs by turns, until `stop` is set.

    `before` is called before each trigger, `after` with each run that a description has shown.
    """
    number = 0
    while not stop.is_set():
        before()
        job = jobs[number % len(jobs)]
        asked = len(job.triggers)
        await triggers.run(job, may_wait=True)
        for trigger in job.triggers[asked:]:
            if trigger.shown:
                await after(trigger.run)
        number += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _BY_TURNS)


def note_shown(triggers: list[Trigger], described: DescribeScheduleResponse, *, may_wait: bool) -> None:
    """Mark the triggers whose runs a description shows: by name or, with `may_wait`, as the latest ones that wait."""
    info = described.info
    named = {run.workflow_id for run in info.running_workflows}
    named |= {action.start_workflow_result.workflow_id for action in info.recent_actions}
    first_waiting = len(triggers) - info.buffer_size if may_wait else len(triggers)
    for number, trigger in enumerate(triggers):
        trigger.shown |= trigger.run in named or number >= first_waiting
