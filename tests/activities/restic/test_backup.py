"""The restic activity with real restic and real repositories."""

import asyncio
import os
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.client import Client
from temporalio.exceptions import ApplicationError

from activities.attempts import Progress
from activities.restic import commands
from backup_scheduler.runs.results import Outcome
from lab.parts.waiting import eventually_async
from tests.support.attempts import attempt_of
from tests.support.backup_requests import a_task
from tests.support.restic_attempts import made, refused, snapshots
from tests.support.restic_repository import Restic
from tests.support.workers import worker_with


@pytest.fixture
def _slow(monkeypatch: pytest.MonkeyPatch, restic: Restic) -> None:
    monkeypatch.setenv("PATH", restic.slow_path())


async def test_the_first_attempt_makes_repository_and_snapshot_and_the_second_finds_it(
    new_restic: Restic,
) -> None:
    first = await made(new_restic.policy())
    assert first.outcome is Outcome.COMPLETED
    assert (first.files, first.bytes_processed) == (2, 9)
    assert first.snapshot_id
    assert "the repository was made on this first use" in first.message
    second = await made(new_restic.policy(), environment=attempt_of(2))
    assert second.outcome is Outcome.COMPLETED_WITH_WARNINGS  # nobody knows whether the lost attempt read all
    assert "in an earlier attempt of this run" in second.message
    (snapshot,) = await snapshots(new_restic)
    assert snapshot["short_id"] == first.snapshot_id == second.snapshot_id
    assert (await new_restic("check")).strip().endswith("no errors were found")


async def test_what_was_backed_up_can_be_restored(restic: Restic, tmp_path: Path) -> None:
    await made(restic.policy(exclude=["two*"]))
    await restic("restore", "latest", "--target", str(tmp_path / "restored"))
    restored = tmp_path / "restored" / restic.source.relative_to("/")
    assert [(path.name, path.read_text()) for path in restored.iterdir()] == [("one.txt", "one")]


async def test_tags_with_odd_characters_stay_one_tag_each(restic: Restic) -> None:
    task = a_task(scheduler_id="a, b=ü'", occurrence="backup-a, b=ü'-2026")
    await made(restic.policy(host="some.host"), task)
    (snapshot,) = await snapshots(restic)
    assert snapshot["hostname"] == "some.host"
    assert snapshot["tags"] == ["run=backup-a%2C%20b%3D%C3%BC%27-2026", "job=a%2C%20b%3D%C3%BC%27", "policy=nightly"]


async def test_unreadable_files_make_a_warning(restic: Restic) -> None:
    unreadable = f"/proc/{os.getpid()}/mem"  # not even root reads it from its beginning
    report = await made(restic.policy(paths=[restic.source, unreadable]))
    assert report.outcome is Outcome.COMPLETED_WITH_WARNINGS
    assert "not everything could be read" in report.message
    assert any(unreadable in warning for warning in report.warnings)
    assert len(await snapshots(restic)) == 1


async def test_workers_that_make_one_repository_at_once_all_succeed(new_restic: Restic) -> None:
    reports = await asyncio.gather(*(made(new_restic.policy(), a_task(occurrence=f"run-{n}")) for n in range(4)))
    assert {report.outcome for report in reports} == {Outcome.COMPLETED}
    assert len(await snapshots(new_restic)) == 4
    assert len(list((new_restic.repository / "keys").iterdir())) == 1


async def test_paths_that_do_not_exist_fail_for_good_and_are_all_named(new_restic: Restic) -> None:
    error = await refused(new_restic.policy(paths=[new_restic.source, "/no/one", "/no/two"]))
    assert (error.message, error.non_retryable) == ("not on the worker's machine: /no/one, /no/two", True)
    assert not new_restic.repository.exists()


async def test_a_password_that_is_wrong_fails_for_good(restic: Restic) -> None:
    restic.password_file.write_text("sesame")
    error = await refused(restic.policy())
    assert error.non_retryable
    assert error.message.startswith("the repository does not open with this password")
    assert "sesame" not in error.message


async def test_a_secret_that_cannot_be_read_fails_for_good(restic: Restic, tmp_path: Path) -> None:
    error = await refused(restic.policy(password_file=tmp_path / "none"))
    sentence = f"the worker cannot read {tmp_path / 'none'}: No such file or directory"
    assert (error.message, error.non_retryable) == (sentence, True)


async def test_location_and_password_may_come_from_a_file_and_a_command(restic: Restic, tmp_path: Path) -> None:
    location = tmp_path / "location"
    location.write_text(f"{restic.repository}\n")
    changes = {"repository": None, "repository_file": location, "password_file": None}
    report = await made(restic.policy(**changes, password_command=f"cat {restic.password_file}"))
    assert report.outcome is Outcome.COMPLETED


