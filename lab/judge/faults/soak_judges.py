"""Faults of a soak and its judges, which the tests of the judges have to notice, or the audit."""

from lab.judge.planted import BySoak, Planted, planted, tests

_TESTS = "tests/lab/soak"

PLANTED: tuple[Planted, ...] = (
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
        tests(f"{_TESTS}/test_settled_runs.py::test_runs_are_read_until_none_is_open_or_missing"),
    ),
    planted(
        "a history that differs from the index passes",
        "lab/soak/runs.py",
        "    return None if run.is_open or last_event == wanted else",
        "    return None if run.is_open or last_event != 'none' else",
        tests(f"{_TESTS}/test_settled_runs.py::test_the_index_is_compared_with_the_history"),
    ),
    planted(
        "a stack that never recovered excuses everything that comes later",
        "lab/soak/outages.py",
        "        return next((moment for moment in (self.recovered, self.given_up) if moment is not None), math.inf)\n",
        "        return math.inf if self.recovered is None else self.recovered\n",
        tests(f"{_TESTS}/test_outages.py"),
    ),
    planted(
        "a soak takes a run that was cancelled for one that made a backup, and the other way round",
        "lab/soak/runs.py",
        "        if outcome in (end.outcomes if end else GOOD):\n",
        "        if outcome in (CANCELLED, *GOOD):\n",
        tests(f"{_TESTS}/test_audit.py::test_a_run_ends_as_it_was_made_to"),
    ),
    planted(
        "a soak overlooks runs that a list lacks",
        "lab/soak/looks.py",
        "    lacking = [run for run in awaited if run not in ids]\n",
        "    lacking = [run for run in awaited if run in ids and run not in ids]\n",
        tests(f"{_TESTS}/test_looks.py::test_a_list_of_runs_has_those_that_were_asked_for_and_no_others"),
    ),
    planted(
        "a soak takes every receipt for true",
        "lab/soak/job.py",
        '        if named == ["changed"] or calm:\n',
        '        if named == ["changed"] and calm and False:\n',
        tests(f"{_TESTS}/test_answers.py::test_a_receipt_has_each_job_in_its_place"),
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
