"""The sentence and the code of each expected error."""

import pytest

from backup_scheduler.contract.errors import (
    AccessRefused,
    BrokenJob,
    ConfigurationError,
    InvalidArguments,
    JobExists,
    JobNotFound,
    ListTimeout,
    NamespaceNotFound,
    ReplyTooLarge,
    SchedulerError,
    SearchAttributesMissing,
    TemporalOverloaded,
    TemporalTimeout,
    TemporalUnavailable,
)
from backup_scheduler.contract.replies import fail, success

PERHAPS = "if the call was to change a job, get_job tells whether it did"


@pytest.mark.parametrize(
    ("error", "code", "sentence"),
    [
        (InvalidArguments(["a", "b"]), 400, "a; b"),
        (JobNotFound("a"), 404, "no job has the scheduler_id 'a'"),
        (
            JobNotFound("a", perhaps_removed=True),
            404,
            "no job has the scheduler_id 'a': this call was cut short once, and may have removed it then",
        ),
        (
            JobNotFound("a", removed_before=True),
            404,
            "no job has the scheduler_id 'a' any more: this call removed it when it came first; the job that has it "
            "now was added since and stays",
        ),
        (JobExists("a"), 409, "a job with the scheduler_id 'a' already exists: modify or remove it instead"),
        (BrokenJob("a", "edited"), 500, "the job 'a' is broken: edited"),
        (TemporalUnavailable(), 503, f"Temporal cannot be reached, try again later; {PERHAPS}"),
        (TemporalOverloaded(), 503, f"Temporal has too much to do, try again later; {PERHAPS}"),
        (
            NamespaceNotFound("n"),
            503,
            "Temporal has no namespace 'n': make it, or set TEMPORAL_NAMESPACE to another one",
        ),
        (
            SearchAttributesMissing(["A", "B"], "n"),
            503,
            "Temporal's namespace 'n' lacks search attributes and refuses to make them: an administrator has to make "
            "A (Keyword), B (Keyword) there",
        ),
        (
            SearchAttributesMissing(["A"], "n", for_want_of_a_right=True),
            503,
            "Temporal's namespace 'n' lacks search attributes and refuses to make them: an administrator (permission "
            "'n:admin') has to make A (Keyword) there",
        ),
        (
            AccessRefused("n"),
            503,
            "Temporal refuses access to the namespace 'n': TEMPORAL_API_KEY has to be a valid token with the "
            "permission 'n:write'",
        ),
        (TemporalTimeout(4.5), 504, f"Temporal did not answer within 4.5 s; {PERHAPS}"),
        (
            ListTimeout(4.0),
            504,
            "the jobs could not all be described within 4 s: Temporal has too much to do, or there are too many of "
            "them; get_job describes one",
        ),
        (
            ReplyTooLarge(8_560_000, 9000),
            500,
            "the answer is too large for the message broker: 9000 jobs in 8.6 MB; get_job describes one",
        ),
        (ConfigurationError("no file"), 500, "no file"),
    ],
)
def test_an_error_has_one_sentence_and_the_code_of_its_reply(error: SchedulerError, code: int, sentence: str) -> None:
    assert (str(error), error.code) == (sentence, code)
    assert fail(error.code, str(error)) == {"status": "fail", "description": sentence, "code": code}


def test_an_error_knows_what_it_is_about() -> None:
    assert InvalidArguments(["a", "b"]).faults == ("a", "b")
    assert (JobNotFound("a").scheduler_id, JobNotFound("a").removed_before) == ("a", False)
    assert JobNotFound("a", removed_before=True).removed_before is True
    assert JobExists("a").scheduler_id == BrokenJob("a", "").scheduler_id == "a"


def test_a_success_has_the_code_200() -> None:
    assert success([]) == {"status": "success", "description": [], "code": 200}
