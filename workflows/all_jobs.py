"""One pass over all jobs: keeps them at their wall-clock start_time, and reports runs that Temporal has dropped."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.all_jobs import AllJobs, Pass
    from backup_scheduler import names

PASS_RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=1), maximum_attempts=5
)
"""A pass may be given up: the next one, an hour later, does all that it left."""


@workflow.defn(name=names.SYSTEM_WORKFLOW)
class LookAfterJobsWorkflow:
    """Realigns the jobs whose next run a clock change has put off, and adds up lost runs; its result names the jobs."""

    @workflow.run
    async def run(self) -> Pass:
        """Look at every job once."""
        return await workflow.execute_activity_method(
            AllJobs.look_after,
            start_to_close_timeout=timedelta(minutes=50),
            schedule_to_close_timeout=timedelta(minutes=55),
            heartbeat_timeout=timedelta(seconds=60),
            retry_policy=PASS_RETRIES,
        )
