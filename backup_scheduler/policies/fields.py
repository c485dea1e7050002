"""The fields and rules that the policies of all engines share."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


def _absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise ValueError("must be an absolute path, because a worker may be started anywhere")
    return path


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]
Text = Annotated[str, Field(min_length=1)]
Timeout = Annotated[timedelta, Field(gt=timedelta(0), le=timedelta(days=30))]


class Policy(BaseModel):
    """The base of every engine's policy."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
