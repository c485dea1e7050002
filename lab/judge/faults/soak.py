"""Faults that a soak has to name, and faults of its judges that their tests have to notice."""

from lab.judge.planted import BySoak, Change, Planted, planted, tests

_TESTS = "tests/lab/soak"
_NOBODY = "nobody asked for"

_RESUME_BACKS_UP = (
    Change(
        "backup_scheduler/temporal/stored_jobs.py",
        "import uuid\n",
        "import asyncio\nimport uuid\n",
    ),
    Change(
        "backup_scheduler/temporal/stored_jobs.py",
        "        await self._handle.unpause(note=note)\n",
        "        await self._handle.unpause(note=note)\n"
        "        await asyncio.sleep(0.5)\n"
        "        await self._handle.trigger()\n",
    ),
)

_OF_THE_PRODUCT: tuple[Planted, ...] = (
    Planted("a resume also makes a backup (soak)", _RESUME_BACKS_UP, BySoak(_NOBODY)),
    Planted(
        "a resume also makes a backup (test)",
        _RESUME_BACKS_UP,
        tests("tests/rpc_service/test_methods.py::test_a_resume_starts_no_run"),
    ),
    planted(
        "the first snapshot of each job lacks a file",
        "activities/restic/commands.py",
        '        f"--host={host}",\n        *(f"--tag',
        '        f"--host={host}",\n        *([] if task.previous else ["--exclude=7.bin"]),\n        *(f"--tag',
        BySoak("7.bin is missing or was never backed up"),
    ),
    planted(
        "backup services are asked for another policy",
        "activities/http/form.py",
        '{**url_kwargs, "policy_name": policy_name}',
        '{**url_kwargs, "policy_name": "somebody-elses"}',
        BySoak("http backups, wrong: "),
    ),
    planted(
        "a backup service is sent the arguments of another job",
        "activities/http/backup.py",
        "    fields = form(task.request.url_kwargs, task.request.policy_name)\n",
        '    fields = form({"revision": 1}, task.request.policy_name)\n',
        BySoak("http backups, wrong: "),
    ),
    planted(
        "jobs run every day, whatever their days are",
        "backup_scheduler/jobs/terms.py",
        "return timedelta(days=self.days)",
        "return timedelta(days=1)",
        BySoak("its schedule does not follow from its terms"),
    ),
    planted(
        "missed runs are made up for a year later",
        "backup_scheduler/jobs/terms.py",
        "return max(timedelta(seconds=self.misfire_grace_time), _SHORTEST_CATCH_UP)",
        "return timedelta(days=365)",
        BySoak("its schedule does not follow from its terms"),
    ),
    planted(
        "jobs have the search attribute of another policy",
        "backup_scheduler/jobs/to_schedule.py",
        "SearchAttributePair(POLICY_NAME, bounded(request.policy_name)),",
        'SearchAttributePair(POLICY_NAME, "documents"),',
        tests(f"{_TESTS}/test_schedules.py::test_what_the_service_makes_of_terms_follows_from_them"),
    ),
    planted(
        "jobs begin a day later than they say",
        "backup_scheduler/jobs/to_schedule.py",
        "        first = first_run(job.wall_time, zone, now)\n",
        "        first = first_run(job.wall_time, zone, now + timedelta(days=1))\n",
        BySoak("next_run_time outside of the first window"),
    ),
    planted(
        "get_jobs shows jobs without their next run",
        "rpc_service/gateway/jobs.py",
        "described[job.request.scheduler_id] = self._describe(job)",
        "described[job.request.scheduler_id] = {**self._describe(job), 'next_run_time': None}",
        BySoak("get_jobs, soak-"),
    ),
    planted(
        "the worker dies of a job's first backup, and a supervisor starts it again",
        "activities/http/backup.py",
        "        target = self._policies.find(task.request.policy_name)\n",
        "        target = self._policies.find(task.request.policy_name)\n"
        '        if "timed-6" in task.occurrence and task.previous is None and activity.info().attempt == 1:\n'
        "            __import__('os')._exit(1)\n",
        BySoak("worker: ended without a kill (1)"),
    ),
    planted(
        "a look at a job is answered 504",
        "rpc_service/gateway/jobs.py",
        "        async with answering(self._client, scheduler_id):\n            job = await intact(",
        "        async with answering(self._client, scheduler_id):\n"
        "            raise TimeoutError\n"
        "            job = await intact(",
        BySoak("calls that nothing disturbed got a result"),
    ),
    planted(
        "some backups begin half a minute after they are due",
        "activities/http/backup.py",
        "    began = time.monotonic()\n",
        "    began = time.monotonic()\n"
        '    await asyncio.sleep(32 if task.occurrence.split("~")[0].endswith("2Z") else 0)\n',
        BySoak("the slowest run ended"),
    ),
)

