"""Commands about jobs."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from backup_scheduler.contract.methods import (
    ADD,
    GET,
    LIST,
    MODIFY,
    PAUSE,
    PAUSE_ALL,
    PREVIEW,
    REMOVE,
    RESUME,
    RESUME_ALL,
)
from backupctl import views
from backupctl.app import Exit, Job, Json, Reason, Until, app, ask, put_out, show
from backupctl.service import LIST_TIMEOUT, Service

Policy = Annotated[str, typer.Option("--policy", help="Name of the policy that says how the backup is made.")]
Days = Annotated[int, typer.Option(help="Runs every so many days.")]
Start = Annotated[str, typer.Option("--at", metavar="HH:MM", help="Beginning of the window, on the scheduler's clock.")]
Duration = Annotated[int, typer.Option("--window", metavar="HOURS", help="Length of the window.")]
Grace = Annotated[
    int | None, typer.Option("--grace", metavar="SECONDS", help="How far back missed runs are made up for.")
]
More = Annotated[list[str], typer.Argument(metavar="[NAME=VALUE]...", help="Passed on to the backup.")]


def _terms(
    policy: str, days: int, start: str, window: int, grace: int | None, more: Sequence[str], *taken: str
) -> dict[str, Any]:
    """Return the terms of a job by their names; `more` are the url_kwargs, each as NAME=VALUE, but not as `taken`."""
    terms = {"policy_name": policy, "days": days, "start_time": start, "duration": window, "misfire_grace_time": grace}
    pairs = [each.partition("=") for each in more]
    if wrong := [name for name, sign, _ in pairs if not sign or not name]:
        raise typer.BadParameter(f"{', '.join(map(repr, wrong))}: must be NAME=VALUE")
    if wrong := [name for name, *_ in pairs if name in (*terms, *taken, "self")]:
        raise typer.BadParameter(
            f"{', '.join(map(repr, wrong))}: cannot be passed on to the backup: it has a meaning here"
        )
    return {**terms, **{name: value for name, _, value in pairs}}


def _putting(method: str) -> Callable[..., None]:
    def put(
        context: typer.Context,
        job: Job,
        policy: Policy,
        start: Start,
        more: More = [],  # noqa: B006  # typer copies it
        days: Days = 1,
        window: Duration = 0,
        grace: Grace = None,
        as_json: Json = False,
    ) -> None:
        terms = _terms(policy, days, start, window, grace, more, "scheduler_id")
        show(context, method, views.show_job, {"scheduler_id": job, **terms}, as_json=as_json)

    return put


app.command("add", help="Make a job.")(_putting(ADD))
app.command("modify", help="Replace all terms of a job; a paused one stays paused.")(_putting(MODIFY))


@app.command()
def pause(context: typer.Context, job: Job, reason: Reason = None, until: Until = None, as_json: Json = False) -> None:
    """Start no more runs of a job; runs under way go on."""
    show(context, PAUSE, views.show_job, {"scheduler_id": job, "reason": reason, "until": until}, as_json=as_json)


@app.command()
def resume(context: typer.Context, job: Job, as_json: Json = False) -> None:
    """Start runs of a paused job again."""
    show(context, RESUME, views.show_job, {"scheduler_id": job}, as_json=as_json)


@app.command()
def remove(context: typer.Context, job: Job, as_json: Json = False) -> None:
    """Remove a job; a backup under way is left to finish."""
    show(context, REMOVE, views.show_job, {"scheduler_id": job}, as_json=as_json)


@app.command()
def get(context: typer.Context, job: Job, as_json: Json = False) -> None:
    """Show a job."""
    show(context, GET, views.show_job, {"scheduler_id": job}, as_json=as_json)


PolicyFilter = Annotated[str | None, typer.Option("--policy", help="Only jobs of this policy.")]
Paused = Annotated[bool | None, typer.Option("--paused/--not-paused", help="Only paused jobs, or only the others.")]
Outcome = Annotated[str | None, typer.Option("--outcome", help="Only jobs whose last run came to this: failed.")]
Overdue = Annotated[bool | None, typer.Option("--overdue/--not-overdue", help="Only jobs that lack a backup.")]
Prefix = Annotated[str | None, typer.Option("--prefix", help="Only jobs whose scheduler_id begins so.")]
All = Annotated[bool, typer.Option("--all", help="Every job, where no filter is given.")]


def _filter(
    policy: str | None, paused: bool | None, outcome: str | None, overdue: bool | None, prefix: str | None
) -> dict[str, Any]:
    given = {"policy_name": policy, "paused": paused, "last_outcome": outcome, "overdue": overdue, "prefix": prefix}
    return {name: value for name, value in given.items() if value is not None}


@app.command("list")
def list_all(
    context: typer.Context,
    policy: PolicyFilter = None,
    paused: Paused = None,
    outcome: Outcome = None,
    overdue: Overdue = None,
    prefix: Prefix = None,
    limit: Annotated[int | None, typer.Option(help="Show so many at most; by default all.")] = None,
    as_json: Json = False,
) -> None:
    """List jobs, with what became of their last runs."""

    def work(service: Service) -> int:
        jobs: list[dict[str, Any]] = []
        page: dict[str, Any] = {"next": None}
        while not jobs or (page["next"] and (limit is None or len(jobs) < limit)):
            size = 1000 if limit is None else min(1000, limit - len(jobs))
            wanted = _filter(policy, paused, outcome, overdue, prefix)
            page = service.call(LIST, **wanted, limit=size, after=page["next"])
            jobs += page["jobs"]
            if not page["next"]:
                break
        put_out(service, jobs, views.show_jobs, as_json=as_json)
        return Exit.DONE

    ask(context, work, LIST_TIMEOUT)


@app.command("pause-all")
def pause_all(
    context: typer.Context,
    reason: Annotated[str, typer.Option(help="Shown with each, also in the Web UI.")],
    policy: PolicyFilter = None,
    paused: Paused = None,
    outcome: Outcome = None,
    overdue: Overdue = None,
    prefix: Prefix = None,
    every: All = False,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, only show what would be.")] = False,
    as_json: Json = False,
) -> None:
    """Pause all jobs that fit the filters."""
    wanted = _filter(policy, paused, outcome, overdue, prefix)
    how = {"filter": wanted, "all": every, "reason": reason, "until": until, "dry_run": dry_run}
    show(context, PAUSE_ALL, views.show_receipt, how, as_json=as_json)


@app.command("resume-all")
def resume_all(
    context: typer.Context,
    policy: PolicyFilter = None,
    paused: Paused = None,
    outcome: Outcome = None,
    overdue: Overdue = None,
    prefix: Prefix = None,
    every: All = False,
    as_json: Json = False,
) -> None:
    """Resume the jobs that fit the filters and that pause-all paused."""
    wanted = _filter(policy, paused, outcome, overdue, prefix)
    show(context, RESUME_ALL, views.show_receipt, {"filter": wanted, "all": every}, as_json=as_json)


@app.command()
def preview(
    context: typer.Context,
    policy: Policy,
    start: Start,
    more: More = [],  # noqa: B006  # typer copies it
    days: Days = 1,
    window: Duration = 0,
    grace: Grace = None,
    job: Annotated[str | None, typer.Option(help="A scheduler_id, for the very moments of its runs.")] = None,
    count: Annotated[int, typer.Option(help="Show so many windows.")] = 10,
    as_json: Json = False,
) -> None:
    """Show the next windows of a job with these terms, and the clock changes among them; add nothing."""
    terms = _terms(policy, days, start, window, grace, more, "scheduler_id", "count")
    show(context, PREVIEW, views.show_preview, {"scheduler_id": job, "count": count, **terms}, as_json=as_json)
