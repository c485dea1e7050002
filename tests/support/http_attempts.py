"""Attempts of the http activity, as tests make them."""

from collections.abc import Awaitable

import pytest
from temporalio.exceptions import ApplicationError

from activities.http.backup import HttpBackup
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.http import HttpTarget
from backup_scheduler.runs.results import BackupReport
from backup_scheduler.runs.task import BackupTask
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_task


async def made(policy: HttpTarget, task: BackupTask | None = None) -> BackupReport:
    running: Awaitable[BackupReport] = attempt_of().run(
        HttpBackup(Policies(fallback=policy)).http_backup, task or a_task()
    )
    return await running


async def refused(policy: HttpTarget) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await made(policy)
    return caught.value
