"""Faults of backupctl."""

from lab.judge.planted import Planted, planted, tests

_COMMANDS = "tests/backupctl/test_commands.py"
_FAILING = "tests/backupctl/test_failing_parts.py"
_VIEWS = "tests/backupctl/test_views.py"
_SERVICE = "backupctl/service.py"

PLANTED: tuple[Planted, ...] = (
    planted(
        "a change that was made is told as a failure because the clock is not told",
        _SERVICE,
        "except (CallFailed, _NotEndedError, KeyboardInterrupt):",
        "except KeyboardInterrupt:",
        tests(f"{_FAILING}::test_a_change_that_was_made_is_no_failure_where_only_the_clock_is_not_told"),
    ),
    planted(
        "a span is one of what the clock shows, and not of time",
        "backupctl/clock.py",
        "fold=fold).astimezone(UTC)",
        "fold=fold)",
        tests("tests/backupctl/test_clock.py::test_a_span_is_one_of_time_and_not_of_what_the_clock_shows"),
    ),
    planted(
        "jobs that could not be paused are no failure",
        "backupctl/app.py",
        'Exit.FAILED if method in (PAUSE_ALL, RESUME_ALL) and found["failed"] else Exit.DONE',
        "Exit.DONE",
        tests(f"{_COMMANDS}::test_jobs_that_could_not_be_paused_are_named_and_the_code_tells_so"),
    ),
    planted(
        "a frozen broker is waited for without an end",
        _SERVICE,
        "with _ended_within(self._timeout + _CONFIRMED_WITHIN):",
        "with suppress():",
        tests(f"{_FAILING}::test_a_broker_that_does_nothing_any_more_is_not_waited_for"),
    ),
    planted(
        "a connection that breaks is a traceback",
        _SERVICE,
        "except (OSError, AMQPError, OperationalError) as error:",
        "except AMQPError as error:",
        tests(f"{_FAILING}::test_a_connection_that_breaks_is_told"),
    ),
    planted(
        "a run that nobody looks at any more is not named",
        "backupctl/progress.py",
        "        views.complain(f\"see what became of the run: backupctl show {run['run_id']}\")\n",
        "",
        tests(f"{_FAILING}::test_a_run_whose_progress_is_lost_is_named"),
    ),
    planted(
        "doctor does not know of another service that takes calls",
        "rpc_service/presence.py",
        "return sum(_strangers.values())",
        "return 0",
        tests(
            "tests/rpc_service/test_broker.py::"
            "test_another_service_that_takes_calls_is_reported_loudly_and_a_process_of_ours_is_not"
        ),
    ),
    planted(
        "a step of a run is read as markup",
        "backupctl/progress.py",
        'TextColumn("{task.description}", markup=False)',
        'TextColumn("{task.description}")',
        tests(f"{_VIEWS}::test_progress_shows_a_step_as_it_is"),
    ),
    planted(
        "a message of a run is a command to the terminal",
        "backupctl/views.py",
        "return escape(clean(str(value)))",
        "return escape(str(value))",
        tests(f"{_VIEWS}::test_texts_are_no_commands_to_the_terminal"),
    ),
)