async def test_a_repository_that_is_damaged_fails_for_good(restic: Restic) -> None:
    config = restic.repository / "config"
    config.chmod(0o600)
    config.write_bytes(config.read_bytes()[::-1])
    error = await refused(restic.policy())
    assert error.non_retryable
    assert error.message.startswith("the repository is damaged")


async def test_a_repository_without_its_config_is_not_made_anew_over_its_data(restic: Restic) -> None:
    await made(restic.policy())
    (restic.repository / "config").unlink()
    before = sorted(restic.repository.rglob("*"))
    error = await refused(restic.policy())
    assert error.non_retryable
    assert error.message == f"the repository is damaged: {restic.repository} holds data but no config file"
    assert sorted(restic.repository.rglob("*")) == before


async def test_what_an_init_that_was_killed_left_is_made_a_repository(restic: Restic) -> None:
    (restic.repository / "config").unlink()  # init writes it last
    (key,) = (restic.repository / "keys").iterdir()
    os.utime(key, (0, 0))
    report = await made(restic.policy())
    assert report.outcome is Outcome.COMPLETED
    assert len(list((restic.repository / "keys").iterdir())) == 1


async def test_a_repository_that_cannot_be_made_fails_for_good(new_restic: Restic) -> None:
    error = await refused(new_restic.policy(repository="/proc/repository"))
    assert error.non_retryable
    assert error.message == "the repository cannot be made: /proc/repository: No such file or directory"


async def test_a_location_that_cannot_be_reached_is_tried_again_without_its_credentials(
    temporal: Client, restic: Restic, tmp_path: Path
) -> None:
    location = tmp_path / "location"
    location.write_text("rest:http://user:sesame@127.0.0.1:9/")
    policy = restic.policy(repository=None, repository_file=location)
    async with worker_with(temporal, {"nightly": policy}) as runs:
        error = await refused(policy, environment=attempt_of(client=temporal, task_queue=runs.task_queue))
    assert not error.non_retryable
    assert "127.0.0.1:9" in error.message
    assert "sesame" not in error.message


@pytest.mark.usefixtures("_slow")
@pytest.mark.parametrize(
    ("details", "error"),
    [
        (ActivityCancellationDetails(cancel_requested=True), asyncio.CancelledError),
        (ActivityCancellationDetails(worker_shutdown=True), ApplicationError),
    ],
)
async def test_a_backup_that_is_stopped_is_gone_with_its_lock_and_showed_its_progress(
    restic: Restic, details: ActivityCancellationDetails, error: type[BaseException]
) -> None:
    environment = attempt_of()
    beats: list[Progress] = []
    environment.on_heartbeat = lambda progress, *_: beats.append(progress)
    restic.fill(60)
    running = asyncio.create_task(made(restic.policy(), environment=environment))

    async def half_way() -> bool:
        return any(beat.bytes_done for beat in beats)

    await eventually_async(half_way)
    environment.cancel(details)
    with pytest.raises(error):
        await running
    assert restic.locks() == []
    assert await snapshots(restic) == []
    assert not [child for child in psutil.Process().children() if "restic" in child.name()]
    measured = [beat for beat in beats if beat.bytes_done]
    assert measured[-1].step == "backing up"
    assert measured[-1].bytes_total
    assert 0 < (measured[-1].percent or 0) <= 100  # of what was read, which is ahead of what was uploaded


@pytest.mark.usefixtures("_slow")
async def test_a_lock_that_restic_leaves_when_it_is_stopped_is_removed(
    restic: Restic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "STOP_TIME", timedelta(0))  # it is killed before it can remove its lock
    restic.fill(60)
    environment = attempt_of()
    running = asyncio.create_task(made(restic.policy(), environment=environment))

    async def locked() -> bool:
        return bool(restic.locks()) and any((restic.repository / "data").rglob("*-tmp-*"))

    await eventually_async(locked)
    environment.cancel(ActivityCancellationDetails(cancel_requested=True))
    with pytest.raises(asyncio.CancelledError):
        await running
    assert restic.locks() == []


@pytest.mark.usefixtures("_slow")
async def test_a_backup_ends_by_itself_when_its_time_is_up_counted_from_the_first_attempt(restic: Restic) -> None:
    environment = attempt_of(2)
    earlier = environment.info.scheduled_time - timedelta(seconds=96)
    environment.info = replace(environment.info, scheduled_time=earlier)
    restic.fill(60)
    policy = restic.policy(timeout=100)
    with pytest.raises(ApplicationError, match="the backup did not end within its time limit of 100 s") as caught:
        await made(policy, environment=environment)
    assert caught.value.non_retryable
    assert restic.locks() == []
