"""Logs of this project and of its libraries have one form, by the settings."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from backup_scheduler import logs
from backup_scheduler.settings import Settings


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Logging is one for the whole process."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    shown = (logging.logThreads, logging.logProcesses, logging.logMultiprocessing)
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.logThreads, logging.logProcesses, logging.logMultiprocessing = shown
    structlog.configure(**before)


def written(monkeypatch: pytest.MonkeyPatch, stream: io.StringIO, log_format: str, log_level: str = "info") -> str:
    """Return what a line of ours, one of a library and a debug line become."""
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(Settings(timezone="UTC", log_format=log_format, log_level=log_level))
    ours = structlog.stdlib.get_logger("ours")
    ours.info("job added", scheduler_id="ü", odd={1})
    logging.getLogger("library").warning("took %d s", 7, extra={"host": "h"})
    ours.debug("a detail")
    return stream.getvalue()


@pytest.mark.parametrize(("stream", "log_format"), [(io.StringIO, "auto"), (io.StringIO, "json"), (Terminal, "json")])
def test_lines_are_json_with_all_fields_unless_on_a_terminal(
    stream: type[io.StringIO], log_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, library = map(json.loads, written(monkeypatch, stream(), log_format).splitlines())
    assert ours.pop("timestamp").endswith("Z")
    assert library.pop("timestamp").endswith("Z")
    assert ours == {"event": "job added", "scheduler_id": "ü", "odd": "{1}", "level": "info", "logger": "ours"}
    assert library == {"event": "took 7 s", "host": "h", "level": "warning", "logger": "library"}


@pytest.mark.parametrize(
    ("stream", "log_format"), [(Terminal, "auto"), (io.StringIO, "console"), (Terminal, "console")]
)
def test_lines_are_for_people_on_a_terminal_and_where_they_are_asked_for(
    stream: type[io.StringIO], log_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = written(monkeypatch, stream(), log_format).splitlines()
    assert len(lines) == 2
    assert "job added" in lines[0]
    assert not lines[0].startswith("{")


def test_the_level_is_the_one_that_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "a detail" in written(monkeypatch, io.StringIO(), "json", "DEBUG")
    assert "a detail" not in written(monkeypatch, io.StringIO(), "json")
    [line] = written(monkeypatch, io.StringIO(), "json", "warning").splitlines()
    assert "took 7 s" in line


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_traceback_is_in_the_line_without_the_values_of_variables(
    log_format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    logs.configure(Settings(timezone="UTC", log_format=log_format))
    secret = "".join(["ses", "ame"])
    try:
        raise ValueError(len(secret))
    except ValueError:
        structlog.stdlib.get_logger("ours").exception("failed")
    assert "ValueError: 6" in stream.getvalue()
    assert "Traceback" in stream.getvalue()
    assert "sesame" not in stream.getvalue()


def test_what_is_easily_mistaken_is_logged_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_PORT", "tcp://10.0.0.1")
    with structlog.testing.capture_logs() as lines:
        logs.report(Settings(timezone="UTC"))
    assert lines == [
        {
            "event": "variables that look like settings and are none",
            "log_level": "warning",
            "variables": ["SCHEDULER_PORT"],
        },
        {"event": "settings read", "log_level": "info", "timezone": "UTC", "task_queue": "backups"},
    ]
