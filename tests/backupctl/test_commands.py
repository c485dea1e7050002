"""backupctl as a person and as a script use it, on a running service."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from temporalio.client import Client, ScheduleUpdate, ScheduleUpdateInput
from typer.testing import Result

from backup_scheduler.contract.methods import PREVIEW
from backupctl import views
from backupctl.commands import app
from backupctl.service import broker
from lab.parts.backup_service import BackupService
from lab.parts.places import ROOT
from lab.parts.waiting import eventually, eventually_async
from tests.support.command_line import Ctl
from tests.support.slow_backups import slow


def objects(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def refusing(status: int) -> Callable[[web.Request], Any]:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    return answer


def test_a_job_is_made_changed_paused_resumed_listed_and_removed(ctl: Ctl, own: str) -> None:
    [made] = objects(ctl("get", own, "--json"))
    assert made["kwargs"] == {"policy_name": "documents", "duration": 0, "start_time": "02:01", "tenant": "a"}
    assert made["misfire_grace_time"] == 3600
    changed = ctl("modify", own, "--policy", "pictures", "--at", "03:30", "--window", "2", "--grace", "60")
    assert "03:30 + 2 h" in changed.output
    assert "none: paused" in ctl("pause", own).output
    [resumed] = objects(ctl("resume", own, "--json"))
    assert resumed["next_run_time"] is not None
    assert own in [each["job_id"] for each in objects(ctl("list", "--json"))]
    assert ctl("remove", own).exit_code == 0
    gone = ctl("get", own)
    assert gone.exit_code == 1
    assert f"backupctl: no job has the scheduler_id '{own}'" in gone.stderr.replace("\n", "")


def test_jobs_are_paused_at_once_with_a_reason_and_listed_so(
    ctl: Ctl, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views.people, "width", 200)  # the words stay on a line
    chosen = ("--prefix", own)
    assert "would be changed" in ctl("pause-all", *chosen, "--reason", "target moves", "--dry-run").output
    [receipt] = objects(ctl("pause-all", *chosen, "--reason", "target moves", "--json"))
    assert receipt["changed"] == [own]
    [paused] = objects(ctl("list", *chosen, "--paused", "--json"))
    assert (paused["job_id"], paused["paused_why"]) == (own, "target moves")
    assert "target moves" in ctl("list", *chosen).output
    assert objects(ctl("resume-all", *chosen, "--json"))[0]["changed"] == [own]
    assert objects(ctl("list", *chosen, "--paused", "--json")) == []
    refused = ctl("pause-all", "--reason", "all of them")
    assert (refused.exit_code, "filter" in refused.stderr) == (1, True)


def test_a_pause_may_have_a_reason_and_an_end(ctl: Ctl, own: str) -> None:
    assert ctl("pause", own, "--reason", "repair", "--until", "2090-01-01 00:00:00").exit_code == 0
    [paused] = objects(ctl("list", "--prefix", own, "--json"))
    assert (paused["paused_why"], paused["paused_until"]) == ("repair", "2090-01-01 00:00:00")
    assert ctl("resume", own).exit_code == 0


def test_what_runs_now_is_watched(
    ctl: Ctl, own: str, backup_endpoint: BackupService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views.people, "width", 500)  # runs of other tests have long names, which would fold the words
    with slow(backup_endpoint, own):
        [begun] = objects(ctl("run", own, "--no-wait", "--json"))
        eventually(lambda: "waiting for the answer" in " ".join(ctl("watch", "--once").output.split()))
        lines = [json.loads(line) for line in ctl("watch", "--once", "--json").stdout.splitlines()]
        assert begun["run_id"] in [run["run_id"] for run in lines]
    assert ctl("run", own, "--at", f"{begun['run_id'][-20:]}").exit_code == 0


def test_a_preview_shows_windows_and_adds_nothing(ctl: Ctl, own: str) -> None:
    terms = ("--policy", "documents", "--at", "02:01", "--days", "3", "--grace", "3600")
    [shown] = objects(ctl(PREVIEW, *terms, "--job", own, "--count", "3", "tenant=a", "--json"))
    [made] = objects(ctl("get", own, "--json"))
    assert len(shown["windows"]) == 3
    assert shown["windows"][0]["starts"] == made["next_run_time"]
    assert made["next_run_time"] in ctl(PREVIEW, *terms).output


@pytest.mark.parametrize(
    ("status", "code", "outcome"), [(200, 0, "completed"), (403, 1, "failed")], ids=["well", "refused"]
)
def test_run_waits_for_the_end_and_exits_with_its_outcome(
    ctl: Ctl, own: str, backup_endpoint: BackupService, status: int, code: int, outcome: str
) -> None:
    backup_endpoint.answers.insert(0, refusing(status))
    done = ctl("run", own, "--reason", "before the upgrade", "--json")
    assert done.exit_code == code, done.output
    described = json.loads(done.stdout)
    assert (described["outcome"], described["reason"]) == (outcome, "before the upgrade")
    [listed] = objects(ctl("runs", own, "--json"))
    assert listed["run_id"] == described["run_id"]
    assert outcome in ctl("runs", own).output
    assert outcome in ctl("show", described["run_id"]).output


def test_run_comes_back_at_once_where_nobody_waits_and_cancel_ends_it(
    ctl: Ctl, own: str, backup_endpoint: BackupService
) -> None:
    with slow(backup_endpoint, own):
        [begun] = objects(ctl("run", own, "--no-wait", "--at", "2026-01-03 02:01:00", "--json"))
        assert begun["outcome"] == "running"
        [cancelled] = objects(ctl("cancel", begun["run_id"], "--reason", "disk is full", "--json"))
        assert cancelled["run_id"] == begun["run_id"]
        ended = ctl("run", own, "--at", "2026-01-03 02:01:00")  # finds it, and waits for its end
    assert ended.exit_code == 130
    assert "disk is full" in ended.output


def test_all_runs_are_listed_page_by_page(ctl: Ctl, own: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backupctl.runs._OF_A_PAGE", 2)
    begun = [objects(ctl("run", own, "--at", f"2026-01-0{day} 02:01:00", "--json"))[0] for day in range(1, 6)]
    names = [each["run_id"] for each in reversed(begun)]

    def listed(*options: str) -> list[str]:
        return [each["run_id"] for each in objects(ctl("runs", own, *options, "--json"))]

    eventually(lambda: listed("--all") == names)  # Temporal's index lags
    assert listed("--limit", "2") == names[:2]
    assert "There are more" not in ctl("runs", own, "--all").output
    assert "There are more: --all, or --before " in ctl("runs", own, "--limit", "2").output
    both = ctl("runs", own, "--all", "--limit", "2")
    assert (both.exit_code, "--all" in both.stderr) == (2, True)


def test_what_is_wrong_is_a_sentence_and_a_code(ctl: Ctl, own: str) -> None:
    for command in (("runs", own), ("list",)):
        refused = ctl(*command, "--limit", "0")
        assert (refused.exit_code, "limit must be a whole number" in refused.stderr) == (1, True)
    misused = ctl("add", own, "--policy", "p", "--at", "02:01", "tenant")
    assert (misused.exit_code, "must be NAME=VALUE" in misused.stderr) == (2, True)
    for name in ("days", "scheduler_id", "self"):
        taken = ctl("modify", own, "--policy", "p", "--at", "02:01", f"{name}=7")
        assert (taken.exit_code, "cannot be passed on" in taken.stderr) == (2, True)
    hasty = ctl("watch", "--every", "-1")
    assert (hasty.exit_code, "0.1" in hasty.stderr) == (2, True)


def test_whatever_else_has_a_name_is_passed_on_to_the_backup(ctl: Ctl, own: str) -> None:
    more = {name: f"my-{name}" for name in ("method", "context", "view", "as_json", "policy", "job", "window")}
    terms = ("--policy", "documents", "--at", "02:01", "--grace", "3600")
    shown = ctl("modify", own, *terms, *(f"{name}={value}" for name, value in more.items()))
    assert shown.exit_code == 0, shown.output
    words = shown.output.split()
    assert {own, "documents", "02:01", *(f"{name}={value}" for name, value in more.items())} <= set(words)
    [job] = objects(ctl("get", own, "--json"))
    assert job["kwargs"] | more == job["kwargs"]


async def test_jobs_that_could_not_be_paused_are_named_and_the_code_tells_so(
    ctl: Ctl, own: str, temporal: Client
) -> None:
    def break_it(seen: ScheduleUpdateInput) -> ScheduleUpdate:
        seen.description.schedule.spec.cron_expressions = ["0 4 * * *"]
        return ScheduleUpdate(seen.description.schedule)

    await temporal.get_schedule_handle(own).update(break_it)

    async def named() -> bool:
        tried = ctl("pause-all", "--prefix", own, "--reason", "repair", "--dry-run", "--json")
        return tried.exit_code == 1 and json.loads(tried.stdout)["failed"].keys() == {own}

    await eventually_async(named)


@pytest.mark.parametrize(
    ("given", "environ", "stack", "found"),
    [
        ("amqp://given", {"AMQP_URI": "amqp://set"}, "amqp://here", "amqp://given"),
        (None, {"AMQP_URI": "amqp://set"}, "amqp://here", "amqp://set"),
        (None, {}, "amqp://here", "amqp://here"),
        (None, {}, None, "amqp://guest:guest@localhost:5672"),
    ],
)
def test_the_broker_is_the_one_given_or_set_or_that_of_a_stack_that_runs_here(
    tmp_path: Path, given: str | None, environ: dict[str, str], stack: str | None, found: str
) -> None:
    if stack:
        (tmp_path / ".state").mkdir()
        (tmp_path / ".state/stack.json").write_text(json.dumps({"amqp_uri": stack}))
    assert broker(given, environ, tmp_path) == found


def test_every_command_is_on_the_page() -> None:
    page = (ROOT / "docs/backupctl.md").read_text()
    names = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
    assert [name for name in names if f"`{name}" not in page] == []
