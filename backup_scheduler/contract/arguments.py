"""The arguments of a call (docs/api.md#arguments), by position or by name; checked before any request to Temporal."""

import reprlib
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Final, Self
from uuid import UUID

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from backup_scheduler.contract.errors import InvalidArguments

OTHERS: Final = "url_kwargs"
"""The field for all arguments with other names."""

GRACE: Final = "misfire_grace_time"
GRACE_SETTING: Final = "SCHEDULER_MISFIRE_GRACE_TIME"
"""The setting that replaces a missing misfire_grace_time."""

CALL: Final = object()
"""Validation context of a call. Newer rules apply to calls only, so that the terms of older jobs stay readable."""


def refuse_unencodable(text: str) -> str:
    """Refuse a text that UTF-8 cannot encode."""
    text.encode()  # a lone surrogate raises UnicodeEncodeError, which is a ValueError
    return text


def refuse_control_characters(text: str) -> str:
    """Refuse a text with control characters."""
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise ValueError
    return text


def one_of(texts: Collection[str]) -> AfterValidator:
    """Return the rule that a text is one of these."""

    def check(text: str) -> str:
        if text not in texts:
            raise ValueError
        return text

    return AfterValidator(check)


def _uuid_as_text(value: object) -> object:
    # kombu turns a UUID into its text on the caller's side and back into a UUID on the service's.
    return str(value) if isinstance(value, UUID) else value


class Arguments(BaseModel):
    """The arguments of a call; its fields have the order of the positions. This base takes no argument."""

    model_config = ConfigDict(strict=True, frozen=True)

    @classmethod
    def from_call(cls, args: Sequence[Any], kwargs: Mapping[str, Any], misfire_grace_time: int | None = None) -> Self:
        """Read the arguments of a call. Raises InvalidArguments, which names every fault.

        Arguments with other names become url_kwargs if the model has that field; else they are faults. The parameter
        `misfire_grace_time` (seconds) replaces an argument that is missing, None or 0.
        """
        given, others, faults = cls._by_name(args, kwargs)
        if OTHERS in cls.model_fields:
            given[OTHERS] = others
        elif others:
            faults.append(f"{', '.join(map(reprlib.repr, others))}: not an argument of this method")
        if misfire_grace_time and GRACE in cls.model_fields and _lacks_grace(given):
            given[GRACE] = misfire_grace_time
        try:
            arguments = cls.model_validate(given, context=CALL)
        except ValidationError as error:
            raise InvalidArguments([*faults, *_sentences(cls, error)]) from None
        if faults:
            raise InvalidArguments(faults)
        return arguments

    @classmethod
    def _by_name(
        cls, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
        """Return the arguments of the model by name, all others, and the faults in their number and names."""
        names = [name for name in cls.model_fields if name != OTHERS]
        faults = []
        if len(args) > len(names):
            faults.append(f"at most {len(names)} arguments go by position ({', '.join(names)}), got {len(args)}")
        given: dict[str, Any] = dict(zip(names, args, strict=False))
        others = {}
        for name, value in kwargs.items():
            if name in given:
                faults.append(f"{name} was given twice, by position and by name")
            elif name in names:
                given[name] = value
            else:
                others[name] = value
        return given, others, faults


NAME_RULE: Final = "text of 1 to 200 characters without control characters"

Name = Annotated[
    str,
    Field(min_length=1, max_length=200),  # first: the other rules look at every character
    AfterValidator(refuse_unencodable),
    AfterValidator(refuse_control_characters),
]
"""A text by NAME_RULE."""

SchedulerId = Annotated[
    str,
    BeforeValidator(_uuid_as_text),
    Field(min_length=1, max_length=200, description=NAME_RULE),  # first: the other rules look at every character
    AfterValidator(refuse_unencodable),
    AfterValidator(refuse_control_characters),
]


class JobId(Arguments):
    """The argument of the methods that only name a job: its scheduler_id."""

    scheduler_id: SchedulerId


def _lacks_grace(given: Mapping[str, Any]) -> bool:
    """Return whether misfire_grace_time is missing, None or 0, as in calls for the replaced service."""
    value = given.get(GRACE)
    return value is None or (type(value) is int and value == 0)  # False is no number


def _sentences(model: type[BaseModel], error: ValidationError) -> list[str]:
    """Describe each argument at fault: its rule and its value. Values of url_kwargs may be secrets and are left out."""
    sentences = {}
    for fault in error.errors(include_url=False, include_context=False):
        name, *place = map(str, fault["loc"])
        rule = model.model_fields[name].description
        is_missing = fault["type"] == "missing"
        if name == OTHERS:
            key = f", unlike {reprlib.repr(place[0])}" if place else ""
            sentences[name] = f"url_kwargs (all other arguments) must be {rule}{key}"
        elif is_missing:
            sentences[name] = f"{name} is missing: it must be {rule}"
        else:
            sentences[name] = f"{name} must be {rule}, not {reprlib.repr(fault['input'])}"
        if name == GRACE and _lacks_grace({} if is_missing else {name: fault["input"]}):
            sentences[name] += f" (the service has no {GRACE_SETTING} that would stand in for it)"
    return list(sentences.values())
