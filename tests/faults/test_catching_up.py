"""Missed runs are made up for, as far back as misfire_grace_time reaches, and no further."""

import asyncio
import json
import re
import uuid
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote

from temporalio.client import Client

from backup_scheduler.jobs.names import workflow_id
from backup_scheduler.runs.results import Outcome
from devstack.ports import Ports
from lab.parts.backup_service import BackupService, answering, backup_service
from lab.parts.waiting import eventually_async
from tests.support.counts import NONE, counted_runs
from tests.support.figures import print_runs_row
from tests.support.passes import a_pass, metrics_at
from tests.support.policy_files import write_policies
from tests.support.runs import Job, Outage, Run, all_closed, answers_again, assert_none_doubled, end, make_job, runs_of
from tests.support.servers import Servers
from tests.support.workers import WorkerProcess

LONG = 600
"""Number of runs that is not reached before the test ends the job."""

CLOSE = timedelta(seconds=0.5)
"""Distance from the edge of misfire_grace_time within which a run may be made or not: the server looks later."""


def nominal_of(job: Job, moment: datetime) -> datetime:
    return job.first + (moment - job.first) // job.every * job.every


async def test_after_an_outage_of_temporal_the_runs_of_the_grace_time_are_made_up_for(
    servers: Servers, temporal: Client, tmp_path: Path
) -> None:
    queue = f"queue-{uuid.uuid4()}"
    async with backup_service() as target:
        target.answers = [answering(200)]
        file = write_policies(tmp_path / "policies.toml", {"http": {"type": "http", "url": target.url}})
        with (
            Ports() as ports,
            WorkerProcess(
                servers.temporal_address,
                file,
                queue,
                SCHEDULER_METRICS_ADDRESS=(address := f"127.0.0.1:{ports.claim_from(9464)}"),
            ) as worker,
        ):
            await worker.ready()
            # A window of an hour, so that only the server decides which runs are too late, whatever the pace.
            grace = {"often": 10, "rarely": 10, "spread": 12}
            often = await make_job(
                temporal, f"often-{queue}", queue, runs=LONG, grace=10, window_hours=1, findable=True
            )
            rarely = await make_job(temporal, f"rarely-{queue}", queue, runs=LONG, every=4, grace=10, window_hours=1)
            spread = await make_job(
                temporal, f"spread-{queue}", queue, runs=9, every=3, jitter=3, grace=12, window_hours=1
            )
            paused = await make_job(temporal, f"paused-{queue}", queue, runs=LONG, window_hours=1, paused=True)
            jobs = {"often": often, "rarely": rarely, "spread": spread}
            asked = await asked_by_each(target, jobs)
            killed = datetime.now(UTC)
            servers.temporal.kill()
            await asyncio.sleep(15)  # the outage has to be longer than the grace times
            restarted = datetime.now(UTC)
            await asyncio.to_thread(servers.temporal.start_again)
            back = datetime.now(UTC)
            await answers_again(temporal)
            for job in (often, rarely):
                # A change of a schedule forgets the times before it (docs/temporal-facts.md#update-forgets-old-times).
                await eventually_async(partial(_started_after, temporal, job, restarted))
                await end(temporal, job)
            await all_closed(temporal, jobs.values())
            runs = {name: await runs_of(temporal, job.scheduler_id) for name, job in jobs.items()}
            assert await runs_of(temporal, paused.scheduler_id) == []
            measured = await a_pass(temporal)
            shown = await metrics_at(address)
            info = (await temporal.get_schedule_handle(often.scheduler_id).describe()).raw_description.info
            lines = [json.loads(line) for line in worker.log.read_text().splitlines() if often.scheduler_id in line]
        keys = Counter(request.headers["Idempotency-Key"] for request in target.received)
    outage = Outage(killed, restarted)
    due = {
        name: Due.of(job, runs[name], timedelta(seconds=grace[name]), asked[name], outage) for name, job in jobs.items()
    }
    every_run = [run for its in runs.values() for run in its]
    counted = counted_runs([each.before | each.within for each in due.values()], list(runs.values()), keys)
    first = min(run.picked_up for run in every_run if run.picked_up and killed < run.started)
    fault = "kill -9 of Temporal for 15 s, with jobs every 1 to 4 s"
    print_runs_row(fault, 1, len(every_run), counted, first - back, "test_catching_up.py")
    assert counted == NONE
    for name, its in runs.items():
        assert_none_doubled(its, outage)
        assert {run.outcome for run in its} == {"completed"}
        assert due[name].before
        assert due[name].too_old.isdisjoint(run.nominal for run in its)
    for name in ("often", "rarely"):  # of a job with jitter there may be none
        assert due[name].within
        assert due[name].too_old
    # Temporal may count a time more than once (docs/temporal-facts.md#missed-catch-up-counts-twice).
    assert info.missed_catchup_window >= len(due["often"].too_old)
    assert measured["runs_missed_catchup"] >= info.missed_catchup_window  # other tests leave jobs, too
    assert shown["backup_scheduler_runs_missed_catchup"] == measured["runs_missed_catchup"]
    logged = [line["missed_catchup"] for line in lines if line["event"].startswith("occurrences too old to be made up")]
    assert logged == [info.missed_catchup_window]


