"""The version of restic on the worker's machine."""

import asyncio
import re
from typing import Final

from backup_scheduler.temporal.identity import NONE

_ANSWERS_WITHIN: Final = 10
"""Seconds."""


async def restic_version() -> str:
    """Return it, such as `0.18.1`, or `none` where there is no restic that works."""
    try:
        asked = await asyncio.create_subprocess_exec(
            "restic", "version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return NONE
    try:
        async with asyncio.timeout(_ANSWERS_WITHIN):
            output, _ = await asked.communicate()
    except TimeoutError:
        asked.kill()
        return NONE
    found = re.match(rb"restic (\S+)", output)
    return found[1].decode() if found else NONE
