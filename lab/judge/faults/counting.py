"""Faults in what the tests themselves count and search."""

from lab.judge.planted import Planted, planted, tests

_COUNTS = "tests/faults/test_counts.py"

PLANTED: tuple[Planted, ...] = (
    planted(
        "schedules that were made again are not counted after a fault",
        "tests/support/counts.py",
        "return Counted(len(lost), sum(max(0, times - 1) for times in made.values()))",
        "return Counted(len(lost), 0)",
        tests(
            f"{_COUNTS}::test_jobs_that_are_not_as_expected_and_schedules_made_again_are_counted",
        ),
    ),
    planted(
        "runs that never started are not counted after a fault",
        "tests/support/counts.py",
        "lost = sum(len(set(times) - {run.nominal for run in each}) for times, each in zip(due, runs, strict=True))",
        "lost = 0",
        tests(f"{_COUNTS}::test_due_times_without_a_run_and_what_there_is_once_too_often_are_counted"),
    ),
    planted(
        "a row of docs/reliability.md shows 0 for what nobody counted",
        "tests/support/figures.py",
        '"-" if number is None else str(number)',
        "str(number or 0)",
        tests(f"{_COUNTS}::test_a_row_shows_a_dash_for_what_nobody_counted"),
    ),
    planted(
        "secrets that were written are not found",
        "tests/support/written_texts.py",
        "marks = [MARK, MARK.swapcase(),",
        "marks = [MARK.upper(),",
        tests("tests/test_secrets.py::test_a_marked_secret_is_found_wherever_and_however_it_is_written"),
    ),
)