async def asked_by_each(target: BackupService, jobs: Mapping[str, Job]) -> dict[str, datetime]:
    """Wait until a run of each job has reached the target; return the nominal time of the latest one, by job."""

    async def look() -> dict[str, datetime] | None:
        keys = [unquote(request.headers["Idempotency-Key"]) for request in target.received]
        due = {
            name: [
                datetime.fromisoformat(match[1])
                for key in keys
                if (match := re.fullmatch(re.escape(workflow_id(job.scheduler_id)) + r"-([\dTZ:-]{20})~.*", key))
            ]
            for name, job in jobs.items()
        }
        return {name: max(its) for name, its in due.items()} if all(due.values()) else None

    asked: dict[str, datetime] = await eventually_async(look)
    return asked


async def _started_after(temporal: Client, job: Job, moment: datetime) -> bool:
    listed = temporal.list_workflows(f"TemporalScheduledById = '{job.scheduler_id}'")
    return any([run.start_time > moment async for run in listed])


@dataclass(frozen=True)
class Due:
    """Nominal times of a job around an outage of the server."""

    before: set[datetime]
    """Those that had a run before the outage."""
    within: set[datetime]
    """Those that have to have one, as the grace time reaches back to them."""
    too_old: set[datetime]
    """Those that must not have one."""

    @classmethod
    def of(cls, job: Job, runs: list[Run], grace: timedelta, asked: datetime, outage: Outage) -> Self:
        """Judge up to the last run. The server looked at its clock after its restart and before it started a run."""
        job = job.until(runs[-1].nominal + job.every / 2)
        woke = min((run.started for run in runs if run.started > outage.restarted), default=job.times[-1] + 2 * grace)
        too_old = (moment for moment in job.times if outage.killed + CLOSE < moment < outage.restarted - grace - CLOSE)
        return cls(
            {nominal_of(job, moment) for moment in job.times if nominal_of(job, moment) <= asked},
            {nominal_of(job, moment) for moment in job.times if moment >= woke - grace + CLOSE},
            {nominal_of(job, moment) for moment in too_old},
        )


async def none_goes_on(temporal: Client, *jobs: Job) -> bool:
    """Return whether no run of the jobs goes on, or comes due in a moment."""
    for job in jobs:
        info = (await temporal.get_schedule_handle(job.scheduler_id).describe()).info
        if info.running_actions or info.next_action_times[0] - datetime.now(UTC) < CLOSE:
            return False
    return True


async def test_after_an_outage_of_the_worker_all_runs_are_made_but_those_that_are_too_late(
    servers: Servers, temporal: Client, tmp_path: Path
) -> None:
    queue = f"queue-{uuid.uuid4()}"
    async with backup_service() as target:
        target.answers = [answering(200)]
        file = write_policies(tmp_path / "policies.toml", {"http": {"type": "http", "url": target.url}})
        with WorkerProcess(servers.temporal_address, file, queue) as worker:
            await worker.ready()
            strict = await make_job(temporal, f"strict-{queue}", queue, runs=LONG, every=2, grace=10)
            patient = await make_job(temporal, f"patient-{queue}", queue, runs=LONG, every=4, grace=300)
            await asked_by_each(target, {"strict": strict, "patient": patient})
            # Between two runs: a run that comes due behind an interrupted one waits for it, and is not too late.
            await eventually_async(lambda: none_goes_on(temporal, strict, patient))
            worker.kill()
            killed = datetime.now(UTC)
        await asyncio.sleep(18)  # the outage has to be longer than the strict job's grace time
        back = datetime.now(UTC)
        with WorkerProcess(servers.temporal_address, file, queue) as worker:
            await worker.ready()
            for job in (strict, patient):
                await end(temporal, job)
            await all_closed(temporal, (strict, patient))
        runs = {job: await runs_of(temporal, job.scheduler_id) for job in (strict, patient)}
        asked = Counter(request.headers["Idempotency-Key"] for request in target.received)
    due = [job.until(its[-1].nominal).times for job, its in runs.items()]
    counted = counted_runs(due, list(runs.values()), asked)
    every_run = runs[strict] + runs[patient]
    first = min(run.picked_up for run in every_run if run.picked_up and run.picked_up > killed)
    fault = "kill -9 of the only worker for 18 s, with jobs every 2 and 4 s"
    print_runs_row(fault, 1, len(every_run), counted, first - back, "test_catching_up.py")
    assert counted == NONE
    for job, its in runs.items():
        assert_none_doubled(its)
        assert its[-1].nominal >= back - job.every
        assert [run.nominal for run in its] == list(job.until(its[-1].nominal).times)
    assert {run.outcome for run in runs[patient]} == {Outcome.COMPLETED}
    missed = [run for run in runs[strict] if run.outcome == Outcome.MISSED]
    made = [run for run in runs[strict] if run.outcome == Outcome.COMPLETED]
    assert len(missed) >= 3
    assert made
    assert len(missed) + len(made) == len(runs[strict])
    grace = timedelta(seconds=10)
    for run in missed:
        assert run.picked_up
        assert run.picked_up > run.nominal + grace
        assert "nothing was backed up" in run.text
    waited_for = max(run.nominal for run in missed)
    for run in made:
        assert run.picked_up
        assert run.picked_up <= run.nominal + grace or run.nominal > waited_for
    assert set(asked) == {quote(run.key, safe="") for run in every_run if run.outcome == Outcome.COMPLETED}
