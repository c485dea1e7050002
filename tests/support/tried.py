"""Commands that people try beside the service: what each does to a job, who tells it, and what mends it."""

import asyncio
import shlex
import uuid
from dataclasses import dataclass

import pytest
from temporalio.client import WorkflowExecutionStatus, WorkflowFailureError

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, MODIFY, PAUSE, REMOVE, RESUME
from backup_scheduler.jobs.names import SYSTEM_WORKFLOW
from devstack.running import StackInfo
from lab.parts.waiting import eventually_async
from tests.support.calls import TERMS, assert_fails, job
from tests.support.operator import QUEUE, Job, ran, under_way


@dataclass
class Tried:
    """A command of a person on a job of its own."""

    stack: StackInfo
    own: Job
    command: str

    async def do(self, code: int = 0, **names: str) -> str:
        """Carry the command out; it has to end with this code. Return what it said."""
        terms = shlex.quote(self.own.alignment.request.model_dump_json())
        command = self.command
        for name, value in {"INPUT": terms, "JOB": self.own.scheduler_id, **names}.items():
            command = command.replace(name, value)
        ended, said = await ran(self.stack, command)
        assert ended == code, said
        return said

    def answer(self) -> tuple[int, str]:
        reply = self.own.call(GET, self.own.scheduler_id)
        return reply["code"], str(reply["description"])

    async def is_answered(self, code: int, text: str = "") -> None:
        async def is_so() -> bool:
            found, said = self.answer()
            return found == code and text in said

        await eventually_async(is_so)

    async def is_told(self, text: str) -> None:
        """Fail unless get_job and a pass name the fault, and get_jobs has the job among all others."""
        await self.is_answered(500, text)

        async def is_listed() -> bool:  # Temporal's list of schedules lags
            return self.own.scheduler_id in {each["job_id"] for each in self.own.call(GET_ALL)["description"]}

        await eventually_async(is_listed)
        done = await self.own.temporal.execute_workflow(
            SYSTEM_WORKFLOW, id=f"pass-{uuid.uuid4()}", task_queue=QUEUE, result_type=dict
        )
        assert text in done["failures"][self.own.scheduler_id]

    async def has_waiting(self, number: int) -> None:
        """Fail unless this many runs wait for the one before, in the end and for a second."""
        handle = self.own.temporal.get_schedule_handle(self.own.scheduler_id)

        async def waiting() -> int:
            return (await handle.describe()).raw_description.info.buffer_size

        async def is_so() -> bool:
            return await waiting() == number

        await eventually_async(is_so)
        await asyncio.sleep(1)
        assert await waiting() == number

    async def runs(self, number: int) -> None:
        """Fail unless the job still runs: its run with this number, counted from 1, is well."""
        assert self.answer()[0] == 200
        await asyncio.sleep(1.1)  # two runs that are asked for in one second have one name
        await self.own.trigger()
        await self.own.run(number)

    async def is_mended_by_modify(self) -> None:
        job(self.own.call(MODIFY, self.own.scheduler_id, *TERMS))
        assert self.answer()[0] == 200

    async def is_mended_by_adding_anew(self, removed: int) -> None:
        assert self.own.call(REMOVE, self.own.scheduler_id)["code"] == removed
        job(self.own.call(ADD, self.own.scheduler_id, *TERMS))
        assert self.answer()[0] == 200


async def leaves_no_terms(tried: Tried) -> None:
    await tried.do()
    await tried.is_told("no terms that can be read")
    await tried.is_mended_by_adding_anew(200)


async def leaves_runs_without_terms(tried: Tried) -> None:
    await tried.do()
    await tried.is_told("no terms that can be read")
    await tried.own.trigger()
    with pytest.raises(WorkflowFailureError) as caught:
        await tried.own.run()
    assert "no terms that can be read" in str(caught.value.cause)
    await tried.is_mended_by_adding_anew(200)


async def changes_the_schedule(tried: Tried) -> None:
    await tried.do()
    await tried.is_told("changed by other means (start, pause on failure)")
    await tried.is_mended_by_modify()


async def leaves_no_worker(tried: Tried) -> None:
    await tried.do()
    await tried.is_told("no worker polls its task queue 'typo'")
    await tried.is_mended_by_modify()


async def is_refused(tried: Tried) -> None:
    before = tried.answer()
    assert "is already registered" in await tried.do(1)
    assert tried.answer() == before
    await tried.runs(1)


async def makes_no_job(tried: Tried) -> None:
    other = f"{tried.own.scheduler_id}-other"
    await tried.do(OTHER=other)
    assert_fails(tried.own.call(GET, other), 404)
    assert_fails(tried.own.call(ADD, other, *TERMS), 404)
    assert other not in {each["job_id"] for each in tried.own.call(GET_ALL)["description"]}
    await tried.own.temporal.get_schedule_handle(other).delete()
    await tried.runs(1)


async def is_dropped_by_temporal_alone(tried: Tried) -> None:
    async with under_way(tried.own):
        await asyncio.sleep(1.1)  # two runs that are asked for in one second have one name
        await tried.do()
        await tried.has_waiting(0 if tried.command.startswith("temporal") else 1)
    assert tried.answer()[0] == 200


async def pauses_without_a_reason(tried: Tried) -> None:
    await tried.do()
    await eventually_async(lambda: asyncio.sleep(0, tried.own.next_run is None))
    assert job(tried.own.call(RESUME, tried.own.scheduler_id))["next_run_time"] is not None


async def starts_all_occurrences_since(tried: Tried) -> None:
    async with under_way(tried.own):
        await tried.do()
        await tried.has_waiting(10)  # of the first ten days of January
        job(tried.own.call(PAUSE, tried.own.scheduler_id))
    await tried.has_waiting(0)
    assert job(tried.own.call(RESUME, tried.own.scheduler_id))["next_run_time"] is not None
    await tried.runs(2)


async def ends_the_run(tried: Tried) -> None:
    async with under_way(tried.own) as run:
        await tried.do(RUN=run.id)

        async def ended() -> bool:
            query = f"WorkflowId = '{run.id}' AND ExecutionStatus = 'Running'"
            return (await tried.own.temporal.count_workflows(query)).count == 0

        await eventually_async(ended)
    await tried.runs(2)


async def makes_the_backup_again(tried: Tried) -> None:
    await tried.own.trigger()
    run, _ = await tried.own.run()
    await asyncio.sleep(1.1)
    async with under_way(tried.own, lambda: tried.do(RUN=run)):
        await tried.own.trigger()
        await tried.has_waiting(1)
    assert tried.answer()[0] == 200
    await tried.own.run(2)


async def does_nothing_to_a_run(tried: Tried) -> None:
    async with under_way(tried.own) as run:
        await tried.do(RUN=run.id)
        assert (await run.describe()).status is WorkflowExecutionStatus.RUNNING
    await tried.own.run(1)


async def removes_the_job(tried: Tried) -> None:
    await tried.do()
    await tried.is_answered(404)
    await tried.is_mended_by_adding_anew(404)


async def stops_the_schedule(tried: Tried) -> None:
    await tried.do()
    await tried.is_told("Temporal cannot carry its schedule out any more")
    assert_fails(tried.own.call(PAUSE, tried.own.scheduler_id), 500, "is broken")
    assert_fails(tried.own.call(ADD, tried.own.scheduler_id, *TERMS), 409)
    await tried.is_mended_by_adding_anew(200)


async def changes_nothing(tried: Tried) -> None:
    before = tried.answer()
    await tried.do()
    await asyncio.sleep(1)
    assert tried.answer() == before
    await tried.runs(1)
