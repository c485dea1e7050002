"""How repositories are made: one at a time, and never over anything that restic did not make."""

import asyncio
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.client import Client

from activities.restic import repositories
from activities.restic.repositories import digest
from backup_scheduler.jobs import names
from backup_scheduler.runs.results import Outcome
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_request
from tests.support.restic_attempts import made, refused
from tests.support.restic_repository import Restic
from tests.support.workers import worker_with

SSH = "#!/bin/sh\nexec /usr/lib/openssh/sftp-server\n"
"""An ssh that takes this machine for the other one."""


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in sorted(folder.rglob("*"))}


@pytest.fixture
def half_made(restic: Restic) -> Restic:
    """Files of an init that was killed before it wrote its config."""
    (restic.repository / "config").unlink()
    (key,) = (restic.repository / "keys").iterdir()
    os.utime(key, (0, 0))
    return restic


@pytest.mark.parametrize("name", ["keys/server.pem", f"keys/{'a' * 64}", "readme.txt", "projects/a/b", "locks/mine"])
@pytest.mark.parametrize("beside_a_key", [False, True], ids=["alone", "beside a key of restic"])
async def test_a_folder_with_things_that_are_not_restics_is_refused_and_left_as_it_is(
    half_made: Restic, new_restic: Restic, name: str, beside_a_key: bool
) -> None:
    restic = half_made
    if not beside_a_key:
        next((restic.repository / "keys").iterdir()).unlink()
    thing = restic.repository / name
    thing.parent.mkdir(parents=True, exist_ok=True)
    thing.write_text('{"kdf": "scrypt"}')
    before = tree(restic.repository)
    error = await refused(restic.policy())
    assert error.non_retryable
    assert error.message.startswith(f"the folder {restic.repository} is no restic repository and holds other things (")
    assert name.partition("/a")[0] in error.message
    assert tree(restic.repository) == before


async def test_a_key_that_was_made_just_now_is_left_to_whoever_makes_the_repository(half_made: Restic) -> None:
    (key,) = (half_made.repository / "keys").iterdir()
    os.utime(key, (time.time(), time.time()))
    before = tree(half_made.repository)
    error = await refused(half_made.policy())
    assert not error.non_retryable
    assert "is just being made by another process" in error.message
    assert tree(half_made.repository) == before


async def test_a_new_disk_with_its_lost_and_found_takes_a_repository(new_restic: Restic) -> None:
    (new_restic.repository / "lost+found").mkdir(parents=True)
    assert (await made(new_restic.policy())).outcome is Outcome.COMPLETED


async def test_a_repository_that_was_made_by_two_at_once_is_noticed_before_anything_is_written(
    new_restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Both look before either writes, as two machines do that do not know of each other.
    monkeypatch.setenv(
        "PATH",
        new_restic.path_with(
            '#!/bin/sh\nPATH="${PATH#*:}"\n'
            '[ "$1" != init ] || { restic init & restic init; wait; exit 0; }\nexec restic "$@"\n'
        ),
    )
    for _ in range(5):  # whether they meet is a matter of milliseconds
        error = await refused(new_restic.policy())
        if len(list((new_restic.repository / "keys").iterdir())) == 2:
            break
        (new_restic.repository / "config").unlink()
    assert error.non_retryable
    assert "was made by two at once or over an unfinished one" in error.message
    assert not any((new_restic.repository / "snapshots").iterdir())


@pytest.fixture
def _sftp(new_restic: Restic, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    ssh = new_restic.folder / "ssh" / "ssh"
    ssh.parent.mkdir()
    ssh.write_text(SSH)
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{ssh.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(repositories, "_INIT_TIME", repositories._INIT_TIME / 10)
    return iter((None,))


async def another(client: Client) -> Client:
    """Connect once more, as another process does: one client has one worker for a task queue."""
    return await Client.connect(client.service_client.config.target_host, data_converter=client.data_converter)


@pytest.mark.usefixtures("_sftp")
async def test_first_runs_at_once_on_many_remote_repositories_make_each_one_once(
    temporal: Client, new_restic: Restic
) -> None:
    remote = [new_restic.folder / f"remote-{number}" for number in range(3)]
    policies = {
        f"{place.name}-{twin}": new_restic.policy(repository=f"sftp:other.host:{place}{'/' * twin}")
        for place in remote
        for twin in range(2)
    }
    queue = f"queue-{names.bounded(new_restic.folder.name)}-{time.monotonic_ns()}"
    async with (
        worker_with(await another(temporal), policies, task_queue=queue, max_backups=1),
        worker_with(await another(temporal), policies, task_queue=queue, max_backups=1),
        worker_with(temporal, policies, task_queue=queue) as runs,
    ):
        handles = [await runs.start(a_request(scheduler_id=name, policy_name=name)) for name in policies]
        results = await asyncio.gather(*(handle.result() for handle in handles))
    assert {result.outcome for result in results} == {Outcome.COMPLETED}
    for place in remote:
        assert len(list((place / "keys").iterdir())) == 1
        new_restic.repository = place
        assert (await new_restic("snapshots", "--json", "--no-lock")).count('"short_id"') == 2


@pytest.mark.usefixtures("_sftp")
async def test_the_only_place_for_a_backup_is_enough_to_make_its_repository(
    temporal: Client, new_restic: Restic
) -> None:
    policy = new_restic.policy(repository=f"sftp:other.host:{new_restic.repository}")
    async with worker_with(temporal, {"nightly": policy}, max_backups=1) as runs:
        result = await (await runs.start(a_request())).result()
    assert result.outcome is Outcome.COMPLETED
    assert "the repository was made on this first use" in result.message


@pytest.mark.usefixtures("_sftp")
async def test_a_remote_repository_over_an_unfinished_one_fails_for_good(temporal: Client, half_made: Restic) -> None:
    policy = half_made.policy(repository=f"sftp:other.host:{half_made.repository}")
    async with worker_with(temporal, {"nightly": policy}) as runs:
        error = await refused(policy, environment=attempt_of(client=temporal, task_queue=runs.task_queue))
    assert error.non_retryable
    assert "was made by two at once or over an unfinished one" in error.message
    assert not any((half_made.repository / "snapshots").iterdir())


def test_a_location_has_one_digest_however_it_is_written_and_whoever_asks() -> None:
    assert digest("rest:http://user:sesame@host/a/") == digest("rest:http://host/a") != digest("rest:http://host/b")
    assert digest("local:/srv/../srv/a/") == digest("/srv/a")
    assert digest("sftp:host:/a") != digest("/a")
