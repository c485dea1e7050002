"""A soak from its beginning to its figures: a stack, load on it, faults, and the audit."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from rich.console import Console
from temporalio.client import Client
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from backup_scheduler.contract.methods import ADD, GET, GET_ALL, METHODS
from backup_scheduler.temporal.client import connect
from devstack.errors import StackError
from devstack.running import StackInfo, running_stack
from lab.cluster.upgrade import Upgrade
from lab.parts.answers import Reply
from lab.soak.caller import Caller
from lab.soak.counts import call_figures, part_figures
from lab.soak.faults import BROKER_HEARTBEAT, Step
from lab.soak.figures import Figures, OutageFigures, PartFigures
from lab.soak.findings import Evidence, Findings, audited
from lab.soak.job import Job
from lab.soak.killer import Killer, Prober
from lab.soak.later import Later
from lab.soak.processes import Processes
from lab.soak.repository import POLICY, Repository
from lab.soak.rpc import CallLog, Rpc
from lab.soak.sites import Site
from lab.soak.slow_restic import SlowRestic
from lab.soak.target import Target, backup_target, later_policy
from lab.soak.timed import TimedSchedules
from lab.soak.together import TogetherCaller
from lab.soak.trigger import Triggers, by_turns
from lab.soak.twins import Twins

_TASK_QUEUE = "soak"
_INTERVALS = [4, 5, 6, 7, 8, 10]
"""Seconds; together about one run per second."""
_PROBER_TIMEOUT = 3
_LAST_CALL = 120
"""Seconds for calls that are under way at the end; a killed part may have to come back first."""


@dataclass(frozen=True)
class Plan:
    """The plan of a soak."""

    site: Site
    steps: Callable[[Random], Iterator[Step]]
    """The faults, by chance."""
    seed: int
    seconds: float
    every: float
    """Seconds from one fault to the next."""
    faults: int
    """Largest number of moments at which there are faults."""
    only: str
    """A part of the text of the faults that are made; empty: all are."""
    callers: int
    pause: float
    """Seconds between two calls of a caller."""
    down: float
    """Seconds that a killed part stays away before it is started again."""
    upgrade_from: str
    """Revision of this project with which the soak begins, to upgrade to this one; empty: there is no upgrade."""
    clock: float
    """Seconds that the clock of the soak's own worker is ahead."""
    slowness: float
    """Seconds that most backups take at their target at most."""
    slowest: float
    """Seconds that the slowest run may take, from when it comes due."""


