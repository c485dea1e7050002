"""The fields of a request to a backup service."""

import json
from collections.abc import Mapping

from pydantic import JsonValue


def form(url_kwargs: Mapping[str, JsonValue], policy_name: str) -> dict[str, JsonValue]:
    """Return the fields for `requests`, which leaves out None, sends True as "True", and repeats the key of a list.

    An object, or a list that holds one, is sent as JSON: requests would send only the keys of the object.
    """
    fields: dict[str, JsonValue] = {**url_kwargs, "policy_name": policy_name}
    return {
        name: json.dumps(value, ensure_ascii=False) if _holds_object(value) else value for name, value in fields.items()
    }


def _holds_object(value: JsonValue) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and any(map(_holds_object, value)))
