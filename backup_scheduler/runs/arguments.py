"""The arguments of the methods about runs (docs/api.md#run_job)."""

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from backup_scheduler.contract.arguments import (
    Arguments,
    JobId,
    one_of,
    refuse_control_characters,
    refuse_unencodable,
)
from backup_scheduler.contract.moments import MOMENT_RULE, Moment
from backup_scheduler.runs.description import OUTCOMES

REASON_RULE: Final = "text of 1 to 500 characters without control characters"

Reason = Annotated[
    str,
    Field(min_length=1, max_length=500),
    AfterValidator(refuse_unencodable),
    AfterValidator(refuse_control_characters),
]
"""What a person reads beside a change: why it was made."""


class RunJob(JobId):
    """The arguments of run_job."""

    at: Annotated[Moment | None, Field(description=MOMENT_RULE)] = None
    """Names the run; by default the moment of the call."""
    reason: Annotated[Reason | None, Field(description=REASON_RULE)] = None


class JobRuns(JobId):
    """The arguments of get_job_runs."""

    limit: Annotated[int, Field(ge=1, le=1000, description="a whole number from 1 to 1000")] = 20
    before: Annotated[Moment | None, Field(description=MOMENT_RULE)] = None
    """Only runs that started before it; `next` of the page before."""
    outcome: Annotated[Annotated[str, one_of(OUTCOMES)] | None, Field(description=f"one of {', '.join(OUTCOMES)}")] = (
        None
    )


class RunId(Arguments):
    """The argument of the methods that only name a run."""

    run_id: Annotated[
        str, Field(min_length=1, max_length=1000, description="the run_id of a run"), AfterValidator(refuse_unencodable)
    ]


class CancelRun(RunId):
    """The arguments of cancel_run."""

    reason: Annotated[Reason | None, Field(description=REASON_RULE)] = None
