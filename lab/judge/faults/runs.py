"""Faults in runs that are asked for, listed and described by RPC."""

from lab.judge.planted import Planted, planted, tests

_WORKFLOW = "tests/workflows/test_backup.py"

PLANTED: tuple[Planted, ...] = (
    planted(
        "a run that Temporal dropped is taken for one that starts",
        "backup_scheduler/runs/asked.py",
        "            overwritten = True\n",
        "",
        tests("tests/backup_scheduler/test_asked.py", "tests/rpc_service/test_runs_once.py"),
    ),
    planted(
        "run_job starts the run of a moment that has one",
        "rpc_service/gateway/runs.py",
        "            if run := await stored.describe_run(self._client, wanted):",
        "            if (run := await stored.describe_run(self._client, wanted)) and run.pending_activities:",
        tests("tests/rpc_service/test_runs.py::test_the_same_moment_names_the_same_run_open_or_closed"),
    ),
    planted(
        "a call of run_job that comes again starts another run",
        "rpc_service/gateway/runs.py",
        "            if redelivered and not wanted.at and",
        "            if not redelivered and not wanted.at and",
        tests("tests/rpc_service/test_runs_once.py"),
    ),
    planted(
        "a run that makes up for an old night is missed",
        "workflows/backup.py",
        "        due = max(scheduled, asked.at) if asked and asked.at else scheduled",
        "        due = scheduled",
        tests("tests/rpc_service/test_runs.py::test_a_run_that_makes_up_for_an_old_night_is_not_missed"),
    ),
    planted(
        "a list of runs lacks those that started lately",
        "rpc_service/gateway/runs.py",
        "        missing = [run for run, started in job.started.items() if run not in known and started > lately]",
        "        missing: list[str] = []",
        tests("tests/rpc_service/test_runs_once.py::test_a_run_that_the_list_does_not_have_yet_is_on_its_first_page"),
    ),
    planted(
        "a trigger that was skipped seems to wait",
        "backup_scheduler/runs/asked.py",
        "    return policy not in (\n",
        "    return True or policy not in (\n",
        tests(
            "tests/rpc_service/test_runs_once.py"
            "::test_a_run_that_waits_is_asked_for_once_though_a_trigger_behind_it_was_skipped"
        ),
    ),
    planted(
        "a run without terms goes on for ever, and holds up the later ones",
        "workflows/backup.py",
        "        if isinstance(request, BackupRequest):",
        "        if request is not argument:",
        tests(f"{_WORKFLOW}::test_a_run_without_terms_fails_and_says_what_to_do"),
    ),
    planted(
        "a run that has just come due is started a second time",
        "rpc_service/gateway/runs.py",
        "            if its_time:  # Temporal may be about to start it",
        "            if its_time and False:",
        tests("tests/rpc_service/test_runs_at_their_time.py"),
    ),
    planted(
        "a run that is asked for within its window loses who asked",
        "activities/run_origin.py",
        "(own != self.nominal if terms.window else self.is_due)",
        "self.is_due",
        tests("tests/rpc_service/test_runs.py::test_a_run_that_is_asked_for_within_its_window_keeps_who_asked"),
    ),
    planted(
        "the end of a pause in an open window drops its run",
        "backup_scheduler/temporal/stored_jobs.py",
        "if not note.paused and opened(",
        "if False and opened(",
        tests("tests/rpc_service/test_resumed_in_window.py"),
    ),
    planted(
        "the run of a job that was resumed in its window is started a second time",
        "backup_scheduler/jobs/open_windows.py",
        "return nominal if last and nominal",
        "return nominal if False and last and nominal",
        tests("tests/rpc_service/test_resumed_in_window.py"),
    ),
    planted(
        "a pause takes the end from another one",
        "rpc_service/gateway/changes.py",
        "lambda job: not job.paused, is_retry=is_retry)",
        "lambda _: True, is_retry=is_retry)",
        tests("tests/rpc_service/test_pause_and_resume.py"),
    ),
    planted(
        "the name of a caller takes the end from a pause",
        "backup_scheduler/jobs/notes.py",
        "_TIME_IN_A_NAME.sub('', self.caller)",
        "self.caller",
        tests("tests/backup_scheduler/test_notes.py"),
    ),
    planted(
        "a run that Temporal will drop seems to wait",
        "rpc_service/gateway/runs.py",
        "if job.losses.waiting >= MOST_WAITING:",
        "if False:",
        tests("tests/rpc_service/test_runs_at_their_time.py"),
    ),
)
