"""JSON pointers (RFC 6901): where a value is in the answer of a backup service."""

import json
from typing import Annotated, Final

from pydantic import AfterValidator, JsonValue

MISSING: Final = object()
"""What a pointer finds where nothing is; null is something."""


def is_pointer(text: str) -> bool:
    """Return whether a text is a JSON pointer; the empty one is the whole answer."""
    without_escapes = text.replace("~0", "").replace("~1", "")
    return (not text or text.startswith("/")) and "~" not in without_escapes


def _pointer(text: str) -> str:
    if not is_pointer(text):
        raise ValueError("must be a JSON pointer such as '/status' or '/result/bytes'")
    return text


Pointer = Annotated[str, AfterValidator(_pointer)]


def at(document: JsonValue, pointer: str) -> JsonValue | object:
    """Return the value at a pointer, or MISSING."""
    found = document
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and name in found:
            found = found[name]
        elif isinstance(found, list) and name.isascii() and name.isdigit() and int(name[:9]) < len(found):
            found = found[int(name[:9])]
        else:
            return MISSING
    return found


def text_at(document: JsonValue, pointer: str | None) -> str | None:
    """Return a text, number or truth value as text, the latter two as JSON has them; None where there is none."""
    found = MISSING if pointer is None else at(document, pointer)
    if isinstance(found, str):
        return found
    return json.dumps(found) if isinstance(found, bool | int | float) else None


def number_at(document: JsonValue, pointer: str | None) -> float | None:
    """Return a number that is not negative; None where there is none. A text is no number."""
    found = MISSING if pointer is None else at(document, pointer)
    is_number = isinstance(found, int | float) and not isinstance(found, bool)
    return found if is_number and 0 <= found < 1 << 63 else None  # type: ignore[operator, return-value]  # it is one


def count_at(document: JsonValue, pointer: str | None) -> int | None:
    """Return a number as number_at does, its fraction cut off."""
    found = number_at(document, pointer)
    return None if found is None else int(found)
