"""backupctl as a person and as a script use it, on a running service."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from typer.testing import CliRunner, Result

from backup_scheduler.contract.methods import PREVIEW, REMOVE
from backupctl import views
from backupctl.commands import app
from backupctl.service import broker
from devstack.running import StackInfo
from lab.parts.backup_service import BackupService
from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from tests.support.calls import Caller
from tests.support.slow_backups import slow

Ctl = Callable[..., Result]


@pytest.fixture
def ctl(stack: StackInfo) -> Ctl:
    def run(*words: str) -> Result:
        return CliRunner().invoke(app, ["--broker", stack.amqp_uri, *words])

    return run


@pytest.fixture
def own(ctl: Ctl, call: Caller, scheduler_id: str) -> Iterator[str]:
    made = ctl(
        "add", scheduler_id, "--policy", "documents", "--at", "02:01", "--days", "3", "--grace", "3600", "tenant=a"
    )
    assert made.exit_code == 0, made.output
    yield scheduler_id
    call(REMOVE, scheduler_id)


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


def test_jobs_are_paused_at_once_with_a_reason_and_listed_so(ctl: Ctl, own: str) -> None:
    chosen = ("--prefix", own)
    assert "would be changed" in ctl("pause-all", *chosen, "--reason", "target moves", "--dry-run").output
    [receipt] = objects(ctl("pause-all", *chosen, "--reason", "target moves", "--json"))
    assert receipt["changed"] == [own]
    [paused] = objects(ctl("list", *chosen, "--paused", "--json"))
    assert (paused["job_id"], paused["paused_why"]) == (own, "target moves")
    assert "target moves" in ctl("list", *chosen).output.replace("\n", " ")
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


def test_what_is_wrong_is_a_sentence_and_a_code(ctl: Ctl, own: str) -> None:
    refused = ctl("runs", own, "--limit", "0")
    assert (refused.exit_code, "limit must be a whole number" in refused.stderr) == (1, True)
    misused = ctl("add", own, "--policy", "p", "--at", "02:01", "tenant")
    assert (misused.exit_code, "must be NAME=VALUE" in misused.stderr) == (2, True)
    for name in ("days", "scheduler_id"):
        taken = ctl("modify", own, "--policy", "p", "--at", "02:01", f"{name}=7")
        assert (taken.exit_code, "is not passed on" in taken.stderr) == (2, True)


def test_a_broker_that_is_away_is_named(scheduler_id: str) -> None:
    away = CliRunner().invoke(app, ["--broker", "amqp://guest:guest@127.0.0.1:1/", "get", scheduler_id])
    assert away.exit_code == 1
    assert "the broker cannot be reached at amqp://***@127.0.0.1:1/: " in away.stderr


@pytest.mark.parametrize(("part", "other"), [("guest:guest@", "guest:wrong@"), ("/$", "/nowhere")])
def test_a_refusal_of_the_broker_is_a_sentence(stack: StackInfo, part: str, other: str) -> None:
    refused = CliRunner().invoke(app, ["--broker", re.sub(part, other, stack.amqp_uri), "doctor"])
    assert refused.exit_code == 1
    assert re.search(r"^backupctl: the broker at amqp\S+ refuses: .*(ACCESS_REFUSED|not found)", refused.stderr)
    assert "wrong" not in refused.stderr


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


def test_a_clock_change_is_shown_among_the_windows(capsys: pytest.CaptureFixture[str]) -> None:
    days = ("2026-10-24", "2026-10-25")
    windows = [{"opens": f"{day} 02:00:00", "closes": f"{day} 03:00:00", "starts": None} for day in days]
    change = {"at": "2026-10-25 02:00:00", "from": "+02:00", "to": "+01:00"}
    views.show_preview({"timezone": "Europe/Berlin", "paused": True, "windows": windows, "clock_changes": [change]}, "")
    lines = capsys.readouterr().out.splitlines()
    places = [
        next(n for n, line in enumerate(lines) if text in line) for text in ("10-24", "+02:00 to +01:00", "paused")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("time", "now", "said"),
    [
        ("2026-11-28 05:00:00", "2026-11-28 02:00:00", "2026-11-28 05:00:00 (in 3 h)"),
        ("2026-11-28 01:58:30", "2026-11-28 02:00:00", "2026-11-28 01:58:30 (1 min ago)"),
        ("2026-12-02 02:00:01", "2026-11-28 02:00:00", "2026-12-02 02:00:01 (in 4 d)"),
        (None, "2026-11-28 02:00:00", "-"),
    ],
)
def test_a_time_says_how_far_it_is(time: str | None, now: str, said: str) -> None:
    assert views.relative(time, now) == said


def listed_job(job_id: str, **pause: str | None) -> dict[str, Any]:
    terms = {"policy_name": "documents", "start_time": "02:01", "duration": 2}
    times = {"next_run_time": "2026-11-28 02:34:28", "last_run": "2026-11-27 03:12:09", "last_outcome": "failed"}
    paused = {key: pause.get(key) for key in ("paused_until", "paused_why", "paused_by")}
    return {"job_id": job_id, "kwargs": terms, "paused": bool(pause), "overdue": True, **times, **paused}


def test_ids_stand_whole_on_one_line_so_that_they_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    job_id = "nightly-documents-of-the-second-file-server-备份"
    run_id = f"backup-{job_id}-2026-11-27T01:01:00Z"
    keys = ("reason", "message", "closed_at")
    run = {"run_id": run_id, "outcome": "running", "started_at": "2026-11-27 03:12:09", **dict.fromkeys(keys)}
    views.show_jobs([listed_job(job_id), listed_job("short")], "2026-11-27 09:00:00")
    views.show_runs({"runs": [run], "next": None}, "2026-11-27 09:00:00")
    printed = capsys.readouterr().out
    assert {job_id, run_id} <= set(printed.split())


def test_a_paused_job_says_why_and_by_whom(capsys: pytest.CaptureFixture[str]) -> None:
    job = listed_job("a", paused_why="repair", paused_by="pause_job for shop.nightly")
    views.show_jobs([job], "2026-11-27 09:00:00")
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("paused: repair", "(pause_job for", "shop.nightly)"))
