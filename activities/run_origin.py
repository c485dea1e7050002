"""The activity that finds out what started a run. A run does not learn this from its own history."""

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfoNotFoundError

from pydantic import BaseModel
from temporalio import activity
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.request import BackupRequest
from backup_scheduler.jobs.timing import nearest_start
from backup_scheduler.runs.asked import Asked, StartedBy
from backup_scheduler.temporal.asked_runs import who_asked

_PROMPT: Final = timedelta(minutes=5)
"""A run that came due starts this soon after its window, unless it waited."""


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


class RunOrigin:
    """Asks through the worker's own client."""

    @activity.defn
    async def asked_for(self, run: Occurrence) -> Asked:
        """Return who asked for a run; a run that nobody is found to have asked for came due. Raises RPCError.

        Only the schedule's history tells that, so Temporal is not asked about a run that starts in its window.
        """
        came_due = Asked(by=StartedBy.SCHEDULE)
        promptly = min(_PROMPT, run.request.catch_up_window)  # later it is missed, unless somebody asked for it
        if run.is_due and run.started <= run.nominal + run.request.window + promptly:
            return came_due
        try:
            return await who_asked(activity.client(), run.schedule_id, run.nominal, run.started)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:  # the job was removed meanwhile
                return came_due
            raise
