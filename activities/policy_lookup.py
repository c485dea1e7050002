"""The activity that looks up a policy: its result is in the history of the run, so a replay uses the same policy."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.policies.file import ChosenEngine, Policies


class PolicyLookup:
    """Looks up the worker's policies."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    @activity.defn
    async def choose_policy(self, policy_name: str) -> ChosenEngine:
        """Return the engine and the time limit of a policy. Fails without retries when there is no such policy."""
        try:
            return self._policies.engine_for(policy_name)
        except ConfigurationError as error:
            raise ApplicationError(str(error), type="PolicyNotConfigured", non_retryable=True) from None
