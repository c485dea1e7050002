"""Many runs of one job that have ended, as lists of runs read them."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from temporalio import workflow
from temporalio.api.common.v1 import Payloads
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import WorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.common import RawValue, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.converter import encode_search_attributes
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from backup_scheduler.contract.methods import RUN, SERVICE
from backup_scheduler.jobs.names import BACKUP_WORKFLOW, run_id, schedule_id
from backup_scheduler.temporal.runs import last_events, runs_of
from lab.bench.callers import RpcCallers
from lab.parts.waiting import eventually_async

_COMPLETED = "ExecutionStatus='Completed'"
_QUEUE = "bench-ended-runs"
_SCHEDULED = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
_OF_THE_SERVER = ("BuildIds",)
"""Search attributes that only the server writes."""
_PATIENCE = 300


@workflow.defn(name=BACKUP_WORKFLOW)
class _EndsAtOnce:
    @workflow.run
    async def run(self, result: RawValue) -> RawValue:
        return result


class ManyRuns:
    """Runs of one job, all of which have ended; each has a nominal time of its own, a minute before the one before."""

    def __init__(self, client: Client, scheduler_id: str) -> None:
        self.scheduler_id = scheduler_id
        self._client = client
        self._newest = datetime.now(UTC).replace(microsecond=0)
        self._made = 0

    def _times(self, count: int) -> list[datetime]:
        times = [self._newest - timedelta(minutes=number) for number in range(self._made, count)]
        self._made = max(self._made, count)
        return times

    def run(self, callers: RpcCallers, count: int) -> None:
        """Let the worker make backups until there are so many runs; they are made one after the other."""
        for at in self._times(count):
            callers.answer(SERVICE, RUN, scheduler_id=self.scheduler_id, at=at.isoformat(), reason="to be listed")

    async def all_ended(self) -> None:
        """Wait until the list of runs has all of them, and all have ended."""
        query = f"TemporalScheduledById='{schedule_id(self.scheduler_id)}' AND {_COMPLETED}"

        async def counted() -> bool:
            return (await self._client.count_workflows(query)).count == self._made

        await eventually_async(counted, _PATIENCE)

    async def copy(self, count: int) -> None:
        """Start copies of the last run until there are so many runs, each after the end of the one before.

        A copy ends at once, with the result of the run that it copies, and is listed with the same memo and search
        attributes. Lists of runs and the description of a run show nothing else. Its history is shorter. Raises
        RuntimeError if no run has completed.
        """
        times = self._times(count)
        if not times:
            return
        model = await anext(runs_of(self._client, schedule_id(self.scheduler_id), (_COMPLETED,), 1), None)
        if model is None:
            raise RuntimeError(f"{self.scheduler_id} has no run that could be copied")
        ended, *_ = await last_events(self._client, model.execution, 1)
        result = ended.workflow_execution_completed_event_attributes.result
        async with Worker(
            self._client,
            task_queue=_QUEUE,
            workflows=[_EndsAtOnce],
            workflow_runner=UnsandboxedWorkflowRunner(),
            max_cached_workflows=0,  # no run has a second task
        ):
            await self._make(model, result, times)
            await self.all_ended()

    async def _make(self, model: WorkflowExecutionInfo, result: Payloads, times: Sequence[datetime]) -> None:
        for nominal in times:
            request = StartWorkflowExecutionRequest(
                namespace=self._client.namespace,
                workflow_id=run_id(schedule_id(self.scheduler_id), nominal),
                workflow_type=model.type,
                task_queue=TaskQueue(name=_QUEUE),
                input=result,
                identity=self._client.identity,
                request_id=str(uuid.uuid4()),
                memo=model.memo,
                search_attributes=model.search_attributes,
            )
            for name in _OF_THE_SERVER:
                request.search_attributes.indexed_fields.pop(name, None)
            own = TypedSearchAttributes([SearchAttributePair(_SCHEDULED, nominal)])
            encode_search_attributes(own, request.search_attributes)
            await self._client.workflow_service.start_workflow_execution(request, retry=True)
            await self._client.get_workflow_handle(request.workflow_id).result()