class Soak:
    """One soak with its own stack."""

    def __init__(self, plan: Plan, state_dir: Path, console: Console, stop: asyncio.Event) -> None:
        self._plan = plan
        self._state_dir = state_dir
        self._console = console
        self._stop = stop
        self._log = CallLog(state_dir / "calls.jsonl")
        self._complaints: list[str] = []
        self._upgrade = Upgrade(state_dir / "stack", plan.upgrade_from) if plan.upgrade_from else None

    async def run(self) -> Figures:
        """Run it; nothing is left running afterwards. Raises StackError when the stack does not come up."""
        site = self._plan.site
        repository = Repository(self._state_dir / "restic")
        async with backup_target(self._random("target"), self._plan.slowness, site.host) as target:
            repository.make(later_policy(target.url))
            restic = SlowRestic(self._state_dir / "restic")
            for folder in site.broker_folders:
                _configure_broker(self._state_dir / "stack" / folder)
            environ = _environ(os.environ, target, repository) | restic.environ(os.environ["PATH"])
            if self._upgrade:
                environ |= self._upgrade.environ()
            stack = running_stack(self._state_dir / "stack", environ, keep_alive=self._plan.down, program=site.program)
            self._say(f"Starting the stack: {', '.join(site.parts)}.")
            info = await asyncio.to_thread(stack.__enter__)
            try:
                self._say(f"Starting {site.own('rpc')} and {site.own('worker')}.")
                async with Twins.beside(
                    site, info, self._state_dir / "stack", self._plan.down, self._plan.clock
                ) as twins:
                    processes = Processes(site, self._state_dir / "stack", twins, self._upgrade)
                    return await self._soak(info, target, repository, processes, restic)
            finally:
                self._say("Ending the stack.")
                await asyncio.to_thread(stack.__exit__, None, None, None)

    async def _soak(
        self, info: StackInfo, target: Target, repository: Repository, processes: Processes, slow: SlowRestic
    ) -> Figures:
        client = await _connected(info)
        triggers, timed = Triggers(client), TimedSchedules(client, _TASK_QUEUE)
        prober = Prober(Rpc(info.amqp_uri, self._log, _PROBER_TIMEOUT), "soak-steady-probe")
        chosen = (step for step in self._plan.steps(self._random("killer")) if self._plan.only in str(step))
        killer = Killer(processes, chosen, prober, target, slow, self._say)
        rpc, judged = Rpc(info.amqp_uri, self._log), (self._log, killer.disturbed, killer.split)
        later = Later(self._random("later"), rpc, *judged, target)

        def caller(name: str, kind: type[Caller] = Caller) -> Caller:
            its_rpc = Rpc(info.amqp_uri, self._log)
            return kind(name, self._random(f"caller-{name}"), its_rpc, *judged, triggers, later.ends)

        steady = caller("steady")
        callers = [caller(str(number)) for number in range(1, self._plan.callers + 1)]
        callers.append(caller("together", TogetherCaller))
        probed = await self._steady_job(steady, "soak-steady-probe", "soak")
        restic = [await self._steady_job(steady, f"soak-steady-restic-{number}", POLICY) for number in (1, 2)]
        await timed.start(_INTERVALS)

        self._complaints += [f"{name} began as the new release" for name in processes.of_release(earlier=False)]
        began = time.time()
        self._say(f"Calls and faults for {self._plan.seconds:.0f} s. Ctrl-C ends them early; the audit follows.")
        over = asyncio.Event()
        working = [
            *(asyncio.create_task(caller.work(over, self._plan.pause)) for caller in callers),
            asyncio.create_task(by_turns(restic, triggers, repository.change, later.cancel_some, over)),
        ]
        ending = asyncio.create_task(later.work())
        probing = asyncio.create_task(prober.work(over, lambda began, reply: self._judge(probed, killer, began, reply)))
        killing = asyncio.create_task(killer.work(self._stop, self._plan.every, self._plan.faults))
        await self._until_end(killing, working)
        interrupted = self._stop.is_set()
        self._stop.set()
        with suppress(RuntimeError):
            await killing  # the last part is back before the audit asks it
        await self._until_all_succeeded(working)
        seconds = time.time() - began
        over.set()
        self._complaints += [f"{name} was not upgraded" for name in processes.of_release(earlier=True)]
        self._say("Audit: waiting for calls and runs that are under way.")
        await self._last_calls([*working, probing])
        if StackInfo.read(self._state_dir / "stack") is None:
            raise StackError(f"The stack ended, there is nothing to audit. {' '.join(self._complaints)}")
        jobs = [job for caller in (steady, *callers) for job in caller.jobs]
        await timed.end()
        killed = [
            (outage.at, outage.end)
            for outage in killer.outages
            if outage.step.splits or any(fault.is_kill and fault.part == "temporal" for fault in outage.step.faults)
        ]
        evidence = Evidence(
            client=client,
            rpc=Rpc(info.amqp_uri, self._log),
            target=target,
            repository=repository,
            task_queue=_TASK_QUEUE,
            patience=2 * self._plan.slowest,  # the last run may come due as late as the soak ends, and wait for others
            timed=timed.all,
            jobs=jobs,
            restic_jobs=restic,
            ends=later.ends,
            outages=killed,
            splits=[(outage.at, outage.calm) for outage in killer.outages if outage.step.splits],
        )
        parts = part_figures(self._plan.site, killer.outages, processes.restarts(), self._log, evidence.timed)
        findings = await audited(evidence)
        if ending.done():
            self._complaints.append(f"the soak itself failed: {ending.exception()!r}")
        ending.cancel()
        return self._figures(seconds, interrupted, killer, parts, evidence, findings)

    def _figures(
        self,
        seconds: float,
        interrupted: bool,
        killer: Killer,
        parts: dict[str, PartFigures],
        evidence: Evidence,
        findings: Findings,
    ) -> Figures:
        return Figures(
            seed=self._plan.seed,
            seconds=seconds,
            interrupted=interrupted,
            parts=parts,
            outages=[OutageFigures(what=str(each.step), seconds=each.seconds) for each in killer.outages],
            calls=call_figures(self._log),
            jobs=findings.jobs,
            timed_runs=findings.timed_runs,
            triggered_runs=findings.triggered_runs,
            http_backups=findings.http_backups,
            restic_snapshots=findings.restic_snapshots,
            snapshots_restored=findings.snapshots_restored,
            backup_requests=len(evidence.target.requests),
            repeated_requests=findings.repeated_requests,
            slowest_run=findings.slowest_run,
            slowest_allowed=self._plan.slowest,
            stale_locks=findings.stale_locks,
            at_once_by_server=findings.at_once_by_server,
            complaints=[*self._complaints, *killer.complaints, *findings.complaints],
        )

    async def _until_end(self, killing: asyncio.Task[None], working: list[asyncio.Task[None]]) -> None:
        deadline = time.monotonic() + self._plan.seconds
        while not self._stop.is_set() and time.monotonic() < deadline:
            for task in (killing, *working):
                if task.done() and (error := task.exception()):
                    self._complaints.append(f"the soak itself had to stop: {error!r}")
                    return
            await asyncio.sleep(0.1)

    async def _until_all_succeeded(self, working: list[asyncio.Task[None]]) -> None:
        """Let the callers go on until each of their methods has succeeded, or chance decides what a soak shows."""
        theirs = [method for method in METHODS if method != GET_ALL]  # the audit calls that one
        deadline = time.monotonic() + _LAST_CALL
        while time.monotonic() < deadline and not all(self._log.succeeded[method] for method in theirs):
            if any(task.done() for task in working):
                return
            await asyncio.sleep(0.1)

    async def _last_calls(self, tasks: list[asyncio.Task[None]]) -> None:
        done, pending = await asyncio.wait(tasks, timeout=_LAST_CALL)
        for task in pending:
            task.cancel()
        if pending:
            self._complaints.append(f"{len(pending)} callers were still waiting {_LAST_CALL} s after the last fault")
        self._complaints += [f"the soak itself failed: {task.exception()!r}" for task in done if task.exception()]

    async def _steady_job(self, caller: Caller, scheduler_id: str, policy_name: str) -> Job:
        job = Job(scheduler_id)
        caller.jobs.append(job)
        if not await caller.call(job, ADD, caller.terms(policy_name)):
            raise StackError(f"{scheduler_id} could not be added")
        return job

    def _judge(self, probed: Job, killer: Killer, began: float, reply: Reply | None) -> None:
        probed.retired = False  # get_job changes nothing, so a lost answer leaves nothing open
        asked_at = datetime.fromtimestamp(began, UTC)
        if fault := probed.judge(GET, None, reply, asked_at, disturbed=killer.disturbed(began)):
            self._log.faults.append(f"{GET} {probed.scheduler_id}: {fault}")

    def _random(self, actor: str) -> Random:
        return Random(f"{self._plan.seed}-{actor}")  # noqa: S311  # chance that can be repeated

    def _say(self, sentence: str) -> None:
        self._console.print(f"{time.strftime('%H:%M:%S')} {sentence}", markup=False)


def _configure_broker(folder: Path) -> None:
    """Write what devstack's RabbitMQ reads beside its own settings."""
    folder.mkdir(parents=True)
    (folder / "soak.conf").write_text(f"heartbeat = {BROKER_HEARTBEAT}\n")


def _environ(environ: Mapping[str, str], target: Target, repository: Repository) -> dict[str, str]:
    # The soak kills RabbitMQ, so it must not be one from the environment.
    kept = {name: value for name, value in environ.items() if not name.startswith(("SCHEDULER_", "AMQP_"))}
    return kept | {
        "SCHEDULER_TIMEZONE": "UTC",
        "SCHEDULER_TASK_QUEUE": _TASK_QUEUE,
        "SCHEDULER_BACKUP_URL": target.url,
        "SCHEDULER_POLICIES": str(repository.policies.absolute()),
        "SCHEDULER_SHUTDOWN_GRACE": "5",
        "SCHEDULER_LOG_FORMAT": "json",
    }


async def _connected(info: StackInfo) -> Client:
    os.environ |= info.environ()
    quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(TelemetryFilter("ERROR", "ERROR"))))
    return await connect(runtime=quiet)
