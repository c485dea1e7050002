"""The expected errors, each with the code of its reply (docs/api.md#codes)."""

from collections.abc import Sequence

_PERHAPS_DONE = "if the call was to change a job, get_job tells whether it did"


class SchedulerError(Exception):
    """Root of all expected errors; the text is one sentence for people."""

    code = 500


class InvalidArguments(SchedulerError):
    """The arguments of a call break rules; the text names every fault."""

    code = 400

    def __init__(self, faults: Sequence[str]) -> None:
        super().__init__("; ".join(faults))
        self.faults = tuple(faults)


class JobNotFound(SchedulerError):
    """No job has this scheduler_id. A schedule that somebody else made is not a job."""

    code = 404

    def __init__(self, scheduler_id: str, *, perhaps_removed: bool = False, removed_before: bool = False) -> None:
        cause = ": this call was cut short once, and may have removed it then" if perhaps_removed else ""
        if removed_before:
            cause = (
                " any more: this call removed it when it came first; the job that has it now was added since and stays"
            )
        super().__init__(f"no job has the scheduler_id {scheduler_id!r}{cause}")
        self.scheduler_id = scheduler_id
        self.removed_before = removed_before


class JobExists(SchedulerError):
    """The scheduler_id is taken."""

    code = 409

    def __init__(self, scheduler_id: str) -> None:
        super().__init__(f"a job with the scheduler_id {scheduler_id!r} already exists: modify or remove it instead")
        self.scheduler_id = scheduler_id


class RunNotFound(SchedulerError):
    """No run has this run_id: neither has one started, nor does one wait."""

    code = 404

    def __init__(self, run_id: str) -> None:
        super().__init__(
            f"no run has the run_id {run_id!r}: get_job_runs lists those of a job; Temporal forgets a run once the "
            "namespace's retention is over"
        )
        self.run_id = run_id


class RunNotRunning(SchedulerError):
    """A run that does not go on cannot be cancelled."""

    code = 409

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(f"the run {run_id!r} {state}")
        self.run_id = run_id


class TooManyWait(SchedulerError):
    """Temporal would drop one more run of the job that has to wait."""

    code = 409

    def __init__(self, scheduler_id: str, waiting: int) -> None:
        super().__init__(
            f"{waiting:,} runs of the job {scheduler_id!r} wait, and Temporal keeps no more: ask again once one of "
            "them has started, or pause the job, which drops those that wait"
        )
        self.scheduler_id = scheduler_id


class ReportRefused(SchedulerError):
    """The run takes no report, or not this one."""

    code = 409

    def __init__(self, run_id: str, reason: str) -> None:
        super().__init__(f"the report of the run {run_id!r} was not taken: {reason}")
        self.run_id = run_id


class BrokenJob(SchedulerError):
    """The schedule of a job does not follow the job's terms, or its terms cannot be read: somebody edited it."""

    code = 500

    def __init__(self, scheduler_id: str, fault: str) -> None:
        super().__init__(f"the job {scheduler_id!r} is broken: {fault}")
        self.scheduler_id = scheduler_id


class TemporalUnavailable(SchedulerError):
    """Temporal cannot be reached."""

    code = 503

    def __init__(self) -> None:
        super().__init__(f"Temporal cannot be reached, try again later; {_PERHAPS_DONE}")


class TemporalOverloaded(SchedulerError):
    """Temporal refuses requests because of its load: for moments after a start, or beyond its rate limits."""

    code = 503

    def __init__(self) -> None:
        super().__init__(f"Temporal has too much to do, try again later; {_PERHAPS_DONE}")


class NamespaceNotFound(SchedulerError):
    """Temporal answers, but does not have the namespace; for callers that is like a Temporal out of reach."""

    code = 503

    def __init__(self, namespace: str) -> None:
        super().__init__(f"Temporal has no namespace {namespace!r}: make it, or set TEMPORAL_NAMESPACE to another one")


class AccessRefused(SchedulerError):
    """Temporal answers, but refuses the request: the token lacks a right or is not valid, or there is none."""

    code = 503

    def __init__(self, namespace: str) -> None:
        super().__init__(
            f"Temporal refuses access to the namespace {namespace!r}: TEMPORAL_API_KEY has to be a valid "
            f"token with the permission '{namespace}:write'"
        )


class SearchAttributesMissing(SchedulerError):
    """The namespace lacks the search attributes and refuses to register them, as a hosted Temporal may."""

    code = 503

    def __init__(self, names: Sequence[str], namespace: str, *, for_want_of_a_right: bool = False) -> None:
        right = f" (permission '{namespace}:admin')" if for_want_of_a_right else ""
        super().__init__(
            f"Temporal's namespace {namespace!r} lacks search attributes and refuses to make them: an administrator"
            f"{right} has to make {', '.join(f'{name} (Keyword)' for name in names)} there"
        )


class TemporalTimeout(SchedulerError):
    """Temporal did not answer in time; a change may have been made all the same."""

    code = 504

    def __init__(self, seconds: float) -> None:
        super().__init__(f"Temporal did not answer within {seconds:g} s; {_PERHAPS_DONE}")


class ReportTimeout(SchedulerError):
    """No worker took a report in time; it may still be taken."""

    code = 504

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"no worker took the report within {seconds:g} s: report again, a report that says the same is taken once"
        )


class ListTimeout(SchedulerError):
    """Temporal answers, but the description of all jobs takes too long."""

    code = 504

    def __init__(self, seconds: float) -> None:
        super().__init__(
            f"the jobs could not all be described within {seconds:g} s: Temporal has too much to do, or there are too "
            f"many of them; get_job describes one"
        )


class ReplyTooLarge(SchedulerError):
    """The call was carried out, but its reply is larger than the service sends or the broker takes."""

    code = 500

    def __init__(self, size: int, jobs: int) -> None:
        super().__init__(
            f"the answer is too large for the message broker: {jobs} jobs in {size / 1e6:.1f} MB; get_job describes one"
        )


class ConfigurationError(SchedulerError):
    """The settings or the policy file are wrong: raised at start, or by a run whose policy is not configured."""
