"""The terms of a backup job and the rules that a caller's arguments have to keep (contract)."""

import json
import re
import reprlib
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    ValidationError,
    ValidationInfo,
)

from backup_scheduler.errors import InvalidArguments
from backup_scheduler.settings import PREFIX

MAX_URL_KWARGS_BYTES: Final = 64 * 1024
MAX_NESTING: Final = 100
"""Lists and dicts within one another. Temporal's converter (pydantic) reads 200 levels of JSON, its own included, and a
run's argument stands one deeper in that of an activity."""

GRACE_SETTING: Final = f"{PREFIX}MISFIRE_GRACE_TIME"

_CALL: Final = object()
"""Context of a validation that reads a call. Rules that came later bind calls alone: jobs that stand stay readable."""

_START_TIME = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])")
_SHORTEST_CATCH_UP = timedelta(seconds=10)


def _encodable(text: str) -> str:
    text.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    return text


def _without_control_characters(text: str) -> str:
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError
    return text


def _one_line(text: str, info: ValidationInfo) -> str:
    return _without_control_characters(text) if info.context is _CALL else text


def _uuid_as_text(value: object) -> object:
    # kombu turns a UUID into its text on the caller's side and back into a UUID on ours.
    return str(value) if isinstance(value, UUID) else value


def _as_hh_mm(text: str) -> str:
    match = _START_TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError
    return f"{int(match[1]):02}:{match[2]}"


def _passed_on(value: Any, info: ValidationInfo) -> Any:
    return _as_json(value, MAX_NESTING) if info.context is _CALL else value


def _as_json(value: Any, levels: int) -> Any:
    """Return the value, with what kombu carries and JSON has no form for as the text that an HTTP form would hold."""
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


class Arguments(BaseModel):
    """The arguments of a call, in the order in which they go by position; this one takes none."""

    model_config = ConfigDict(strict=True, frozen=True)

    @classmethod
    def from_call(cls, args: Sequence[Any], kwargs: Mapping[str, Any], misfire_grace_time: int | None = None) -> Self:
        """Read the arguments of a call, given by position or by name; raises InvalidArguments that names every fault.

        Names that are not arguments become url_kwargs where a model has them, and are faults where it has not.
        `misfire_grace_time` (seconds) stands in where a call for a job gives none.
        """
        arguments = [name for name in cls.model_fields if name != "url_kwargs"]
        faults = []
        if len(args) > len(arguments):
            faults.append(
                f"at most {len(arguments)} arguments go by position ({', '.join(arguments)}), got {len(args)}"
            )
        terms: dict[str, Any] = dict(zip(arguments, args, strict=False))
        others = {}
        for name, value in kwargs.items():
            if name in terms:
                faults.append(f"{name} was given twice, by position and by name")
            elif name in arguments:
                terms[name] = value
            else:
                others[name] = value
        if "url_kwargs" in cls.model_fields:
            terms["url_kwargs"] = others
        elif others:
            faults.append(f"{', '.join(map(reprlib.repr, others))}: not an argument of this method")
        if misfire_grace_time and "misfire_grace_time" in arguments and _gives_no_grace(terms):
            terms["misfire_grace_time"] = misfire_grace_time
        try:
            read = cls.model_validate(terms, context=_CALL)
        except ValidationError as error:
            raise InvalidArguments([*faults, *_sentences(cls, error)]) from None
        if faults:
            raise InvalidArguments(faults)
        return read


class JobId(Arguments):
    """Which job a call is about."""

    scheduler_id: Annotated[
        str,
        BeforeValidator(_uuid_as_text),
        AfterValidator(_encodable),
        AfterValidator(_without_control_characters),
        Field(min_length=1, max_length=200, description="text of 1 to 200 characters without control characters"),
    ]


class BackupJob(JobId):
    """The terms of one job, checked where they are made; a field's description is its rule, quoted in errors."""

    policy_name: Annotated[
        str,
        AfterValidator(_encodable),
        AfterValidator(_one_line),
        Field(min_length=1, max_length=200, description="text of 1 to 200 characters without control characters"),
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
            "without NaN, infinity, lone surrogates or whole numbers of more than 4300 digits"
        ),
    ] = {}

    @property
    def every(self) -> timedelta:
        """Time from one run to the next. A window of at most 24 hours is never longer than it."""
        return timedelta(days=self.days)

    @property
    def window(self) -> timedelta:
        """Length of the window that begins at start_time; a run starts at a random moment in it."""
        return timedelta(hours=self.duration)

    @property
    def catch_up_window(self) -> timedelta:
        """How far back missed runs are made up for; Temporal raises anything below 10 s to 10 s (Temporal fact)."""
        return max(timedelta(seconds=self.misfire_grace_time), _SHORTEST_CATCH_UP)

    @property
    def wall_time(self) -> time:
        """The time of day at which the window begins, in the job's zone."""
        return time.fromisoformat(self.start_time)


def _gives_no_grace(terms: Mapping[str, Any]) -> bool:
    """Tell whether a call leaves the grace time out, or gives None or 0, as callers of the replaced service do."""
    given = terms.get("misfire_grace_time")
    return given is None or (type(given) is int and given == 0)  # False is no number


def _sentences(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Say for each argument at fault its rule and what came; values of url_kwargs may be secrets and stay unsaid."""
    sentences = {}
    for fault in error.errors(include_url=False, include_context=False):
        name, *place = map(str, fault["loc"])
        rule = model.model_fields[name].description
        if name == "url_kwargs":
            key = f", unlike {reprlib.repr(place[0])}" if place else ""
            sentences[name] = f"url_kwargs (all other arguments) must be {rule}{key}"
        elif fault["type"] == "missing":
            sentences[name] = f"{name} is missing: it must be {rule}"
        else:
            sentences[name] = f"{name} must be {rule}, not {reprlib.repr(fault['input'])}"
        if name == "misfire_grace_time" and _gives_no_grace(
            {} if fault["type"] == "missing" else {name: fault["input"]}
        ):
            sentences[name] += f" (the service has no {GRACE_SETTING} that would stand in for it)"
    return list(sentences.values())
