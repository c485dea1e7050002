"""Faults in lists of jobs by filters, and in pauses with an end."""

from lab.judge.planted import Planted, planted, tests

_PAGES = "tests/rpc_service/test_pages.py"
_BULK = "tests/rpc_service/test_bulk.py"
_BULK_AGAIN = "tests/rpc_service/test_bulk_delivered_again.py"
_PAUSES = "tests/rpc_service/test_pauses.py"

PLANTED: tuple[Planted, ...] = (
    planted(
        "a page of jobs ends where the list was when it was read first",
        "rpc_service/gateway/pages.py",
        "if ids and ids[-1] == last:",
        "if True:",
        tests(f"{_PAGES}::test_jobs_that_come_while_a_page_is_read_leave_it_as_it_is"),
    ),
    planted(
        "of more changes than a page has, a list hides the rest",
        "rpc_service/gateway/pages.py",
        "place = replace(place, owed=rest)",
        "place = replace(place, owed=())",
        tests(f"{_PAGES}::test_a_list_that_lags_hides_no_change_of_this_process"),
    ),
    planted(
        "a list has what a schedule knows of its last run",
        "rpc_service/gateway/pages.py",
        "each.with_outcome(outcomes.get(each.last_run.run_id)) if each.last_run else each",
        "each",
        tests("tests/rpc_service/test_last_runs.py"),
    ),
    planted(
        "a job is overdue while its window is open",
        "backup_scheduler/jobs/overview.py",
        "now - request.window - _STARTS_WITHIN",
        "now",
        tests("tests/backup_scheduler/test_overview.py"),
    ),
    planted(
        "a query ends at a quote",
        "backup_scheduler/temporal/queries.py",
        """text.replace("'", "''")""",
        "text",
        tests("tests/backup_scheduler/test_lists.py"),
    ),
    planted(
        "a pause of many jobs undoes what a person does in between",
        "backup_scheduler/temporal/stored_jobs.py",
        "        header = request.schedule.action.start_workflow.header\n",
        '        request.conflict_token = b""\n        header = request.schedule.action.start_workflow.header\n',
        tests(f"{_BULK}::test_what_a_person_does_in_between_is_not_undone"),
    ),
    planted(
        "many jobs are resumed, whoever paused them",
        "rpc_service/gateway/bulk.py",
        "if job.paused and not _is_of_many(job.note):",
        "if False:",
        tests(f"{_BULK}::test_a_job_that_a_person_paused_stays_as_it_is"),
    ),
    planted(
        "a pause that its own redelivery overtakes cancels its end",
        "rpc_service/gateway/bulk.py",
        "(receipt.changed if made or ours else",
        "(receipt.changed if made else",
        tests(
            f"{_BULK_AGAIN}::test_a_call_that_its_own_redelivery_overtakes_has_the_same_receipt_and_leaves_the_timer"
        ),
    ),
    planted(
        "a job that is paused after the end of its pause stays paused",
        "rpc_service/gateway/changes.py",
        "if timer is not None and has_ended():",
        "if False:",
        tests(f"{_PAUSES}::test_a_job_that_is_paused_only_after_the_end_of_its_pause_is_resumed"),
    ),
    planted(
        "jobs that are paused after the end of their pause stay paused",
        "rpc_service/gateway/bulk.py",
        "if until is not None and timer is not None and is_near_its_end():",
        "if False:",
        tests(f"{_BULK}::test_jobs_that_are_paused_only_after_the_end_of_their_pause_are_resumed"),
    ),
    planted(
        "a pause that is delivered again after its end pauses the job",
        "rpc_service/gateway/changes.py",
        "lambda _: not has_ended()",
        "lambda _: True",
        tests(f"{_PAUSES}::test_a_pause_that_comes_again_after_its_end_is_answered_and_pauses_no_job"),
    ),
    planted(
        "a pause that is delivered again cancels the end of a later one",
        "rpc_service/gateway/changes.py",
        "if job and is_of(job.note, note.id):",
        "if True:",
        tests(f"{_PAUSES}::test_a_pause_that_comes_again_leaves_the_end_of_a_later_one"),
    ),
    planted(
        "a pause that is delivered again does not find the jobs that it paused",
        "rpc_service/gateway/bulk.py",
        "or is_of(job.note, note.id)]",
        "]",
        tests(f"{_BULK_AGAIN}::test_a_call_that_comes_again_finds_the_jobs_that_its_filter_does_not_fit_any_more"),
    ),
    planted(
        "a pause that is delivered again cancels its own end",
        "rpc_service/gateway/bulk.py",
        "            timer = None\n        return receipt",
        "            from rpc_service.gateway.timers import cancel_timer\n\n"
        "            await cancel_timer(self._client, note.id or '')\n"
        "            timer = None\n        return receipt",
        tests(f"{_BULK_AGAIN}::test_a_call_that_comes_again_leaves_the_timer_of_its_first_delivery"),
    ),
    planted(
        "a pause that is delivered again undoes a resume",
        "backup_scheduler/temporal/switches.py",
        "if job.was_changed_by(request_id) or",
        "if job.paused == note.paused or",
        tests(f"{_PAUSES}::test_a_pause_that_comes_again_undoes_nothing_that_came_after_it"),
    ),
    planted(
        "the end of a pause resumes a job that was paused anew",
        "activities/resume_jobs.py",
        "return job.paused and is_of(job.note, pause_id)",
        "return job.paused",
        tests(f"{_PAUSES}::test_the_end_of_a_pause_leaves_a_job_alone_that_a_person_paused_since"),
    ),
    planted(
        "a pause has no end",
        "rpc_service/gateway/changes.py",
        "            await start_timer(self._client, timer, self._settings.task_queue, note)\n",
        "",
        tests(f"{_PAUSES}::test_a_job_is_resumed_at_the_end_of_its_pause"),
    ),
)
