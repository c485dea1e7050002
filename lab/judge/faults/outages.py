"""Faults that show when a part dies, freezes or is cut off."""

from lab.judge.planted import Planted, planted, tests

_GIVEN_UP = "tests/activities/restic/test_given_up.py"
_SESSION = "activities/restic/session.py"

PLANTED: tuple[Planted, ...] = (
    planted(
        "restic begins while Temporal is away",
        _SESSION,
        "        await self._attempt.confirm()\n        self._attempt.step",
        "        self._attempt.step",
        tests("tests/faults/test_temporal_away.py"),
    ),
    planted(
        "restic begins in an attempt that was given up",
        "activities/attempts.py",
        '                raise ApplicationError("Temporal has given this attempt up", type="GivenUp") from None\n',
        "                return\n",
        tests("tests/activities/test_telling.py::test_an_attempt_that_temporal_gave_up_learns_it"),
    ),
    planted(
        "restic begins in an attempt that is to be cancelled",
        "activities/attempts.py",
        "        except AsyncActivityCancelledError:\n            pass\n",
        "        except AsyncActivityCancelledError:\n            return\n",
        tests("tests/activities/test_telling.py::test_an_attempt_that_is_to_be_cancelled_waits_for_that"),
    ),
    planted(
        "a restic that Temporal never learnt of goes on",
        _SESSION,
        "unknown.reschedule(asyncio.get_running_loop().time() + KNOWN_WITHIN.total_seconds())",
        "pass",
        tests(f"{_GIVEN_UP}::test_a_restic_that_temporal_does_not_learn_of_is_ended"),
    ),
    planted(
        "the attempt after a lost one begins at once, beside the lost one's restic",
        "workflows/engines.py",
        "initial_interval=timedelta(seconds=15),",
        "initial_interval=timedelta(milliseconds=1),",
        tests(f"{_GIVEN_UP}::test_the_next_attempt_begins_when_a_restic_that_nobody_knows_of_was_ended"),
    ),
    planted(
        "the next attempt leaves the restic of a lost one alone",
        "activities/restic/aftermath.py",
        "            if fate(restic) is Fate.ALIVE:\n",
        "            if False:\n",
        tests("tests/activities/restic/test_locks.py::test_a_restic_of_ours_that_is_still_at_work_is_ended_first"),
    ),
    planted(
        "restic goes on when its worker was killed",
        "activities/restic/minder.py",
        "    broken.register(lifeline, select.POLLIN)\n",
        "",
        tests("tests/activities/restic/test_locks.py::test_a_restic_with_file_capabilities_ends_with_its_worker"),
    ),
    planted(
        "a backup whose worker died is not made again for an hour",
        "workflows/engines.py",
        "            heartbeat_timeout=HEARTBEAT_TIMEOUT,",
        "            heartbeat_timeout=timedelta(hours=1),",
        tests("tests/faults/test_worker_killed.py"),
    ),
)
