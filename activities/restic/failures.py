"""Failures of restic backups: transient ones, which Temporal retries, and permanent ones."""

from temporalio.exceptions import ApplicationError

from activities.restic.verdicts import Verdict, explain

_TYPE = "ResticFailed"


def transient(sentence: str) -> ApplicationError:
    """Make a failure after which another attempt may succeed."""
    return ApplicationError(sentence, type=_TYPE)


def permanent(sentence: str) -> ApplicationError:
    """Make a failure after which no attempt can succeed until a person acts."""
    return ApplicationError(sentence, type=_TYPE, non_retryable=True)


def failure(verdict: Verdict, exit_code: int, texts: list[str]) -> ApplicationError:
    """Make the failure of a restic command."""
    sentence = explain(verdict, exit_code, texts)
    return permanent(sentence) if verdict.is_permanent else transient(sentence)
