"""Faults in backups that end later than the answer of their service."""

from lab.judge.planted import Planted, planted, tests

_POLLING = "tests/activities/http/test_polling.py"
_LOOKS = "tests/activities/http/test_looks.py"
_REDIRECTS = "tests/activities/http/test_redirects.py"
_STATUS = "tests/activities/http/test_status.py"
_REPORTS = "tests/rpc_service/test_reports.py"

PLANTED: tuple[Planted, ...] = (
    planted(
        "a worker that takes the wait for a backup over asks for the backup once more",
        "activities/http/backup.py",
        "            return await polling.until_ended(target, task, current)",
        "            if activity.info().attempt > 1:\n"
        "                await _ask(target, task)\n"
        "            return await polling.until_ended(target, task, current)",
        tests("tests/faults/test_ends_later.py"),
    ),
    planted(
        "the token of a policy goes to every host that a service names",
        "activities/http/status.py",
        "    return not requests.Session().should_strip_auth(target.url.get_secret_value(), url)",
        "    return True",
        tests(f"{_LOOKS}::test_the_token_goes_to_the_host_of_the_policy_and_to_no_other"),
    ),
    planted(
        "a login page to which a request is redirected is taken for a backup that has begun",
        "activities/http/backup.py",
        "    follows = redirects.as_it_was if begins else redirects.always",
        "    follows = redirects.always",
        tests(f"{_REDIRECTS}::test_a_post_that_is_turned_into_a_get_is_no_backup"),
    ),
    planted(
        "a login page to which a look is redirected is taken for the end",
        "activities/http/polling.py",
        "follows = redirects.to_the_status if self._target.state is None else redirects.always",
        "follows = redirects.always",
        tests(f"{_REDIRECTS}::test_without_a_state_a_page_that_a_look_is_redirected_to_is_no_end"),
    ),
    planted(
        "signed status URLs are kept in the history",
        "activities/http/status.py",
        "    if parts.query and not query_is_public:",
        "    if False:",
        tests(f"{_STATUS}::test_a_query_that_may_be_a_secret_is_not_kept"),
    ),
    planted(
        "a service that is restarted loses the runs that it does not know for a moment",
        "activities/http/polling.py",
        "_REFUSED_FOR: Final = 60.0",
        "_REFUSED_FOR: Final = 0.0",
        tests(f"{_POLLING}::test_what_a_restart_of_the_service_brings_passes"),
    ),
    planted(
        "a state that the policy does not know is taken for the end",
        "activities/http/status.py",
        "state in target.done, state in target.failed",
        "state in target.done, state is not None and state not in target.done",
        tests(f"{_POLLING}::test_a_state_that_nobody_knows_is_shown_and_asked_about_until_the_time_is_up"),
    ),
    planted(
        "reports of a service that is faster than its answer are refused",
        "workflows/engines.py",
        "    reports.expect(limit, backup.tell)\n    asking = asyncio.create_task(_begin(engine, backup))\n",
        "    asking = asyncio.create_task(_begin(engine, backup))\n"
        "    await workflow.wait_condition(asking.done)\n    reports.expect(limit, backup.tell)\n",
        tests(f"{_REPORTS}::test_reports_that_come_before_the_answer_are_taken"),
    ),
    planted(
        "a report that comes again after the run has closed is refused",
        "rpc_service/gateway/reports.py",
        '    update_id = report.digest() if report.is_final else f"{report.digest()} {request_id}"',
        "    update_id = __import__('uuid').uuid4().hex",
        tests(f"{_REPORTS}::test_the_same_report_again_is_a_success_and_another_one_is_refused"),
    ),
    planted(
        "every report of progress goes into the history",
        "workflows/reports.py",
        "if not report.is_final and self._next is not None and workflow.now() < self._next:",
        "if False:",
        tests(f"{_REPORTS}::test_progress_is_shown_and_taken_now_and_then_only"),
    ),
)
