"""The metrics of a worker, as Prometheus reads them."""

import re
import uuid
from pathlib import Path

import aiohttp
import pytest
from temporalio.testing import WorkflowEnvironment

from tests.support.backup_requests import a_request
from tests.support.policy_files import write_policies
from tests.support.ports import unused_port
from tests.support.workers import Runs, line_with, worker_process
from tests.support.workflow_runs import failure

pytestmark = pytest.mark.programs


async def counters_at(address: str) -> dict[str, float]:
    """Return the value of each counter of this project, by its name with its labels."""
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}/metrics") as response:
        found = re.findall(
            r"^(backup_scheduler_(?:runs|failed_passes)\{.*\}) (\S+)$", await response.text(), re.MULTILINE
        )
    return {series: float(value) for series, value in found}


async def test_the_first_failed_run_of_a_worker_is_an_increase_of_a_counter(
    temporal_server: WorkflowEnvironment, tmp_path: Path
) -> None:
    queue, address = f"queue-{uuid.uuid4()}", f"127.0.0.1:{unused_port()}"
    settings = {
        "TEMPORAL_ADDRESS": temporal_server.client.service_client.config.target_host,
        "SCHEDULER_TASK_QUEUE": queue,
        "SCHEDULER_METRICS_ADDRESS": address,
        "SCHEDULER_POLICIES": str(write_policies(tmp_path / "policies.toml", {})),
    }
    async with worker_process(**settings) as process:
        await line_with(process, '"worker ready"')
        before = await counters_at(address)
        await failure(await Runs(temporal_server.client, queue).start(a_request(policy_name="not configured")))
        after = await counters_at(address)
    assert any(series.startswith("backup_scheduler_failed_passes{") for series in before)
    assert set(before.values()) == {0}
    assert set(after) == set(before)
    grown = {series: value for series, value in after.items() if value}
    assert [('outcome="failed"' in series, value) for series, value in grown.items()] == [(True, 1)]
