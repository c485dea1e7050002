"""The runs of a soak: those in Temporal's records, and those that there have to be."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowExecution, WorkflowExecutionStatus
from temporalio.common import SearchAttributeKey

from lab.parts.answers import Terms
from lab.soak.job import Job, Trigger
from lab.soak.looks import CANCELLED, GOOD, End, Ends
from lab.soak.target import Form
from lab.soak.timed import TERMS, TimedSchedule

BACKUP: Final = "BackupWorkflow"
_OTHERS: Final = ("LookAfterJobsWorkflow", "MakeRepositoryWorkflow", "ResumeJobsWorkflow")
"""Workflows of the system's own that a soak may see."""

_AT_ONCE = 10
"""Questions to Temporal in flight."""

_SCHEDULED_BY: Final = SearchAttributeKey.for_keyword("TemporalScheduledById")
_OUTCOME: Final = SearchAttributeKey.for_keyword("BackupOutcome")


def form_of(terms: Terms) -> Form:
    """Return the fields that a backup service has to be sent for a job with these terms (docs/api.md#a-job)."""
    fields = {"policy_name": terms.policy_name}
    if terms.revision is not None:
        fields["revision"] = str(terms.revision)
    return tuple(sorted(fields.items()))


@dataclass(frozen=True)
class Run:
    """A run in Temporal's records."""

    workflow_id: str
    """A job and the nominal time of an occurrence."""
    run_id: str
    schedule: str | None
    """Schedule that started it."""
    start: datetime
    close: datetime | None = None
    """None: it is under way."""
    status: str = WorkflowExecutionStatus.COMPLETED.name
    outcome: str | None = "completed"
    kind: str = BACKUP
    """Workflow type."""

    @classmethod
    def of(cls, found: WorkflowExecution) -> "Run":
        """Take over what Temporal lists."""
        return cls(
            workflow_id=found.id,
            run_id=found.run_id,
            schedule=found.typed_search_attributes.get(_SCHEDULED_BY),
            start=found.start_time,
            close=found.close_time,
            status=found.status.name if found.status else "unknown",
            outcome=found.typed_search_attributes.get(_OUTCOME),
            kind=found.workflow_type,
        )

    @property
    def is_open(self) -> bool:
        """Whether it is under way."""
        return self.status == WorkflowExecutionStatus.RUNNING.name

    @property
    def key(self) -> str:
        """Name under which its backups are made (docs/design.md, decision 16)."""
        return f"{self.workflow_id}~{self.run_id}"

    @property
    def is_cancelled(self) -> bool:
        """Whether it was cancelled, and ended for that."""
        return self.status == WorkflowExecutionStatus.CANCELED.name

    def fault(self, end: End | None = None) -> str | None:
        """Return how it did not end as it has to: with a backup, unless `end` was done to it."""
        has_outcome = self.status == WorkflowExecutionStatus.COMPLETED.name
        outcome = CANCELLED if self.is_cancelled else self.outcome if has_outcome else None
        if outcome in (end.outcomes if end else GOOD):
            return None
        return f"{self.workflow_id} {self.run_id}: {self.status}, {self.outcome}"

    @property
    def seconds(self) -> float | None:
        """Time from its nominal time to its end; None while it is under way."""
        if self.close is None:
            return None
        return (self.close - datetime.fromisoformat(self.workflow_id[-20:])).total_seconds()


async def read_runs(client: Client) -> list[Run]:
    """Read everything that ran but for the system's own workflows; the server's own ones are not listed."""
    found = [Run.of(run) async for run in client.list_workflows()]
    return [run for run in found if run.kind not in _OTHERS]


@dataclass(frozen=True)
class Wanted:
    """A run that has to be there."""

    schedule: str
    certain: bool
    """Else it may be there or not."""
    forms: frozenset[Form]
    """Fields that a backup service may be sent for it."""
    end: End | None = None
    """What was done to end it."""


def wanted_due(timed: Iterable[TimedSchedule]) -> dict[str, Wanted]:
    """Return the runs that come due by themselves, by workflow id."""
    forms = frozenset({form_of(TERMS)})
    return {
        workflow_id: Wanted(each.scheduler_id, certain, forms)
        for each in timed
        for certain, ids in ((True, each.due()), (False, each.open()))
        for workflow_id in ids
    }


def wanted_triggered(jobs: Iterable[Job], ends: Ends) -> dict[str, Wanted]:
    """Return the runs that were triggered, by workflow id: certain are those whose trigger Temporal took."""

    def wanted(job: Job, trigger: Trigger) -> Wanted:
        forms = frozenset(map(form_of, trigger.terms))
        return Wanted(job.scheduler_id, trigger.confirmed, forms, ends.get(trigger.run))

    return {each.run: wanted(job, each) for job in jobs for each in job.triggers if not each.refused}


async def wrong_histories(client: Client, runs: Iterable[Run]) -> list[str]:
    """Compare the runs, which were read from the index, with their histories; return the differences."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def look(run: Run) -> str | None:
        async with places:
            history = await client.get_workflow_handle(run.workflow_id, run_id=run.run_id).fetch_history()
        return history_fault(run, EventType.Name(history.events[-1].event_type))

    return [fault for fault in await asyncio.gather(*map(look, runs)) if fault]


def history_fault(run: Run, last_event: str) -> str | None:
    """Return how the index differs from the last event (by its name in the API) of a run's history."""
    wanted = f"EVENT_TYPE_WORKFLOW_EXECUTION_{run.status}"
    return None if run.is_open or last_event == wanted else f"{run.key}: {run.status} in the index, {last_event} last"


def by_schedule(runs: Iterable[Run]) -> Mapping[str | None, list[Run]]:
    """Return the runs of each schedule."""
    found: defaultdict[str | None, list[Run]] = defaultdict(list)
    for run in runs:
        found[run.schedule].append(run)
    return found
