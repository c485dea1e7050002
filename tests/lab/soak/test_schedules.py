"""The judge of schedules takes the schedule that follows from a job's terms, and names every other."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf import text_format
from hypothesis import given
from hypothesis import strategies as st
from temporalio.api.workflowservice.v1 import DescribeScheduleResponse
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import encode_search_attributes

from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.jobs.to_schedule import Alignment, schedule_attributes, schedule_for
from lab.parts.answers import JobState, Terms
from lab.parts.schedules import StoredJob, UnfitSchedule, stored_job

TERMS = Terms("nightly", 3, "09:05", 2, 5, revision=8)
FIRST_RUN = datetime(2026, 11, 28, 9, 5, tzinfo=UTC)

RIGHT = """
schedule {
  spec {
    interval { interval { seconds: 259200 } phase { seconds: 119100 } }
    start_time { seconds: 1795856700 }
    jitter { seconds: 7200 }
  }
  action {
    start_workflow {
      workflow_id: "backup-job"
      workflow_type { name: "BackupWorkflow" }
      task_queue { name: "soak" kind: TASK_QUEUE_KIND_NORMAL }
      input { payloads { data: '{"scheduler_id":"job","policy_name":"nightly","days":3,"start_time":"09:05","duration":2,"misfire_grace_time":5,"url_kwargs":{"revision":8},"timezone":"UTC","anchor":"2026-11-28"}' } }
      workflow_execution_timeout { seconds: 2685610 }
      search_attributes {
        indexed_fields { key: "BackupSchedulerId" value { data: '"job"' } }
        indexed_fields { key: "BackupPolicyName" value { data: '"nightly"' } }
      }
      user_metadata { summary { data: '"for people"' } }
      priority { }
    }
  }
  policies { overlap_policy: SCHEDULE_OVERLAP_POLICY_BUFFER_ALL catchup_window { seconds: 10 } }
  state { notes: "for people" }
}
search_attributes {
  indexed_fields { key: "BackupSchedulerId" value { data: '"job"' } }
  indexed_fields { key: "BackupPolicyName" value { data: '"nightly"' } }
  indexed_fields { key: "BackupTerms" value { data: '"{\\\\"policy_name\\\\":\\\\"nightly\\\\",\\\\"days\\\\":3,\\\\"start_time\\\\":\\\\"09:05\\\\",\\\\"duration\\\\":2,\\\\"misfire_grace_time\\\\":5,\\\\"url_kwargs\\\\":{\\\\"revision\\\\":8},\\\\"timezone\\\\":\\\\"UTC\\\\",\\\\"anchor\\\\":\\\\"2026-11-28\\\\"}"' } }
}
"""  # noqa: E501  # as the server writes it


def described(text: str = RIGHT) -> DescribeScheduleResponse:
    return text_format.Parse(text, DescribeScheduleResponse())


def test_a_schedule_that_follows_from_its_terms_is_read() -> None:
    assert stored_job("job", described()) == StoredJob(JobState(TERMS), FIRST_RUN, "UTC", "soak")


def test_a_paused_schedule_is_read_as_paused() -> None:
    paused = described(RIGHT.replace('state { notes: "for people" }', "state { paused: true }"))
    assert stored_job("job", paused).state == JobState(TERMS, paused=True)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("seconds: 259200", "seconds: 86400", "interval"),
        ("seconds: 119100", "seconds: 119160", "interval"),
        ("seconds: 1795856700", "seconds: 1795856760", "start_at"),
        ("start_time { seconds: 1795856700 }", "", "start_at"),
        ("jitter { seconds: 7200 }", "", "jitter"),
        ("jitter { seconds: 7200 }", "jitter { seconds: 7200 } end_time { seconds: 1 }", "other times"),
        ("jitter { seconds: 7200 }", "jitter { seconds: 7200 } exclude_calendar { hour: '*' }", "other times"),
        ("BUFFER_ALL", "SKIP", "overlap policy"),
        ("catchup_window { seconds: 10 }", "catchup_window { seconds: 31536000 }", "catch-up window"),
        ("catchup_window { seconds: 10 }", "catchup_window { seconds: 5 }", "catch-up window"),
        ("BUFFER_ALL", "BUFFER_ALL pause_on_failure: true", "other policies"),
        ('name: "BackupWorkflow"', 'name: "OtherWorkflow"', "workflow"),
        ('"backup-job"', '"backup-other"', "workflow id"),
        ("seconds: 2685610", "seconds: 3600", "limit of a run"),
        ('{"scheduler_id":"job"', '{"scheduler_id":"other"', "argument of a run"),
        ('"revision":8', '"revision":8,"path":"/"', "argument of a run"),
        ('revision\\\\":8', 'revision\\\\":9', "terms in lists"),
        ('"BackupTerms"', '"Other"', "terms in lists"),
        ("priority { }", "priority { priority_key: 5 }", "other fields of a run"),
        ("priority { }", "workflow_run_timeout { seconds: 9 }", "other fields of a run"),
        ('state { notes: "for people" }', "state { limited_actions: true remaining_actions: 1 }", "number of runs"),
        ('"url_kwargs":{"revision":8}', '"url_kwargs":8', "cannot be read"),
        ('"policy_name":"nightly",', "", "cannot be read"),
    ],
)
def test_every_part_of_a_schedule_is_compared(old: str, new: str, named: str) -> None:
    assert RIGHT.count(old) == 1
    with pytest.raises(UnfitSchedule, match=named):
        stored_job("job", described(RIGHT.replace(old, new)))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda text: text[::-1].replace('"nightly"'[::-1], '"other"'[::-1], 1)[::-1], "attributes of the schedule"),
        (lambda text: text.replace("""'"nightly"'""", """'"other"'""", 1), "attributes of a run"),
    ],
)
def test_search_attributes_are_compared(change: Callable[[str], str], named: str) -> None:
    with pytest.raises(UnfitSchedule, match=named):
        stored_job("job", described(change(RIGHT)))


terms = st.builds(
    Terms,
    policy_name=st.sampled_from(["nightly", "weekly"]),
    days=st.integers(1, 3650),
    start_time=st.times().map(lambda time: f"{time:%H:%M}"),
    duration=st.integers(0, 24),
    misfire_grace_time=st.integers(1, 315_360_000),
    revision=st.none() | st.integers(0, 100),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2035, 1, 1), timezones=st.just(UTC))


@given(terms, moments, st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]))
async def test_what_the_service_makes_of_terms_follows_from_them(terms: Terms, now: datetime, zone: str) -> None:
    job = BackupJob(
        scheduler_id="job",
        url_kwargs={} if terms.revision is None else {"revision": terms.revision},
        **{name: value for name, value in terms.arguments().items() if name != "revision"},
    )
    alignment = Alignment.at(now, job, zone)
    client = await Client.connect("127.0.0.1:1", lazy=True, data_converter=pydantic_data_converter)
    made = DescribeScheduleResponse(schedule=await schedule_for(alignment, "soak")._to_proto(client))
    encode_search_attributes(schedule_attributes(alignment.request), made.search_attributes)
    found = stored_job("job", made)
    assert found.state == JobState(terms)
    assert timedelta(0) < found.first_run - now <= timedelta(hours=25)  # a day may have an hour more
    assert (found.timezone, found.task_queue) == (zone, "soak")
