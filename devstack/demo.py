"""The main job end to end on real parts, through backupctl: a job is added, run, restored, paused, changed and removed.

Every command is one that a person can type; the demonstration ends at the first one that does not do what it should.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from devstack import comparison
from devstack.compose import FILE
from devstack.errors import StackError
from devstack.running import StackInfo, running_stack

_REPOSITORY = FILE.parent
_JOB = "demo-job"
_POLICY = "this-repository"
_LOST = "lost-service"
"""A policy whose service is not there: its runs go on until they are cancelled."""

_TERMS = ("--policy", _POLICY, "--at", "02:00", "--window", "2", "--grace", "3600", "ticket=DEMO-1")
_LOOK = 3
"""Exit code of `backupctl doctor` for something to look at, such as passes that are yet to come."""

_console = Console(highlight=False, emoji=False, soft_wrap=True)


def main() -> int:
    """Run the demonstration; return 0 if every step worked. Nothing is left running."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both ways of stopping clean up
    try:
        with tempfile.TemporaryDirectory(prefix="backup-scheduler-demo-") as folder:
            _demonstrate(Path(folder))
    except KeyboardInterrupt:
        _console.print("Stopped. Nothing is left running.")
        return 130
    except (StackError, subprocess.CalledProcessError) as error:
        _console.print(f"The demonstration failed: {error}", style="bold red", markup=False)
        return 1
    _console.print("\nDone: nothing is left running. [bold]make up[/] starts a stack that stays.")
    return 0


def _demonstrate(folder: Path) -> None:
    _title("A fresh stack: Temporal, RabbitMQ, RPC service, worker")
    restic = _restic_settings(folder)
    policies = folder / "policies.toml"
    policies.write_text(_policies(restic))
    _console.print(f"State folder {folder}, with these policies in {policies.name}:\n{_policies(restic)}", markup=False)
    began = time.monotonic()
    with running_stack(folder / "state", {**os.environ, "SCHEDULER_POLICIES": str(policies)}) as stack:
        _console.print(f"All services are healthy after {time.monotonic() - began:.1f} s. Web UI: {stack.web_ui}")
        ctl = Ctl(stack)
        _title("Is all well?")
        ctl("doctor", codes=(0, _LOOK))
        _title("When would it run? Then add it")
        ctl("preview", *_TERMS, "--count", "3")
        ctl("add", _JOB, *_TERMS)
        _title("Run it now")
        run = _run(ctl, stack)
        _title("Restore the snapshot and compare")
        _restore(folder / "restored", run, restic)
        _title("A run that does not end by itself")
        _cancel(ctl)
        _title("Pause, list, resume, change and remove")
        ctl("pause", _JOB, "--reason", "the disk is being replaced")
        ctl("list")
        ctl("resume", _JOB)
        ctl("modify", _JOB, "--policy", _POLICY, "--at", "03:30", "--days", "7", "--grace", "3600")
        ctl("remove", _JOB)
        ctl("get", _JOB, codes=(1,))


class Ctl:
    """Runs backupctl as a person does, with the stack's broker."""

    def __init__(self, stack: StackInfo) -> None:
        self._environ = {**os.environ, "AMQP_URI": stack.amqp_uri}

    def __call__(self, *words: str, codes: tuple[int, ...] = (0,)) -> None:
        """Run a command and show what it shows. Raises StackError if it ends with another code."""
        shown = [f"'{word}'" if " " in word else word for word in words]
        _console.print(f"\n$ backupctl {' '.join(shown)}", style="cyan", markup=False)
        sys.stdout.flush()
        code = subprocess.run(self._command(*words), env=self._environ, check=False).returncode  # noqa: S603  # our own
        if code not in codes:
            raise StackError(f"backupctl {words[0]} ended with code {code}")

    def found(self, *words: str) -> list[dict[str, Any]]:
        """Run a command and return the objects that it prints."""
        command = [*self._command(*words), "--json"]
        done = subprocess.run(command, env=self._environ, check=True, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own
        return [json.loads(line) for line in done.stdout.splitlines()]

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "backupctl", *words]


def _restic_settings(folder: Path) -> dict[str, str]:
    password = folder / "restic-password"
    password.touch(mode=0o600)
    password.write_text(os.urandom(16).hex())
    return {
        "RESTIC_REPOSITORY": str(folder / "repository"),
        "RESTIC_PASSWORD_FILE": str(password),
        "RESTIC_CACHE_DIR": str(folder / "cache"),
    }


def _policies(restic: dict[str, str]) -> str:
    terms = {
        "type": "restic",
        "paths": [str(_REPOSITORY)],
        "exclude": comparison.excluded(_REPOSITORY),
        "repository": restic["RESTIC_REPOSITORY"],
        "password_file": restic["RESTIC_PASSWORD_FILE"],
        "cache_dir": restic["RESTIC_CACHE_DIR"],
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in terms.items()]  # these are TOML as well as JSON
    lost = [f"[policies.{_LOST}]", 'type = "http"', 'url = "http://127.0.0.1:9/"']
    return "\n".join([f"[policies.{_POLICY}]", *lines, "", *lost, ""])


def _run(ctl: Ctl, stack: StackInfo) -> dict[str, Any]:
    """Run the job, and return the run, with the moment at which it was asked for."""
    asked = time.time()
    ctl("run", _JOB, "--reason", "a demonstration")
    ctl("runs", _JOB)
    [run] = ctl.found("runs", _JOB)
    _console.print(f"Web UI of the run: {stack.run_page(run['run_id'])}")
    return {**run, "asked": asked}


def _restore(target: Path, run: dict[str, Any], restic: dict[str, str]) -> None:
    command = ["restic", "restore", str(run["snapshot_id"]), "--target", str(target)]
    _console.print(" ".join(command), style="cyan")
    subprocess.run(command, env={**os.environ, **restic}, check=True, stdout=subprocess.DEVNULL)  # noqa: S603  # our own command
    found = comparison.compare(_REPOSITORY, target / _REPOSITORY.relative_to("/"), run["asked"])
    if found.different or not found.same:
        raise StackError(f"these restored files differ from those in {_REPOSITORY}: {found.different[:10]}")
    _console.print(
        f"{found.same:,} files and links restored, each the same byte by byte as in {_REPOSITORY}.", style="green"
    )
    if found.changed_since:
        _console.print(f"Not compared, as somebody changed them meanwhile: {', '.join(found.changed_since)}")


def _cancel(ctl: Ctl) -> None:
    ctl("add", _LOST, "--policy", _LOST, "--at", "02:00", "--grace", "3600")
    ctl("run", _LOST, "--no-wait")
    [run] = ctl.found("runs", _LOST)
    ctl("cancel", run["run_id"], "--reason", "the service is gone")
    while (ended := ctl.found("show", run["run_id"])[0])["closed_at"] is None:
        time.sleep(0.2)
    if ended["outcome"] != "cancelled":
        raise StackError(f"the cancelled run ended as {ended['outcome']}")
    ctl("runs", _LOST)
    ctl("remove", _LOST)


def _title(text: str) -> None:
    _console.print()
    _console.rule(f"[bold]{text}", align="left")
