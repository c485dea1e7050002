"""check_scheduler: what jobs need in Temporal, each fault with what to do."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.taskqueue.v1 import PollerInfo
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from backup_scheduler import __version__
from backup_scheduler.contract.methods import CHECK
from backup_scheduler.temporal.identity import WorkerIdentity
from backup_scheduler.temporal.task_queues import heartbeats_of
from devstack.running import StackInfo
from lab.parts.clients import client_of
from lab.parts.waiting import eventually_async
from rpc_service.gateway import checkup
from rpc_service.gateway.checkup import CheckUp
from rpc_service.gateway.findings import SEE_TEMPORAL
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.calls import Caller, assert_fails
from tests.support.gateway_jobs import SETTINGS

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
CHECKS = {
    *("Temporal", "namespace", "search attributes", "workers", "release", "policies", "restic", "passes"),
    *("schedule engine", "clocks", "queue"),
}


def found(described: dict[str, Any]) -> dict[str, dict[str, str]]:
    assert set(described) == {"version", "timezone", "now", "checks"}
    return {each["check"]: each for each in described["checks"]}


def poller(identity: WorkerIdentity | str, ago: float = 5) -> PollerInfo:
    made = PollerInfo(identity=str(identity))
    made.last_access_time.FromDatetime(NOW - timedelta(seconds=ago))
    return made


def worker(name: str = "1@one", **changes: str) -> WorkerIdentity:
    return WorkerIdentity(**{"process": name, "version": __version__, "policies": "a", "restic": "0.18.1", **changes})


async def test_a_stack_that_is_well_has_nothing_to_do(call: Caller) -> None:
    described = call(CHECK)["description"]
    checks = found(described)
    assert set(checks) == CHECKS
    assert {name for name, each in checks.items() if each["state"] == "fault"} == set()
    assert (described["version"], checks["release"]["found"]) == (__version__, __version__)
    assert call(CHECK, checks=False)["description"]["checks"] == []
    assert_fails(call(CHECK, checks="yes"), 400, "checks must be True or False")


async def test_a_namespace_that_nothing_was_made_in_says_what_is_missing(stack: StackInfo, temporal: Client) -> None:
    name = f"empty-{uuid.uuid4().hex[:8]}"
    await temporal.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=Duration(seconds=86400))
    )
    client = await client_of(stack, namespace=name)
    checks: dict[str, dict[str, str]] = {}

    async def is_known() -> bool:  # the server hears of a namespace a moment later
        checks.update(found(await ScheduleGateway(client, SETTINGS).check_up(CheckUp())))
        return checks["namespace"]["state"] == "warning"

    await eventually_async(is_known)
    assert "--retention 90d" in checks["namespace"]["todo"]
    todo = {
        "search attributes": "--name BackupTerms",
        "workers": "backup-scheduler-worker",
        "passes": "within ten minutes",
    }
    for check, text in todo.items():
        assert checks[check]["state"] == "fault"
        assert text in checks[check]["todo"]
    assert "no system schedule" in checks["passes"]["found"]
    assert checks["schedule engine"]["state"] == "warning"
    assert "not known" in checks["schedule engine"]["found"]
    assert "remove" not in checks["schedule engine"]["todo"]


async def test_a_search_attribute_of_a_wrong_type_is_told_with_commands_that_mend_it(
    monkeypatch: pytest.MonkeyPatch, temporal: Client
) -> None:
    async def missing(client: Client) -> dict[str, str]:
        return {"BackupOutcome": "Keyword", "BackupTerms": "Keyword, and not Int"}

    monkeypatch.setattr(checkup, "missing_search_attributes", missing)
    wrong = found(await ScheduleGateway(temporal, SETTINGS).check_up(CheckUp()))["search attributes"]
    assert wrong["state"] == "fault"
    assert wrong["found"] == "missing: BackupOutcome; of the wrong type: BackupTerms (Keyword, and not Int)"
    for_all = f"temporal operator search-attribute {{}} --namespace {temporal.namespace}"
    assert wrong["todo"] == (
        f"{for_all.format('remove')} --name BackupTerms --yes && "
        f"{for_all.format('create')} --name BackupOutcome --type Keyword --name BackupTerms --type Keyword"
    )


async def test_a_namespace_that_is_missing_tells_nothing_of_the_schedule_engine(stack: StackInfo) -> None:
    client = await client_of(stack, namespace="nowhere")
    engine = found(await ScheduleGateway(client, SETTINGS).check_up(CheckUp()))["schedule engine"]
    assert (engine["state"], engine["todo"]) == ("fault", SEE_TEMPORAL)


async def test_where_temporal_is_away_only_that_and_the_queue_of_calls_are_told() -> None:
    client = await Client.connect("127.0.0.1:1", lazy=True)
    queue, temporal = found(await ScheduleGateway(client, SETTINGS).check_up(CheckUp(), strangers=2)).values()
    assert (temporal["check"], temporal["state"]) == ("Temporal", "fault")
    assert (queue["check"], queue["state"]) == ("queue", "fault")
    assert "2 of its consumers" in queue["found"]


@pytest.mark.parametrize(
    ("pollers", "check", "state", "text"),
    [
        ([poller(worker()), poller(worker("2@two"))], "policies", "ok", "a"),
        ([poller(worker()), poller(worker("2@two", policies="b"))], "policies", "warning", "a, b"),
        ([poller(worker()), poller(worker("2@two", restic="none"))], "restic", "warning", "0.18.1, none"),
        ([poller(worker(restic="none")), poller(worker("2@two", restic="none"))], "restic", "ok", "none"),
        ([poller(worker(restic="missing"))], "restic", "fault", "backups of its policies of type restic fail"),
        ([poller(worker(restic="missing")), poller(worker("2@two", restic="none"))], "restic", "fault", "no worker"),
        ([poller(worker(restic="missing")), poller(worker("2@two"))], "restic", "warning", "0.18.1, missing"),
        ([poller(worker(policies="none"))], "policies", "fault", "every backup fails"),
        ([poller(worker(version="0.0.9"))], "release", "warning", "0.0.9"),
        ([poller("1@one")], "workers", "warning", "older release"),
        ([poller(worker(), 200)], "workers", "fault", "none polls"),
        ([], "workers", "fault", "none polls"),
    ],
)
def test_workers_are_to_be_alive_and_alike(pollers: list[PollerInfo], check: str, state: str, text: str) -> None:
    findings = [each for each in checkup.alive_and_alike(pollers, SETTINGS, NOW) if each.check == check]
    assert findings[-1].state == state
    assert text in findings[-1].found
    assert bool(findings[-1].todo) == (state != "ok")


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (60, "agree"),
        (-30, "Temporal is at least 30 s ahead of this service's"),
        (600, "Temporal is at least 8 min behind this service's, or no worker is there"),
    ],
)
def test_a_clock_that_differs_from_temporals_is_noticed(ago: float, text: str) -> None:
    [finding] = checkup.clocks([poller(worker(), ago)], {}, NOW)
    assert text in finding.found


@pytest.mark.parametrize(
    ("ago", "text"),
    [
        (9, "agree"),
        (-30, "worker 1@one is at least 30 s ahead of this service's"),
        (40, "1@one is at least 30 s behind this service's, or it has ended or hangs"),
    ],
)
def test_a_workers_clock_that_differs_is_noticed(ago: float, text: str) -> None:
    pollers = [poller(worker()), poller("older release"), poller(worker("2@two"), 300)]
    beats = {each.identity: NOW - timedelta(seconds=ago if each is pollers[0] else 3600) for each in pollers}
    [finding] = checkup.clocks(pollers, beats, NOW)
    assert text in finding.found
    assert "; " not in finding.found


async def test_the_workers_of_a_task_queue_tell_their_time(temporal: Client) -> None:
    beats: dict[str, datetime] = {}

    async def are_told() -> bool:  # the first one comes up to one interval after the worker is ready
        beats.update(await heartbeats_of(temporal, SETTINGS.task_queue))
        return bool(beats)

    await eventually_async(are_told)
    assert all(WorkerIdentity.read(each) for each in beats)
    assert abs(datetime.now(UTC) - max(beats.values())) < timedelta(seconds=30)


def test_a_worker_is_known_by_its_identity() -> None:
    assert WorkerIdentity.read(str(worker())) == worker()
    assert WorkerIdentity.read("1@one") is None


@pytest.mark.parametrize(
    ("version", "needs_restic", "told"),
    [("none", True, "missing"), ("none", False, "none"), ("0.18.1", True, "0.18.1")],
)
def test_a_worker_tells_that_it_lacks_the_restic_that_a_policy_of_its_needs(
    version: str, needs_restic: bool, told: str
) -> None:
    assert WorkerIdentity.here("a", version, needs_restic=needs_restic).restic == told
