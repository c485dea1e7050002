"""Faults that a soak has to name."""

from lab.judge.planted import BySoak, Change, Planted, planted, tests

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

PLANTED: tuple[Planted, ...] = (
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
        "a run that is cancelled goes on",
        "backup_scheduler/temporal/runs.py",
        "        await client.workflow_service.request_cancel_workflow_execution(request, retry=True)\n",
        "        del request\n",
        BySoak("runs triggered, wrong: "),
    ),
    planted(
        "the number of files that a service reports is lost",
        "workflows/engines.py",
        "        files=report.files,\n",
        "        files=None,\n",
        BySoak("get_run: "),
    ),
    planted(
        "a receipt says that jobs were paused which were not",
        "rpc_service/gateway/bulk.py",
        "made = await switch_if(stored, note, request_id, is_to_pause, is_retry=redelivered)",
        "made = bool(stored)",
        BySoak("list_jobs soak-together"),
    ),
    planted(
        "windows are shown without their last hour",
        "backup_scheduler/jobs/description.py",
        '"closes": shown(window.closes, zone),',
        '"closes": shown(max(window.opens, window.closes - timedelta(hours=1)), zone),',
        BySoak(" preview soak-"),
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
        tests("tests/lab/soak/test_schedules.py::test_what_the_service_makes_of_terms_follows_from_them"),
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
        '    await __import__("asyncio").sleep(32 if task.occurrence.split("~")[0].endswith("2Z") else 0)\n',
        BySoak("the slowest run ended"),
    ),
    planted(
        "a soak ends before its callers have seen each method succeed",
        "lab/soak/session.py",
        "        await self._until_all_succeeded(working)\n",
        "",
        BySoak("none, so the soak has shown nothing", ("--minutes=0.05", "--faults=0", "--seed=3", "--callers=2")),
    ),
)
