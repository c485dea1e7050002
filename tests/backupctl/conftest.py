"""backupctl on the stack of the tests, and a job of the test's own."""

import gc
from collections.abc import Iterator

import pytest
from kombu import pools

from backup_scheduler.contract.methods import REMOVE
from devstack.running import StackInfo
from tests.support.calls import Caller
from tests.support.command_line import Ctl, backupctl


@pytest.fixture
def ctl(stack: StackInfo) -> Ctl:
    return backupctl(stack.amqp_uri)


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """Nothing left of broken connections to other tests, which take an open socket for a fault of theirs."""
    yield
    pools.reset()
    gc.collect()


@pytest.fixture
def own(ctl: Ctl, call: Caller, scheduler_id: str) -> Iterator[str]:
    made = ctl(
        "add", scheduler_id, "--policy", "documents", "--at", "02:01", "--days", "3", "--grace", "3600", "tenant=a"
    )
    assert made.exit_code == 0, made.output
    yield scheduler_id
    call(REMOVE, scheduler_id)
