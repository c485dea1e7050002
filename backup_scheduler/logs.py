"""Structured logs: a constant text plus keyed fields, JSON unless on a terminal."""

import logging
import os
import sys

import structlog

from backup_scheduler.settings import Settings, unknown

_log = structlog.stdlib.get_logger(__name__)


def configure(settings: Settings) -> None:
    """Send the logs of this project and of its libraries to stderr, all in one form."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stderr.isatty())
    # A traceback with the values of variables, as rich prints it, would show secrets.
    renderers: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=str, ensure_ascii=False)]
        if as_json
        else [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    # No log line shows these, and to find them takes a third of the time of a line.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderers],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(settings.log_level.upper())


def report(settings: Settings) -> None:
    """Log what is easily mistaken: time zone and task queue, and variables that look like settings and are none."""
    if strange := sorted(unknown(os.environ)):
        _log.warning("variables that look like settings and are none", variables=strange)
    _log.info("settings read", timezone=settings.timezone, task_queue=settings.task_queue)
