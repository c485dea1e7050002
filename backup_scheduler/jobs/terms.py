"""The terms of a backup job and their rules (docs/api.md#arguments)."""

import json
import re
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, JsonValue, ValidationInfo

from backup_scheduler.contract.arguments import (
    CALL,
    NAME_RULE,
    Arguments,
    JobId,
    SchedulerId,
    refuse_control_characters,
    refuse_unencodable,
)

MAX_URL_KWARGS_BYTES: Final = 64 * 1024
MAX_NESTING: Final = 100
"""Levels of lists and dicts. Temporal's converter (pydantic) reads 200 levels of JSON, its own included. The argument
of an activity holds that of a run one level deeper."""

_START_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_SHORTEST_CATCH_UP = timedelta(seconds=10)

_NOBODY: Final = "-"
"""Stands in for the scheduler_id of a preview without one."""


def _one_line(text: str, info: ValidationInfo) -> str:
    return refuse_control_characters(text) if info.context is CALL else text


def _as_hh_mm(text: str) -> str:
    match = _START_TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError
    return f"{int(match[1]):02}:{match[2]}"


def _passed_on(value: Any, info: ValidationInfo) -> Any:
    return _as_json(value, MAX_NESTING) if info.context is CALL else value


def _as_json(value: Any, levels: int) -> Any:
    """Return the value as JSON; other values that kombu carries become the text that an HTTP form would have."""
    if isinstance(value, (dict, list)) and levels == 0:
        raise ValueError
    if isinstance(value, dict):
        return {key: _as_json(each, levels - 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_json(each, levels - 1) for each in value]
    if isinstance(value, bytes):
        return value.decode()  # other bytes raise UnicodeDecodeError, which is a ValueError
    return str(value) if isinstance(value, (date, time, UUID, Decimal)) else value


def _small_json(values: dict[str, JsonValue]) -> dict[str, JsonValue]:
    encoded = json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    if len(encoded) > MAX_URL_KWARGS_BYTES:
        raise ValueError
    return values


class Terms(Arguments):
    """The terms of a job, checked when they are made; the description of a field is its rule, quoted in errors."""

    policy_name: Annotated[
        str,
        Field(min_length=1, max_length=200, description=NAME_RULE),
        AfterValidator(refuse_unencodable),
        AfterValidator(_one_line),
    ]
    days: Annotated[int, Field(ge=1, le=3650, description="a whole number of days from 1 to 3650")]
    start_time: Annotated[
        str, AfterValidator(_as_hh_mm), Field(description="a time of day like '02:01', from '00:00' to '23:59'")
    ]
    duration: Annotated[int, Field(ge=0, le=24, description="a whole number of hours from 0 to 24")]
    misfire_grace_time: Annotated[
        int, Field(ge=1, le=315_360_000, description="a whole number of seconds from 1 to 315360000")
    ]
    url_kwargs: Annotated[
        dict[str, Annotated[JsonValue, BeforeValidator(_passed_on)]],
        AfterValidator(_small_json),
        Field(
            description="JSON values of at most 64 KiB when encoded and at most 100 levels deep, "
            "without NaN, infinity, lone surrogates or whole numbers of more than 4300 digits",
        ),
    ] = {}  # noqa: RUF012  # pydantic copies it

    @property
    def every(self) -> timedelta:
        """Time from one run to the next: at least a day, so never shorter than the window."""
        return timedelta(days=self.days)

    @property
    def window(self) -> timedelta:
        """Length of the window that begins at start_time; a run starts at a random moment in it."""
        return timedelta(hours=self.duration)

    @property
    def catch_up_window(self) -> timedelta:
        """Age up to which missed runs are made up for.

        Temporal counts less than 10 s as 10 s (docs/temporal-facts.md#catch-up-is-at-least-ten-seconds).
        """
        return max(timedelta(seconds=self.misfire_grace_time), _SHORTEST_CATCH_UP)

    @property
    def wall_time(self) -> time:
        """The time of day at which the window begins, in the zone of the job."""
        return time.fromisoformat(self.start_time)


class BackupJob(Terms, JobId):
    """A job: its scheduler_id, then its terms."""


class Preview(Terms):
    """The arguments of a preview: the terms of a job that need not be there."""

    count: Annotated[int, Field(ge=1, le=100, description="a whole number of windows from 1 to 100")] = 10
    scheduler_id: Annotated[SchedulerId | None, Field(description=NAME_RULE)] = None

    def job(self) -> BackupJob:
        """Return the job that an add with these arguments would make."""
        terms = self.model_dump(include=set(Terms.model_fields))
        return BackupJob(scheduler_id=self.scheduler_id or _NOBODY, **terms)
