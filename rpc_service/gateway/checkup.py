"""A check-up of all that jobs need: what is found, and what to do."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from pydantic import Field
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, GetSystemInfoRequest
from temporalio.client import Client
from temporalio.service import RPCError

from backup_scheduler import __version__
from backup_scheduler.contract.arguments import Arguments
from backup_scheduler.contract.moments import shown
from backup_scheduler.settings import Settings
from backup_scheduler.temporal.client import reason
from backup_scheduler.temporal.identity import MISSING, NONE, WorkerIdentity
from backup_scheduler.temporal.namespace import command_for, has_wrong_type, missing_search_attributes
from backup_scheduler.temporal.task_queues import HEARTBEATS_EVERY, heartbeats_of, pollers_of
from rpc_service.gateway.findings import SEE_TEMPORAL, Finding, State, span_of
from rpc_service.gateway.pass_checks import ENGINE, PASSES, of_system_schedule

_ANSWERS_WITHIN: Final = 3.0
"""Seconds for one check, less than the caller waits."""

_SHORT_RETENTION: Final = timedelta(days=7)
_POLLS_LAST: Final = timedelta(seconds=75)
"""A poll ends after 60 s at most, so a worker that lives has begun one since."""

_CLOCKS_DIFFER: Final = timedelta(seconds=5)


class CheckUp(Arguments):
    """The argument of check_scheduler."""

    checks: Annotated[bool, Field(description="True or False")] = True
    """Whether to check anything, or only to tell release, time zone and clock."""


async def check_up(
    client: Client, settings: Settings, now: datetime, strangers: int | None, *, checks: bool
) -> dict[str, Any]:
    """Make all checks; where Temporal is away, only that and what is wrong with the queue of calls is found."""
    findings = [_queue(strangers), *await _checked("Temporal", work=_temporal(client))] if checks else []
    if findings and findings[-1].state is not State.FAULT:
        groups = await asyncio.gather(
            _checked("namespace", work=_namespace(client)),
            _checked("search attributes", work=_search_attributes(client)),
            _checked("workers", work=_workers(client, settings, now)),
            _checked(PASSES, ENGINE, work=of_system_schedule(client, now)),
        )
        findings += [finding for group in groups for finding in group]
    return {
        "version": __version__,
        "timezone": settings.timezone,
        "now": shown(now, settings.zone),
        "checks": [asdict(finding) for finding in findings],
    }


async def _checked(*checks: str, work: Awaitable[list[Finding]]) -> list[Finding]:
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN):
            return await work
    except TimeoutError:
        found = f"no answer within {_ANSWERS_WITHIN:g} s"
    except (RPCError, RuntimeError) as error:
        found = reason(error)
    return [Finding(check, State.FAULT, found, SEE_TEMPORAL) for check in checks]


def _queue(strangers: int | None) -> Finding:
    if strangers is None:
        return Finding("queue", State.OK, "not known whether another service takes calls from it: the log says why")
    if not strangers:
        return Finding("queue", State.OK, "no other service takes calls from it")
    found = f"another service takes a part of the calls from it: {strangers} of its consumers are not of this service"
    return Finding("queue", State.FAULT, found, "stop that service: rabbitmqctl list_consumers -p VHOST shows it")


async def _temporal(client: Client) -> list[Finding]:
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest())
    return [Finding("Temporal", State.OK, f"{client.service_client.config.target_host}, release {info.server_version}")]


async def _namespace(client: Client) -> list[Finding]:
    asked = DescribeNamespaceRequest(namespace=client.namespace)
    described = await client.workflow_service.describe_namespace(asked)
    kept = described.config.workflow_execution_retention_ttl.ToTimedelta()
    found = f"{client.namespace!r}, which keeps ended runs for {span_of(kept)}"
    if kept >= _SHORT_RETENTION:
        return [Finding("namespace", State.OK, found)]
    todo = f"temporal operator namespace update --retention 90d {client.namespace}"
    return [Finding("namespace", State.WARNING, found, todo)]


async def _search_attributes(client: Client) -> list[Finding]:
    missing = await missing_search_attributes(client)
    if not missing:
        return [Finding("search attributes", State.OK, "all there")]
    absent = [name for name, needed in missing.items() if not has_wrong_type(needed)]
    wrong = [f"{name} ({needed})" for name, needed in missing.items() if has_wrong_type(needed)]
    told = {"missing": absent, "of the wrong type": wrong}
    found = "; ".join(f"{what}: {', '.join(names)}" for what, names in told.items() if names)
    return [Finding("search attributes", State.FAULT, found, command_for(client.namespace, missing))]


async def _workers(client: Client, settings: Settings, now: datetime) -> list[Finding]:
    pollers = await pollers_of(client, settings.task_queue)
    beats = await heartbeats_of(client, settings.task_queue)
    return [*alive_and_alike(pollers, settings, now), *clocks(pollers, beats, now)]


def alive_and_alike(pollers: Sequence[PollerInfo], settings: Settings, now: datetime) -> list[Finding]:
    """Look at the workers that poll the task queue."""
    alive = _alive(pollers, now)
    if not alive:
        todo = "start a worker with the same TEMPORAL_* and SCHEDULER_TASK_QUEUE: backup-scheduler-worker"
        return [Finding("workers", State.FAULT, f"none polls the task queue {settings.task_queue!r}", todo)]
    known = [worker for identity in sorted(alive) if (worker := WorkerIdentity.read(identity))]
    findings = [
        Finding("workers", State.OK, f"{len(alive)} on {settings.task_queue!r}: {', '.join(map(_name, alive))}")
    ]
    if len(known) < len(alive):
        todo = "bring all workers to one release"
        findings.append(Finding("workers", State.WARNING, "some are of an older release, or not of this project", todo))
    alike = {
        "release": ({worker.version for worker in known} | {__version__}, "bring all workers to the service's release"),
        "policies": ({worker.policies for worker in known}, "give all workers the same policy file"),
        "restic": ({worker.restic for worker in known}, "give all workers the same restic"),
    }
    for check, (found, todo) in alike.items():
        if (check, found) == ("policies", {NONE}):
            todo = "name the policy file in SCHEDULER_POLICIES, or set SCHEDULER_BACKUP_URL, on all workers"
            findings.append(Finding(check, State.FAULT, "no worker has any, so every backup fails", todo))
        elif check == "restic" and MISSING in found <= {NONE, MISSING}:
            todo = "install restic on the machines of the workers, and restart these"
            fault = "no worker has one, so the backups of its policies of type restic fail"
            findings.append(Finding(check, State.FAULT, fault, todo))
        elif len(found) > 1:
            findings.append(Finding(check, State.WARNING, ", ".join(sorted(found)), todo))
        else:
            findings.append(Finding(check, State.OK, *(found or {"not known"})))
    return findings


def clocks(pollers: Sequence[PollerInfo], beats: Mapping[str, datetime], now: datetime) -> list[Finding]:
    """Compare this machine's clock with Temporal's, which stamps the polls of workers, and with those of the workers.

    `beats` are the times of the workers' heartbeats by their own clocks. Those of an older release come more seldom.
    """
    if not pollers:
        return []
    last = max(map(_polled, pollers))
    differing = [_differing("Temporal", now - last - _POLLS_LAST, last - now, "or no worker is there")]
    for identity in sorted(_alive(pollers, now) & beats.keys()):
        worker = WorkerIdentity.read(identity)
        if worker and worker.version == __version__:
            late = now - beats[identity] - HEARTBEATS_EVERY
            gone = "or it has ended or hangs"
            differing.append(_differing(f"the worker {worker.process}", late, beats[identity] - now, gone))
    found = "; ".join(filter(None, differing))
    if not found:
        return [Finding("clocks", State.OK, "this service's, Temporal's and the workers' agree, as far as they show")]
    todo = "see that the workers run, and let a time service keep the clocks of all machines"
    return [Finding("clocks", State.WARNING, found, todo)]


def _differing(whose: str, behind: timedelta, ahead: timedelta, gone: str) -> str | None:
    """Say by how much a clock differs; `gone` is the other reason for which a sign of life is old."""
    by = max(behind, ahead)
    if by <= _CLOCKS_DIFFER:
        return None
    if ahead > behind:
        return f"that of {whose} is at least {span_of(by)} ahead of this service's"
    return f"that of {whose} is at least {span_of(by)} behind this service's, {gone}"


def _alive(pollers: Sequence[PollerInfo], now: datetime) -> set[str]:
    return {each.identity for each in pollers if _polled(each) > now - _POLLS_LAST - _CLOCKS_DIFFER}


def _polled(poller: PollerInfo) -> datetime:
    return poller.last_access_time.ToDatetime(UTC)


def _name(identity: str) -> str:
    return identity.split(" ")[0]
