"""Attempts of the restic activity, as tests make them."""

import json
from collections.abc import Awaitable
from typing import Any

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.attempts import Tell
from activities.restic.backup import ResticBackup
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.restic import ResticPolicy
from backup_scheduler.runs.results import BackupReport
from backup_scheduler.runs.task import BackupTask
from tests.support.attempts import attempt_of, told
from tests.support.backup_requests import a_task
from tests.support.restic_repository import Restic


async def made(
    policy: ResticPolicy,
    task: BackupTask | None = None,
    environment: ActivityEnvironment | None = None,
    tell: Tell = told,
) -> BackupReport:
    """Return the report of an attempt, by default the first one of its run."""
    running: Awaitable[BackupReport] = (environment or attempt_of()).run(
        ResticBackup(Policies({"nightly": policy}), tell=tell).restic_backup, task or a_task()
    )
    return await running


async def refused(
    policy: ResticPolicy,
    task: BackupTask | None = None,
    environment: ActivityEnvironment | None = None,
    tell: Tell = told,
) -> ApplicationError:
    """Return the failure of an attempt."""
    with pytest.raises(ApplicationError) as caught:
        await made(policy, task, environment, tell)
    return caught.value


async def snapshots(restic: Restic) -> list[dict[str, Any]]:
    """Return the snapshots that restic lists."""
    listed: list[dict[str, Any]] = json.loads(await restic("snapshots", "--json", "--no-lock"))
    return listed
