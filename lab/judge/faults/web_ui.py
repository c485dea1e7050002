"""Faults in what people see of jobs and runs in Temporal's Web UI."""

from lab.judge.planted import Planted, planted, tests

_JOBS = "tests/web_ui/test_schedules.py"
_RUNS = "tests/web_ui/test_runs.py"
_RUN_UNDER_WAY = f"{_RUNS}::test_a_run_under_way_shows_its_step_and_percent_and_a_cancelled_one_why"
_RUN_THAT_ENDED = f"{_RUNS}::test_a_run_that_ended_shows_its_result_and_who_asked_for_it"

PLANTED: tuple[Planted, ...] = (
    planted(
        "people do not find jobs by their policy",
        "backup_scheduler/jobs/to_schedule.py",
        "            SearchAttributePair(POLICY_NAME, bounded(request.policy_name)),\n",
        "            SearchAttributePair(POLICY_NAME, bounded(request.scheduler_id)),\n",
        tests(f"{_JOBS}::test_the_jobs_of_a_policy_are_found"),
    ),
    planted(
        "a paused job does not show why",
        "backup_scheduler/jobs/notes.py",
        'f": {reason}" if reason else ""',
        '""',
        tests(f"{_JOBS}::test_a_paused_job_shows_paused_by_what_since_when_and_why"),
    ),
    planted(
        "the page of a job does not say what its runs do",
        "backup_scheduler/jobs/to_schedule.py",
        'state=ScheduleState(note="; ".join(filter(None, [request.summary, given])))',
        "state=ScheduleState()",
        tests(f"{_JOBS}::test_the_page_of_a_job_shows_its_terms"),
    ),
    planted(
        "a run has no summary",
        "backup_scheduler/jobs/to_schedule.py",
        "        static_summary=request.summary,\n",
        "",
        tests(_RUN_THAT_ENDED),
    ),
    planted(
        "the activity of a run has no summary",
        "workflows/engines.py",
        "            summary=backup.task.request.summary,\n",
        "",
        tests(_RUN_THAT_ENDED),
    ),
    planted(
        "a run does not say who asked for it",
        "workflows/sentences.py",
        "result.message, [*lines, *_started_by(memo)])",
        "result.message, lines)",
        tests(_RUN_THAT_ENDED),
    ),
    planted(
        "the link to a run leads elsewhere",
        "devstack/running.py",
        "quote(run_id, safe='')}\"",
        "quote(run_id[:-1], safe='')}\"",
        tests(_RUN_THAT_ENDED),
    ),
    planted(
        "the page of a run with a slash in its id is not found",
        "devstack/running.py",
        "quote(run_id, safe='')",
        "quote(run_id)",
        tests(f"{_RUNS}::test_the_link_to_a_run_leads_there_whatever_its_id"),
    ),
    planted(
        "restic's progress is not sent",
        "activities/restic/backup.py",
        "                self._attempt.progress = progress_of(message)\n",
        "                progress_of(message)\n",
        tests(_RUN_UNDER_WAY),
    ),
    planted(
        "a cancelled run does not say why",
        "workflows/backup.py",
        "    workflow.set_current_details(sentences.cancelled(sentence, memo))\n",
        "",
        tests(_RUN_UNDER_WAY),
    ),
    planted(
        "a run that failed does not show why",
        "workflows/backup.py",
        "message=sentences.reason(error))",
        'message="no backup was made")',
        tests(f"{_RUNS}::test_a_run_that_failed_shows_why"),
    ),
    planted(
        "a stack trace takes the place of the cause of a failure",
        "backup_scheduler/masking.py",
        '"" if isinstance(exception, FailureError) else masked(failure.stack_trace)',
        "masked(failure.stack_trace)",
        tests(f"{_RUNS}::test_a_run_that_failed_shows_why"),
    ),
    planted(
        "a missed run is green",
        "workflows/backup.py",
        "        if result.outcome is Outcome.MISSED and missed_fails:\n",
        "        if result.outcome is Outcome.FAILED and missed_fails:\n",
        tests(f"{_RUNS}::test_a_missed_run_is_red_in_the_list_and_says_how_late_it_was"),
    ),
)
