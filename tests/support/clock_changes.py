"""Jobs around clock changes, simulated: `python -m tests.support.clock_changes` tries all zones.

Each story is one job around one change: days, duration and start_time, passes that come every hour, late or not at all
for a day, outages of Temporal, pauses, and runs at every place of their window. Faults are runs that were skipped,
repeated, or off the wall clock without need.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import product
from random import Random
from zoneinfo import ZoneInfo, available_timezones

from backup_scheduler.jobs.alignment import LEEWAY, CurrentSchedule
from backup_scheduler.jobs.timing import nearest_start, phase, start_on
from tests.support.v1_schedule import V1Schedule

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
RUNS = 4
"""Those of a story."""
LATEST_PASS = timedelta(minutes=3)
MILLISECOND = timedelta(milliseconds=1)
BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2036, 1, 1, tzinfo=UTC)
_STEP = 10 * DAY
"""No zone changes its clock twice in less."""
DAYS, DURATIONS = range(1, 31), range(25)
PLACES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Where in its window a run starts; 1 is the last moment of it."""

Span = tuple[datetime, datetime]
Rule = Callable[[CurrentSchedule, Callable[[datetime], datetime], datetime], datetime | None]


@dataclass(frozen=True)
class Change:
    """One change of a zone's clock."""

    zone: str
    at: datetime
    by: timedelta


@dataclass(frozen=True)
class Story:
    """The events of one job around one change."""

    change: Change
    days: int
    duration: int
    start_time: time
    first_day: date
    catch_up_window: timedelta
    places: Sequence[float]
    """Those of the runs, one after another, over and over."""
    passes: Sequence[datetime]
    hourly: bool
    """Whether a pass comes every hour."""
    skew: timedelta
    """By how much the clock of the worker is ahead of the server's."""
    takes: timedelta
    """From a pass's look at the job to the update."""
    outage: Span | None = None
    stale: bool = False
    """After the outage a pass comes before the server has made up for anything."""
    pause: Span | None = None

    @property
    def punctual(self) -> bool:
        """Whether passes are so frequent, and windows so far apart, that no run has to be off the wall clock."""
        room = timedelta(days=self.days) - timedelta(hours=self.duration) - abs(self.change.by) - 2 * LEEWAY
        return self.hourly and not self.outage and not self.pause and room > HOUR + LATEST_PASS


def changes(zone: str) -> list[Change]:
    """Return the changes of a zone's clock in 2026-2035."""
    found, info = [], ZoneInfo(zone)

    def offset(moment: datetime) -> timedelta:
        return moment.astimezone(info).utcoffset() or timedelta(0)

    low, before = BEGIN, offset(BEGIN)
    while low < END:
        high = low + _STEP
        if (after := offset(high)) != before:
            earlier, later = low, high
            while (middle := earlier + (later - earlier) / 2) and later - earlier > timedelta(seconds=1):
                earlier, later = (middle, later) if offset(middle) == before else (earlier, middle)
            found.append(Change(zone, later.replace(microsecond=0), after - before))
        low, before = high, after
    return found


@cache
def all_changes() -> list[Change]:
    """Return the changes of all zones, but of those with the same clock for as long as a story lasts only one."""
    distinct: dict[object, Change] = {}
    for zone in sorted(available_timezones()):
        found = changes(zone)
        for change in found:
            beside = [(other.at - change.at, other.by) for other in found]
            clock = (
                change.at.time(),
                change.at.astimezone(ZoneInfo(zone)).utcoffset(),
                *(each for each in beside if -70 * DAY < each[0] < 140 * DAY),
            )
            distinct.setdefault(clock, change)
    return list(distinct.values())


