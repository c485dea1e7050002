"""The rights of docs/cluster.md for people: `temporal`, tctl and the Web UI."""

import asyncio
import os
import subprocess
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator

import psutil
import pytest

from devstack import processes
from lab.cluster import certificates
from lab.cluster.plan import TOOLS
from lab.parts.go_tools import programs
from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import SETTINGS, a_job
from tests.support.programs import binary
from tests.support.temporal_nodes import NAMESPACE, TemporalNode

pytestmark = [pytest.mark.cluster, pytest.mark.programs]

READ, WRITE, ADMIN = (f"{NAMESPACE}:{role}" for role in ("read", "write", "admin"))
READ_ALL = "temporal-system:read"
ONE_LESS = {ADMIN: WRITE, WRITE: READ, READ: "elsewhere:write", READ_ALL: ADMIN}


@pytest.fixture
async def owner(node: TemporalNode) -> ScheduleGateway:
    return ScheduleGateway(await node.client(WRITE), SETTINGS)


@pytest.mark.parametrize(
    ("words", "least"),
    [
        ("operator cluster health", ()),
        ("schedule list", (READ,)),
        ("schedule describe --schedule-id JOB", (READ,)),
        ("workflow list", (READ,)),
        ("workflow count", (READ,)),
        ("task-queue describe --task-queue backups", (READ,)),
        ("operator namespace describe --namespace backups", (READ,)),
        ("operator search-attribute list --namespace backups", (READ,)),
        ("operator namespace list", (READ_ALL,)),
        ("operator cluster describe", (READ_ALL,)),
        ("schedule trigger --schedule-id JOB --overlap-policy BufferAll", (WRITE,)),
        ("schedule toggle --schedule-id JOB --pause --reason why", (WRITE,)),
        ("schedule toggle --schedule-id JOB --unpause --reason why", (WRITE,)),
        ("workflow cancel --query WorkflowId='none' --reason why --yes", (WRITE,)),
        ("operator search-attribute create --namespace backups --name Another --type Keyword", (ADMIN,)),
        ("operator namespace update --namespace backups --retention 2d", (ADMIN,)),
    ],
)
async def test_an_operators_command_needs_its_role_and_no_more(
    node: TemporalNode, owner: ScheduleGateway, words: str, least: tuple[str, ...]
) -> None:
    name = uuid.uuid4().hex
    await owner.add(a_job(name), "1")
    words = words.replace("JOB", name)
    done = await asyncio.to_thread(node.temporal, words, *least)
    assert done.returncode == 0, done.stderr
    if least:
        refused = await asyncio.to_thread(node.temporal, words, ONE_LESS[least[0]])
        assert refused.returncode != 0
        assert "Request unauthorized" in refused.stderr
    await owner.remove(name, "2")


def test_a_token_that_is_not_taken_spoils_even_the_health_check(node: TemporalNode) -> None:
    health = [binary("temporal"), "operator", "cluster", "health"]
    for token, code in (("", 0), (node.token("elsewhere:read"), 0), (node.token(READ, days=-1), 1), ("none", 1)):
        assert ran(health, node.environ(token)).returncode == code, token


def ran(command: list[str], environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False, timeout=60)


async def test_tctl_takes_a_token(node: TemporalNode, owner: ScheduleGateway) -> None:
    folder = node.certificates
    environ = {
        "TEMPORAL_CLI_ADDRESS": node.address,
        "TEMPORAL_CLI_NAMESPACE": NAMESPACE,
        "TEMPORAL_CLI_TLS_CA": str(folder / "ca.pem"),
        "TEMPORAL_CLI_TLS_CERT": str(folder / "operator.pem"),
        "TEMPORAL_CLI_TLS_KEY": str(folder / "operator.key"),
        "TEMPORAL_CLI_TLS_SERVER_NAME": certificates.SERVER_NAME,
    }
    name = uuid.uuid4().hex
    await owner.add(a_job(name), "1")
    tctl = programs(TOOLS / "tctl") / "tctl"

    async def run(*words: str, token: str) -> subprocess.CompletedProcess[str]:
        own = {"PATH": os.environ["PATH"], "HOME": str(node.folder), "TEMPORAL_CLI_AUTH": f"Bearer {token}", **environ}
        command = [str(tctl), "schedule", *words, "--schedule_id", name]
        return await asyncio.to_thread(ran, command, own)

    pause = ("toggle", "--pause", "--reason", "why")
    assert (await run("describe", token=node.token(READ))).returncode == 0
    refused = await run(*pause, token=node.token(READ))
    assert refused.returncode != 0
    assert "Request unauthorized" in refused.stdout + refused.stderr
    assert (await run(*pause, token=node.token(WRITE))).returncode == 0
    assert (await owner.get(name))["next_run_time"] is None
    await owner.remove(name, "2")


@pytest.fixture
def web_ui(node: TemporalNode) -> Iterator[str]:
    """The Web UI's server; its address."""
    environ = {
        "PATH": os.environ["PATH"],
        "TEMPORAL_UI_ADDRESS": node.host,
        "TEMPORAL_FRONTEND": node.address,
        "TEMPORAL_CERTIFICATES": str(node.certificates),
        "TEMPORAL_SERVER_NAME": certificates.SERVER_NAME,
    }
    command = [str(programs(TOOLS / "temporal-ui") / "server"), "--config", "deploy/temporal", "--env", "ui", "start"]
    with (node.folder / "ui.log").open("w") as output:
        process = psutil.Popen(command, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT)
    address = f"http://{node.host}:8080"

    def answers() -> bool:
        return asked(f"{address}/api/v1/settings") == 200

    try:
        eventually(answers)
        yield address
    finally:
        processes.end([process], grace=5)


def asked(url: str, token: str = "") -> int:
    """Return the status of an HTTP request, 0 without an answer."""
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return int(error.code)
    except OSError:
        return 0


async def test_the_web_ui_shows_what_the_token_of_its_reader_lets_it_see(node: TemporalNode, web_ui: str) -> None:
    pages = {
        f"{web_ui}/api/v1/namespaces/{NAMESPACE}": READ,
        f"{web_ui}/api/v1/namespaces/{NAMESPACE}/schedules": READ,
        f"{web_ui}/api/v1/namespaces/{NAMESPACE}/workflows": READ,
        f"{web_ui}/api/v1/namespaces": READ_ALL,
        f"{web_ui}/api/v1/cluster-info": READ_ALL,
    }
    for url, permission in pages.items():
        assert await asyncio.to_thread(asked, url, node.token(permission)) == 200, url
        assert await asyncio.to_thread(asked, url) == 403, url
        if permission is READ_ALL:
            assert await asyncio.to_thread(asked, url, node.token(READ)) == 403, url
