"""What backupctl prints for people."""

from typing import Any

import pytest
from rich.console import Console

from backup_scheduler.texts import clean
from backupctl import views
from backupctl.clock import Clock
from backupctl.progress import follow
from backupctl.service import Service


def test_colons_in_a_name_are_no_emoji(capsys: pytest.CaptureFixture[str]) -> None:
    views.complain("no job has the scheduler_id 'files:books:prod'")
    assert "files:books:prod" in capsys.readouterr().err


AUTUMN = {"at": "2026-10-25 02:00:00", "from": "+02:00", "to": "+01:00"}
SPRING = {"at": "2026-03-29 03:00:00", "from": "+01:00", "to": "+02:00"}


@pytest.mark.parametrize(
    ("opens", "change", "rows"),
    [
        (["2026-10-24 04:00:00", "2026-10-25 04:00:00"], AUTUMN, ["2026-10-24", "clock:", "2026-10-25"]),
        (["2026-10-25 02:30:00", "2026-10-26 02:30:00"], AUTUMN, ["2026-10-25", "clock:", "2026-10-26"]),
        (["2026-10-25 03:00:00"], AUTUMN, ["clock:", "2026-10-25"]),
        (["2026-10-24 22:00:00"], AUTUMN, ["2026-10-24", "clock:"]),
        (["2026-03-28 01:59:00", "2026-03-29 01:59:00"], SPRING, ["2026-03-28", "2026-03-29", "clock:"]),
        (["2026-03-28 02:30:00", "2026-03-29 03:30:00"], SPRING, ["2026-03-28", "clock:", "2026-03-29"]),
    ],
    ids=["between", "before the repeated hour", "at its end", "in the last window", "on, after", "on, before"],
)
def test_a_clock_change_is_shown_among_the_windows(
    opens: list[str], change: dict[str, str], rows: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    windows = [{"opens": each, "closes": "-", "starts": None} for each in opens]
    preview = {"timezone": "Europe/Berlin", "paused": True, "windows": windows, "clock_changes": [change]}
    views.show_preview(preview, NOW)
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith(" 2026")]
    assert ["clock:" if "clock:" in words else words[0] for words in lines] == rows


NOW = Clock("2026-11-27 09:00:00", "UTC")


def listed_job(job_id: str, **pause: str | None) -> dict[str, Any]:
    terms = {"policy_name": "documents", "start_time": "02:01", "duration": 2}
    times = {"next_run_time": "2026-11-28 02:34:28", "last_run": "2026-11-27 03:12:09", "last_outcome": "failed"}
    paused = {key: pause.get(key) for key in ("paused_until", "paused_why", "paused_by")}
    return {"job_id": job_id, "kwargs": terms, "days": 3, "paused": bool(pause), "overdue": True, **times, **paused}


def test_ids_stand_whole_on_one_line_so_that_they_can_be_copied(capsys: pytest.CaptureFixture[str]) -> None:
    job_id = "nightly-documents-of-the-second-file-server-备份"
    run_id = f"backup-{job_id}-2026-11-27T01:01:00Z"
    keys = ("reason", "message", "closed_at")
    run = {"run_id": run_id, "outcome": "running", "started_at": "2026-11-27 03:12:09", **dict.fromkeys(keys)}
    views.show_jobs([listed_job(job_id), listed_job("short")], NOW)
    views.show_runs({"runs": [run], "next": None}, NOW)
    printed = capsys.readouterr().out
    assert {job_id, run_id} <= set(printed.split())


@pytest.mark.parametrize("width", [60, 40, 30, 20])
def test_ids_and_outcomes_are_whole_on_a_narrow_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(force_terminal=True, width=width, record=True, highlight=False)
    monkeypatch.setattr(views, "people", terminal)
    outcomes = ["completed", "completed with warnings", "failed"]
    ended = [described_run(run_id=f"backup-nightly-{n}-2026-11-27T01:01:00Z") for n in range(3)]
    ended = [run | {"outcome": outcome, "closed_at": NOW.now} for run, outcome in zip(ended, outcomes, strict=True)]
    jobs = [listed_job(f"weekly-{outcome.split()[-1]}") | {"last_outcome": outcome} for outcome in outcomes]
    views.show_runs({"runs": ended, "next": None}, NOW)
    views.show_jobs(jobs, NOW)
    shown = terminal.export_text()
    words = shown.replace(",", " ").split()
    assert {*(run["run_id"] for run in ended), *(job["job_id"] for job in jobs)} <= {*words}
    assert (words.count("completed"), words.count("warnings"), words.count("failed")) == (4, 2, 2)
    assert "…" not in shown


@pytest.mark.parametrize("width", [80, 100])
def test_a_table_is_as_wide_as_the_terminal_at_most(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(force_terminal=True, width=width, record=True, highlight=False)
    monkeypatch.setattr(views, "people", terminal)
    run = described_run(
        run_id="backup-nightly-2026-11-27T01:01:00Z", outcome="completed with warnings", closed_at=NOW.now
    )
    views.show_runs({"runs": [run], "next": None}, NOW)
    views.show_jobs([listed_job("weekly-documents")], NOW)
    lines = terminal.export_text().splitlines()
    assert max(map(len, lines)) <= width
    assert any(line.split()[:2] == [run["run_id"], "completed"] for line in lines)


def test_a_paused_job_says_why_and_by_whom(capsys: pytest.CaptureFixture[str]) -> None:
    job = listed_job("a", paused_why="repair", paused_by="pause_job for shop.nightly")
    views.show_jobs([job], NOW)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("paused: repair", "(pause_job for", "shop.nightly)"))


