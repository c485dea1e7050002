"""restic's command lines, its environment and its output, without a restic."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from activities.restic.commands import Output, backup_arguments, environment, run, snapshots_of
from backup_scheduler.policies.restic import ResticPolicy
from tests.support.backup_requests import a_task
from tests.support.restic_repository import Restic


def policy(**changes: Any) -> ResticPolicy:
    terms = {"type": "restic", "paths": ["/srv"], "repository": "/r", "password_file": "/pw"}
    return ResticPolicy.model_validate(terms | changes)


def test_restic_gets_the_places_of_the_policys_secrets_and_the_workers_keys_but_none_of_our_secrets() -> None:
    inherited = {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "key",
        "RESTIC_PASSWORD": "of another",
        "RESTIC_PASSWORD_COMMAND": "of another",
        "RESTIC_REPOSITORY_FILE": "of another",
        "RESTIC_COMPRESSION": "max",
        "SCHEDULER_BACKUP_URL": "http://u:p@h/",
        "TEMPORAL_API_KEY": "key",
        "AMQP_URI": "amqp://u:p@h/",
    }
    assert environment(policy(cache_dir="/cache"), inherited) == {
        "PATH": "/bin",
        "AWS_SECRET_ACCESS_KEY": "key",
        "RESTIC_COMPRESSION": "max",
        "RESTIC_REPOSITORY": "/r",
        "RESTIC_PASSWORD_FILE": "/pw",
        "RESTIC_CACHE_DIR": "/cache",
        "RESTIC_PROGRESS_FPS": "1",
    }
    other = policy(repository=None, repository_file="/f", password_file=None, password_command="pass restic")
    assert environment(other, {}) == {
        "RESTIC_REPOSITORY_FILE": "/f",
        "RESTIC_PASSWORD_COMMAND": "pass restic",
        "RESTIC_PROGRESS_FPS": "1",
    }


def test_a_snapshot_has_tags_of_its_run_its_job_and_its_policy() -> None:
    task = a_task("backup-a,b~1", scheduler_id="a/b", policy_name="c d")
    arguments = backup_arguments(policy(exclude=["*.tmp", "/x"]), task, "nas", ["/srv", "-odd"])
    assert arguments == [
        "backup",
        "--json",
        "--host=nas",
        "--tag=run=backup-a%2Cb~1",
        "--tag=job=a%2Fb",
        "--tag=policy=c%20d",
        "--exclude=*.tmp",
        "--exclude=/x",
        "--",
        "/srv",
        "-odd",
    ]
    assert snapshots_of(task) == ["snapshots", "--json", "--tag=run=backup-a%2Cb~1"]


async def read(output: Output, *lines: str) -> None:
    stream = asyncio.StreamReader()
    stream.feed_data("".join(f"{line}\n" for line in lines).encode())
    stream.feed_eof()
    await output.read(stream)


async def test_messages_and_texts_of_restic_are_told_apart() -> None:
    messages: list[dict[str, Any]] = []
    output = Output(messages.append)
    await read(output, '{"message_type": "status"}', "  plain ", "", "[1]", '{"message_type": "summary"}')
    assert messages == [{"message_type": "status"}, {"message_type": "summary"}]
    assert output.texts == ["plain", "[1]"]


async def test_a_fatal_error_is_a_text_though_it_comes_as_a_message() -> None:
    messages: list[dict[str, Any]] = []
    output = Output(messages.append)
    await read(output, '{"message_type": "exit_error", "message": "Fatal: odd\\n at main.go:1"}')
    assert messages == []
    assert output.texts == ["Fatal: odd", "at main.go:1"]


async def test_what_nobody_listens_to_is_kept_as_text() -> None:
    output = Output()
    await read(output, '{"id": "a"}')
    assert output.texts == ['{"id": "a"}']


async def test_the_last_fifty_texts_are_kept_and_each_is_heard() -> None:
    heard: list[str] = []
    output = Output()
    output.on_text = heard.append
    await read(output, *map(str, range(60)), "\xff")
    assert output.texts == [*map(str, range(11, 60)), "\xff"]
    assert heard == [*map(str, range(60)), "\xff"]


@pytest.mark.parametrize("size", [70_000, 1_000_000])
async def test_long_lines_are_read(size: int) -> None:
    output = Output()
    stream = asyncio.StreamReader(limit=64 * 1024 * 1024)
    stream.feed_data(b"x" * size + b"\n" + b"\xfe" + b"\n")
    stream.feed_eof()
    await output.read(stream)
    assert output.texts == ["x" * size, "\N{REPLACEMENT CHARACTER}"]


LONG = """#!/bin/sh
head -c 200000 /dev/zero | tr '\\0' x
echo
exit 3
"""


@pytest.mark.programs
async def test_a_line_of_restic_may_be_longer_than_a_pipe(tmp_path: Path) -> None:
    output = Output()
    surroundings = {"PATH": Restic(tmp_path).path_with(LONG)}
    assert await run(["backup"], surroundings, output) == 3
    assert output.texts == ["x" * 200_000]


def test_the_minder_is_where_it_is_looked_for() -> None:
    from activities.restic import commands

    assert (Path(commands.__file__).parent / "minder.py").is_file()
