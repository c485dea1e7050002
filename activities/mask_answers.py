"""Masks secrets in the reports of backups: a backup service may quote the request, secrets included, in its answer."""

from typing import Any

from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from backup_scheduler.masking import without_known
from backup_scheduler.runs.results import BackupReport


class MaskAnswers(Interceptor):
    """Masks known secrets in the reports of backups before Temporal stores them in the history of the run."""

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Mask the result of each activity."""
        return _Masking(super().intercept_activity(next))


class _Masking(ActivityInboundInterceptor):
    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        returned = await super().execute_activity(input)
        if isinstance(returned, BackupReport):
            return type(returned).model_validate(_masked(returned.model_dump(mode="json")))
        return returned


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return without_known(value)
    if isinstance(value, list):
        return [_masked(each) for each in value]
    if isinstance(value, dict):
        return {without_known(name): _masked(each) for name, each in value.items()}
    return value
