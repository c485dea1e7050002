"""The figures of a soak, as they are printed, and written as JSON."""

from pydantic import BaseModel, Field


class PartFigures(BaseModel):
    """Kills of a part, and the longest time until everything worked again."""

    killed: int = 0
    """By SIGKILL."""
    terminated: int = 0
    """By SIGTERM."""
    longest_recovery: float | None = None
    """Seconds, the start of the new process included."""
    not_recovered: int = 0
    calls: int = 0
    """Calls under way, or made, between its death and the recovery."""
    runs: int = 0
    """Runs that came due meanwhile."""
    ended_by_itself: int = 0
    """Ends without a kill of the soak."""


class KillFigures(BaseModel):
    """One kill."""

    part: str
    signal: str
    seconds: float | None
    """Until everything worked again; None when it did not."""


class Tally(BaseModel):
    """Expected and found things of one kind."""

    expected: int = 0
    found: int = 0
    either: int = 0
    """Things that may be there or not, because the answer to a call was lost; the audit settles it."""
    lost: list[str] = Field(default_factory=list)
    doubled: list[str] = Field(default_factory=list)
    """Things that are there twice, and things that nobody asked for."""
    wrong: list[str] = Field(default_factory=list)
    """Things that are there, but not as they should be."""
    names: list[str] = Field(default_factory=list, exclude=True)
    """Names of the found things, where they have one."""


class CallFigures(BaseModel):
    """The calls of all callers."""

    made: int = 0
    changing: int = 0
    """All calls but get_job and get_jobs."""
    answered: dict[str, int] = Field(default_factory=dict)
    """By code."""
    unanswered: dict[str, int] = Field(default_factory=dict)
    """By the exception that the client raised."""
    longest: dict[str, float] = Field(default_factory=dict)
    """Seconds until the slowest answer, by code; waiting for a part that was killed included."""
    untrue: list[str] = Field(default_factory=list)


class Figures(BaseModel):
    """Everything that a soak found."""

    seed: int
    seconds: float
    """From the first call to the last; start and audit not included."""
    interrupted: bool
    parts: dict[str, PartFigures]
    kills: list[KillFigures]
    calls: CallFigures
    jobs: Tally
    timed_runs: Tally
    """Runs that came due by themselves."""
    triggered_runs: Tally
    restic_snapshots: Tally
    """One for each run of a restic job."""
    snapshots_restored: int
    """The latest one of each restic job, restored and compared byte by byte."""
    backup_requests: int
    """Requests that reached the backup target, those tried again included."""
    repeated_requests: int
    """Backups that the target made again under the same Idempotency-Key, as its first answer was lost."""
    latest_run: float
    """Seconds from the time at which a run came due to its end, of the slowest one."""
    stale_locks: int
    complaints: list[str] = Field(default_factory=list)
    """Other faults."""

    @property
    def tallies(self) -> dict[str, Tally]:
        """All tallies, by their names for people."""
        return {
            "jobs": self.jobs,
            "runs that came due": self.timed_runs,
            "runs triggered": self.triggered_runs,
            "restic snapshots": self.restic_snapshots,
        }

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, doubled or untrue."""
        faults = [fault for tally in self.tallies.values() for fault in (*tally.lost, *tally.doubled, *tally.wrong)]
        return not (faults or self.calls.untrue or self.stale_locks or self.complaints)
