"""The figures of a soak, as they are printed, and written as JSON."""

from pydantic import BaseModel, Field


class PartFigures(BaseModel):
    """How often a part was killed, and the longest time until everything worked again."""

    killed: int = 0
    """By SIGKILL."""
    terminated: int = 0
    """By SIGTERM."""
    longest_recovery: float | None = None
    """Seconds, the start of the new process included."""
    not_recovered: int = 0
    calls: int = 0
    """That were under way, or made, between its death and the recovery."""
    runs: int = 0
    """That came due meanwhile."""
    ended_by_itself: int = 0
    """Ends that were not ours."""


class KillFigures(BaseModel):
    """One kill."""

    part: str
    signal: str
    seconds: float | None
    """Until everything worked again; None when it did not."""


class Tally(BaseModel):
    """What was expected and what was found, of one kind of thing."""

    expected: int = 0
    found: int = 0
    either: int = 0
    """Of which it was open whether they are there, as the answer to a call was lost; settled by looking."""
    lost: list[str] = Field(default_factory=list)
    doubled: list[str] = Field(default_factory=list)
    """Also those that nobody asked for."""
    wrong: list[str] = Field(default_factory=list)
    """There, but not as they should be."""
    names: list[str] = Field(default_factory=list, exclude=True)
    """Of those found, where they have one."""


class CallFigures(BaseModel):
    """The calls of all callers."""

    made: int = 0
    changing: int = 0
    """Of which not get_job."""
    answered: dict[str, int] = Field(default_factory=dict)
    """By code."""
    unanswered: dict[str, int] = Field(default_factory=dict)
    """By what the client raised."""
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
    """What else keeps the soak from having succeeded."""

    @property
    def tallies(self) -> dict[str, Tally]:
        """What was counted, by its name for people."""
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
