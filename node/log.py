"""Logs on standard error: one event a line, JSON for machines or plain text for people.

Our modules and the libraries below them all write through the standard `logging`; structlog only renders, so that a
line of libp2p looks like one of ours. Nothing is logged on standard output: that is for what a command prints.
"""

import logging
import sys
from typing import Literal, TextIO

import structlog

from node.log_flood import FewOfAKind

NOISY = ("libp2p", "hypercorn", "multiaddr", "async_service")
"""Libraries whose info lines are about their own affairs; warnings and errors of theirs are shown."""


def set_up(level: str, form: Literal["auto", "json", "console"] | str, stream: TextIO | None = None) -> None:
    """Send all logging of this process to `stream` (standard error).

    Args:
        level: debug, info, warning or error.
        form: `auto` writes JSON unless `stream` is a terminal.
    """
    out = sys.stderr if stream is None else stream
    as_json = form == "json" or (form == "auto" and not out.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    last: list[structlog.typing.Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if as_json:
        last += [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    else:
        last += [structlog.dev.ConsoleRenderer(colors=out.isatty())]
    handler = logging.StreamHandler(out)
    handler.addFilter(FewOfAKind())
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=last))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, root.level))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
