"""backupctl where the broker, the service or its own output fails: it says so in a sentence, and ends."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from amqp.exceptions import ConnectionForced, MessageNacked, NotAllowed
from nameko.exceptions import IncorrectSignature, RemoteError

from backup_scheduler.contract.methods import CHECK, GET_ALL
from backupctl import progress, service
from backupctl.service import CallFailed, Service, connected
from devstack.running import StackInfo
from lab.parts.backup_service import BackupService
from lab.parts.waiting import eventually
from tests.support.command_line import Ctl, backupctl
from tests.support.doors import Door
from tests.support.slow_backups import slow

SOON = 0.5

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    # backupctl leaves a broken connection to the end of its process
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def door(stack: StackInfo) -> Iterator[Door]:
    """A way to the broker."""
    with Door(re.split("[@/]", stack.amqp_uri)[3]) as door:
        yield door


@pytest.fixture
def uri(stack: StackInfo, door: Door) -> str:
    return stack.amqp_uri.replace(re.split("[@/]", stack.amqp_uri)[3], door.address)


def test_a_broker_that_is_away_is_named(scheduler_id: str) -> None:
    away = backupctl("amqp://guest:guest@127.0.0.1:1/")("get", scheduler_id)
    assert away.exit_code == 1
    assert "the broker cannot be reached at amqp://***@127.0.0.1:1/: " in away.stderr


@pytest.mark.parametrize(("part", "other"), [("guest:guest@", "guest:wrong@"), ("/$", "/nowhere")])
def test_a_refusal_of_the_broker_is_a_sentence(stack: StackInfo, part: str, other: str) -> None:
    refused = backupctl(re.sub(part, other, stack.amqp_uri))("list")
    assert refused.exit_code == 1
    assert re.search(r"^backupctl: the broker at amqp\S+ refuses: .*(ACCESS_REFUSED|not found)", refused.stderr)
    assert "wrong" not in refused.stderr


@pytest.mark.parametrize(
    ("uri", "fault"),
    [
        ("amqp://user:pa#ss@host/", "percent-encoded"),
        ("http://user:pass@host/", "not http://"),
        ("amqp://user:pass@[::1", "percent-encoded"),
        ("amqp://user:pass@host/;host", "node 2"),
    ],
)
@pytest.mark.parametrize("command", [("get", "nightly"), ("doctor",)], ids=["get", "doctor"])
def test_a_uri_that_is_none_is_wrong_use_and_its_password_stays_unseen(
    uri: str, fault: str, command: tuple[str, ...]
) -> None:
    refused = backupctl(uri)(*command)
    assert refused.exit_code == 2
    said = " ".join(refused.stderr.replace("\u2502", " ").split())
    assert "AMQP_URI" in said
    assert fault in said
    assert not re.search("pa#ss|:pass@|ss@", said.replace("amqp://user:password@rabbitmq", ""))


def test_a_connection_that_breaks_is_told(door: Door, uri: str) -> None:
    with connected(uri) as scheduler:
        scheduler.call(GET_ALL)
        door.__exit__(None, None, None)
        for _ in range(2):
            with pytest.raises(CallFailed, match="the connection to the broker was lost: the call may be carried out"):
                scheduler.call(GET_ALL)


@pytest.mark.timeout(30, func_only=True)  # the stack may have to start before it
def test_a_broker_that_does_nothing_any_more_is_not_waited_for(
    door: Door, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with connected(uri, timeout=SOON) as scheduler:
        for limit in ("_CONNECTED_WITHIN", "_CONFIRMED_WITHIN", "_CLOSED_WITHIN"):
            monkeypatch.setattr(service, limit, SOON)
        door.hold()
        with pytest.raises(CallFailed, match="the broker does not answer any more: the call may be carried out yet"):
            scheduler.call(GET_ALL)
    with pytest.raises(CallFailed, match=r"cannot be reached at amqp://\*\*\*@\S+: it does not answer"), connected(uri):
        pass


@pytest.mark.parametrize(
    ("ends_by", "code", "said"),
    [("broker", 1, "connection to the broker was lost"), ("Ctrl-C", 130, "")],
    ids=["broker", "Ctrl-C"],
)
def test_a_run_whose_progress_is_lost_is_named(
    stack: StackInfo,
    door: Door,
    uri: str,
    own: str,
    backup_endpoint: BackupService,
    monkeypatch: pytest.MonkeyPatch,
    ends_by: str,
    code: int,
    said: str,
) -> None:
    def end(run: dict[str, Any]) -> str:
        if ends_by == "Ctrl-C":
            raise KeyboardInterrupt
        door.__exit__(None, None, None)
        return "cut"

    monkeypatch.setattr(progress, "_step", end)
    with slow(backup_endpoint, own):
        lost = backupctl(uri)("run", own, "--at", "2026-01-03 02:01:00")
    assert lost.exit_code == code
    assert said in lost.stderr
    monkeypatch.undo()
    named = re.search(r"see what became of the run: backupctl show (\S+)", lost.stderr)
    assert named is not None
    assert backupctl(stack.amqp_uri)("run", own, "--at", "2026-01-03 02:01:00").exit_code == 0
    assert backupctl(stack.amqp_uri)("show", named[1]).exit_code == 0


def test_a_change_that_was_made_is_no_failure_where_only_the_clock_is_not_told(
    ctl: Ctl, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Service.call

    def without_clock(self: Service, method: str, /, **arguments: Any) -> Any:
        if method == CHECK:
            raise CallFailed("Temporal is away", 503)
        return call(self, method, **arguments)

    monkeypatch.setattr(Service, "call", without_clock)
    paused = ctl("pause", own)
    assert paused.exit_code == 0, paused.output
    assert "none: paused" in paused.output
    resumed = ctl("resume", own)
    assert re.search(r"next run +\d{4}-\d\d-\d\d \d\d:\d\d:\d\d *\n", resumed.output)


def written(stack: StackInfo, own: str, *options: str, into: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "backupctl", "--broker", stack.amqp_uri, "get", own, *options]
    return subprocess.run(command, stdout=into, stderr=subprocess.PIPE, text=True, timeout=60)


def test_an_output_that_cannot_be_written_is_told(stack: StackInfo, own: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = written(stack, own, "--json", into=full)
    assert (done.returncode, done.stderr) == (1, "backupctl: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["people", "script"])
def test_an_output_that_nobody_reads_any_more_ends_it_without_a_word(
    options: tuple[str, ...], stack: StackInfo, own: str, closed_pipe: int
) -> None:
    done = written(stack, own, *options, into=closed_pipe)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["people", "script"])
def test_run_ends_with_the_code_of_its_outcome_also_where_nobody_reads_it(
    options: tuple[str, ...], stack: StackInfo, own: str, ctl: Ctl, backup_endpoint: BackupService, closed_pipe: int
) -> None:
    moment = "2026-01-03 02:01:00"
    command = [sys.executable, "-m", "backupctl", "--broker", stack.amqp_uri, "run", own, "--at", moment, *options]
    with slow(backup_endpoint, own), subprocess.Popen(command, stdout=closed_pipe, stderr=subprocess.PIPE) as running:
        begun = json.loads(ctl("run", own, "--at", moment, "--no-wait", "--json").stdout)
        eventually(lambda: ctl("cancel", begun["run_id"]).exit_code == 0)
        _, said = running.communicate(timeout=60)
    assert (running.returncode, said) == (130, b"")


@pytest.mark.timeout(30, func_only=True)
def test_what_was_done_is_shown_without_a_clock_that_is_slow(
    ctl: Ctl, own: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = Service.call

    def slow_clock(self: Service, method: str, /, **arguments: Any) -> Any:
        if method == CHECK:
            time.sleep(600)
        return call(self, method, **arguments)

    monkeypatch.setattr(Service, "call", slow_clock)
    monkeypatch.setattr(service, "_CLOCK_WITHIN", SOON)
    paused = ctl("pause", own)
    assert (paused.exit_code, "none: paused" in paused.output) == (0, True), paused.output


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MessageNacked(), "the broker did not take the call"),
        (RemoteError("KeyError", "'x'"), "the RPC service failed at the call: KeyError 'x'"),
        (IncorrectSignature("got an unexpected argument"), "or another service takes calls from its queue"),
    ],
    ids=["nacked", "remote error", "other arguments"],
)
def test_whatever_comes_of_a_call_is_a_sentence(error: Exception, said: str) -> None:
    proxy = Mock(**{"get_jobs.side_effect": error})
    with pytest.raises(CallFailed, match=re.escape(said)):
        Service(proxy, 1).call(GET_ALL)


@pytest.mark.parametrize(("first", "tried"), [(ConnectionForced("shutdown"), 2), (NotAllowed("no such vhost"), 1)])
def test_a_node_that_shuts_down_is_no_refusal_of_the_others(
    first: Exception, tried: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Mock(**{"start.side_effect": [first, {"scheduler": Mock()}]})
    monkeypatch.setattr("nameko.standalone.rpc.ClusterRpcProxy", lambda *_, **__: connection)
    with (
        nullcontext() if tried == 2 else pytest.raises(CallFailed, match="refuses: no such vhost"),
        connected("amqp://u:p@one/;amqp://u:p@two/"),
    ):
        pass
    assert connection.start.call_count == tried


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_watch_outlasts_a_temporal_that_is_away(
    options: tuple[str, ...], ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = iter([CallFailed("Temporal cannot be reached", 503), KeyboardInterrupt()])

    def call(self: Service, method: str, /, **arguments: Any) -> Any:
        raise next(looks)

    monkeypatch.setattr(Service, "call", call)
    watched = ctl("watch", *options, "--every", "0.1")
    assert "Temporal cannot be reached" in watched.stderr
    assert next(looks, None) is None


def test_watch_shows_each_look_where_there_is_no_terminal(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    moments = iter(["2026-01-01 02:00:00", "2026-01-01 02:00:02"])

    def call(self: Service, method: str, /, **arguments: Any) -> Any:
        if method != CHECK:
            return {"jobs": [], "count": None, "next": None}
        if moment := next(moments, None):
            return {"now": moment, "timezone": "UTC"}
        raise KeyboardInterrupt

    monkeypatch.setattr(Service, "call", call)
    watched = ctl("watch", "--every", "0.1")
    assert watched.stdout.count("Nothing runs") == 2


def test_a_name_that_the_terminal_cannot_write_ends_nothing(
    stack: StackInfo, own: str, ctl: Ctl, monkeypatch: pytest.MonkeyPatch
) -> None:
    terms = ("--policy", "documents", "--at", "02:01", "--grace", "60", "note=备份 é 🙂")
    assert ctl("modify", own, *terms).exit_code == 0
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")
    done = written(stack, own, "--json", into=subprocess.PIPE)
    assert (done.returncode, json.loads(done.stdout)["kwargs"]["note"]) == (0, "备份 é 🙂"), done.stderr


@pytest.fixture
def closed_pipe() -> Iterator[int]:
    """The writing end of a pipe whose reading end is closed."""
    reading, writing = os.pipe()
    os.close(reading)
    yield writing
    os.close(writing)
