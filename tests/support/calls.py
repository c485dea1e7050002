"""Calls of the service's methods, and the replies that the contract allows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from kombu.serialization import dumps, loads
from nameko.exceptions import UnknownService
from nameko.standalone.rpc import ClusterRpcProxy

from backup_scheduler.contract.arguments import Arguments, JobId
from backup_scheduler.contract.errors import InvalidArguments
from backup_scheduler.contract.methods import (
    ADD,
    CANCEL_RUN,
    CHECK,
    GET,
    GET_ALL,
    GET_RUN,
    GET_RUNS,
    LIST,
    MODIFY,
    PAUSE,
    PAUSE_ALL,
    PREVIEW,
    REMOVE,
    REPORT,
    RESUME,
    RESUME_ALL,
    RUN,
)
from backup_scheduler.jobs.filters import ListJobs
from backup_scheduler.jobs.pauses import PauseJob, PauseJobs, ResumeJobs
from backup_scheduler.jobs.terms import BackupJob, Preview
from backup_scheduler.runs.arguments import CancelRun, JobRuns, RunId, RunJob
from backup_scheduler.runs.reports import RunReport
from lab.parts.answers import Reply
from rpc_service.gateway.checkup import CheckUp

Caller = Callable[..., Reply]


@contextmanager
def calling(amqp_uri: str, context_data: dict[str, Any] | None = None, **config: Any) -> Iterator[Caller]:
    """Call methods of the service `scheduler` as any nameko client does; `config` is more of nameko's configuration."""
    with ClusterRpcProxy({"AMQP_URI": amqp_uri, **config}, context_data=context_data, timeout=60) as cluster:
        yield lambda method, *args, **kwargs: getattr(cluster.scheduler, method)(*args, **kwargs)


def listens(call: Caller) -> bool:
    try:
        call(GET)
    except UnknownService:
        return False
    return True


ONE_ID = [PAUSE, RESUME, REMOVE, GET]


TERMS = ("documents", 3, "02:01", 2, 3600)


def job(reply: Reply) -> dict[str, Any]:
    """Return the job that a reply describes; the reply must have the contract's shape."""
    assert set(reply) == {"status", "description", "code"}
    assert (reply["status"], reply["code"]) == ("success", 200)
    description: dict[str, Any] = reply["description"]
    assert set(description) == {"job_id", "func", "args", "kwargs", "misfire_grace_time", "next_run_time"}
    assert (description["func"], description["args"]) == ("start_backup", [])
    return description


def assert_fails(reply: Reply, code: int, *texts: str) -> None:
    assert set(reply) == {"status", "description", "code"}
    assert (reply["status"], reply["code"]) == ("fail", code)
    assert isinstance(reply["description"], str)
    for text in texts:
        assert text in reply["description"]


BUSY = (503, 504)
"""Codes for a Temporal under load."""


MODELS: dict[str, type[Arguments]] = {
    ADD: BackupJob,
    MODIFY: BackupJob,
    PAUSE: PauseJob,
    GET_ALL: Arguments,
    LIST: ListJobs,
    PAUSE_ALL: PauseJobs,
    RESUME_ALL: ResumeJobs,
    PREVIEW: Preview,
    REPORT: RunReport,
    RUN: RunJob,
    GET_RUNS: JobRuns,
    GET_RUN: RunId,
    CANCEL_RUN: CancelRun,
    CHECK: CheckUp,
}
"""The arguments of a method; all others take the id of a job alone."""


def assert_right(reply: Reply, method: str, args: list[Any], kwargs: dict[str, Any]) -> None:
    """Fail unless a reply has the contract's shape, and the code 400 exactly if the arguments break a rule."""
    # As they arrive at the service.
    _, _, sent = dumps({"args": args, "kwargs": kwargs}, "json")
    arrived = loads(sent, "application/json", "utf-8")
    try:
        MODELS.get(method, JobId).from_call(**arrived)
    except InvalidArguments:
        codes: tuple[int, ...] = (400,)
    else:
        of_all = dict.fromkeys((GET_ALL, LIST, PAUSE_ALL, RESUME_ALL, CHECK), (200,))
        codes = {ADD: (200, 409), CANCEL_RUN: (200, 404, 409), **of_all}.get(method, (200, 404)) + BUSY
        if method in (PAUSE, PAUSE_ALL, RUN):
            codes += (400,)  # a moment that is past, or ahead
    told = f"{method} {args} {kwargs}: {reply}"
    assert set(reply) == {"status", "description", "code"}, told
    assert reply["code"] in codes, told
    assert (reply["status"] == "success") == (reply["code"] == 200), told
