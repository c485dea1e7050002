"""Faults in what is promised of runs, pauses, settings, rights, answers and commands."""

from lab.judge.planted import Planted, planted, tests

_COMMANDS = "tests/docs/test_operations.py::test_a_command_does_what_the_page_says"
_CATCHING_UP = (
    "tests/faults/test_catching_up.py::test_after_an_outage_of_temporal_the_runs_of_the_grace_time_are_made_up_for"
)
_RUNS = "tests/workflows/test_backup.py"
_SCHEDULES = "tests/backup_scheduler/test_schedules.py"
_RPC_PROCESS = "tests/rpc_service/test_process.py"
_WORKER_PROCESS = "tests/worker/test_process.py"
_RIGHTS = "tests/worker/test_rights.py"
_UNDER_WAY = "tests/test_runs_under_way.py"
_PAUSE = f"{_UNDER_WAY}::test_of_a_pause_only_the_run_under_way_is_left_and_a_resume_makes_up_for_nothing"
_STORED_JOBS = "backup_scheduler/temporal/stored_jobs.py"
_CANCEL_ALL = (
    "for each in (await self._handle.describe()).info.running_actions:\n"
    "            await self._client.get_workflow_handle(each.workflow_id).cancel()\n        "
)
_SWITCHES = "request.schedule.state.paused, request.schedule.state.notes = note.paused, note.text()"

