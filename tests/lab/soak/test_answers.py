"""The judge of answers notices every kind of untrue answer, and calls no true one untrue."""

from datetime import UTC, datetime
from typing import Any

import pytest

from backup_scheduler.contract.methods import ADD, GET, MODIFY, PAUSE, PAUSE_ALL, REMOVE, RESUME, RESUME_ALL
from lab.parts.answers import JobState, Reply, Terms
from lab.soak.job import Job

OLD = Terms("nightly", 1, "02:00", 1, 3600, revision=1)
NEW = Terms("nightly", 2, "03:00", 0, 60, revision=2)
ASKED = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD_RUN, NEW_RUN = "2026-01-02 02:30:00", "2026-01-02 03:00:00"


def description(terms: Terms, next_run_time: str | None) -> dict[str, Any]:
    return {
        "job_id": "job",
        "func": "start_backup",
        "args": [],
        "kwargs": {
            "policy_name": terms.policy_name,
            "duration": terms.duration,
            "start_time": terms.start_time,
            "revision": terms.revision,
        },
        "misfire_grace_time": terms.misfire_grace_time,
        "next_run_time": next_run_time,
    }


def described(terms: Terms, next_run_time: str | None, **changes: Any) -> Reply:
    return {"status": "success", "description": description(terms, next_run_time) | changes, "code": 200}


def failed(code: int) -> Reply:
    return {"status": "fail", "description": "a sentence", "code": code}


def a_job(*possible: JobState | None) -> Job:
    return Job("job", set(possible), asked_at={OLD: ASKED, NEW: ASKED})


def judge(job: Job, method: str, reply: Reply | None, terms: Terms | None = None, disturbed: bool = False) -> Any:
    return job.judge(method, terms, reply, ASKED, disturbed=disturbed)


def test_an_answer_that_describes_an_earlier_state_is_known_from_an_untrue_one() -> None:
    job = Job("job")
    judge(job, ADD, described(OLD, OLD_RUN), OLD)
    judge(job, PAUSE, described(OLD, None))
    judge(job, MODIFY, described(NEW, None), NEW)
    assert job.shows_the_past(GET, described(OLD, OLD_RUN))
    assert job.shows_the_past(GET, described(OLD, None))
    assert job.shows_the_past(REMOVE, described(OLD, None))
    assert job.shows_the_past(MODIFY, failed(404))
    assert not job.shows_the_past(ADD, failed(404))
    assert not job.shows_the_past(GET, described(NEW, None))
    assert not job.shows_the_past(REMOVE, described(NEW, None))
    assert not job.shows_the_past(GET, described(NEW, NEW_RUN))  # it was never resumed
    assert not job.shows_the_past(PAUSE, described(OLD, None))  # it is read after the change
    assert not job.shows_the_past(GET, failed(503))
    assert not job.shows_the_past(GET, None)


def test_true_answers_are_taken_in() -> None:
    job = Job("job")
    assert judge(job, ADD, described(OLD, OLD_RUN), OLD) is None
    assert judge(job, ADD, failed(409), NEW) is None
    assert judge(job, PAUSE, described(OLD, None)) is None
    assert judge(job, MODIFY, described(NEW, None), NEW) is None
    assert job.possible == {JobState(NEW, paused=True)}
    assert judge(job, RESUME, described(NEW, NEW_RUN)) is None
    assert judge(job, REMOVE, described(NEW, None)) is None
    assert judge(job, GET, failed(404)) is None
    assert job.possible == {None}


@pytest.mark.parametrize(
    ("state", "method", "reply"),
    [
        (None, ADD, failed(409)),
        (None, PAUSE, described(OLD, None)),
        (JobState(OLD), ADD, described(NEW, NEW_RUN)),
        (JobState(OLD), GET, failed(404)),
        (JobState(OLD), PAUSE, failed(404)),
        (JobState(OLD), REMOVE, failed(404)),
        (JobState(OLD), GET, failed(500)),
        (JobState(OLD), MODIFY, described(OLD, OLD_RUN)),
        (JobState(OLD), PAUSE, described(OLD, OLD_RUN)),
        (JobState(OLD), GET, described(OLD, None)),
        (JobState(OLD), REMOVE, described(OLD, OLD_RUN)),
    ],
)
def test_untrue_answers_are_named(state: JobState | None, method: str, reply: Reply) -> None:
    assert judge(a_job(state), method, reply, NEW)


@pytest.mark.parametrize(
    "next_run_time",
    ["2026-01-02 01:59:59", "2026-01-02 03:00:01", "2026-01-01 02:30:00", "2026-01-03 02:30:00"],
)
def test_the_next_run_is_in_the_first_window_of_the_terms(next_run_time: str) -> None:
    assert judge(a_job(JobState(OLD)), GET, described(OLD, next_run_time))


@pytest.mark.parametrize("next_run_time", ["2026-01-02 02:00:00", "2026-01-02 03:00:00"])
def test_both_ends_of_a_window_are_in_it(next_run_time: str) -> None:
    assert judge(a_job(JobState(OLD)), GET, described(OLD, next_run_time)) is None


