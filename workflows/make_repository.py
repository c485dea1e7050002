"""Makes a repository that many runs need at once: the workflow id names the repository, so one at a time makes it."""

from typing import Final

from temporalio import workflow
from temporalio.common import RetryPolicy

with workflow.unsafe.imports_passed_through():
    from activities.restic.backup import TIME_TO_STOP
    from activities.restic.repositories import TIME_TO_MAKE, RepositoryMaker
    from backup_scheduler.jobs import names

ONCE: Final = RetryPolicy(maximum_attempts=1)
"""A failure goes to the runs that wait; their next attempts start this workflow again."""


@workflow.defn(name=names.REPOSITORY_WORKFLOW)
class MakeRepositoryWorkflow:
    """Makes the repository of a policy; runs that need it start this workflow, or join the one that is under way."""

    @workflow.run
    async def run(self, policy_name: str) -> None:
        """Make the repository, unless it exists meanwhile."""
        # A local activity does not count as a backup: the run that waits may have the worker's last place for one.
        await workflow.execute_local_activity_method(
            RepositoryMaker.make_repository,
            policy_name,
            start_to_close_timeout=TIME_TO_MAKE + TIME_TO_STOP,
            retry_policy=ONCE,
        )
