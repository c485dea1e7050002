"""Texts that processes write: output, command lines, and others that a test adds."""

import base64
import contextlib
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lab.parts.places import ROOT
from tests.support.marked_secrets import MARK

Running = tuple[subprocess.Popen[bytes], Path]
"""A process and its log."""


class Written:
    """Everything that was written anywhere, by its place."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._watching = True
        self._watch = threading.Thread(target=self._command_lines, daemon=True)

    def add(self, place: str, text: str) -> None:
        self.texts[place] = self.texts.get(place, "") + text

    def _command_lines(self) -> None:
        while self._watching:
            with contextlib.suppress(psutil.Error):
                for child in psutil.Process().children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        line = " ".join(child.cmdline())
                        if line not in self.texts.get("command lines", ""):
                            self.add("command lines", line + "\n")
            time.sleep(0.02)

    @contextmanager
    def command_lines(self) -> Iterator[None]:
        self._watch.start()
        yield
        self._watching = False
        self._watch.join()

    def found(self) -> dict[str, list[str]]:
        """Return the lines with the mark in them, in any encoding."""
        marks = [MARK, MARK.swapcase(), base64.b64encode(f"user:{MARK}".encode()).decode()[:14]]
        return {
            place: lines
            for place, text in self.texts.items()
            if (lines := [line for line in text.splitlines() if any(mark in line for mark in marks)])
        }


@contextmanager
def captured(written: Written, place: str, folder: Path, environ: dict[str, str], *command: str) -> Iterator[Running]:
    """Run a process whose output is searched; yields it and its log."""
    log = folder / place.replace(" ", "-")
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environ, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )
    try:
        yield process, log
    finally:
        process.terminate()
        try:
            process.wait(30)
        finally:
            process.kill()
        written.add(place, log.read_text())
