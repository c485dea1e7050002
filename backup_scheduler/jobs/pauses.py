"""Pauses with a reason and an end: what callers give for one, and what resumes the jobs when it ends."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, Field

from backup_scheduler.contract.arguments import NAME_RULE, Arguments, JobId, Name
from backup_scheduler.contract.errors import InvalidArguments
from backup_scheduler.contract.moments import MOMENT_RULE, Moment
from backup_scheduler.jobs.filters import JobFilter

_Until = Annotated[Moment | None, Field(description=f"{MOMENT_RULE}, that lies ahead")]

ALL_RULE: Final = "filter must not be empty, unless all=True says that every job is meant"


class PauseJob(JobId):
    """The arguments of pause_job."""

    reason: Annotated[Name | None, Field(description=NAME_RULE)] = None
    until: _Until = None


class _OfJobs(Arguments):
    filter: Annotated[dict[str, Any], Field(description="a dict with names and values of list_jobs' filters")]

    @classmethod
    def from_call(cls, args: Sequence[Any], kwargs: Mapping[str, Any], misfire_grace_time: int | None = None) -> Self:
        """Read the arguments of a call as Arguments does; faults of the filter are named one by one."""
        arguments = super().from_call(args, kwargs, misfire_grace_time)
        if not arguments.wanted.given() and not arguments.model_dump().get("all"):
            raise InvalidArguments([ALL_RULE])
        return arguments

    @property
    def wanted(self) -> JobFilter:
        """What the jobs have in common. Raises InvalidArguments."""
        try:
            return JobFilter.from_call((), self.filter)
        except InvalidArguments as error:
            raise InvalidArguments([f"filter: {fault}" for fault in error.faults]) from None


class PauseJobs(_OfJobs):
    """The arguments of pause_jobs."""

    reason: Annotated[Name, Field(description=NAME_RULE)]
    until: _Until = None
    dry_run: Annotated[bool, Field(description="True or False")] = False
    all: Annotated[bool, Field(description="True or False")] = False


class ResumeJobs(_OfJobs):
    """The arguments of resume_jobs."""

    all: Annotated[bool, Field(description="True or False")] = False


class ResumeRequest(BaseModel):
    """The one argument of ResumeJobsWorkflow: the end of a pause."""

    pause_id: str
    """What the notes of the pause have; a job whose note has another is left alone."""
    until: datetime
    scheduler_id: str | None = None
    """The job that was paused; None for each job whose note has the id."""


class ResumeReport(BaseModel):
    """The result of ResumeJobsWorkflow. Each list or dict has at most the first 100 jobs."""

    resumed: int = 0
    scheduler_ids: list[str] = []
    """The jobs that were resumed; others of the pause were resumed, paused anew or removed before."""
    failures: dict[str, str] = {}
    """Jobs that could not be resumed, and why."""
