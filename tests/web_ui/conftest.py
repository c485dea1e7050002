"""A stack with policies of both engines, and a browser that looks at its Web UI."""

import os
import re
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import BrowserContext
from temporalio.client import Client

from devstack.running import StackInfo, running_stack
from lab.parts.backup_service import BackupService
from lab.parts.clients import client_of
from tests.support.calls import Caller, calling
from tests.support.policy_files import write_policies
from tests.support.restic_repository import Restic
from tests.support.rpc_processes import ZONE
from tests.support.web_ui import CALLER, WebUi, chromium

SLOW = "archive"
"""Name of the folder that restic backs up slowly."""

_RESTIC = f"""#!/bin/sh
case "$*" in
backup*{SLOW}*) exec {{restic}} --limit-upload 3000 --pack-size 4 "$@";; # KiB a second
*) exec {{restic}} "$@";;
esac
"""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("web_ui")


@pytest.fixture(scope="session")
def policies(folder: Path, made_repository: Path, backup_endpoint: BackupService) -> Path:
    """A policy file: `documents` is quick, `archive` takes more than a minute, `database` asks the backup service."""
    restic = Restic(folder)
    shutil.copytree(made_repository, restic.repository)
    for number in range(200):
        (restic.source / f"{number}.txt").write_bytes(os.urandom(20_000))
    archive = folder / SLOW
    archive.mkdir()
    for number in range(250):
        (archive / f"{number}.bin").write_bytes(os.urandom(1_000_000))
    return write_policies(
        folder / "policies.toml",
        {
            "documents": restic.terms(),
            "archive": {**restic.terms(), "paths": [str(archive)]},
            "database": {"type": "http", "url": f"{backup_endpoint.url}/backup"},
        },
    )


@pytest.fixture(scope="session")
def stack(folder: Path, policies: Path) -> Iterator[StackInfo]:
    restic = folder / "bin" / "restic"
    restic.parent.mkdir()
    restic.write_text(_RESTIC.format(restic=shutil.which("restic")))
    restic.chmod(0o755)
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("SCHEDULER_", "AMQP_"))}
    environ |= {
        "SCHEDULER_TIMEZONE": ZONE,
        "SCHEDULER_POLICIES": str(policies),
        "SCHEDULER_LOG_FORMAT": "json",
        "PATH": f"{restic.parent}{os.pathsep}{environ['PATH']}",
    }
    with running_stack(folder / "state", environ) as info:
        yield info


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def temporal(stack: StackInfo) -> Client:
    return await client_of(stack)


@pytest.fixture(scope="session")
def call(stack: StackInfo) -> Iterator[Caller]:
    with calling(stack.amqp_uri, {"caller": CALLER}) as caller:
        yield caller


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[BrowserContext]:
    async with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def shown_as(folder: Path) -> dict[str, str]:
    """Patterns of texts of this machine, and what pictures have in their place."""
    return {
        re.escape(str(folder)): "/srv",
        rf"\b{re.escape(socket.gethostname())}\b": "backup-1",
        Path("/proc/sys/kernel/random/boot_id").read_text().strip(): "0" * 8,
    }


@pytest.fixture
async def ui(
    browser: BrowserContext, stack: StackInfo, shown_as: dict[str, str], pytestconfig: pytest.Config
) -> AsyncIterator[WebUi]:
    """The Web UI in a window of its own."""
    pictures: Path | None = pytestconfig.getoption("--screenshots")
    page = await browser.new_page()
    yield WebUi(page, stack, pictures, shown_as)
    await page.close()
