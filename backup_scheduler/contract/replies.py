"""The reply of every RPC call: a dict of exactly three keys (docs/api.md#the-reply)."""

from typing import Any, Final, Literal, TypedDict

OK: Final = 200


class Reply(TypedDict):
    """`description` is a job (or a list of jobs) on success and one sentence on failure."""

    status: Literal["success", "fail"]
    description: dict[str, Any] | list[dict[str, Any]] | str
    code: int


def success(description: dict[str, Any] | list[dict[str, Any]]) -> Reply:
    """Make the reply of a call that succeeded."""
    return {"status": "success", "description": description, "code": OK}


def fail(code: int, sentence: str) -> Reply:
    """Make the reply of a call that failed, with the reason."""
    return {"status": "fail", "description": sentence, "code": code}
