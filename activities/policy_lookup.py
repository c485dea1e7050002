"""The activity that looks a policy up, so that the choice stands in the run's history."""

from temporalio import activity
from temporalio.exceptions import ApplicationError

from backup_scheduler.contract.errors import ConfigurationError
from backup_scheduler.policies.file import ChosenEngine, Policies


class PolicyLookup:
    """Knows the worker's policies."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    @activity.defn
    async def choose_policy(self, policy_name: str) -> ChosenEngine:
        """Return the kind and the time limit of a policy; fails for good when there is none."""
        try:
            return self._policies.engine_for(policy_name)
        except ConfigurationError as error:
            raise ApplicationError(str(error), type="PolicyNotConfigured", non_retryable=True) from None
