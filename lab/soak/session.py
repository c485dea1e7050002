"""A soak from its beginning to its figures: a stack, load on it, kills, and the audit."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

from rich.console import Console
from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.temporal.client import connect
from devstack.errors import StackError
from devstack.running import StackInfo, running_stack
from lab.soak import audit
from lab.soak.caller import Caller
from lab.soak.figures import CallFigures, Figures, KillFigures, PartFigures
from lab.soak.killer import PARTS, Killer, Prober
from lab.soak.model import Job, Method
from lab.soak.repository import POLICY, Repository
from lab.soak.rpc import CallLog, Rpc
from lab.soak.target import Target, backup_target
from lab.soak.timed import TimedSchedules
from lab.soak.trigger import Triggers

_TASK_QUEUE = "soak"
_INTERVALS = [4, 5, 6, 7, 8, 10]
"""Seconds; together about one run per second."""
_RESTIC_PAUSE = 6
"""Seconds between two triggers of restic jobs; a backup of theirs takes about half of that."""
_PROBER_TIMEOUT = 3
_LAST_CALL = 120
"""Seconds for calls that are under way at the end; a killed part may have to come back first."""
_DRAIN = 240
"""Seconds for the runs that are under way at the end: a lost worker is noticed after 30 s, and tries are seconds apart.
"""


@dataclass(frozen=True)
class Plan:
    """What a soak is to do."""

    seed: int
    seconds: float
    every: float
    """Seconds from one kill to the next."""
    kills: int
    """At most."""
    callers: int
    pause: float
    """Seconds between two calls of a caller."""
    down: float
    """Seconds that a killed part stays away before it is started again."""
    slowness: float
    """Seconds that most backups take at their target at most."""


class Soak:
    """One soak with its own stack."""

    def __init__(self, plan: Plan, state_dir: Path, console: Console, stop: asyncio.Event) -> None:
        self._plan = plan
        self._state_dir = state_dir
        self._console = console
        self._stop = stop
        self._log = CallLog(state_dir / "calls.jsonl")
        self._complaints: list[str] = []

    async def run(self) -> Figures:
        """Run it; whatever happens, nothing is left running. Raises StackError when the stack does not come up."""
        repository = Repository(self._state_dir / "restic")
        repository.make()
        async with backup_target(self._random("target"), self._plan.slowness) as target:
            environ = _environ(os.environ, target, repository)
            stack = running_stack(self._state_dir / "stack", environ, keep_alive=self._plan.down)
            self._say("Starting the stack: Temporal, RabbitMQ, RPC service, worker.")
            info = await asyncio.to_thread(stack.__enter__)
            try:
                return await self._soak(info, target, repository)
            finally:
                self._say("Ending the stack.")
                await asyncio.to_thread(stack.__exit__, None, None, None)

    async def _soak(self, info: StackInfo, target: Target, repository: Repository) -> Figures:
        os.environ |= {
            "TEMPORAL_ADDRESS": info.temporal_address,
            "TEMPORAL_NAMESPACE": info.temporal_namespace,
            "TEMPORAL_CONFIG_FILE": os.devnull,
        }
        quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(TelemetryFilter("ERROR", "ERROR"))))
        client = await connect(runtime=quiet)
        triggers = Triggers(client)
        timed = TimedSchedules(client, _TASK_QUEUE)
        rpc = Rpc(info.amqp_uri, self._log, _PROBER_TIMEOUT)
        prober = Prober(rpc, "soak-steady-probe")
        killer = Killer(self._state_dir / "stack", self._random("killer"), prober, target, self._say)
        steady = Caller("steady", self._random("steady"), Rpc(info.amqp_uri, self._log), self._log, triggers, bool)
        callers = [
            Caller(
                str(number),
                self._random(f"caller-{number}"),
                Rpc(info.amqp_uri, self._log),
                self._log,
                triggers,
                killer.disturbed,
            )
            for number in range(1, self._plan.callers + 1)
        ]
        probed = await self._steady_job(steady, "soak-steady-probe", "soak")
        restic = [await self._steady_job(steady, f"soak-steady-restic-{number}", POLICY) for number in (1, 2)]
        await timed.start(_INTERVALS)

        began = time.time()
        self._say(f"Calls and kills for {self._plan.seconds:.0f} s. Ctrl-C ends them early; the audit follows.")
        over = asyncio.Event()
        working = [
            *(asyncio.create_task(caller.work(over, self._plan.pause)) for caller in callers),
            asyncio.create_task(_run_again_and_again(restic, triggers, repository, over)),
        ]
        probing = asyncio.create_task(prober.work(over, lambda began, reply: self._heed(probed, killer, began, reply)))
        killing = asyncio.create_task(killer.work(self._stop, self._plan.every, self._plan.kills))
        await self._until_end(killing, working)
        interrupted = self._stop.is_set()
        self._stop.set()
        with suppress(RuntimeError):
            await killing  # the last part is back before the audit asks it
        seconds = time.time() - began
        over.set()
        self._say("Audit: waiting for calls and runs that are under way.")
        await self._last_calls([*working, probing])
        if StackInfo.read(self._state_dir / "stack") is None:
            raise StackError(f"The stack ended, there is nothing to audit. {' '.join(self._complaints)}")
        jobs = [job for caller in (steady, *callers) for job in caller.jobs]
        for job in jobs:
            await triggers.settle(job)
        await timed.end()
        return await self._audit(
            client, info.amqp_uri, target, repository, killer, timed, jobs, restic, seconds, interrupted
        )

    async def _until_end(self, killing: asyncio.Task[None], working: list[asyncio.Task[None]]) -> None:
        deadline = time.monotonic() + self._plan.seconds
        while not self._stop.is_set() and time.monotonic() < deadline:
            for task in (killing, *working):
                if task.done() and (error := task.exception()):
                    self._complaints.append(f"the soak itself had to stop: {error!r}")
                    return
            await asyncio.sleep(0.1)

    async def _last_calls(self, tasks: list[asyncio.Task[None]]) -> None:
        done, pending = await asyncio.wait(tasks, timeout=_LAST_CALL)
        for task in pending:
            task.cancel()
        if pending:
            self._complaints.append(f"{len(pending)} callers were still waiting {_LAST_CALL} s after the last kill")
        self._complaints += [f"the soak itself failed: {task.exception()!r}" for task in done if task.exception()]

    async def _audit(
        self,
        client: Client,
        amqp_uri: str,
        target: Target,
        repository: Repository,
        killer: Killer,
        timed: TimedSchedules,
        jobs: list[Job],
        restic: list[Job],
        seconds: float,
        interrupted: bool,
    ) -> Figures:
        runs = await audit.all_runs(client, timed.all, jobs, _DRAIN)
        self._complaints += [*runs.at_once(jobs), *await runs.check_histories(client)]
        found_jobs = await audit.jobs(client, jobs, {schedule_id(each.scheduler_id) for each in timed.all})
        timed_runs = audit.timed_runs(runs, timed.all)
        triggered_runs = audit.triggered_runs(runs, jobs)
        of_restic = {id_ for job in restic for id_ in runs.by_schedule[schedule_id(job.scheduler_id)]}
        due = {id_ for each in timed.all for id_ in (*each.due(), *each.open())}
        repeated = audit.at_target(
            runs, target, lambda id_: timed_runs if id_ in due else triggered_runs, set(runs.by_id) - of_restic
        )
        snapshots = await audit.snapshots(runs, restic, repository)
        if wrong := await repository.check():
            self._complaints.append(wrong)
        restored, differences = await repository.restore_latest()
        self._complaints += differences
        await self._compare_list(Rpc(amqp_uri, self._log), found_jobs.names)
        return Figures(
            seed=self._plan.seed,
            seconds=seconds,
            interrupted=interrupted,
            parts=_parts(killer, StackInfo.read(self._state_dir / "stack"), self._log, timed),
            kills=[KillFigures(part=kill.part, signal=kill.signal, seconds=kill.seconds) for kill in killer.kills],
            calls=_calls(self._log),
            jobs=found_jobs,
            timed_runs=timed_runs,
            triggered_runs=triggered_runs,
            restic_snapshots=snapshots,
            snapshots_restored=restored,
            backup_requests=target.requests,
            repeated_requests=repeated,
            latest_run=runs.latest(due),
            stale_locks=await repository.locks(),
            complaints=self._complaints,
        )

    async def _compare_list(self, rpc: Rpc, there: list[str]) -> None:
        reply = await rpc.call("get_jobs", {})
        await rpc.close()
        listed = [job["job_id"] for job in reply["description"]] if reply and reply["code"] == 200 else reply
        if listed != sorted(there):
            self._complaints.append(f"get_jobs does not list the jobs that are there: {listed}")

    async def _steady_job(self, caller: Caller, scheduler_id: str, policy_name: str) -> Job:
        job = Job(scheduler_id)
        caller.jobs.append(job)
        if not await caller.call(job, Method.ADD, caller.terms(policy_name)):
            raise StackError(f"{scheduler_id} could not be added")
        return job

    def _heed(self, probed: Job, killer: Killer, began: float, reply: dict[str, object] | None) -> None:
        probed.retired = False  # asking changes nothing, so a lost answer does not either
        if fault := probed.heed(Method.GET, None, reply, disturbed=killer.disturbed(began)):
            self._log.faults.append(f"{Method.GET} {probed.scheduler_id}: {fault}")

    def _random(self, actor: str) -> Random:
        return Random(f"{self._plan.seed}-{actor}")  # noqa: S311  # chance that can be repeated

    def _say(self, sentence: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {sentence}", markup=False)


async def _run_again_and_again(
    jobs: list[Job], triggers: Triggers, repository: Repository, stop: asyncio.Event
) -> None:
    number = 0
    while not stop.is_set():
        repository.change()
        await triggers.run(jobs[number % len(jobs)], may_wait=True)
        number += 1
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _RESTIC_PAUSE)


def _environ(environ: Mapping[str, str], target: Target, repository: Repository) -> dict[str, str]:
    # Not the caller's RabbitMQ: the soak kills it.
    kept = {name: value for name, value in environ.items() if not name.startswith(("SCHEDULER_", "AMQP_"))}
    return kept | {
        "SCHEDULER_TIMEZONE": "UTC",
        "SCHEDULER_TASK_QUEUE": _TASK_QUEUE,
        "SCHEDULER_BACKUP_URL": target.url,
        "SCHEDULER_POLICIES": str(repository.policies.absolute()),
        "SCHEDULER_SHUTDOWN_GRACE": "5",
        "SCHEDULER_LOG_FORMAT": "json",
    }


def _parts(killer: Killer, info: StackInfo | None, log: CallLog, timed: TimedSchedules) -> dict[str, PartFigures]:
    parts = {}
    due = [(time.timestamp(), time.timestamp()) for each in timed.all for time in each.times()]
    for name in PARTS:
        kills = [kill for kill in killer.kills if kill.part == name]
        signals = Counter(kill.signal for kill in kills)
        restarts = info.restarts[name] if info else len(kills)
        parts[name] = PartFigures(
            killed=signals["SIGKILL"],
            terminated=signals["SIGTERM"],
            longest_recovery=max((kill.seconds for kill in kills if kill.seconds is not None), default=None),
            not_recovered=sum(kill.seconds is None for kill in kills),
            calls=sum(kill.meanwhile(log.spans) for kill in kills),
            runs=sum(kill.meanwhile(due) for kill in kills),
            ended_by_itself=restarts - len(kills),
        )
    return parts


def _calls(log: CallLog) -> CallFigures:
    return CallFigures(
        made=log.by_method.total(),
        changing=sum(number for method, number in log.by_method.items() if not method.startswith("get_")),
        answered={str(code): number for code, number in log.answered.items()},
        unanswered=dict(log.unanswered),
        longest={str(code): seconds for code, seconds in log.longest.items()},
        untrue=log.faults,
    )
