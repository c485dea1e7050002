"""Replies to a caller after a fault that nobody foresaw."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from backup_scheduler.contract.arguments import JobId
from backup_scheduler.contract.errors import SchedulerError
from backup_scheduler.contract.methods import GET
from backup_scheduler.jobs.description import Description
from backup_scheduler.settings import Settings
from rpc_service.calls import Call
from rpc_service.entrypoint import REDELIVERED
from rpc_service.gateway.jobs import ScheduleGateway


async def fails(gateway: ScheduleGateway, job: JobId) -> Description:
    raise LookupError("the password is tea")


@pytest.fixture
def call() -> Call:
    gateway: Any = ScheduleGateway(None, Settings(timezone="UTC"))  # type: ignore[arg-type]  # no call gets so far
    context: Any = SimpleNamespace(
        entrypoint=SimpleNamespace(method_name=GET),
        call_id="call-1",
        immediate_parent_call_id="shop.nightly.1",
        data={REDELIVERED: False},
    )
    return Call(asyncio.run, gateway, context)


def test_the_unexpected_is_a_500_with_a_reference_into_the_log_and_nothing_else(call: Call) -> None:
    with capture_logs() as logged:
        reply = call.answer(JobId, ("job-1",), {}, fails)
    assert (reply["status"], reply["code"]) == ("fail", 500)
    assert isinstance(reply["description"], str)
    assert "unexpected" in reply["description"]
    assert "tea" not in reply["description"]
    [failure] = [entry for entry in logged if entry["event"] == "call failed"]
    assert failure["reference"] in reply["description"]
    assert failure["exc_info"]
    assert (failure["scheduler_id"], failure["call_id"]) == ("job-1", "call-1")


def test_every_error_of_ours_has_a_code_of_the_contract() -> None:
    def of(error: type[SchedulerError]) -> set[int]:
        return {error.code}.union(*(of(kind) for kind in error.__subclasses__()))

    assert of(SchedulerError) == {400, 404, 409, 500, 503, 504}