_OF_THE_JUDGES: tuple[Planted, ...] = (
    planted(
        "some triggers that Temporal took never run",
        "lab/soak/trigger.py",
        "patch=SchedulePatch(trigger_immediately=request),",
        "patch=SchedulePatch(trigger_immediately=request if trigger.moment.second % 10 else None),",
        BySoak("runs triggered, lost: "),
    ),
    planted(
        "the judge of runs takes every run that is there for one that was asked for",
        "lab/soak/audit.py",
        "        if (each := wanted.get(run.workflow_id)) is None or each.schedule != run.schedule:\n",
        "        if False:\n",
        tests(f"{_TESTS}/test_audit.py::test_runs_are_compared_one_by_one"),
    ),
    planted(
        "the judge of runs looks only at the first run of an id",
        "lab/soak/audit.py",
        "    found = list(runs)\n    there",
        "    found = list({run.workflow_id: run for run in runs}.values())\n    there",
        tests(f"{_TESTS}/test_audit.py::test_runs_are_compared_one_by_one"),
    ),
    planted(
        "a trigger that Temporal took and that never ran counts as open",
        "lab/soak/runs.py",
        "return Wanted(job.scheduler_id, trigger.confirmed, ",
        "return Wanted(job.scheduler_id, False, ",
        tests(f"{_TESTS}/test_audit.py::test_a_trigger_is_certain_only_if_temporal_took_it"),
    ),
    planted(
        "any outage of the server excuses two runs of one id",
        "lab/soak/audit.py",
        "        and first.close is not None\n        and first.close <= second.start\n",
        "",
        tests(f"{_TESTS}/test_audit.py::test_a_killed_server_can_start_a_run_twice_in_one_way"),
    ),
    planted(
        "two triggers of a job may name one second",
        "lab/soak/job.py",
        "            second = max(second, self.triggers[-1].moment + timedelta(seconds=1))\n",
        "            pass\n",
        tests(f"{_TESTS}/test_triggers.py::test_no_two_triggers_of_a_job_name_one_second"),
    ),
    planted(
        "runs of no schedule are left out",
        "lab/soak/audit.py",
        "if run.kind != BACKUP or run.schedule not in schedules",
        "if run.schedule and run.schedule not in schedules",
        tests(f"{_TESTS}/test_audit.py::test_runs_of_no_known_schedule_are_named"),
    ),
    planted(
        "the judge of answers keys its faults by the state after the call",
        "lab/soak/job.py",
        "        true = {after for _, after, fault in judged if fault is None}\n",
        "        by_state = {after: fault for _, after, fault in judged}\n"
        "        true = {after for after, fault in by_state.items() if fault is None}\n",
        tests(f"{_TESTS}/test_answers.py::test_a_remove_may_describe_any_state_that_the_job_may_have_had"),
    ),
    planted(
        "the next run may be on any day",
        "lab/parts/answers.py",
        "        is_in_window = opens <= next_run <= opens + timedelta(hours=self.terms.duration)\n",
        "        is_in_window = (next_run - opens) % timedelta(days=1) <= timedelta(hours=self.terms.duration)\n",
        tests(f"{_TESTS}/test_answers.py::test_the_next_run_is_in_the_first_window_of_the_terms"),
    ),
    planted(
        "the judge of schedules does not look at the offset",
        "lab/parts/schedules.py",
        '        "interval": [(each.interval.ToTimedelta(), each.phase.ToTimedelta()) for each in spec.interval],\n',
        '        "interval": [\n'
        "            (every, (spec.start_time.ToDatetime(UTC) - _EPOCH) % every)\n"
        "            for every in (each.interval.ToTimedelta() for each in spec.interval)\n"
        "        ],\n",
        tests(f"{_TESTS}/test_schedules.py::test_every_part_of_a_schedule_is_compared"),
    ),
    planted(
        "a job that was removed and is there passes",
        "lab/soak/audit_jobs.py",
        "            if stored is not None:\n                tally.doubled",
        "            if False:\n                tally.doubled",
        tests(f"{_TESTS}/test_audit_jobs.py::test_a_job_is_compared_with_the_answers_to_its_calls"),
    ),
    planted(
        "get_jobs is compared by ids only",
        "lab/soak/audit_jobs.py",
        "for scheduler_id, fault in faults if fault]",
        "for scheduler_id, fault in faults if fault and not scheduler_id]",
        tests(f"{_TESTS}/test_audit_jobs.py::test_get_jobs_is_compared_with_the_jobs_that_are_there"),
    ),
    planted(
        "the fields of a request are not compared",
        "lab/soak/audit.py",
        "for form in sorted({request.form for request in made} - each.forms):",
        "for form in sorted(each.forms - each.forms):",
        tests(f"{_TESTS}/test_audit.py::test_requests_are_compared_run_by_run"),
    ),
    planted(
        "a request without a run passes",
        "lab/soak/audit.py",
        "        if key not in keys:\n            tally.doubled",
        "        if key not in keys:\n            continue\n            tally.doubled",
        tests(f"{_TESTS}/test_audit.py::test_requests_are_compared_run_by_run"),
    ),
    planted(
        "snapshots without a run are left out",
        "lab/soak/audit.py",
        "        if snapshot.run not in schedules:\n",
        "        if snapshot.run and snapshot.run not in schedules:\n",
        tests(f"{_TESTS}/test_audit.py::test_snapshots_are_compared_run_by_run"),
    ),
    planted(
        "only the latest snapshot is restored",
        "lab/soak/repository.py",
        "    if len(snapshots) <= most:\n        return list(snapshots)\n",
        "    return list(snapshots[-1:])\n",
        tests(f"{_TESTS}/test_repository.py"),
    ),
    planted(
        "any removal excuses two runs at once",
        "lab/soak/audit.py",
        "one.start.timestamp() <= ended and began <= next_.start.timestamp() for",
        "True for",
        tests(f"{_TESTS}/test_audit.py::test_a_job_that_was_removed_leaves_its_run_to_finish"),
    ),
    planted(
        "the audit does not wait for runs that are missing",
        "lab/soak/audit.py",
        "    return [run.workflow_id for run in runs if run.is_open] + missing\n",
        "    return [run.workflow_id for run in runs if run.is_open]\n",
        tests(f"{_TESTS}/test_audit.py::test_runs_are_read_until_none_is_open_or_missing"),
    ),
    planted(
        "a history that differs from the index passes",
        "lab/soak/runs.py",
        "    return None if run.is_open or last_event == wanted else",
        "    return None if run.is_open or last_event != 'none' else",
        tests(f"{_TESTS}/test_audit.py::test_the_index_is_compared_with_the_history"),
    ),
    planted(
        "a stack that never recovered excuses everything that comes later",
        "lab/soak/outages.py",
        "        return next((moment for moment in (self.recovered, self.given_up) if moment is not None), math.inf)\n",
        "        return math.inf if self.recovered is None else self.recovered\n",
        tests(f"{_TESTS}/test_outages.py"),
    ),
    planted(
        "a soak passes whose stack did not recover",
        "lab/soak/figures.py",
        "            if part.not_recovered:\n",
        "            if False:\n",
        tests(f"{_TESTS}/test_figures.py::test_a_soak_with_bad_news_does_not_pass"),
    ),
    planted(
        "a soak passes whose parts ended by themselves",
        "lab/soak/figures.py",
        "            if part.ended_by_itself > 0:\n",
        "            if False:\n",
        tests(f"{_TESTS}/test_figures.py::test_a_soak_with_bad_news_does_not_pass"),
    ),
    planted(
        "a soak passes in which nothing was judged",
        "lab/soak/figures.py",
        "        yield from self._nothing_judged()\n",
        "",
        tests(f"{_TESTS}/test_figures.py::test_a_soak_in_which_nothing_was_judged_does_not_pass"),
    ),
)

PLANTED: tuple[Planted, ...] = _OF_THE_PRODUCT + _OF_THE_JUDGES
