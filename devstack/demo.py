"""The main job end to end on real parts: add a job, run it now, restore what it saved, change and remove the job."""

import asyncio
import json
import os
import signal
import subprocess
import tempfile
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn
from rich.table import Table
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowFailureError, WorkflowHandle

from backup_scheduler.contract.methods import SERVICE
from backup_scheduler.jobs.names import schedule_id
from backup_scheduler.runs.results import BackupResult
from backup_scheduler.temporal.client import connect
from devstack import comparison
from devstack.compose import FILE
from devstack.errors import StackError
from devstack.running import StackInfo, running_stack

_REPOSITORY = FILE.parent
_JOB = {"scheduler_id": "demo-job", "policy_name": "this-repository"}
_TERMS: dict[str, Any] = {**_JOB, "days": 1, "start_time": "02:00", "duration": 2, "misfire_grace_time": 3600}
_PATIENCE = 120
_console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run the demonstration; return 0 if every step worked. Nothing is left running."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both ways of stopping clean up
    try:
        with tempfile.TemporaryDirectory(prefix="backup-scheduler-demo-") as folder:
            _demonstrate(Path(folder))
    except KeyboardInterrupt:
        _console.print("Stopped. Nothing is left running.")
        return 130
    except (StackError, WorkflowFailureError, subprocess.CalledProcessError) as error:
        cause = getattr(error, "cause", None) or error
        _console.print(f"The demonstration failed: {cause}", style="bold red", markup=False)
        return 1
    _console.print("\nDone: nothing is left running. [bold]make up[/] starts a stack that stays.")
    return 0


def _demonstrate(folder: Path) -> None:
    _title("A fresh stack: Temporal, RabbitMQ, RPC service, worker")
    restic = _restic_settings(folder)
    policies = folder / "policies.toml"
    policies.write_text(_policy(restic))
    _console.print(f"State folder {folder}, with this policy in {policies.name}:\n{_policy(restic)}", markup=False)
    began = time.monotonic()
    with running_stack(folder / "state", {**os.environ, "SCHEDULER_POLICIES": str(policies)}) as stack:
        _console.print(f"All services are healthy after {time.monotonic() - began:.1f} s. Web UI: {stack.web_ui}")
        with _scheduler(stack) as scheduler:
            _title("Add a job by RPC")
            _call(scheduler, "add_scheduler_start_backup_job_by_interval", **_TERMS, ticket="DEMO-1")
            _title("Run it now: Temporal's trigger")
            result = asyncio.run(_run_now(stack))
            job = _call(scheduler, "get_job", scheduler_id=_JOB["scheduler_id"], quiet=True)
            _console.print(f"Next run: {job['description']['next_run_time']}")
            _title("Restore the snapshot and compare")
            _restore(folder / "restored", result, restic)
            _title("Change and remove the job by RPC")
            _change_and_remove(scheduler)


def _restic_settings(folder: Path) -> dict[str, str]:
    password = folder / "restic-password"
    password.touch(mode=0o600)
    password.write_text(os.urandom(16).hex())
    return {
        "RESTIC_REPOSITORY": str(folder / "repository"),
        "RESTIC_PASSWORD_FILE": str(password),
        "RESTIC_CACHE_DIR": str(folder / "cache"),
    }


def _policy(restic: dict[str, str]) -> str:
    terms = {
        "type": "restic",
        "paths": [str(_REPOSITORY)],
        "exclude": comparison.excluded(_REPOSITORY),
        "repository": restic["RESTIC_REPOSITORY"],
        "password_file": restic["RESTIC_PASSWORD_FILE"],
        "cache_dir": restic["RESTIC_CACHE_DIR"],
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in terms.items()]  # these are TOML as well as JSON
    return "\n".join([f"[policies.{_JOB['policy_name']}]", *lines, ""])


@contextmanager
def _scheduler(stack: StackInfo) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nameko and eventlet warn about themselves
        from nameko.standalone.rpc import ClusterRpcProxy

        with ClusterRpcProxy({"AMQP_URI": stack.amqp_uri}, timeout=15) as cluster:
            yield cluster[SERVICE]


def _call(scheduler: Any, method: str, *, quiet: bool = False, expected: int = 200, **arguments: Any) -> dict[str, Any]:
    reply: dict[str, Any] = getattr(scheduler, method)(**arguments)
    if not quiet:
        given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        _console.print(f"{SERVICE}.{method}({given})", style="cyan", markup=False)
        _console.print_json(data=reply)
    if reply["code"] != expected:
        raise StackError(f"{method} answered {reply}")
    return reply