def described_run(**values: Any) -> dict[str, Any]:
    keys = (
        *("job_id", "policy_name", "started_by", "reason", "scheduled_at", "closed_at", "message", "attempt"),
        *("waits_for", "progress", "snapshot_id", "files", "bytes", "answer"),
    )
    run = {"run_id": "backup-a-2026-11-27T01:01:00Z", "outcome": "running", "started_at": "2026-11-27 03:12:09"}
    return dict.fromkeys(keys) | run | values


def test_ids_of_a_run_stand_whole_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    job_id = "nightly-documents-of-the-second-file-server-in-the-cellar-备份"
    run = described_run(job_id=job_id, run_id=f"backup-{job_id}-2026-11-27T01:01:00Z", snapshot_id="5a" * 32)
    views.show_run(run, NOW)
    assert {run["run_id"], job_id, run["snapshot_id"]} <= set(capsys.readouterr().out.split())


def test_ids_of_a_receipt_and_what_to_do_stand_whole(capsys: pytest.CaptureFixture[str]) -> None:
    ids = [f"nightly-{'documents-' * 9}{number}" for number in range(4)]
    views.show_receipt({"changed": ids[:2], "already": [], "left": ids[2:3], "failed": {ids[3]: "it is broken"}}, NOW)
    said = capsys.readouterr().out
    assert {*ids} <= {*said.replace(",", " ").split()}
    assert f"failed: {ids[3]}  it is broken" in said
    todo = f"temporal operator namespace update {'n' * 90}"
    views.show_checks([{"check": "a", "state": "fault", "found": "b", "todo": todo}])
    assert capsys.readouterr().out.count("n") >= todo.count("n")


ODD = "\x1b[2J[/]\x9b31m:smile: \u202e[red]"
"""A text that would clear a terminal, change colours or end markup, if it were not shown as text."""


def test_texts_are_no_commands_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    run = described_run(message=ODD, reason=ODD, answer={"status": 200}, progress={"step": ODD}, outcome="failed")
    job = listed_job("a", paused_why=ODD, paused_by=ODD)
    views.show_run(run, NOW)
    views.show_runs({"runs": [run], "next": None}, NOW)
    views.show_jobs([job | {"job_id": ODD}], NOW)
    views.show_job(job | {"misfire_grace_time": 1, "kwargs": {**job["kwargs"], "more": ODD}}, NOW)
    views.show_receipt({"changed": [ODD], "already": [], "left": [], "failed": {ODD: ODD}}, NOW)
    views.show_checks([{"check": ODD, "state": "ok", "found": ODD, "todo": ODD}])
    views.people.print(views.running([run], NOW))
    views.complain(ODD)
    shown = "".join(capsys.readouterr())
    assert not set(shown) & set("\x1b\x9b\u202e")
    assert shown.count(":smile:") >= 12


def test_a_list_tells_the_days_of_jobs_that_do_not_run_daily(capsys: pytest.CaptureFixture[str]) -> None:
    views.show_jobs([listed_job("a"), listed_job("b") | {"days": 1}], NOW)
    said = " ".join(capsys.readouterr().out.split())
    assert said.count("every") == said.count("3 days") == 1


def test_a_run_over_a_clock_change_took_as_long_as_it_did(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views.people, "width", 200)  # the words stay on a line
    run = described_run(started_at="2026-10-25 02:50:00", closed_at="2026-10-25 02:10:00")
    clock = Clock("2026-10-25 02:12:00", "Europe/Berlin")
    views.show_run(run, clock)
    views.show_runs({"runs": [run], "next": None}, clock)
    views.people.print(views.running([run], clock))
    said = " ".join(capsys.readouterr().out.split())
    assert "started 2026-10-25 02:50:00 (22 min ago)" in said
    assert "took 20 min" in said
    assert "2026-10-25 02:50 (22 min ago) 20 min" in said
    assert f"{run['run_id']} 22 min" in said


def test_a_span_that_is_not_known_is_not_told(capsys: pytest.CaptureFixture[str]) -> None:
    run = described_run(closed_at="2026-11-27 03:13:09")
    for zone in ("Mars/Base", None):
        views.show_run(run, Clock(NOW.now, zone) if zone else None)
    said = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert said.count(["took", "-"]) == said.count(["started", "2026-11-27", "03:12:09"]) == 2


def test_watch_says_that_nothing_runs(capsys: pytest.CaptureFixture[str]) -> None:
    views.people.print(views.running([], NOW))
    assert f"Nothing runs at {NOW.now}" in capsys.readouterr().out


def test_the_step_of_a_run_stands_below_its_long_id(capsys: pytest.CaptureFixture[str]) -> None:
    run = described_run(
        run_id=f"backup-{'a' * 40}-2026-11-27T01:01:00Z", progress={"step": "restic backs up", "percent": 7}
    )
    views.people.print(views.running([run], NOW))
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    place = lines.index("restic backs up, 7 %")
    assert lines[place - 1].split() == [run["run_id"], "5", "h"]


@pytest.mark.parametrize("step", ["[/] of [red]", ODD])
def test_progress_shows_a_step_as_it_is(step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Console(force_terminal=True, force_interactive=True, record=True, width=200)
    monkeypatch.setattr("backupctl.progress.people", terminal)
    monkeypatch.setattr("backupctl.progress._LOOKS_EVERY", 0.01)
    ended = described_run(closed_at=NOW.now)

    class Answers(Service):
        def call(self, method: str, /, **arguments: Any) -> Any:
            return ended

    assert follow(Answers(None, 1), described_run(progress={"step": step}), quiet=False) == ended
    assert clean(step) in terminal.export_text()
