"""A greenlet waits for a coroutine, and one that is killed leaves none behind: in a process that eventlet has alone."""

import subprocess
import sys

import pytest

from lab.parts.places import ROOT

pytestmark = pytest.mark.programs

BEGINNING = """
import asyncio
import eventlet
from rpc_service.bridge import guest_loop

wait_for = guest_loop()
"""

KILLED = """
said = []

async def work():
    said.append("began")
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        said.append("cancelled")
        raise

waiting = eventlet.spawn(wait_for, work())
while not said:
    eventlet.sleep(0.01)
waiting.kill()
for _ in range(1000):
    if len(said) == 2:
        break
    eventlet.sleep(0.01)
print(said)
"""

BUSY = """
async def work(number):
    await asyncio.sleep(0.1)
    if number == 3:
        raise ValueError(number)
    return number

pool = [eventlet.spawn(wait_for, work(number)) for number in range(5)]
results = []
for each in pool:
    try:
        results.append(each.wait())
    except ValueError as error:
        results.append(repr(error))
print(results)
"""


def said(script: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", BEGINNING + script],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return ended.stdout.strip()


def test_a_greenlet_that_is_killed_cancels_its_coroutine() -> None:
    assert said(KILLED) == "['began', 'cancelled']"


def test_each_greenlet_gets_the_result_or_the_error_of_its_own_coroutine() -> None:
    assert said(BUSY) == "[0, 1, 2, 'ValueError(3)', 4]"
