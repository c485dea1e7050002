"""The way from a call to its reply, and the set-up of the service before its first call."""

import asyncio
import hashlib
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any, Final, Self, TypeVar

import structlog
from nameko.constants import AMQP_URI_CONFIG_KEY
from nameko.extensions import DependencyProvider
from nameko.standalone.rpc import StandaloneProxyBase
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig, TelemetryFilter

from backup_scheduler import logs, masking
from backup_scheduler.contract.arguments import Arguments
from backup_scheduler.contract.errors import ConfigurationError, SchedulerError
from backup_scheduler.contract.replies import Reply, fail, success
from backup_scheduler.jobs.description import Description
from backup_scheduler.jobs.notes import By
from backup_scheduler.jobs.to_schedule import short_request_id
from backup_scheduler.runs.asked import Why
from backup_scheduler.settings import Settings, checked_amqp_uri, load_settings
from backup_scheduler.temporal.client import configuration, connect, follow, reason
from backup_scheduler.texts import LONGEST, clean
from rpc_service.bridge import Awaiter, guest_loop
from rpc_service.entrypoint import AMQP_REQUEST_ID, REDELIVERED
from rpc_service.gateway.faults import RETRIES
from rpc_service.gateway.jobs import ScheduleGateway

_log = structlog.stdlib.get_logger(__name__)

_LOGGING = "LOGGING"
_NAMEKO_RUN_BROKER = "pyamqp://guest:guest@localhost"
"""The default of `nameko run`."""

_CALLER: Final = "caller"
"""Key of nameko's context data with which a caller may name itself."""

_REASON: Final = "reason"
"""Key of nameko's context data with which a caller may say why it calls, also where a method has no argument for it."""

_SCRIPT: Final = f"{StandaloneProxyBase.ServiceContainer.service_name}."
"""How the call id of every caller begins that is no nameko service."""

_LONGEST: Final = 100
"""Characters of each: Temporal takes notes of 1,000 bytes (docs/temporal-facts.md#notes-have-1000-bytes)."""

A = TypeVar("A", bound=Arguments)


class Call:
    """One RPC call, up to its reply."""

    def __init__(
        self, wait_for: Awaiter, gateway: ScheduleGateway, worker_ctx: Any, misfire_grace_time: int | None = None
    ) -> None:
        self._wait_for = wait_for
        self._gateway = gateway
        self._misfire_grace_time = misfire_grace_time
        self._method = worker_ctx.entrypoint.method_name
        self._call_id = worker_ctx.call_id
        self._amqp_request_id: str = worker_ctx.data.get(AMQP_REQUEST_ID, self._call_id)
        self.redelivered: bool = worker_ctx.data[REDELIVERED]
        """Whether the broker has delivered the request before: it may have been carried out, but not answered."""
        self.by = By(_caller(worker_ctx), _given(worker_ctx, _REASON))
        """Who called and why, for people."""
        self._log_fields: dict[str, Any] = {}

    def request_id(self, arguments: Arguments) -> str:
        """Return the request_id; a redelivered request has the same one.

        It depends on method and arguments, too: a caller may use one correlation id for several requests.
        """
        content = f"{self._method} {arguments.model_dump_json()}"
        return f"{self._amqp_request_id} {hashlib.sha256(content.encode()).hexdigest()[:16]}"

    def why(self, arguments: Arguments, reason: str | None) -> Why:
        """Return what Temporal keeps of the call beside a run that it asks for."""
        by = self.by.because(reason)
        return Why(reason=by.reason, caller=by.caller, call=short_request_id(self.request_id(arguments)))

    def answer(
        self,
        model: type[A],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        act: Callable[[ScheduleGateway, A], Coroutine[Any, Any, Description | list[Description]]],
    ) -> Reply:
        """Check the arguments, carry the call out and make a reply of its result or error.

        No error is raised at the caller (docs/api.md#what-raises).
        """
        began = time.monotonic()
        fields: dict[str, Any] = {"method": self._method, "call_id": self._call_id}
        if self.redelivered:
            fields["redelivered"] = True
        try:
            arguments = _without_secrets(model.from_call(args, kwargs, self._misfire_grace_time))
            fields |= arguments.model_dump(include={"scheduler_id", "policy_name", "run_id"}, exclude_none=True)
            reply = success(self._wait_for(act(self._gateway, arguments)))
        except SchedulerError as error:
            reply = fail(error.code, str(error))
            fields["reason"] = str(error)
            if error.code >= 500 and error.__cause__ is not None:
                fields["cause"] = reason(error.__cause__)
        except Exception:
            reference = uuid.uuid4().hex[:12]
            reply = fail(500, f"something unexpected went wrong; the scheduler's log has it under {reference}")
            _log.exception("call failed", reference=reference, **fields)
        self._log_fields = {"code": reply["code"], "seconds": round(time.monotonic() - began, 4), **fields}
        return reply

    def log(self, sent: Any) -> None:
        """Log the reply after it was sent, so that the caller does not wait for that."""
        if self._log_fields and isinstance(sent, dict):
            if sent["code"] != self._log_fields["code"]:  # the reply was too large
                self._log_fields |= {"code": sent["code"], "reason": sent["description"]}
            log = _log.warning if self._log_fields["code"] >= 500 else _log.info
            log("call answered", **self._log_fields)


