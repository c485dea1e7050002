"""The memo of a run: what lists of runs show beside times and outcome, so that no run has to be asked for it."""

import json
from typing import Any, Final, Self

from pydantic import BaseModel, JsonValue

from backup_scheduler.runs.asked import Asked, StartedBy
from backup_scheduler.runs.results import BackupResult, HttpAnswer

RUN: Final = "run"
"""Key of the memo."""

_LONGEST_MESSAGE: Final = 500
_LONGEST_BODY: Final = 1000
"""Characters: a page of a list has a memo for each run."""


class RunMemo(BaseModel):
    """The memo of a run; fields as in Asked and BackupReport, None where there is nothing."""

    scheduler_id: str
    started_by: StartedBy = StartedBy.SCHEDULE
    reason: str | None = None
    caller: str | None = None
    message: str | None = None
    snapshot_id: str | None = None
    files: int | None = None
    bytes: int | None = None
    answer: HttpAnswer | None = None
    """With the beginning of a long body, as text."""

    @classmethod
    def of(cls, scheduler_id: str, asked: Asked) -> Self:
        """Make the memo of a run that begins."""
        return cls(scheduler_id=scheduler_id, started_by=asked.by, reason=asked.reason, caller=asked.caller)

    def entries(self) -> dict[str, Any]:
        """Return the entries of the memo."""
        return {RUN: self.model_dump(mode="json", exclude_none=True)}

    def ended(self, result: BackupResult) -> Self:
        """Return the memo with the result of the run."""
        return self.model_copy(
            update={
                "message": _short(result.message, _LONGEST_MESSAGE),
                "snapshot_id": result.snapshot_id,
                "files": result.files,
                "bytes": result.bytes_processed,
                "answer": result.answer and _short_answer(result.answer),
            }
        )

    def cancelled(self, message: str) -> Self:
        """Return the memo of a run that was cancelled."""
        return self.model_copy(update={"message": _short(message, _LONGEST_MESSAGE)})


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"


def _short_answer(answer: HttpAnswer) -> HttpAnswer:
    body: JsonValue = answer.body
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    if len(text) <= _LONGEST_BODY:
        return answer
    return answer.model_copy(update={"body": _short(text, _LONGEST_BODY), "truncated": True})
