"""Pauses of many jobs, as tests ask for them, and what they answer."""

from typing import Any

from temporalio.client import Client

from backup_scheduler.jobs.pauses import PauseJobs, ResumeJobs

NOTHING: dict[str, Any] = {"changed": [], "already": [], "left": [], "failed": {}}
PAUSED: dict[str, Any] = NOTHING | {"dry_run": False, "timer": None}


def pausing(policy: str, **others: Any) -> PauseJobs:
    """The arguments of pause_jobs for the jobs of a policy."""
    return PauseJobs(filter={"policy_name": policy}, reason="repair", **others)


def resuming(policy: str) -> ResumeJobs:
    """The arguments of resume_jobs for the jobs of a policy."""
    return ResumeJobs(filter={"policy_name": policy})


async def notes_of(temporal: Client, ids: list[str]) -> list[tuple[bool, str]]:
    """Return of each job whether it is paused, and its note."""
    states = [(await temporal.get_schedule_handle(each).describe()).schedule.state for each in ids]
    return [(state.paused, state.note or "") for state in states]
