"""Attempts of the http activity, as tests make them."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.http.backup import HttpBackup
from backup_scheduler.policies.file import Policies
from backup_scheduler.policies.http import HttpPolicy, HttpTarget
from backup_scheduler.runs.results import BackupReport, BegunBackup
from backup_scheduler.runs.task import BackupTask, PollTask
from lab.parts.backup_service import Answer, BackupService, answering
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_task

STATES: dict[str, Any] = {"completion": "poll", "state": "/state", "done": ["ok"], "failed": ["bad"], "message": "/why"}
ACCEPTED = answering(202, headers={"Location": "/jobs/7"})


def says(state: str | None, **more: Any) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response({"state": state, **more})

    return answer


async def made(policy: HttpTarget, task: BackupTask | None = None) -> BackupReport:
    running: Awaitable[BackupReport] = attempt_of().run(
        HttpBackup(Policies(fallback=policy)).http_backup, task or a_task()
    )
    return await running


async def refused(policy: HttpTarget) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await made(policy)
    return caught.value


async def begun(policy: HttpPolicy, task: BackupTask | None = None) -> BegunBackup:
    """Ask for a backup that ends later."""
    running: Awaitable[BegunBackup] = attempt_of().run(
        HttpBackup(Policies({"nightly": policy})).http_begin, task or a_task()
    )
    return await running


async def ended(
    policy: HttpPolicy, backup: BegunBackup, limit: float = 30, environment: ActivityEnvironment | None = None
) -> BackupReport:
    """Wait for the end of a backup; `limit` is in seconds."""
    task = PollTask(**dict(a_task()), begun=backup, limit=timedelta(seconds=limit))
    running: Awaitable[BackupReport] = (environment or attempt_of()).run(
        HttpBackup(Policies({"nightly": policy})).http_poll, task
    )
    return await running


def later(target: BackupService, **changes: Any) -> HttpPolicy:
    return target.policy(**STATES | {"poll_every": 0.05} | changes)
