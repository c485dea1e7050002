"""The worker: makes the backups that Temporal asks for. Start: `backup-scheduler-worker` or `python -m worker`."""

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Coroutine, Sequence
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from temporalio import workflow
from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.runtime import (
    LogForwardingConfig,
    LoggingConfig,
    PrometheusConfig,
    Runtime,
    TelemetryConfig,
    TelemetryFilter,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Worker

from activities.all_jobs import AllJobs
from activities.attempts import HEARTBEAT_INTERVAL
from activities.mask_answers import MaskAnswers
from activities.policy_lookup import PolicyLookup
from activities.previous_run import PreviousRun
from activities.restic.version import restic_version
from activities.resume_jobs import JobResumer
from activities.run_origin import RunOrigin
from backup_scheduler import logs, masking
from backup_scheduler.contract.errors import AccessRefused, ConfigurationError
from backup_scheduler.jobs.names import SYSTEM_SCHEDULE, housekeeping_queue
from backup_scheduler.policies.file import Policies
from backup_scheduler.settings import PREFIX, Settings, load_settings
from backup_scheduler.temporal.client import configuration, connect, follow, reason
from backup_scheduler.temporal.identity import NONE, WorkerIdentity
from backup_scheduler.temporal.namespace import check_access
from backup_scheduler.temporal.preparation import prepare
from backup_scheduler.temporal.system_schedule import look_at_system_schedule
from backup_scheduler.temporal.task_queues import HEARTBEATS_EVERY
from workflows.all_jobs import LookAfterJobsWorkflow
from workflows.backup import BackupWorkflow
from workflows.counters import begin_at_zero
from workflows.engines import ENGINES
from workflows.resume_jobs import ResumeJobsWorkflow

_POLLS = 20
"""Polls for workflow tasks that wait at Temporal at once; each takes one task."""

_POLLS_FOR_NEW_RUNS = 0.25
"""Part of the polls that takes up new runs; the others go on with runs that this worker has. The SDK's default, 1 of 5
polls, takes up one run at a time: of many runs due at one moment, most would wait on idle cores."""

_LOOK = 600
"""Seconds between two looks at the system schedule, without whose passes nobody hears what became of jobs."""

_PAUSE = 2
"""Seconds between attempts to reach Temporal."""

_LOOKS_AT_ACCESS_EVERY = 5
"""Seconds between two looks whether Temporal still lets the worker in."""

log = structlog.stdlib.get_logger("worker")
T = TypeVar("T")


def build_worker(client: Client, settings: Settings, policies: Policies) -> Worker:
    """Put a worker together; its `run()` polls until `shutdown()`."""
    engines = ENGINES.values()
    return Worker(
        client,
        task_queue=settings.task_queue,
        workflows=[
            BackupWorkflow,
            LookAfterJobsWorkflow,
            ResumeJobsWorkflow,
            *(each for engine in engines for each in engine.workflows),
        ],
        activities=[
            PolicyLookup(policies).choose_policy,
            PreviousRun().stopped_at,
            RunOrigin().asked_for,
            *(each for engine in engines for each in engine.activities(policies)),
            AllJobs().look_after,  # for passes that a worker of an older release began
        ],
        interceptors=[MaskAnswers()],
        max_concurrent_activities=settings.max_backups,
        max_concurrent_workflow_task_polls=_POLLS,
        nonsticky_to_sticky_poll_ratio=_POLLS_FOR_NEW_RUNS,
        graceful_shutdown_timeout=settings.shutdown_grace,
        # Heartbeats carry progress and cancellation; by default the SDK holds them back for up to 24 s
        # (docs/temporal-facts.md#heartbeats-carry-cancellation).
        max_heartbeat_throttle_interval=HEARTBEAT_INTERVAL,
        # Runs of a killed worker go on with another worker after this, not after 10 s
        # (docs/temporal-facts.md#sticky-queues-hold-runs).
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
    )


def build_housekeeper(client: Client, settings: Settings) -> Worker:
    """Put a second worker together that makes passes over all jobs and ends pauses: backups never take its places."""
    return Worker(
        client,
        task_queue=housekeeping_queue(settings.task_queue),
        activities=[AllJobs().look_after, JobResumer().resume_jobs],
        max_concurrent_activities=4,  # a pass, and one more that was given up but has not ended; ends of pauses
        max_concurrent_activity_task_polls=1,
    )


async def serve(settings: Settings, policies: Policies) -> None:
    """Work until SIGTERM or SIGINT; wait for Temporal while it cannot be reached."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    runtime = _runtime(settings)
    logs.report(settings)
    version = await restic_version()
    identity = str(WorkerIdentity.here(policies.digest or NONE, version, needs_restic=policies.need_restic))
    waited = False
    while not stop.is_set():
        try:
            config = configuration()
            if client := await _unless(stop, connect(config, runtime=runtime, identity=identity)):
                await _work(client, settings, policies, stop, config, runtime)
        except AccessRefused as error:
            log.error("access refused, trying again", reason=str(error), seconds=_PAUSE)
        except ConfigurationError as error:
            if not waited:
                raise
            # Somebody is at work on the files.
            log.warning("settings cannot be read, trying again", error=str(error), seconds=_PAUSE)
        except (RuntimeError, RPCError) as error:
            log.warning("Temporal cannot be reached, trying again", error=reason(error), seconds=_PAUSE)
        waited = True
        await _unless(stop, asyncio.sleep(_PAUSE))
    log.info("worker stopped")


def _runtime(settings: Settings) -> Runtime:
    address = settings.metrics_address
    try:
        bound = _numeric(address) if address else None
        return Runtime(
            worker_heartbeat_interval=HEARTBEATS_EVERY,
            telemetry=TelemetryConfig(
                logging=LoggingConfig(
                    filter=TelemetryFilter(core_level="WARN", other_level="ERROR"),
                    forwarding=LogForwardingConfig(logger=logging.getLogger("temporalio.core")),
                ),
                metrics=PrometheusConfig(bind_address=bound) if bound else None,
            ),
        )
    except (RuntimeError, ValueError, OSError) as error:
        raise ConfigurationError(f"{PREFIX}METRICS_ADDRESS: {address!r} cannot be used: {error}") from None


def _numeric(address: str) -> str:
    """Replace the host's name by its IP address: the SDK's exporter takes no names. Raises OSError."""
    host, _, port = address.rpartition(":")
    found = socket.getaddrinfo(host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    # IPv4 first: `localhost` may be both, and a Prometheus with the target 127.0.0.1 needs IPv4.
    family, *_, bound = min(found, key=lambda each: each[0] != socket.AF_INET)
    return f"[{bound[0]}]:{port}" if family == socket.AF_INET6 else f"{bound[0]}:{port}"


async def _keep_system_schedule(worker: Worker, task_queue: str) -> None:
    """Make the system schedule anew whenever it is gone, and log whenever it makes no passes."""
    logged = ""
    while True:
        try:
            said = await look_at_system_schedule(worker.client, task_queue)
        except RPCError as error:
            said = "" if error.status == RPCStatusCode.UNAVAILABLE else error.message
        if said and said != logged:
            log.error("no passes over all jobs", schedule=SYSTEM_SCHEDULE, reason=said)
        logged = said
        await asyncio.sleep(_LOOK)


async def _work(
    client: Client,
    settings: Settings,
    policies: Policies,
    stop: asyncio.Event,
    config: ClientConnectConfig,
    runtime: Runtime,
) -> None:
    await check_access(client)
    await prepare(client, settings.task_queue)
    begin_at_zero(runtime.metric_meter, client.namespace, settings.task_queue)
    workers = [build_worker(client, settings, policies), build_housekeeper(client, settings)]

    def use(renewed: Client) -> None:
        for worker in workers:
            worker.client = renewed

    following = asyncio.create_task(follow(client, config, use, runtime=runtime))
    watching = asyncio.create_task(_watch_access(workers[0]))
    try:
        await _run(workers, client, settings, stop)
    finally:
        following.cancel()
        watching.cancel()


async def _watch_access(worker: Worker) -> None:
    """Log when Temporal begins to refuse this worker, and when it ends that: the worker itself would just wait."""
    refused = False
    while True:
        await asyncio.sleep(_LOOKS_AT_ACCESS_EVERY)
        try:
            await check_access(worker.client)
        except AccessRefused as error:
            if not refused:
                log.error("access refused: this worker takes no more runs", reason=str(error))
            refused = True
        except RPCError:  # Temporal is away
            continue
        else:
            if refused:
                log.info("access granted again")
            refused = False


async def _run(workers: Sequence[Worker], client: Client, settings: Settings, stop: asyncio.Event) -> None:
    running = [asyncio.create_task(worker.run()) for worker in workers]
    while not all(worker.is_running for worker in workers) and not any(task.done() for task in running):  # noqa: ASYNC110 - the SDK has no event for it
        await asyncio.sleep(0.01)
    if all(worker.is_running for worker in workers):
        log.info("worker ready", task_queue=settings.task_queue, namespace=client.namespace)
    looking = asyncio.create_task(_keep_system_schedule(workers[0], settings.task_queue))
    ended = asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    if await _unless(stop, ended) is None:
        log.info("worker stopping", grace_seconds=settings.shutdown_grace.total_seconds())
    looking.cancel()
    # If one of them ends by itself, the other must not go on alone.
    await asyncio.gather(*(worker.shutdown() for worker in workers))
    await asyncio.gather(*running)


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Await some work; if the worker has to stop first, cancel the work and return None."""
    working, stopping = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if working.done():
        return working.result()
    working.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await working
    return None


def main() -> int:
    """Run the worker with settings from the environment; return the exit code."""
    masking.guard(os.environ)
    masking.hide_netrc(os.environ)
    try:
        settings = load_settings()
        policies = Policies.of(settings)
        configuration()
        logs.configure(settings)
        # activities/attempts.py logs each failed attempt in one line; the SDK would add a traceback.
        logging.getLogger("temporalio.activity").setLevel(logging.ERROR)
        workflow.logger.workflow_info_on_message = False
        workflow.logger.workflow_info_on_extra = False
        asyncio.run(serve(settings, policies))
    except ConfigurationError as error:
        print(f"worker: {error}", file=sys.stderr)  # noqa: T201  # logs are not set up yet
        return 2
    return 0


def command() -> None:
    """Run the worker as the one thing that its process does, and end the process."""
    code = main()
    logging.shutdown()
    # The client's threads can crash the interpreter at its end, which would spoil the exit code
    # (docs/temporal-facts.md#the-client-can-crash-at-exit).
    os._exit(code)


if __name__ == "__main__":
    command()
