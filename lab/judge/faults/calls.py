"""Faults in the calls: terms, answers, changes of jobs."""

from lab.judge.planted import Planted, planted, tests

_METHODS = "tests/rpc_service/test_methods.py"
_CALL_QUEUE = "tests/rpc_service/test_call_queue.py"
_SCHEDULES = "tests/backup_scheduler/test_schedules.py"

_PEOPLE = "tests/docs/test_people.py::test_a_command_does_to_a_job_what_the_page_says"

PLANTED: tuple[Planted, ...] = (
    planted(
        "a look at a job shows it as it was before a pause that is not taken over yet",
        "backup_scheduler/temporal/stored_jobs.py",
        'found.HasField("pending_workflow_task") or ',
        "",
        tests("tests/rpc_service/test_pause_and_resume.py"),
    ),
    planted(
        "a list hides what this process has just changed",
        "rpc_service/gateway/changes.py",
        "return dict.fromkeys(self._lately).keys()",
        "return frozenset()",
        tests("tests/rpc_service/test_lists.py", "tests/rpc_service/test_pages.py"),
    ),
    planted(
        "a list shows long terms as they were before a modify",
        "backup_scheduler/jobs/listed.py",
        "if long_terms is not None and digest(long_terms) == terms:",
        "if long_terms is not None:",
        tests("tests/backup_scheduler/test_listed.py"),
    ),
    planted(
        "a list shows terms that the schedule does not follow",
        "backup_scheduler/jobs/listed.py",
        " or any(changed_times(info.spec, request))",
        "",
        tests("tests/backup_scheduler/test_listed.py"),
    ),
    planted(
        "no call is answered on a connection with TLS",
        "rpc_service/broker.py",
        '            transport.client_properties.get("capabilities", {}).pop("connection.blocked", None)\n',
        "",
        tests("tests/rpc_service/test_broker_tls.py"),
    ),
    planted(
        "the host name in the certificate of a broker is not looked at",
        "rpc_service/tls.py",
        "return _CheckingTransport if found is SSLTransport else found",
        "return found",
        tests("tests/rpc_service/test_broker_tls.py"),
    ),
    planted(
        "a queue of calls that has another type keeps the service from starting",
        "rpc_service/call_queue.py",
        "if _ARGUMENT not in str(error):",
        "if _ARGUMENT in str(error):",
        tests(f"{_CALL_QUEUE}::test_a_queue_that_is_there_keeps_its_type_and_its_calls"),
    ),
    planted(
        "the queue of calls is always a classic one",
        "rpc_service/call_queue.py",
        "queue.queue_arguments = _TYPES[queue_type]",
        "queue.queue_arguments = None",
        tests(f"{_CALL_QUEUE}::test_a_new_queue_has_the_wanted_type"),
    ),
    planted(
        "missed runs are made up for as far back as ten seconds only",
        "backup_scheduler/jobs/terms.py",
        "return max(timedelta(seconds=self.misfire_grace_time), _SHORTEST_CATCH_UP)",
        "return _SHORTEST_CATCH_UP",
        tests(f"{_SCHEDULES}::test_misfire_grace_time_becomes_the_catch_up_window_of_at_least_10_seconds"),
    ),
    planted(
        "a run that comes due while the one before goes on is skipped",
        "backup_scheduler/jobs/to_schedule.py",
        "SchedulePolicy(overlap=ScheduleOverlapPolicy.BUFFER_ALL,",
        "SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP,",
        tests(f"{_SCHEDULES}::test_runs_wait_for_one_another_and_a_bad_night_does_not_stop_later_ones"),
    ),
    planted(
        "modify lets a paused job run again",
        "backup_scheduler/temporal/stored_jobs.py",
        "            wanted.state.paused = True\n",
        "",
        tests(f"{_METHODS}::test_modify_leaves_a_paused_job_paused"),
    ),
    planted(
        "a change that Temporal lost is not made again",
        "backup_scheduler/temporal/switches.py",
        "        await stored.switch(job, note, request_id)\n",
        "        await stored.switch(job, note, request_id)\n        return job\n",
        tests("tests/rpc_service/test_pause_and_resume.py::test_a_pause_that_temporal_lost_is_made_again"),
    ),
    planted(
        "an add takes over the job that another caller made",
        "rpc_service/gateway/changes.py",
        "if not made_now and not current.was_made_by(request_id):",
        "if False:",
        tests(f"{_METHODS}::test_adding_an_id_twice_is_a_conflict_and_changes_nothing"),
    ),
    planted(
        "a remove that is delivered again removes the job that was added since",
        "rpc_service/gateway/jobs.py",
        "if redelivered and await stored.was_deleted_by(request_id):",
        "if False:",
        tests(
            "tests/rpc_service/test_delivered_again.py::test_a_remove_that_comes_again_leaves_a_job_that_was_added_since"
        ),
    ),
    planted(
        "a schedule that Temporal cannot carry out any more is a fault that nobody expects",
        "backup_scheduler/temporal/stored_jobs.py",
        "        if error.status != RPCStatusCode.FAILED_PRECONDITION:\n",
        "        if error:\n",
        tests(f"{_PEOPLE}[`workflow cancel` of SYSTEM-temporal]"),
    ),
    planted(
        "one schedule without an action fails the list of all",
        "backup_scheduler/temporal/lists.py",
        "        yield page.schedules\n",
        "        if not all(each.info.workflow_type.name for each in page.schedules):\n"
        "            raise ValueError\n"
        "        yield page.schedules\n",
        tests(f"{_PEOPLE}[`workflow signal` to SYSTEM-temporal]"),
    ),
    planted(
        "a job whose start never comes is called well",
        "backup_scheduler/jobs/from_schedule.py",
        "_moment(spec.start_time) > latest_start",
        "not latest_start",
        tests("tests/rpc_service/test_broken_jobs.py"),
    ),
    planted(
        "get_job calls a job well that no worker takes",
        "rpc_service/gateway/jobs.py",
        "if job.task_queue != self._settings.task_queue and",
        "if False and",
        tests("tests/rpc_service/test_broken_jobs.py"),
    ),
    planted(
        "a pass calls a job well that no worker takes",
        "activities/all_jobs.py",
        "            raise _NotKept(without_workers(job.task_queue))",
        "            pass",
        tests(f"{_PEOPLE}[`schedule update` with a task queue of no worker-temporal]"),
    ),
    planted(
        "no worker looks whether the system schedule is there",
        "worker.py",
        "            said = await look_at_system_schedule(worker.client, task_queue)",
        '            said = ""',
        tests("tests/worker/test_system_schedule.py"),
    ),
)
