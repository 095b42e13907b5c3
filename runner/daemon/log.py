"""What the process says while it runs, on standard error: text for people, a JSON object a line for machines.

Modules log with the standard library: the message is a short sentence, and what it counts or names goes into
``extra``, whose keys become fields of the line (``logger.info("ticked", extra={"contacts": 3})``). Only here is it
known how a line looks.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, TextIO

import structlog
from structlog.typing import EventDict, Processor

from runner.daemon.log_aside import LogAside


class LogFormat(StrEnum):
    AUTO = "auto"  # text on a terminal, else JSON
    JSON = "json"
    TEXT = "text"


_DRIVERS = ("sqlalchemy", "psycopg", "sqlite3")
"""Whose errors repeat values of rows, which are personal data, after their first line."""


_TALKATIVE = {"apscheduler": logging.ERROR, "alembic": logging.WARNING}
"""Who tell at every look what is no news: that the one before is still at work, and which database it is."""


def log_to_stderr(
    form: LogFormat = LogFormat.AUTO, level: int = logging.INFO, *, aside: bool = False
) -> None:
    """Have the whole process, libraries included, log to standard error; ``aside``: nobody waits for its reader."""
    written = formatter(form, sys.stderr)
    handler: logging.Handler
    if aside:
        handler = LogAside(sys.stderr, written)
    else:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(written)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    logging.captureWarnings(True)
    for name, least in _TALKATIVE.items():
        logging.getLogger(name).setLevel(least)


def formatter(form: LogFormat, stream: TextIO) -> logging.Formatter:
    """What makes a line of a record for ``stream``; colours only on a terminal without ``NO_COLOR``."""
    terminal = stream.isatty()
    text = form is LogFormat.TEXT or (form is LogFormat.AUTO and terminal)
    ends: tuple[Processor, Processor] = (
        (_for_people, _console(colours=terminal and not os.environ.get("NO_COLOR")))
        if text
        else (_in_order, structlog.processors.JSONRenderer(default=str))
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=(
            structlog.stdlib.ExtraAdder(),
            structlog.stdlib.add_log_level,
            structlog.stdlib.add_logger_name,
            _add_instant,
            _add_exception,
        ),
        processors=(structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ends),
    )


def _console(*, colours: bool) -> Processor:
    # The formatter that structlog would choose shows the local variables of each frame: people's data.
    return structlog.dev.ConsoleRenderer(
        colors=colours, pad_event_to=0, sort_keys=False, exception_formatter=structlog.dev.plain_traceback
    )


def _add_instant(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    at = datetime.fromtimestamp(fields["_record"].created, UTC)
    fields["timestamp"] = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return fields


def _in_order(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    first = {name: fields.pop(name) for name in ("timestamp", "level", "event")}
    return {**first, **fields}


def _add_exception(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    info = fields.pop("exc_info", None)
    if info and info[1] is not None:
        fields["exception"] = _exception_text(info[1])
    return fields


def _exception_text(last: BaseException) -> str:
    """The exception and those that led to it, the first one first, as Python shows them."""
    error: BaseException | None = last
    parts: list[str] = []
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        frames = "".join(traceback.format_tb(error.__traceback__))
        lines = str(error).split("\n")
        told = lines[0] if type(error).__module__.partition(".")[0] in _DRIVERS else "\n".join(lines)
        name = type(error).__qualname__
        parts.append(f"Traceback (most recent call last):\n{frames}{name}: {told}".rstrip(": "))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\n\n".join(reversed(parts))


def _for_people(_logger: Any, _method: str, fields: EventDict) -> EventDict:
    """Without what only programs ask for. Nothing that somebody put into a key or a name moves the cursor of a
    terminal or begins a line."""
    del fields["logger"]
    for name, value in fields.items():
        if isinstance(value, str):
            kept = "\n\t" if name == "exception" else ""
            fields[name] = "".join(
                each if each.isprintable() or each in kept else each.encode("unicode_escape").decode()
                for each in value
            )
    return fields
