"""The report of a backup service on a run (docs/api.md#report_run): argument of the call and of the run's update."""

import hashlib
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from backup_scheduler.contract.arguments import Arguments, refuse_control_characters, refuse_unencodable
from backup_scheduler.texts import LONGEST

RUNNING: Final = "running"
"""The outcome of a report that only tells progress."""

NOT_AWAITED: Final = "ReportNotAwaited"
"""Type of the failure of an update whose run waits for no report, or has another one already."""

TOO_SOON: Final = "ReportTooSoon"
"""Type of the failure of an update that tells progress too soon after another, or too often. It is no fault."""

_COUNT: Final = "a whole number from 0 to 9223372036854775807, or None"

Count = Annotated[int, Field(ge=0, le=(1 << 63) - 1)]
Name = Annotated[str, AfterValidator(refuse_unencodable), AfterValidator(refuse_control_characters)]


class RunReport(Arguments):
    """What a backup service says of a backup."""

    run_id: Name = Field(min_length=1, max_length=255, description="the id of a run")
    outcome: Literal["running", "completed", "completed with warnings", "failed"] = Field(
        description="'running', 'completed', 'completed with warnings' or 'failed'"
    )
    message: Annotated[str, Field(max_length=LONGEST), AfterValidator(refuse_unencodable)] | None = Field(
        None, description=f"text of at most {LONGEST} characters, or None"
    )
    files: Count | None = Field(None, description=_COUNT)
    bytes: Count | None = Field(None, description=_COUNT)
    snapshot_id: Annotated[Name, Field(min_length=1, max_length=200)] | None = Field(
        None, description="text of 1 to 200 characters without control characters, or None"
    )
    progress: Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)] | None = Field(
        None, description="a number of percent from 0 to 100, or None"
    )

    @property
    def is_final(self) -> bool:
        """Whether it tells the end of the backup."""
        return self.outcome != RUNNING

    def digest(self) -> str:
        """Return an id of the report: the same for two reports that say the same."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]
