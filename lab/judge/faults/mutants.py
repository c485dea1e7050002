"""Faults of the mutation run itself, and of what the first one found."""

from lab.judge.planted import Planted, planted, tests

_TRIAL = "tests/lab/mutants/test_trial.py"
_SCORES = "tests/lab/mutants/test_mutations.py"
_NOTICED = f"{_TRIAL}::test_the_same_tests_kill_a_mutant_that_they_notice_and_leave_another_alive"

PLANTED: tuple[Planted, ...] = (
    planted(
        "the mutation run tries each mutant without the mutant",
        "lab/mutants/trial.py",
        "    _write(file, mutant.changed(original))\n",
        "",
        tests(_NOTICED),
    ),
    planted(
        "the mutation run calls mutants killed that tests do not notice",
        "lab/mutants/trial.py",
        "if code in (0, _NO_TESTS):",
        "if code == _NO_TESTS:",
        tests(_NOTICED, f"{_SCORES}::test_a_mutant_is_alive_only_when_the_tests_pass"),
    ),
    planted(
        "the mutation run takes the compiled code of one mutant for the next",
        "lab/mutants/trial.py",
        "    moment = next(_MOMENTS)\n",
        "    moment = 1\n",
        tests(f"{_TRIAL}::test_a_mutant_of_the_size_and_the_second_of_the_one_before_is_another_one"),
    ),
    planted(
        "the score counts explained mutants as killed",
        "lab/mutants/results.py",
        "counted = [each for each in results if each.killed_by or not each.explained]",
        "counted = list(results)",
        tests(f"{_SCORES}::test_the_score_counts_explained_mutants_apart"),
    ),
    planted(
        "production installs what the project does not ask for any more",
        "pyproject.toml",
        '    "requests>=2.32.3", # the first with a place for an SSL context that threads share\n',
        "",
        tests(
            "tests/deploy/test_units.py::test_a_lock_has_what_the_project_asks_for_and_nothing_that_it_asked_for_once"
        ),
    ),
    planted(
        "a password in a location of restic is shown where it stands alone",
        "backup_scheduler/masking.py",
        'parts = urlsplit(_BACK_END.sub("", url))',
        "parts = urlsplit(url)",
        tests("tests/backup_scheduler/test_masking.py::test_the_environment_tells_what_is_secret"),
    ),
    planted(
        "a policy with one wrong path is said to have no paths, too",
        "backup_scheduler/policies/restic.py",
        "paths: Annotated[tuple[AbsolutePath, ...], AfterValidator(_some)]",
        "paths: Annotated[tuple[AbsolutePath, ...], Field(min_length=1)]",
        tests("tests/backup_scheduler/test_policies.py::test_a_fault_ends_with_its_whole_rule"),
    ),
)
