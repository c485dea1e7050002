"""Calls of the service's methods, and the replies that the contract allows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from nameko.exceptions import UnknownService
from nameko.standalone.rpc import ClusterRpcProxy

from backup_scheduler.contract.methods import GET, PAUSE, REMOVE, RESUME
from lab.parts.answers import Reply

Caller = Callable[..., Reply]


@contextmanager
def calling(amqp_uri: str) -> Iterator[Caller]:
    """Call methods of the service `scheduler` as any nameko client does."""
    with ClusterRpcProxy({"AMQP_URI": amqp_uri}, timeout=60) as cluster:
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
