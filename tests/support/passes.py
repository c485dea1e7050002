"""Passes over all jobs, made now, and the metrics of the worker that makes them."""

import re
from contextlib import suppress
from typing import Any

import aiohttp
from temporalio.client import Client, ScheduleActionExecutionStartWorkflow, ScheduleOverlapPolicy
from temporalio.service import RPCError

from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from lab.parts.waiting import eventually_async


async def a_pass(temporal: Client) -> dict[str, Any]:
    """Let the system schedule look after all jobs now; return its result."""
    system = temporal.get_schedule_handle(SYSTEM_SCHEDULE)
    info = (await system.describe()).info
    before = info.num_actions
    for each in info.running_actions:  # it may wait for the worker of an earlier test, as passes come every hour
        assert isinstance(each, ScheduleActionExecutionStartWorkflow)
        with suppress(RPCError):  # it has ended meanwhile
            await temporal.get_workflow_handle(each.workflow_id).terminate()
    await system.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)

    async def started() -> bool:
        return (await system.describe()).info.num_actions > before

    await eventually_async(started)
    last = (await system.describe()).info.recent_actions[-1].action
    assert isinstance(last, ScheduleActionExecutionStartWorkflow)
    run = temporal.get_workflow_handle(last.workflow_id, run_id=last.first_execution_run_id)
    result: dict[str, Any] = await run.result()
    return result


async def metrics_at(address: str) -> dict[str, float]:
    """Return a worker's metrics of this project, by name and outcome."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}/metrics") as response:
        found = re.findall(r"^(backup_scheduler_\w+)\{(.*)\} (\S+)$", await response.text(), re.MULTILINE)
    shown = {}
    for name, labels, value in found:
        outcome = re.findall(r'\boutcome="[^"]*"', labels)
        shown[" ".join([name, *outcome])] = float(value)
    return shown
