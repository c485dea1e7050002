"""The activity that finds out what started a run. A run does not learn this from its own history."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfoNotFoundError

from pydantic import BaseModel
from temporalio import activity
from temporalio.api.schedule.v1 import ScheduleActionResult
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.names import run_id
from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.timing import nearest_start
from backup_scheduler.runs.asked import Asked, StartedBy
from backup_scheduler.temporal.asked_runs import who_asked
from backup_scheduler.temporal.stored_jobs import describe_schedule

_PROMPT: Final = timedelta(minutes=1)
"""A run that came due starts this soon after its own time, unless it waited."""


class Occurrence(BaseModel):
    """A run that has started."""

    schedule_id: str
    request: BackupRequest
    nominal: datetime
    started: datetime

    @property
    def is_due(self) -> bool:
        """Whether the terms of the job have a run at its nominal time."""
        terms = self.request
        try:
            right = nearest_start(terms.anchor, terms.days, terms.wall_time, terms.zone, self.nominal)
        except ZoneInfoNotFoundError:  # this machine knows other zones
            return False
        return right == self.nominal

    def came_due(self, started: Sequence[ScheduleActionResult]) -> bool:
        """Return whether the last runs that the schedule started show that this one came due.

        The time of a run that came due is its own, within the window; that of a run which somebody asked for is the
        nominal time (docs/temporal-facts.md#the-time-of-a-trigger-has-no-jitter). Where there is no window they are
        the same.
        """
        terms, name = self.request, run_id(self.schedule_id, self.nominal)
        mine = next((each for each in reversed(started) if each.start_workflow_result.workflow_id == name), None)
        if mine is None:
            return False
        own = mine.schedule_time.ToDatetime(UTC)
        is_prompt = self.started <= own + min(_PROMPT, terms.catch_up_window)  # later it is missed, unless asked for
        return is_prompt and (own != self.nominal if terms.window else self.is_due)


class RunOrigin:
    """Asks through the worker's own client."""

    @activity.defn
    async def asked_for(self, run: Occurrence) -> Asked:
        """Return who asked for a run; a run that nobody is found to have asked for came due. Raises RPCError.

        Only the schedule's long history tells that, so it is read where a description leaves it open.
        """
        try:
            described = await describe_schedule(activity.client(), run.schedule_id)
            if not run.came_due(described.info.recent_actions):
                return await who_asked(activity.client(), run.schedule_id, run.nominal, run.started)
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:  # else the job was removed meanwhile
                raise
        return Asked(by=StartedBy.SCHEDULE)
