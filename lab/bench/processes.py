"""Processes that a benchmark starts, and the CPU time and memory of processes."""

import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import psutil

from lab.parts.places import ROOT
from lab.parts.waiting import eventually

_MIB = 1024 * 1024


class Child:
    """A Python module of the project that runs as a process of its own."""

    def __init__(self, module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Process id."""
        return self.process.pid

    def first_line(self) -> str:
        """Wait for the line by which the process says that it is ready, and return it."""
        line = (self.process.stdout.readline() if self.process.stdout else "").strip()
        if not line:
            raise RuntimeError(f"{self.process.args!r} did not become ready")
        return line

    def kill(self) -> None:
        """End it as a power cut does (kill -9)."""
        self.process.kill()
        self._wait()

    def end(self) -> None:
        """End it by SIGTERM, and after 10 s by kill -9."""
        self.process.terminate()
        try:
            self._wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.kill()

    def _wait(self, timeout: float | None = None) -> None:
        self.process.wait(timeout)
        if self.process.stdout:
            self.process.stdout.close()


@contextmanager
def child(module: str, *arguments: str, environ: Mapping[str, str] | None = None) -> Iterator[Child]:
    """Run a module around the block, ready from its beginning on."""
    started = Child(module, *arguments, environ=environ)
    try:
        started.first_line()
        yield started
    finally:
        started.end()


def family(pid: int) -> set[int]:
    """Return a process and all that it started, by their ids."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return {each.pid for each in (process, *process.children(recursive=True))}
    return set()


@contextmanager
def frozen(pids: Collection[int]) -> Iterator[None]:
    """Stop these processes around the block (SIGSTOP): they use no CPU time and answer nobody."""
    stopped: list[psutil.Process] = []
    try:
        for pid in pids:
            with suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                process.suspend()
                stopped.append(process)
        eventually(lambda: all(map(_stands_still, stopped)))
        yield
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def _stands_still(process: psutil.Process) -> bool:
    try:
        return process.status() in (psutil.STATUS_STOPPED, psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


@contextmanager
def apart(pid: int) -> Iterator[None]:
    """Around the block, give a process one core for itself; this process and all that it started get the others."""
    cores = sorted(os.sched_getaffinity(0))
    _bind(os.getpid(), cores[1:] or cores)
    _bind(pid, cores[:1])
    try:
        yield
    finally:
        _bind(os.getpid(), cores)


def _bind(pid: int, cores: Sequence[int]) -> None:
    """Bind a process and all that it started to these cores."""
    for process in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True)):
        with suppress(psutil.NoSuchProcess):  # such as a health check that has ended meanwhile
            for thread in process.threads():
                with suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, cores)


def cpu_seconds(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU time that each process has used since its start, its ended children included."""
    return {name: sum(psutil.Process(pid).cpu_times()[:4]) for name, pid in pids.items()}


def used_since(before: Mapping[str, float], pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU time that each process has used since an earlier look."""
    return {name: round(now - before.get(name, 0), 2) for name, now in cpu_seconds(pids).items()}


def memory_mib(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the resident memory of each process."""
    return {name: round(psutil.Process(pid).memory_info().rss / _MIB, 1) for name, pid in pids.items()}
