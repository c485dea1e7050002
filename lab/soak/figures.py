"""The figures of a soak, as they are printed, and written as JSON."""

from collections.abc import Iterator

from pydantic import BaseModel, Field


class PartFigures(BaseModel):
    """Faults of a part, and the longest time until everything worked again."""

    killed: int = 0
    """By SIGKILL."""
    terminated: int = 0
    """By SIGTERM."""
    frozen: int = 0
    """By SIGSTOP, until SIGCONT."""
    cut_off: int = 0
    """From Temporal or RabbitMQ, with open connections."""
    longest_recovery: float | None = None
    """Seconds: from a kill on, or from when a frozen process went on or a link was mended."""
    not_recovered: int = 0
    calls: int = 0
    """Calls under way, or made, between the fault and the recovery."""
    runs: int = 0
    """Runs that came due meanwhile."""
    ended_by_itself: int = 0
    """Ends without a kill of the soak."""


class OutageFigures(BaseModel):
    """Faults that were made at one moment."""

    what: str
    seconds: float | None
    """Until everything worked again; None when it did not."""


class Tally(BaseModel):
    """Things of one kind: those that had to be there, and those that are there."""

    certain: int = 0
    """Things that have to be there, by what was asked for and answered; no count of what is there goes into it."""
    open: int = 0
    """Things that may be there or not, or in one of several states, because the answer to a call was lost."""
    open_found: int = 0
    """Those of the open ones that are there."""
    lost: list[str] = Field(default_factory=list)
    doubled: list[str] = Field(default_factory=list)
    """Things that are there twice, and things that nobody asked for."""
    doubled_by_server: list[str] = Field(default_factory=list)
    """Runs that a killed or split Temporal started twice, in the one way that is not prevented
    (docs/temporal-facts.md#a-killed-server-can-start-a-run-twice)."""
    wrong: list[str] = Field(default_factory=list)
    """Things that are there, but not as they should be."""


class CallFigures(BaseModel):
    """The calls of all callers."""

    made: int = 0
    changing: int = 0
    """Calls of the methods that change jobs or runs."""
    answered: dict[str, int] = Field(default_factory=dict)
    """By code."""
    by_method: dict[str, tuple[int, int]] = Field(default_factory=dict)
    """Calls made, and those of them that were answered 200, for each method of the service."""
    unanswered: dict[str, int] = Field(default_factory=dict)
    """By the exception that the client raised."""
    longest: dict[str, float] = Field(default_factory=dict)
    """Seconds until the slowest answer, by code; waiting for a part that was killed included."""
    untrue: list[str] = Field(default_factory=list)
    past: int = 0
    """Answers that described a job as it was before, while Temporal's nodes could not reach each other."""
    undisturbed: int = 0
    """Calls of the callers while nothing was killed or recovering."""
    undisturbed_without_result: int = 0
    """Those of the undisturbed ones that were answered 503 or 504, or not at all."""


_LEAST_ANSWERED = 0.95
"""Share of the undisturbed calls that have to get a result; a call on a loaded machine may exceed its time."""


class Figures(BaseModel):
    """Everything that a soak found."""

    seed: int
    seconds: float
    """From the first call to the last; start and audit not included."""
    interrupted: bool
    parts: dict[str, PartFigures]
    outages: list[OutageFigures]
    calls: CallFigures
    jobs: Tally
    timed_runs: Tally
    """Runs that came due by themselves."""
    triggered_runs: Tally
    http_backups: Tally
    """One for each run of an http job, made under its own Idempotency-Key, with the fields of its job."""
    restic_snapshots: Tally
    """One for each run of a restic job."""
    snapshots_restored: int
    """Snapshots that were restored and compared byte by byte."""
    backup_requests: int
    """Requests that reached the backup target, those tried again included."""
    repeated_requests: int
    """Backups that the target made again under the same Idempotency-Key, as its first answer was lost."""
    slowest_run: float
    """Seconds from the time at which a run came due, or was triggered, to its end, of the slowest one."""
    slowest_allowed: float
    """Seconds that it may take."""
    stale_locks: int
    at_once_by_server: list[str] = Field(default_factory=list)
    """Pairs of runs of one job that went on at once, which happens when Temporal's nodes cannot reach each other
    (docs/temporal-facts.md#a-node-that-is-cut-off-shows-the-past)."""
    complaints: list[str] = Field(default_factory=list)
    """Other faults."""

    @property
    def tallies(self) -> dict[str, Tally]:
        """All tallies, by their names for people."""
        return {
            "jobs": self.jobs,
            "runs that came due": self.timed_runs,
            "runs triggered": self.triggered_runs,
            "http backups": self.http_backups,
            "restic snapshots": self.restic_snapshots,
        }

    @property
    def faults(self) -> dict[str, list[str]]:
        """All that is wrong, as sentences, by their kind."""
        kinds = {"untrue answer": self.calls.untrue, "": [*self.complaints, *self._bad_news()]}
        for name, tally in self.tallies.items():
            kinds |= {f"{name}, lost": tally.lost, f"{name}, doubled": tally.doubled, f"{name}, wrong": tally.wrong}
        return {kind: faults for kind, faults in kinds.items() if faults}

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return not self.faults

    def _bad_news(self) -> Iterator[str]:
        for name, part in self.parts.items():
            if part.not_recovered:
                yield f"{name}: the stack did not recover ({part.not_recovered})"
            if part.ended_by_itself > 0:
                yield f"{name}: ended without a kill ({part.ended_by_itself})"
        if self.stale_locks:
            yield f"{self.stale_locks} stale locks are in the repository"
        if self.slowest_run > self.slowest_allowed:
            yield f"the slowest run ended {self.slowest_run:.1f} s after it came due, not {self.slowest_allowed:g} s"
        answered = self.calls.undisturbed - self.calls.undisturbed_without_result
        if answered < _LEAST_ANSWERED * self.calls.undisturbed:
            yield f"only {answered} of {self.calls.undisturbed} calls that nothing disturbed got a result"
        yield from self._nothing_judged()

    def _nothing_judged(self) -> Iterator[str]:
        """Yield what the soak did not do: where nothing happened, nothing was shown."""
        done = {
            "calls answered 200": self.calls.answered.get("200", 0),
            "calls that nothing disturbed": self.calls.undisturbed,
            **{f"{method}, answered 200": number for method, (_, number) in self.calls.by_method.items()},
            **{f"{name}, certain": tally.certain for name, tally in self.tallies.items()},
            "snapshots restored": self.snapshots_restored,
            "requests to the backup target": self.backup_requests,
        }
        for name, number in done.items():
            if not number:
                yield f"{name}: none, so the soak has shown nothing of them"
