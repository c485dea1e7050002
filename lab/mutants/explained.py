"""Mutants that no test has to kill, each with its reason."""

from typing import Final

_BOUND = "the bound is a judgement: one more serves as well, and the docs do not name it"
_MYPY = "mypy refuses a change of such a value; at run time nobody tries one"

EXPLAINED: Final[dict[str, str]] = {
    "activities/all_jobs.py : 5 -> 6": _BOUND,
    "activities/paths.py : 20 -> 21": _BOUND,
    "activities/restic/session.py : 20 -> 21 #2": _BOUND,
    "activities/restic/sources.py _holds_text: 16 -> 17": _BOUND,
    "workflows/all_jobs.py LookAfterJobsWorkflow.run: 50 -> 51": _BOUND,
    "workflows/all_jobs.py LookAfterJobsWorkflow.run: 55 -> 56": _BOUND,
    "backup_scheduler/texts.py : 2000 -> 2001": _BOUND,
    "workflows/engines.py : 30 -> 31 #2": _BOUND,
    "workflows/backup.py _latest_start: started > latest_start -> started >= latest_start": (
        "a run picked up in that very microsecond is made either way; it only asks once more how the last one ended"
    ),
    "workflows/backup.py _back_up: 10 -> 11": _BOUND,
    "workflows/backup.py _stop_of_previous_run: 10 -> 11": _BOUND,
    "activities/http/exchange.py Exchange.send: raw.read1(self.longest + 1 - len(body), decode_content=False) -> "
    "raw.read1(self.longest + 1 - len(body), )": "requests makes each response with decode_content=False already",
    "activities/http/exchange.py Exchange.on_connect: connection.close() -> pass": (
        "urllib3 closes a connection whose connect() raises"
    ),
    "activities/restic/backup.py _Occurrence._on_message: len(self._warnings) < MOST_WARNINGS -> "
    "len(self._warnings) <= MOST_WARNINGS": "the report is cut at MOST_WARNINGS again; this only bounds the memory",
    'activities/restic/processes.py _pids: ":" -> "" #2': "every line of /proc/PID/status has a colon",
    'activities/restic/processes.py _boot: c/sys/kernel/random/boot_id").read_text(encoding="ascii") -> '
    'c/sys/kernel/random/boot_id").read_text()': "the kernel's id has only hexadecimal digits and hyphens",
    "backup_scheduler/logs.py configure: True -> False #2": "loggers that are not kept are slower, and write the same",
    "backup_scheduler/jobs/to_schedule.py system_schedule: SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, "
    "catchup_window=timedelta(hours=1)) -> SchedulePolicy( catchup_window=timedelta(hours=1))": (
        "SKIP is the SDK's default; a test sees that it is SKIP"
    ),
    "backup_scheduler/jobs/alignment.py CurrentSchedule: dataclass(frozen=True) -> dataclass()": _MYPY,
    "backup_scheduler/jobs/from_schedule.py ScheduledJob: dataclass(frozen=True) -> dataclass()": _MYPY,
}
"""Name of a mutant, and why it is no fault."""
