"""Jobs made for a list, and lists of them by filters."""

from typing import Any

from backup_scheduler.jobs.description import Description
from backup_scheduler.jobs.filters import ListJobs
from lab.parts.waiting import eventually_async
from rpc_service.gateway.jobs import ScheduleGateway
from tests.support.gateway_jobs import a_job


async def listed(gateway: ScheduleGateway, **wanted: Any) -> dict[str, Description]:
    """Return all wanted jobs by their ids, page by page."""
    found: dict[str, Description] = {}
    after = None
    while True:
        page = await gateway.list_page(ListJobs(**wanted, after=after))
        ids = [each["job_id"] for each in page["jobs"]]
        assert not {*ids} & {*found}, "a job is on one page only"
        assert len({*ids}) == len(ids) <= wanted.get("limit", 100)
        found |= {each["job_id"]: each for each in page["jobs"]}
        after = page["next"]
        if after is None:
            return found


async def added(gateway: ScheduleGateway, prefix: str, count: int, policy: str, **others: Any) -> list[str]:
    ids = [f"{prefix}-{number}" for number in range(count)]
    for each in ids:
        await gateway.add(a_job(each, policy_name=policy, **others), "add")
    return ids


async def has(gateway: ScheduleGateway, ids: list[str], **wanted: Any) -> None:
    """Wait until a list has these jobs and no others."""

    async def there() -> bool:
        return sorted(await listed(gateway, **wanted)) == sorted(ids)

    await eventually_async(there)