PLANTED: tuple[Planted, ...] = (
    planted(
        "a schedule on the server's newer engine, which loses runs, is not noticed",
        "backup_scheduler/temporal/schedule_engine.py",
        "return found.workflow_execution_info.type.name != _TYPE",
        "return False",
        tests("tests/activities/test_schedule_engine.py"),
    ),
    planted(
        "a cancelled run closes while its restic goes on",
        "workflows/engines.py",
        "            cancellation_type=workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,",
        "            cancellation_type=workflow.ActivityCancellationType.TRY_CANCEL\n"
        "            if self.workflows\n"  # restic
        "            else workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,",
        tests(f"{_RUNS}::test_a_cancelled_run_closes_only_after_its_restic_has_ended"),
    ),
    planted(
        "a backup that takes more than an hour is ended by Temporal",
        "backup_scheduler/jobs/to_schedule.py",
        "LONGEST_RUN: Final = timedelta(days=31)",
        "LONGEST_RUN: Final = timedelta(hours=1)",
        tests(
            f"{_RUNS}::test_the_longest_backup_that_a_policy_allows_is_not_ended_before_its_time",
        ),
    ),
    planted(
        "a run that may wait for a year for a worker is ended after a month",
        "backup_scheduler/jobs/to_schedule.py",
        "execution_timeout=request.window + request.catch_up_window + LONGEST_RUN,",
        "execution_timeout=LONGEST_RUN,",
        tests(f"{_SCHEDULES}::test_temporal_ends_a_run_that_is_open_for_31_days_longer_than_it_may_wait"),
    ),
    planted(
        "a run that hangs after its job was modified is never ended",
        _STORED_JOBS,
        "        request = self._update(current, wanted)\n",
        '        wanted.action.start_workflow.ClearField("workflow_execution_timeout")\n'
        "        request = self._update(current, wanted)\n",
        tests("tests/rpc_service/test_methods.py::test_modify_replaces_all_terms"),
    ),
    planted(
        "a resume starts a backup at once",
        _STORED_JOBS,
        "await self._handle.unpause(note=note)",
        "await self._handle.unpause(note=note)\n        await self._handle.trigger()",
        tests(_PAUSE),
    ),
    planted(
        "a resume makes up for what came due during the pause",
        _STORED_JOBS,
        "await self._handle.unpause(note=note)",
        "await self._handle.unpause(note=note)\n"
        "        from temporalio.client import ScheduleBackfill\n"
        "        from datetime import UTC\n"
        "        now = datetime.now(UTC)\n"
        "        await self._handle.backfill(ScheduleBackfill(start_at=now - timedelta(minutes=1), end_at=now))",
        tests(_PAUSE),
    ),
    planted(
        "runs that wait start in spite of a pause",
        _STORED_JOBS,
        _SWITCHES,
        "from temporalio.client import ScheduleOverlapPolicy\n"
        "        for _ in range((await self._handle.describe()).raw_description.info.buffer_size):\n"
        "            await self._handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)\n"
        f"        {_SWITCHES}",
        tests(_PAUSE),
    ),
    planted(
        "a pause stops the run under way",
        _STORED_JOBS,
        _SWITCHES,
        f"{_CANCEL_ALL}{_SWITCHES}",
        tests(_PAUSE),
    ),
    planted(
        "a modify stops the run under way",
        _STORED_JOBS,
        "wanted = await schedule._to_proto(self._client)",
        f"{_CANCEL_ALL}wanted = await schedule._to_proto(self._client)",
        tests(
            f"{_UNDER_WAY}::test_a_modify_leaves_the_run_under_way_its_terms_and_the_next_run_has_the_new_ones",
        ),
    ),
    planted(
        "a remove stops the run under way",
        _STORED_JOBS,
        "        request = DeleteScheduleRequest(",
        f"        {_CANCEL_ALL}request = DeleteScheduleRequest(",
        tests(f"{_UNDER_WAY}::test_a_remove_leaves_the_run_under_way_to_finish"),
    ),
    planted(
        "an RPC process carries out ten calls at once, whatever its setting says",
        "rpc_service/__main__.py",
        ', "max_workers": settings.rpc_workers}',
        "}",
        tests(f"{_RPC_PROCESS}::test_a_process_carries_out_as_many_calls_at_once_as_its_setting_says"),
    ),
    planted(
        "a worker makes a hundred backups at once, whatever its setting says",
        "worker.py",
        "max_concurrent_activities=settings.max_backups,",
        "max_concurrent_activities=100,",
        tests(f"{_WORKER_PROCESS}::test_a_worker_makes_as_many_backups_at_once_as_its_setting_says"),
    ),
    planted(
        "logs have lines of all levels, whatever the setting says",
        "backup_scheduler/logs.py",
        "root.setLevel(settings.log_level.upper())",
        "root.setLevel(logging.INFO)",
        tests(
            f"{_RPC_PROCESS}::test_the_log_has_no_lines_below_the_level_of_the_setting",
            f"{_WORKER_PROCESS}::test_the_log_has_no_lines_below_the_level_of_the_setting",
        ),
    ),
    planted(
        "a policy file that the worker may not read counts as an empty one",
        "backup_scheduler/policies/file.py",
        'raise ConfigurationError(f"the policy file {path} cannot be read: {error.strerror}") from None',
        "if isinstance(error, PermissionError):\n            return {}\n        raise",
        tests(f"{_RIGHTS}::test_a_file_of_settings_that_may_not_be_read_ends_it_with_one_line_and_code_2"),
    ),
    planted(
        "a file with profiles in a folder that may not be entered ends a process with a traceback",
        "backup_scheduler/temporal/client.py",
        "        _check_profiles(file)\n",
        "        if not Path(file).exists():\n"
        '            raise ConfigurationError(f"TEMPORAL_CONFIG_FILE: there is no file {file!r}")\n',
        tests(
            f"{_RIGHTS}::test_a_file_of_settings_that_may_not_be_read_ends_it_with_one_line_and_code_2",
            "tests/backup_scheduler/test_temporal_settings.py"
            "::test_a_file_with_profiles_that_cannot_be_read_is_refused",
        ),
    ),
    planted(
        "a request goes out without the token that the worker may not read",
        "activities/http/asking.py",
        '        raise permanent(f"the token_file {target.token_file} cannot be read: {error.strerror}") from None',
        "        if isinstance(error, PermissionError):\n            return None\n"
        '        raise permanent(f"the token_file {target.token_file} cannot be read: {error.strerror}") from None',
        tests(f"{_RIGHTS}::test_a_run_names_the_file_that_its_worker_may_not_read"),
    ),
    planted(
        "a source that the worker may not read is tried again for hours",
        "activities/restic/sources.py",
        "_REFUSED: Final = (errno.EACCES, ",
        "_REFUSED: Final = (",
        tests(f"{_RIGHTS}::test_a_run_names_the_file_that_its_worker_may_not_read"),
    ),
    planted(
        "the metric of occurrences too old to be made up for shows the runs that were dropped",
        "activities/all_jobs.py",
        '            "runs_missed_catchup",\n            result.runs_missed_catchup,',
        '            "runs_missed_catchup",\n            result.runs_dropped,',
        tests(_CATCHING_UP),
    ),
    planted(
        "occurrences too old to be made up for are not added up",
        "activities/all_jobs.py",
        "self.runs_missed_catchup += losses.missed_catchup",
        "self.runs_missed_catchup += losses.dropped",
        tests(_CATCHING_UP),
    ),
    planted(
        "all calls are answered 503, without a look at them",
        "rpc_service/calls.py",
        'self._log_fields = {"code": reply["code"]',
        'reply = fail(503, "no")\n        self._log_fields = {"code": reply["code"]',
        tests(
            "tests/faults/test_bad_input.py::test_generated_calls_are_answered_and_memory_stays",
            "tests/rpc_service/test_bad_calls.py::test_whatever_is_called_is_answered_in_the_shape_of_the_contract",
        ),
    ),
    planted(
        "all calls with right arguments are answered 503",
        "rpc_service/calls.py",
        "reply = success(self._wait_for(act(self._gateway, arguments)))",
        "reply = fail(503, f'no {success} of {act}')",
        tests("tests/faults/test_bad_input.py::test_generated_calls_are_answered_and_memory_stays"),
    ),
    planted(
        "calls that wait for Temporal are given up after 0.2 s",
        "rpc_service/gateway/faults.py",
        "DEADLINE: Final = 4.5",
        "DEADLINE: Final = 0.2",
        tests(f"{_RPC_PROCESS}::test_calls_in_flight_are_answered_before_it_leaves"),
    ),
    planted(
        "every other call is answered after eleven seconds",
        "rpc_service/calls.py",
        "        began = time.monotonic()\n",
        "        began = time.monotonic()\n"
        '        Call.number = getattr(Call, "number", 0) + 1\n'
        "        time.sleep(11 * (Call.number % 2))\n",
        tests(f"{_RPC_PROCESS}::test_it_starts_without_temporal_answers_503_and_recovers_by_itself"),
    ),
    planted(
        "two of three calls are answered 504, though they were carried out",
        "rpc_service/calls.py",
        'self._log_fields = {"code": reply["code"]',
        'reply = fail(504, "late") if reply["code"] == 200 and uuid.uuid4().int % 3 else reply\n'
        '        self._log_fields = {"code": reply["code"]',
        tests(
            "tests/faults/test_rabbitmq_restarted.py"
            "::test_it_reconnects_idle_and_under_load_and_what_it_answers_is_true"
        ),
    ),
    planted(
        "a message that is no call is answered with an error of Python's",
        "rpc_service/entrypoint.py",
        "super().handle_message(body if isinstance(body, dict) else {}, message)",
        "super().handle_message(body, message)",
        tests(
            "tests/rpc_service/test_bad_calls.py::test_a_message_that_is_no_call_is_answered_with_what_is_wrong",
        ),
    ),
    planted(
        "a process of the service takes another one for a foreign service",
        "rpc_service/presence.py",
        "others = self._consumers(self._queue) - self._consumers(self._ours)",
        "others = self._consumers(self._queue) - 1",
        tests(
            "tests/rpc_service/test_broker.py::test_another_service_that_takes_calls_is_reported_loudly_and_a_process_of_ours_is_not"
        ),
    ),
    planted(
        "a job that was paused with Temporal's own command counts as one that runs",
        "backup_scheduler/jobs/from_schedule.py",
        "return self.description.schedule.state.paused",
        'return self.description.schedule.state.paused and "pause_job" in self.description.schedule.state.notes',
        tests(_COMMANDS),
    ),
    planted(
        "the page's command for missed runs names a time in which none is due",
        "docs/operations.md",
        "--start-time 2026-01-30T00:00:00Z",
        "--start-time 2026-01-30T12:00:00Z",
        tests(_COMMANDS),
    ),
    planted(
        "a run that is cancelled as the page says closes as failed",
        "workflows/backup.py",
        "                _raise_if_cancelled(error, memo)\n",
        "",
        tests(_COMMANDS),
    ),
    planted(
        "the page's query for failed runs finds none",
        "docs/operations.md",
        'temporal workflow list --query \'BackupOutcome="failed"',
        'temporal workflow list --query \'BackupOutcome="failure"',
        tests("tests/docs/test_operations.py::test_a_command_shows_what_there_is"),
    ),
)
