"""One pass over all jobs: keeps them at their wall-clock start_time, and reports runs that Temporal has dropped."""

from datetime import timedelta
from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

with workflow.unsafe.imports_passed_through():
    from activities.all_jobs import AllJobs, Pass
    from backup_scheduler.jobs import names
    from workflows import counters

PASS_RETRIES: Final = RetryPolicy(
    initial_interval=timedelta(seconds=5), maximum_interval=timedelta(minutes=1), maximum_attempts=5
)
"""A pass may fail: the next one, an hour later, does all that is left to do."""

LONGEST_WAIT: Final = timedelta(minutes=5)
"""Longest wait for a worker. Every worker has a place for a pass (worker.py), so a longer wait is a fault to report."""


@workflow.defn(name=names.SYSTEM_WORKFLOW)
class LookAfterJobsWorkflow:
    """Moves jobs whose next run is off their start_time after a clock change, and adds up lost runs."""

    @workflow.run
    async def run(self) -> Pass:
        """Check every job once; the result names the jobs that were moved or lost runs."""
        try:
            return await workflow.execute_activity_method(
                AllJobs.look_after,
                task_queue=names.housekeeping_queue(workflow.info().task_queue),
                schedule_to_start_timeout=LONGEST_WAIT,
                start_to_close_timeout=timedelta(minutes=50),
                schedule_to_close_timeout=timedelta(minutes=55),
                heartbeat_timeout=timedelta(seconds=60),
                retry_policy=PASS_RETRIES,
            )
        except ActivityError as error:
            workflow.logger.error("pass over all jobs given up", extra={"reason": str(error.cause)})
            counters.pass_given_up()
            raise