@pytest.mark.parametrize(
    "change",
    [
        {"job_id": "another"},
        {"func": "stop_backup"},
        {"args": [1]},
        {"kwargs": {}},
        {"misfire_grace_time": 3601},
        {"days": 1},
    ],
)
def test_every_part_of_a_description_is_compared(change: dict[str, Any]) -> None:
    assert judge(a_job(JobState(OLD)), GET, described(OLD, OLD_RUN, **change))


def test_a_description_without_a_part_is_untrue() -> None:
    reply = described(OLD, OLD_RUN)
    del reply["description"]["func"]
    assert judge(a_job(JobState(OLD)), GET, reply)


def test_a_call_without_a_definite_answer_leaves_both_states_open() -> None:
    job = a_job(JobState(OLD))
    assert judge(job, MODIFY, failed(504), NEW) is None
    assert job.possible == {JobState(OLD), JobState(NEW)}
    assert judge(job, GET, described(NEW, NEW_RUN)) is None
    assert job.possible == {JobState(NEW)}
    assert judge(job, REMOVE, None) is None
    assert job.possible == {JobState(NEW), None}
    assert job.retired


@pytest.mark.parametrize("terms", [OLD, NEW])
@pytest.mark.parametrize("others", [(), (JobState(OLD, paused=True), JobState(NEW, paused=True), None)])
def test_a_remove_may_describe_any_state_that_the_job_may_have_had(
    terms: Terms, others: tuple[JobState | None, ...]
) -> None:
    job = a_job(JobState(OLD), JobState(NEW), *others)
    assert judge(job, REMOVE, described(terms, None)) is None
    assert job.possible == {None}


def test_a_remove_that_describes_none_of_the_states_is_untrue() -> None:
    other = Terms("nightly", 1, "04:00", 1, 3600, revision=3)
    assert judge(a_job(JobState(OLD), JobState(NEW)), REMOVE, described(other, None))


def test_a_remove_that_was_delivered_twice_may_answer_404() -> None:
    job = a_job(JobState(OLD))
    assert judge(job, REMOVE, failed(404), disturbed=True) is None
    assert job.possible == {None}


def receipt(**named: str) -> Reply:
    empty: dict[str, Any] = {"changed": [], "already": [], "left": [], "failed": {}}
    return {"code": 200, "description": empty | {name: [each] for name, each in named.items()}}


FREE, BY_HAND, TOGETHER = JobState(OLD), JobState(OLD, paused=True), JobState(OLD, paused=True, together=True)


@pytest.mark.parametrize(
    ("method", "before", "place", "after"),
    [
        (PAUSE_ALL, FREE, "changed", TOGETHER),
        (PAUSE_ALL, BY_HAND, "already", BY_HAND),
        (PAUSE_ALL, TOGETHER, "already", TOGETHER),
        (RESUME_ALL, TOGETHER, "changed", FREE),
        (RESUME_ALL, FREE, "already", FREE),
        (RESUME_ALL, BY_HAND, "left", BY_HAND),
    ],
)
def test_a_receipt_has_each_job_in_its_place(method: str, before: JobState, place: str, after: JobState) -> None:
    job = a_job(before)
    assert job.judge_receipt(method, receipt(**{place: "job"}), calm=True) is None
    assert job.possible == {after}
    others = {"changed", "already", "left"} - {place}
    untrue = [receipt(**{other: "job"}) for other in others] + [receipt(), receipt(changed="job", left="job")]
    assert all(a_job(before).judge_receipt(method, each, calm=True) for each in untrue)


def test_a_receipt_of_a_troubled_time_may_have_passed_a_job_over_but_changes_what_it_says() -> None:
    for reply in (receipt(), receipt(already="job"), failed(504), receipt(failed="job")):
        job = a_job(FREE)
        assert job.judge_receipt(PAUSE_ALL, reply, calm=False) is None
        assert job.possible == {FREE, TOGETHER}
        assert job.judge_receipt(RESUME_ALL, receipt(changed="job"), calm=False) is None
        assert job.possible == {FREE}
        assert job.judge_receipt(RESUME_ALL, receipt(changed="job"), calm=False)


def test_no_answer_to_a_call_for_many_jobs_leaves_each_of_them_alone() -> None:
    job = a_job(FREE)
    assert job.judge_receipt(PAUSE_ALL, None, calm=True) is None
    assert (job.possible, job.retired) == ({FREE, TOGETHER}, True)


def test_a_job_that_is_paused_together_stays_so_until_it_is_resumed() -> None:
    job = a_job(TOGETHER)
    assert judge(job, PAUSE, described(OLD, None)) is None
    assert judge(job, MODIFY, described(NEW, None), NEW) is None
    assert job.possible == {JobState(NEW, paused=True, together=True)}
    assert judge(job, RESUME, described(NEW, NEW_RUN)) is None
    assert job.possible == {JobState(NEW)}
