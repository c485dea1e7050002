"""A worker that may not read everything: it says which file it is, and so does a run."""

import asyncio
import os
import uuid
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from backup_scheduler.runs.results import Outcome
from lab.parts.backup_service import BackupService, answering
from tests.support.backup_requests import a_request
from tests.support.policy_files import write_policies
from tests.support.restic_repository import Restic
from tests.support.workers import Runs, line_with, worker_process
from tests.support.workflow_runs import failure

pytestmark = pytest.mark.programs

NOBODY = 65534
WITHOUT_PRIVILEGES = ("setpriv", "--bounding-set=-all", "--inh-caps=-all")
"""Root without capabilities: to files of others it is a user like any other, and it may run this Python."""


@pytest.fixture
def closed(tmp_path: Path) -> Path:
    """A folder of another user, whom alone it lets in, with a file."""
    folder = tmp_path / "closed"
    folder.mkdir()
    (folder / "file").write_text("secret")
    return handed_over(folder)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that only another user may read."""
    file = tmp_path / "secret"
    file.write_text("secret")
    return handed_over(file)


def handed_over(path: Path) -> Path:
    """Give a file or folder to another user, for whom alone it is."""
    for each in (path, *path.rglob("*")):
        os.chown(each, NOBODY, NOBODY)
        each.chmod(0o700 if each.is_dir() else 0o600)
    return path


async def test_a_file_of_settings_that_may_not_be_read_ends_it_with_one_line_and_code_2(
    secret: Path, closed: Path
) -> None:
    wrong = {
        f"the policy file {secret} cannot be read": {"SCHEDULER_POLICIES": str(secret)},
        f"TEMPORAL_CONFIG_FILE: '{closed}/file' cannot be read": {"TEMPORAL_CONFIG_FILE": f"{closed}/file"},
        "Temporal's settings (TEMPORAL_*) cannot be read": {
            "TEMPORAL_TLS_CLIENT_CERT_PATH": __file__,
            "TEMPORAL_TLS_CLIENT_KEY_PATH": str(secret),
        },
    }

    async def outcome(environ: dict[str, str]) -> tuple[int | None, str]:
        async with worker_process(*WITHOUT_PRIVILEGES, **environ) as process:
            _, log = await asyncio.wait_for(process.communicate(), 60)
        return process.returncode, log.decode()

    ended = await asyncio.gather(*map(outcome, wrong.values()))
    for (code, log), sentence in zip(ended, wrong, strict=True):
        assert code == 2, log
        assert log.startswith(f"worker: {sentence}: "), log
        assert "Permission denied" in log
        assert log.count("\n") == 1


async def test_a_run_names_the_file_that_its_worker_may_not_read(
    temporal_server: WorkflowEnvironment, target: BackupService, restic: Restic, secret: Path, closed: Path
) -> None:
    target.answers = [answering(200)]
    theirs = restic.source / "theirs"
    theirs.write_text("secret")
    handed_over(theirs)
    http: dict[str, object] = {"type": "http", "url": target.url}
    files: dict[str, object] = {
        "type": "restic",
        "paths": [str(restic.source)],
        "repository": str(restic.repository),
        "password_file": str(restic.password_file),
        "cache_dir": str(restic.folder / "cache"),
    }
    refusals = {
        "token": (http | {"token_file": str(secret)}, f"the token_file {secret} cannot be read: Permission denied"),
        "password": (files | {"password_file": str(secret)}, f"the worker cannot read {secret}: Permission denied"),
        "source": (files | {"paths": [f"{closed}/file"]}, f"the worker cannot read {closed}/file: Permission denied"),
        "sources": (files | {"paths": [str(closed)]}, "nothing could be saved, snapshot "),
    }
    policies = {name: policy for name, (policy, _) in refusals.items()}
    policies |= {"http": http, "some": files}
    environ = {
        "TEMPORAL_ADDRESS": temporal_server.client.service_client.config.target_host,
        "SCHEDULER_TASK_QUEUE": f"queue-{uuid.uuid4()}",
        "SCHEDULER_POLICIES": str(write_policies(restic.folder / "policies.toml", policies)),
    }
    async with worker_process(*WITHOUT_PRIVILEGES, **environ) as process:
        await line_with(process, '"worker ready"')
        runs = Runs(temporal_server.client, environ["SCHEDULER_TASK_QUEUE"])
        handles = {name: await runs.start(a_request(policy_name=name)) for name in policies}
        async with asyncio.timeout(90):  # and not after hours
            for name, (_, sentence) in refusals.items():
                _, result = await failure(handles[name])
                assert result.message.startswith(sentence), name
        some, asked = await handles["some"].result(), await handles["http"].result()
    assert some.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert some.files == 2
    [warning] = some.warnings
    assert str(theirs) in warning
    assert asked.outcome is Outcome.COMPLETED
    assert len(target.received) == 1  # and none without its token
