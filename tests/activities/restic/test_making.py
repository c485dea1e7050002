"""The activity that makes a repository, when it does not come to that; no repository is made here."""

import asyncio
import os
from datetime import timedelta
from pathlib import Path

import pytest
from temporalio.activity import ActivityCancellationDetails
from temporalio.exceptions import ApplicationError

from activities.paths import PathProbe
from activities.restic import repositories
from activities.restic.repositories import RepositoryMaker
from backup_scheduler.policies.file import ListedPolicy, Policies
from backup_scheduler.policies.http import HttpPolicy
from lab.parts.waiting import eventually_async
from tests.support.attempts import attempt_of
from tests.support.restic_repository import Restic

LONG = '#!/bin/sh\ntouch "$(dirname "$0")/begun"\nexec sleep 60\n'


@pytest.fixture
def place(tmp_path: Path) -> Restic:
    return Restic(tmp_path)


async def refused(policy: ListedPolicy, probe: PathProbe | None = None) -> tuple[str, bool]:
    maker = RepositoryMaker(Policies({"nightly": policy}), probe or PathProbe())
    with pytest.raises(ApplicationError) as caught:
        await attempt_of().run(maker.make_repository, "nightly")
    return caught.value.message, caught.value.non_retryable


async def test_a_policy_of_another_type_makes_no_repository() -> None:
    policy = HttpPolicy.model_validate({"type": "http", "url": "http://h/"})
    assert await refused(policy) == ("the policy 'nightly' is not of type restic any more", True)


async def test_a_location_that_cannot_be_read_is_named(place: Restic) -> None:
    none = place.folder / "none"
    assert await refused(place.policy(repository=None, repository_file=none)) == (
        f"the repository cannot be made: {none}: No such file or directory",
        True,
    )


async def test_a_location_that_hangs_is_tried_again(place: Restic) -> None:
    pipe = place.folder / "pipe"
    os.mkfifo(pipe)
    probe = PathProbe(limit=timedelta(milliseconds=200))
    try:
        assert await refused(place.policy(repository=None, repository_file=pipe), probe) == (
            f"the path {pipe} does not answer (a network file system that hangs?)",
            False,
        )
    finally:
        os.close(os.open(pipe, os.O_WRONLY))  # lets the probe's thread go


@pytest.mark.programs
async def test_a_repository_that_takes_too_long_is_tried_again(place: Restic, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repositories, "TIME_TO_MAKE", timedelta(milliseconds=500))
    monkeypatch.setenv("PATH", place.path_with(LONG))
    assert await refused(place.policy()) == ("the repository could not be made within 0:00:00.500000", False)


@pytest.mark.programs
@pytest.mark.parametrize("stopped", [True, False])
async def test_a_worker_that_stops_leaves_the_repository_to_another_one(
    place: Restic, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    monkeypatch.setenv("PATH", place.path_with(LONG))
    environment = attempt_of()
    maker = RepositoryMaker(Policies({"nightly": place.policy()}), PathProbe())
    running = asyncio.create_task(environment.run(maker.make_repository, "nightly"))

    async def begun() -> bool:
        return (place.folder / "bin" / "begun").exists()

    await eventually_async(begun)
    environment.cancel(ActivityCancellationDetails(worker_shutdown=stopped, cancel_requested=not stopped))
    if stopped:
        with pytest.raises(ApplicationError, match="the worker was stopped while it made the repository") as caught:
            await running
        assert not caught.value.non_retryable
    else:
        with pytest.raises(asyncio.CancelledError):
            await running