async def _run_now(stack: StackInfo) -> BackupResult:
    os.environ["TEMPORAL_ADDRESS"] = stack.temporal_address
    os.environ["TEMPORAL_NAMESPACE"] = stack.temporal_namespace
    os.environ["TEMPORAL_CONFIG_FILE"] = os.devnull
    client = await connect()
    async with asyncio.timeout(_PATIENCE):
        run = await _trigger(client)
        link = f"{stack.web_ui}/namespaces/{stack.temporal_namespace}/workflows/{run.id}/{run.run_id}/history"
        _console.print(f"Web UI of the run: {link}")
        await _show_progress(client, run)
        result: BackupResult = await run.result()
    _show_result(result)
    return result


async def _trigger(client: Client) -> WorkflowHandle[Any, BackupResult]:
    schedule = client.get_schedule_handle(schedule_id(_JOB["scheduler_id"]))
    await schedule.trigger()
    while True:
        if started := (await schedule.describe()).info.recent_actions:
            action: Any = started[-1].action
            return client.get_workflow_handle(
                action.workflow_id, run_id=action.first_execution_run_id, result_type=BackupResult
            )
        await asyncio.sleep(0.1)


async def _show_progress(client: Client, run: WorkflowHandle[Any, BackupResult]) -> None:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TextColumn("{task.fields[files]}"))
    with Progress(*columns, console=_console, disable=not _console.is_terminal) as bar:
        task = bar.add_task("waiting for a worker", total=None, files="")
        async for beat in _heartbeats(client, run):
            step, done, total = beat["step"], beat.get("bytes_done") or 0, beat.get("bytes_total")
            files = f"{beat.get('files_done') or 0:,} of {beat['files_total']:,} files" if total else ""
            bar.update(task, description=step, completed=done, total=total, files=files)
            if not _console.is_terminal:
                _console.print(f"  {step}: {files}, {decimal(done)} of {decimal(total)}" if total else f"  {step}")
        bar.update(task, visible=False)


async def _heartbeats(client: Client, run: WorkflowHandle[Any, BackupResult]) -> AsyncIterator[dict[str, Any]]:
    last: dict[str, Any] | None = None
    while (now := await run.describe()).status == WorkflowExecutionStatus.RUNNING:
        for activity in now.raw_description.pending_activities:
            # The first one is the progress; a next attempt reads the others.
            for beat in await client.data_converter.decode(activity.heartbeat_details.payloads[:1]):
                if beat != last:
                    last = beat
                    yield beat
        await asyncio.sleep(0.1)


def _show_result(result: BackupResult) -> None:
    rows = {
        "outcome": result.outcome,
        "snapshot id": result.snapshot_id,
        "files": f"{result.files:,}",
        "bytes": f"{result.bytes_processed:,} read, {result.bytes_added:,} added to the restic repository",
        "duration": f"{(result.finished_at - result.started_at).total_seconds():.1f} s",
    }
    table = Table("BackupResult", "", title="The run's result", title_justify="left")
    for name, value in rows.items():
        table.add_row(name, str(value))
    _console.print(table)


def _restore(target: Path, result: BackupResult, restic: dict[str, str]) -> None:
    command = ["restic", "restore", str(result.snapshot_id), "--target", str(target)]
    _console.print(" ".join(command), style="cyan")
    subprocess.run(command, env={**os.environ, **restic}, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # our own command
    found = comparison.compare(_REPOSITORY, target / _REPOSITORY.relative_to("/"), result.started_at.timestamp())
    if found.different or not found.same:
        raise StackError(f"these restored files differ from those in {_REPOSITORY}: {found.different[:10]}")
    _console.print(
        f"{found.same:,} files and links restored, each the same byte by byte as in {_REPOSITORY}.", style="green"
    )
    if found.changed_since:
        _console.print(f"Not compared, as somebody changed them meanwhile: {', '.join(found.changed_since)}")


def _change_and_remove(scheduler: Any) -> None:
    job: dict[str, Any] = {"scheduler_id": _JOB["scheduler_id"]}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("pause_job", job),
        ("resume_job", job),
        ("modify_start_backup_job_by_interval", {**_TERMS, "days": 7, "start_time": "03:30"}),
        ("remove_job", job),
    ]
    table = Table("method", "code", "start_time", "next_run_time", box=SIMPLE, pad_edge=False)
    for method, arguments in calls:
        reply = _call(scheduler, method, quiet=True, **arguments)
        described = reply["description"]
        start_time = described["kwargs"]["start_time"]
        table.add_row(method, str(reply["code"]), start_time, str(described["next_run_time"]))
    _console.print(table)
    _call(scheduler, "get_job", expected=404, **job)


def _title(text: str) -> None:
    _console.rule(f"[bold]{text}", align="left")
