"""One pass over all jobs that keeps them at their wall-clock start_time."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.realign import Realignment, WallClock
    from backup_scheduler import names

REALIGN_RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=1), maximum_attempts=5
)
"""A pass may be given up: the next one, an hour later, does all that it left."""


@workflow.defn(name=names.REALIGN_WORKFLOW)
class RealignWorkflow:
    """Realigns the jobs whose next run a clock change has put off; its result names them."""

    @workflow.run
    async def run(self) -> Realignment:
        """Look at every job once."""
        return await workflow.execute_activity_method(
            WallClock.realign_jobs,
            start_to_close_timeout=timedelta(minutes=50),
            schedule_to_close_timeout=timedelta(minutes=55),
            heartbeat_timeout=timedelta(seconds=60),
            retry_policy=REALIGN_RETRIES,
        )
