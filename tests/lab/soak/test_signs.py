"""Signs of work are found in the logs of processes, each in its own."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lab.soak.signs import LogFile

AT = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


def entry(event: str, after: float = 0, **fields: object) -> str:
    return json.dumps({"event": event, "timestamp": (AT + timedelta(seconds=after)).isoformat(), **fields})


ANSWERED = entry("call answered", after=2, code=200, seconds=2.0)
BEGAN = entry("backup attempt started", run_id="a", attempt=1)
SUCCEEDED = entry("backup attempt succeeded", after=2, run_id="a", attempt=1)


@pytest.mark.parametrize("lines", [[ANSWERED], [BEGAN, SUCCEEDED]])
def test_work_is_known_by_its_beginning(tmp_path: Path, lines: list[str]) -> None:
    log = LogFile(tmp_path / "log")
    assert log.worked() == 0
    for line in lines:
        with log.path.open("a") as file:
            file.write(f"{line}\n")
        worked = log.worked()
    assert worked == AT.timestamp()


@pytest.mark.parametrize(
    "line",
    [
        entry("call answered", code=503, seconds=1),
        BEGAN,
        SUCCEEDED,
        entry("backup attempt failed", run_id="a", attempt=1),
        "not JSON",
        "[1]",
        '{"event": "call answered"',
    ],
)
def test_other_lines_are_no_work(tmp_path: Path, line: str) -> None:
    log = LogFile(tmp_path / "log")
    log.path.write_text(f"{line}\n")
    assert log.worked() == 0


def test_the_success_of_another_attempt_is_not_of_the_one_that_began(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.path.write_text(f"{entry('backup attempt started', run_id='a', attempt=2)}\n{SUCCEEDED}\n")
    assert log.worked() == 0


def test_the_time_of_a_clock_that_is_ahead_is_taken_back(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log", ahead=600)
    log.path.write_text(f"{ANSWERED}\n{BEGAN}\n{SUCCEEDED}\n")
    assert log.worked() == AT.timestamp() - 600


def test_a_line_counts_when_it_is_complete(tmp_path: Path) -> None:
    log = LogFile(tmp_path / "log")
    log.path.write_text(ANSWERED[:20])
    assert log.worked() == 0
    log.path.write_text(f"{ANSWERED}\n")
    assert log.worked() == AT.timestamp()


def test_of_devstacks_log_only_the_lines_of_the_service_count(tmp_path: Path) -> None:
    path = tmp_path / "log"
    lines = (f"   worker │ {line}\n" for line in (BEGAN, SUCCEEDED))
    path.write_text(f"{''.join(lines)} devstack │ Ending all services.\n")
    assert LogFile(path, "worker").worked() == AT.timestamp()
    assert LogFile(path, "rpc").worked() == 0
