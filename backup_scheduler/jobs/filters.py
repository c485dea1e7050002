"""The jobs that a caller wants to see or change, by what they have in common (docs/api.md#list_jobs)."""

from typing import Annotated, Any, Final

from pydantic import Field

from backup_scheduler.contract.arguments import NAME_RULE, Arguments, Name, one_of
from backup_scheduler.jobs.recent_runs import OUTCOMES

MOST_LISTED: Final = 1000
"""Jobs of one page: an answer of Temporal's has as many entries."""

_OUTCOME_RULE: Final = f"one of {', '.join(map(repr, OUTCOMES))}"


class JobFilter(Arguments):
    """What jobs have in common; None leaves a field out, and all fields that are given have to fit."""

    policy_name: Annotated[Name | None, Field(description=NAME_RULE)] = None
    paused: Annotated[bool | None, Field(description="True or False")] = None
    last_outcome: Annotated[Annotated[str, one_of(OUTCOMES)] | None, Field(description=_OUTCOME_RULE)] = None
    overdue: Annotated[bool | None, Field(description="True or False")] = None
    prefix: Annotated[Name | None, Field(description=NAME_RULE)] = None

    def given(self) -> dict[str, Any]:
        """Return the fields that are given, by name."""
        return self.model_dump(include=set(JobFilter.model_fields), exclude_none=True)


class ListJobs(JobFilter):
    """The arguments of list_jobs: a filter, and the place of a page in the list."""

    limit: Annotated[int, Field(ge=1, le=MOST_LISTED, description="a whole number of jobs from 1 to 1000")] = 100
    after: Annotated[
        Annotated[str, Field(max_length=1_000_000)] | None,
        Field(description="the `next` of a list_jobs with the same filters"),
    ] = None
