"""Jobs and settings for tests of the gateway."""

from backup_scheduler.jobs.terms import BackupJob
from backup_scheduler.settings import Settings

SETTINGS = Settings(timezone="UTC")


def a_job(scheduler_id: str, start_time: str = "02:01", policy_name: str = "documents") -> BackupJob:
    return BackupJob(
        scheduler_id=scheduler_id,
        policy_name=policy_name,
        days=7,
        start_time=start_time,
        duration=0,
        misfire_grace_time=60,
    )
