"""A run without what ours adds: a workflow with one activity. `python -m lab.bench.bare_worker URL`.

The worker has the settings of ours that concern speed.
"""

import asyncio
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    import requests

    from backup_scheduler.temporal.client import connect

WORKFLOW = "BareBackupWorkflow"
QUEUE = "bench-bare"
_AT_ONCE = 100
_PATIENCE = 60


@workflow.defn(name=WORKFLOW)
class _BareBackup:
    @workflow.run
    async def run(self, request: dict[str, Any]) -> Any:
        form = {**request["url_kwargs"], "policy_name": request["policy_name"]}
        return await workflow.execute_activity("back_up", form, start_to_close_timeout=timedelta(seconds=_PATIENCE))


class _Target:
    def __init__(self, url: str) -> None:
        self._url = url

    @activity.defn
    def back_up(self, form: dict[str, Any]) -> Any:
        answer = requests.post(self._url, data=form, timeout=_PATIENCE)
        answer.raise_for_status()
        return answer.json()


async def _serve(url: str) -> None:
    async with Worker(
        await connect(),
        task_queue=QUEUE,
        workflows=[_BareBackup],
        activities=[_Target(url).back_up],
        activity_executor=ThreadPoolExecutor(_AT_ONCE),
        max_concurrent_activities=_AT_ONCE,
        max_concurrent_workflow_task_polls=20,
        nonsticky_to_sticky_poll_ratio=0.25,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    ):
        print("ready", flush=True)  # noqa: T201  # tells the benchmark that it is ready
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