def make_up(change: Change, days: int, duration: int, random: Random) -> Story:
    """Make up the rest of a story."""
    local = change.at.astimezone(ZoneInfo(change.zone))
    near = local.hour * 60 + local.minute
    minutes = random.choice(
        [near - 61, near - 60, near - 31, near - 1, near, near + 30, near + 61, *range(0, 1440, 241)]
    )
    start_time = time(minutes % 1440 // 60, minutes % 60)
    first_day = local.date() - timedelta(days=days + random.choice([0, 0, 1, -1]))
    first = start_on(first_day, start_time, local.tzinfo)  # type: ignore[arg-type]  # it is a ZoneInfo
    places = random.choice([*((place,) for place in PLACES), *([tuple(random.choices(PLACES, k=7))] * 5)])

    zone = local.tzinfo
    assert isinstance(zone, ZoneInfo)
    dues = [start_on(first_day + timedelta(days=number * days), start_time, zone) for number in (1, 2)]

    def near_the_change(longest: timedelta) -> Span:
        """Return a time that ends close to a start, or begins somewhere."""
        length = random.random() * longest
        ends = (
            random.choice([*dues, change.at + random.uniform(-1, 2) * DAY + length]) + random.uniform(-1.5, 2.5) * HOUR
        )
        return ends - length, ends

    passes = [
        first.replace(minute=0) + number * days * DAY + hour * HOUR + random.random() * LATEST_PASS
        for number in range(RUNS + 1)
        for hour in hours_of_passes(days)
    ]
    match how := random.choice(["hourly", "hourly", "late", "absent"]):
        case "late":
            passes = [moment for moment in passes if random.random() < 0.2]
        case "absent":
            begin, end = near_the_change(2 * DAY)
            passes = [moment for moment in passes if not begin < moment < end]
    outage = near_the_change(random.choice([2 * HOUR, DAY, 14 * DAY])) if random.random() < 0.4 else None
    return Story(
        change=change,
        days=days,
        duration=duration,
        start_time=start_time,
        first_day=first_day,
        catch_up_window=random.choice([timedelta(seconds=10), HOUR, DAY, 30 * DAY]),
        places=places,
        passes=passes,
        hourly=how == "hourly",
        skew=random.uniform(-1, 1) * LEEWAY / 2,
        takes=random.random() * LEEWAY / 2,
        outage=outage,
        stale=random.random() < 0.5,
        pause=near_the_change(random.choice([HOUR, DAY, 20 * DAY]))
        if outage is None and random.random() < 0.2
        else None,
    )


def hours_of_passes(days: int) -> range:
    """Return the hours after a start in which passes come; nothing changes in the hours between."""
    return range(24) if days == 1 else range(-5, min(days * 24 - 5, 30))


def faults(story: Story, rule: Rule = CurrentSchedule.moved) -> list[str]:
    """Let a story happen and return its faults."""
    zone, every = ZoneInfo(story.change.zone), timedelta(days=story.days)

    @cache
    def right_start(nominal: datetime) -> datetime:
        return nearest_start(story.first_day, story.days, story.start_time, zone, nominal)

    first = start_on(story.first_day, story.start_time, zone)
    schedule = V1Schedule(
        every=every,
        offset=phase(first, every),
        start_at=first,
        jitter=timedelta(hours=story.duration),
        catch_up_window=story.catch_up_window,
        delay=lambda nominal, longest: _delay(story.places[(nominal - first).days % len(story.places)], longest),
        last=first - HOUR,
    )
    for moment, event in _events(story):
        if event == "down":
            schedule.run_until(moment)
        elif event == "up":
            if story.stale:
                _pass(schedule, story, rule, right_start, moment)
            schedule.wake(moment)
        elif event == "pause":
            schedule.run_until(moment)
            schedule.pause(moment)
        elif event == "resume":
            schedule.resume(moment)
        else:
            schedule.run_until(moment)
            _pass(schedule, story, rule, right_start, moment)
    return list(_faults_in(schedule, story, right_start))


def _delay(place: float, longest: timedelta) -> timedelta:
    return max(min(place * longest, longest - MILLISECOND), timedelta(0))


def _events(story: Story) -> list[tuple[datetime, str]]:
    events = [(moment, "pass") for moment in story.passes]
    if story.outage:
        down, up = story.outage
        events = [event for event in events if not down < event[0] + story.takes <= up]
        events = [event for event in events if not down < event[0] <= up] + [(down, "down"), (up, "up")]
    if story.pause:
        events += zip(story.pause, ("pause", "resume"), strict=True)
    return sorted(events)


def _pass(
    schedule: V1Schedule, story: Story, rule: Rule, right_start: Callable[[datetime], datetime], moment: datetime
) -> None:
    current = CurrentSchedule(
        every=schedule.every,
        offset=schedule.offset,
        window=schedule.jitter,
        catch_up_window=schedule.catch_up_window,
        starts=schedule.announced(),
        paused=schedule.paused,
    )
    moved = rule(current, right_start, moment + story.skew)
    if moved is not None:
        if not story.outage or moment != story.outage[1]:
            schedule.run_until(moment + story.takes)
        schedule.update(moment + story.takes, phase(moved, schedule.every), moved)


def _faults_in(schedule: V1Schedule, story: Story, right_start: Callable[[datetime], datetime]) -> Iterator[str]:
    zone = ZoneInfo(story.change.zone)
    nominals = [nominal for nominal, _ in schedule.runs]
    ran = [right_start(nominal) for nominal in nominals]
    missed = {right_start(nominal) for nominal in schedule.missed}
    for number in range(RUNS):
        due = start_on(story.first_day + timedelta(days=number * story.days), story.start_time, zone)
        if due + schedule.jitter + 3 * HOUR > story.passes[-1]:
            break
        count = ran.count(due)
        if count > 1:
            yield f"{due} ran {count} times"
        elif count == 0 and due not in missed and not _paused(story, due):
            yield f"{due} was skipped"
    furthest = timedelta(0) if story.punctual else abs(story.change.by)
    for nominal in nominals:
        if abs(nominal - right_start(nominal)) > furthest:
            yield f"{nominal} is off the wall clock"


def _paused(story: Story, due: datetime) -> bool:
    if not story.pause:
        return False
    begins, ends = story.pause
    return begins <= due + timedelta(hours=story.duration) + abs(story.change.by) and ends >= due - abs(story.change.by)


def try_all(change: Change, seed: int, stories: int) -> tuple[int, list[tuple[Story, list[str]]]]:
    """Try stories of each number of days and each duration around one change; return their number and their faults."""
    random = Random(f"{change} {seed}")
    tried, wrong = 0, []
    for days, duration, _ in product(DAYS, DURATIONS, range(stories)):
        story = make_up(change, days, duration, random)
        tried += 1
        if found := faults(story):
            wrong.append((story, found))
    return tried, wrong


def main() -> int:
    """Try all changes in all zones, in as many processes as there are cores."""
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    tried, wrong = 0, 0
    found = all_changes()
    with ProcessPoolExecutor() as pool:
        for count, bad in pool.map(try_all, found, [seed] * len(found), [1] * len(found)):
            tried, wrong = tried + count, wrong + len(bad)
            for story, what in bad[:3]:
                print(story, *what, sep="\n  ")  # noqa: T201 - what it is for
    print(f"{len(found)} changes, {tried} stories, wrong: {wrong}")  # noqa: T201  # a command line
    return 1 if wrong or not tried else 0


if __name__ == "__main__":
    sys.exit(main())
