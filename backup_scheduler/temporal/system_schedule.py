"""The system schedule in a namespace: every worker makes it, and sees that it stays there."""

from temporalio.client import Client, ScheduleAlreadyRunningError, ScheduleUpdate, ScheduleUpdateInput
from temporalio.service import RPCError, RPCStatusCode

from backup_scheduler.jobs.names import SYSTEM_SCHEDULE
from backup_scheduler.jobs.to_schedule import system_schedule
from backup_scheduler.temporal.stored_jobs import describe_schedule


async def put_system_schedule(client: Client, task_queue: str) -> None:
    """Make the system schedule, or bring it up to date; a paused one stays paused. Raises RPCError."""
    wanted = system_schedule(task_queue)
    try:
        await client.create_schedule(SYSTEM_SCHEDULE, wanted, trigger_immediately=True)
    except ScheduleAlreadyRunningError:  # made by an earlier worker, perhaps of an older release or for another queue

        def renewed(update: ScheduleUpdateInput) -> ScheduleUpdate:
            current = update.description.schedule.state
            if current.paused:  # by a person, who knows why
                wanted.state = current
            return ScheduleUpdate(wanted)

        await client.get_schedule_handle(SYSTEM_SCHEDULE).update(renewed)


async def look_at_system_schedule(client: Client, task_queue: str) -> str:
    """Make the system schedule anew if it is gone or cannot go on; return why there are no passes, or "".

    Raises RPCError.
    """
    try:
        found = await describe_schedule(client, SYSTEM_SCHEDULE)
    except RPCError as error:
        if error.status == RPCStatusCode.FAILED_PRECONDITION:  # docs/temporal-facts.md#a-cancel-ends-a-schedule
            await client.get_schedule_handle(SYSTEM_SCHEDULE).delete()
        elif error.status != RPCStatusCode.NOT_FOUND:
            raise
        await put_system_schedule(client, task_queue)
        return "it was gone or could not go on; it is made anew"
    return f"it is paused: {found.schedule.state.notes}" if found.schedule.state.paused else ""
