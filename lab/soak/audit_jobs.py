"""Comparisons of the jobs in Temporal and in get_jobs with the answers to the calls for them: pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from lab.parts.answers import Reply
from lab.parts.schedules import StoredJob, UnfitSchedule
from lab.soak.figures import Tally
from lab.soak.job import Job, any_of
from lab.soak.looks import as_job

Found = Mapping[str, StoredJob | UnfitSchedule]
"""What is stored under the id of a job."""


def jobs_tally(jobs: Iterable[Job], found: Found, task_queue: str) -> Tally:
    """Every job is as the answers to its calls say, with the times that follow from its terms; removed ones are gone.

    The zone of start_time has to be UTC.
    """
    tally = Tally()
    for job in jobs:
        stored = found.get(job.scheduler_id)
        if job.possible == {None}:
            if stored is not None:
                tally.doubled.append(f"{job.scheduler_id}: was removed, but there is {_shown(stored)}")
            continue
        tally.certain += job.certain
        tally.open += not job.certain
        tally.open_found += not job.certain and stored is not None
        if stored is None:
            if None not in job.possible:
                tally.lost.append(f"{job.scheduler_id}: has to be {any_of(job.possible)}")
        elif fault := _fault(job, stored, task_queue):
            tally.wrong.append(f"{job.scheduler_id}: {fault}")
    return tally


def _shown(stored: StoredJob | UnfitSchedule) -> str:
    return str(stored.state if isinstance(stored, StoredJob) else stored)


def _fault(job: Job, stored: StoredJob | UnfitSchedule, task_queue: str) -> str | None:
    """Return what is wrong with a job that is there, and that may be there."""
    if isinstance(stored, UnfitSchedule):
        return f"its schedule does not follow from its terms: {stored}"
    if stored.state not in job.possible:
        return f"{stored.state}, has to be {any_of(job.possible)}"
    # Terms that are possible were asked for.
    wanted = (stored.state.terms.first_run(job.asked_at[stored.state.terms]), "UTC", task_queue)
    has = (stored.first_run, stored.timezone, stored.task_queue)
    return None if has == wanted else f"first run, zone and task queue {_listed(has)}, not {_listed(wanted)}"


def _listed(values: tuple[datetime, str, str]) -> str:
    return ", ".join(map(str, values))


def schedules_nobody_asked_for(listed: Iterable[str], known: set[str]) -> list[str]:
    """Return the schedules that are not among the known ones."""
    return [f"{schedule} is a schedule that nobody asked for" for schedule in listed if schedule not in known]


def list_faults(method: str, reply: Reply | None, jobs: Iterable[Job], found: Found) -> list[str]:
    """Compare the jobs that get_jobs or list_jobs answered, in order, with those that are there."""
    if reply is None or reply["code"] != 200:
        return [f"{method} was answered {reply}"]
    described: list[Any] = reply["description"]
    ids = [each.get("job_id") if isinstance(each, dict) else None for each in described]
    if ids != sorted(found):
        return [f"{method} does not list the jobs that are there: {ids}, not {sorted(found)}"]
    known = {job.scheduler_id: job for job in jobs}
    faults = [
        (scheduler_id, known[scheduler_id].fault_of(stored.state, as_job(description)))
        for (scheduler_id, stored), description in zip(
            sorted(found.items(), key=lambda item: item[0]), described, strict=True
        )
        if isinstance(stored, StoredJob)
    ]
    return [f"{method}, {scheduler_id}: {fault}" for scheduler_id, fault in faults if fault]