def _caller(worker_ctx: Any) -> str | None:
    """Return `caller` of the context data, else the method that called, such as `shop.nightly`, from its call id."""
    if given := _given(worker_ctx, _CALLER):
        return given
    above = worker_ctx.immediate_parent_call_id
    if not above or above.startswith(_SCRIPT):
        return None
    return clean(above.rpartition(".")[0] or above, _LONGEST)


def _given(worker_ctx: Any, key: str) -> str | None:
    """Return a text of the context data; None if there is none."""
    given = worker_ctx.data.get(key)
    # Masked before it is cut: a piece of a URL is not known as one.
    return clean(masking.masked(given[:LONGEST]), _LONGEST) or None if isinstance(given, str) else None


def _without_secrets(arguments: A) -> A:
    """Mask the reason of a call, where it has one: Temporal keeps it, and people read it."""
    given = getattr(arguments, _REASON, None)
    return arguments.model_copy(update={_REASON: masking.masked(given)}) if given else arguments


class Calls(DependencyProvider):  # type: ignore[misc]  # nameko has no type information
    """Gives each of nameko's workers its Call."""

    def bind(self, container: Any, attr_name: str) -> Self:
        """Check the settings before anything starts, however the service is started; a wrong one ends the process.

        The variable AMQP_URI counts if `nameko run` gets no broker by --broker or --config.
        """
        masking.guard(os.environ)
        try:
            settings = load_settings()
            configuration()
            broker = container.config.get(AMQP_URI_CONFIG_KEY, _NAMEKO_RUN_BROKER)
            if broker == _NAMEKO_RUN_BROKER:
                broker = settings.amqp_uri.get_secret_value()
            masking.hide_url(broker)
            container.config[AMQP_URI_CONFIG_KEY] = checked_amqp_uri(broker)
        except ConfigurationError as error:
            print(f"rpc_service: {error}", file=sys.stderr)  # noqa: T201 - logs are not set up yet
            raise SystemExit(2) from None
        bound: Self = super().bind(container, attr_name)
        return bound

    def setup(self) -> None:
        """Make the client; it connects at the first call, so Temporal may be down."""
        # Ctrl-C ends the service as SIGTERM does: a KeyboardInterrupt would hit any greenlet.
        if callable(stop := signal.getsignal(signal.SIGTERM)):
            signal.signal(signal.SIGINT, stop)
        # The Rust core prints its retries to stdout; the replies to callers say enough of them.
        quiet = Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(TelemetryFilter("ERROR", "ERROR"))))
        settings = load_settings()
        if _LOGGING not in self.container.config:  # else the configuration of `nameko run` says how to log
            logs.configure(settings)
        masking.guard({})  # also the log handlers that were added since `bind`
        logs.report(settings)
        self._wait_for = guest_loop()
        self._wait_for(self._connect(settings, quiet))
        self._misfire_grace_time = settings.misfire_grace_time

    async def _connect(self, settings: Settings, runtime: Runtime) -> None:
        config = configuration()
        client = await connect(config, lazy=True, runtime=runtime, retry_config=RETRIES)
        self._gateway = ScheduleGateway(client, settings)
        following = follow(client, config, self._gateway.use, runtime=runtime, retry_config=RETRIES)
        self._following = asyncio.create_task(following)  # kept: the loop itself does not keep a task alive

    def get_dependency(self, worker_ctx: Any) -> Call:
        """Return the Call of one of nameko's workers."""
        return Call(self._wait_for, self._gateway, worker_ctx, self._misfire_grace_time)

    def worker_result(self, worker_ctx: Any, result: Any = None, exc_info: Any = None) -> None:
        """Log the call after its reply was sent."""
        getattr(worker_ctx.service, self.attr_name).log(result)
