"""Surroundings of an activity's attempt."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pydantic import BaseModel
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment

from activities.restic.backup import TIME_TO_STOP


async def told(_: Sequence[BaseModel]) -> None:
    """Take the details of a heartbeat, as Temporal does of an attempt that counts."""


def attempt_of(number: int = 1, client: Client | None = None, task_queue: str = "none") -> ActivityEnvironment:
    """An activity's surroundings: it was scheduled and taken just now, and has 100 s to back up."""
    environment = ActivityEnvironment(client=client)
    now, limit = datetime.now(UTC), timedelta(seconds=100) + TIME_TO_STOP
    environment.info = replace(
        environment.info,
        attempt=number,
        task_queue=task_queue,
        scheduled_time=now,
        started_time=now,
        start_to_close_timeout=limit,
        schedule_to_close_timeout=limit,
    )
    return environment
