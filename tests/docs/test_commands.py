"""The commands and snippets of the documentation do what it says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from temporalio.client import Client, ScheduleActionStartWorkflow

from backup_scheduler.contract.methods import ADD, REMOVE
from devstack.running import StackInfo
from lab.parts.places import ROOT
from lab.parts.waiting import eventually
from tests.support.calls import Caller, job
from tests.support.pages import PAGES, blocks, commands

BIN = Path(sys.executable).parent
JOB = "docs-job"


@pytest.fixture(scope="module")
def environ(stack: StackInfo) -> dict[str, str]:
    return {
        **os.environ,
        "TEMPORAL_ADDRESS": stack.temporal_address,
        "TEMPORAL_CONFIG_FILE": os.devnull,
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.fixture
def beside_the_stack(stack: StackInfo, tmp_path: Path) -> Path:
    """A folder in which the stack's addresses are where `make up` puts them."""
    (tmp_path / ".state").mkdir()
    stack.write(tmp_path / ".state")
    return tmp_path


NAMED = "nightly-documents"
"""The job that the documentation makes; here it has the id of the test, which is nobody else's."""


def masked(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "<time>", text)


@pytest.mark.parametrize("page", [page for page in PAGES if any(language == "python" for language, _ in blocks(page))])
def test_python_snippets_print_what_is_below_them(page: str, beside_the_stack: Path, scheduler_id: str) -> None:
    own = [(language, block.replace(NAMED, scheduler_id)) for language, block in blocks(page)]
    shown = [(language, block) for language, block in own if language in ("python", "json")]
    script = "\n".join(block for language, block in shown if language == "python")
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=beside_the_stack, capture_output=True, text=True, timeout=120, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    decoder = json.JSONDecoder()
    printed, rest = [], masked(ran.stdout).strip()
    while rest:
        value, end = decoder.raw_decode(rest)
        printed.append(value)
        rest = rest[end:].strip()
    assert printed == [json.loads(masked(block)) for language, block in shown if language == "json"]


def test_the_nameko_shell_calls_the_service(
    stack: StackInfo, call: Caller, environ: dict[str, str], scheduler_id: str
) -> None:
    [command] = commands("README.md", "nameko")
    [session] = [block for language, block in blocks("README.md") if language == "console" and "nameko shell" in block]
    shown = session.replace(NAMED, scheduler_id).splitlines()
    lines = [line.removeprefix(">>> ") for line in shown if line.startswith(">>> ")]
    job(call(ADD, scheduler_id, "documents", 1, "02:01", 0, 60))
    ran = subprocess.run(
        shlex.split(re.sub(r"amqp://\S+", stack.amqp_uri, command)),
        input="\n".join([*lines, ""]),
        cwd=ROOT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert lines
    assert ran.stdout.count("'code': 200") == len(lines)


def listed(kind: str, query: str, environ: dict[str, str]) -> list[str]:
    words = ["temporal", kind, "list", "--output=json", f"--query={query}"]
    found = json.loads(subprocess.run(words, env=environ, check=True, capture_output=True, text=True).stdout or "[]")
    return [each.get("scheduleId") or each["execution"]["workflowId"] for each in found]


@pytest.mark.parametrize("odd", ['"', "\\", "'", "`", "$HOME", " ", "%"])
async def test_a_job_with_an_odd_id_is_triggered_and_found_as_the_product_and_the_documentation_say(
    odd: str, call: Caller, temporal: Client, environ: dict[str, str]
) -> None:
    before = f"odd-{uuid.uuid4().hex[:8]}"
    scheduler_id = f"{before}{odd}x"
    job(call(ADD, scheduler_id, "documents", 1, "02:01", 1, 3600))
    action = (await temporal.get_schedule_handle(scheduler_id).describe()).schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    [details] = await temporal.data_converter.decode([action.static_details])  # type: ignore[list-item]  # as described
    [line] = [line for line in details.splitlines() if line.startswith("* to run it now: ")]
    fence = re.search(r"(?<!`)(`+)(?!`) ?(.*?) ?(?<!`)\1(?!`)", line)  # a code span of Markdown
    assert fence
    subprocess.run(["bash", "-c", fence[2]], env=environ, check=True, capture_output=True)  # noqa: ASYNC221  # nothing else runs
    eventually(lambda: listed("workflow", f'WorkflowId STARTS_WITH "backup-{before}"', environ))
    eventually(lambda: listed("schedule", f'BackupSchedulerId STARTS_WITH "{before}"', environ) == [scheduler_id])
    if odd not in ('"', "\\"):
        assert listed("schedule", f'BackupSchedulerId="{scheduler_id}"', environ) == [scheduler_id]
    call(REMOVE, scheduler_id)


def test_other_programs_that_are_named_are_there(environ: dict[str, str]) -> None:
    for page in PAGES:
        for language, block in blocks(page):
            for line in block.splitlines() if language == "console" else ():
                word = line.removeprefix("$ ").split(" ")[0]
                if line.startswith(("$ ", "make ", "temporal ", ".venv/")):
                    name = Path(word).name
                    assert shutil.which(name, path=environ["PATH"]), line
