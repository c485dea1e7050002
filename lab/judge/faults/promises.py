"""Faults in what is promised of runs, pauses, settings and rights, and in what the tests themselves count."""

from lab.judge.planted import Planted, planted, tests

_RUNS = "tests/workflows/test_backup.py"
_SCHEDULES = "tests/backup_scheduler/test_schedules.py"
_UNDER_WAY = "tests/test_runs_under_way.py"
_PAUSE = f"{_UNDER_WAY}::test_of_a_pause_only_the_run_under_way_is_left_and_a_resume_makes_up_for_nothing"
_STORED_JOBS = "backup_scheduler/temporal/stored_jobs.py"
_CANCEL_ALL = (
    "for each in (await self._handle.describe()).info.running_actions:\n"
    "            await self._client.get_workflow_handle(each.workflow_id).cancel()\n        "
)

PLANTED: tuple[Planted, ...] = (
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
        "await self._handle.pause(note=note)",
        "from temporalio.client import ScheduleOverlapPolicy\n"
        "        for _ in range((await self._handle.describe()).raw_description.info.buffer_size):\n"
        "            await self._handle.trigger(overlap=ScheduleOverlapPolicy.BUFFER_ALL)\n"
        "        await self._handle.pause(note=note)",
        tests(_PAUSE),
    ),
    planted(
        "a pause stops the run under way",
        _STORED_JOBS,
        "await self._handle.pause(note=note)",
        f"{_CANCEL_ALL}await self._handle.pause(note=note)",
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
)
