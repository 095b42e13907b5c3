"""The settings of one deployment: ``journeys.yaml`` beside ``journeys/``, which need not exist.

Secrets are only ever read from environment variables: ``${NAME}`` stands for the variable NAME, and a
literal password is an error. Relative paths are relative to the project.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import Any
from urllib.parse import quote

from runner.journey.catalog import ASKED_BY_CALL
from runner.journey.duration import parse_duration
from runner.journey.schema import load_document, plain
from runner.journey.yaml import LARGEST_FILE, Fields, Items, Scalar, Value, split_lines
from runner.problem import Problem, ProblemsFound, Span

SETTINGS_FILE = "journeys.yaml"
UNKNOWN_CHANNEL = "settings/channel"
"""The code of the problem that settings are for a channel that nobody has declared."""

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PASSWORD = re.compile(r"://[^/@:]*:(?P<password>[^@/]*)@|[?&]password=(?P<query>[^&]*)")


PRODUCTION = "production"
"""The environment in which messages go to everybody; that of whoever says nothing."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """``tick_every``: how often the daemon looks for work; ``connections``: how many of a process deliver at a time;
    ``grace``: how long it finishes what is being sent when it is told to stop; ``partitions_per_batch``: how many
    partitions a tick takes at most, None as many as fill a batch; ``released_per_minute``: how many of those who are
    overdue all at once, after a pause or a change of their journey, go on a minute."""

    tick_every: timedelta = timedelta(seconds=5)
    connections: int = 8
    grace: timedelta = timedelta(seconds=30)
    partitions_per_batch: int | None = None
    released_per_minute: int = 600


@dataclass(frozen=True, kw_only=True)
class Settings:
    """``channels`` maps a channel of the catalog to its transport: ``uses`` (file, smtp, webhook) and the
    options of that transport. A channel that is not in it keeps what the catalog says, the file transport
    to begin with. Both ``database_url`` and ``channels`` hold secrets, so neither is part of what is shown.
    ``listen`` is where the daemon answers questions about its health, ``HOST:PORT``; None: nowhere."""

    folder: Path
    database_url: str = field(repr=False)
    channels: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
    base_url: str | None = None
    listen: str | None = None
    limits: Limits = Limits()
    recipients: frozenset[str] | None = None
    """The addresses to which alone messages are sent, in lower case; None where this is production."""


def load_settings(folder: Path, environ: Mapping[str, str]) -> Settings:
    """The settings of the project in ``folder``. Raises ProblemsFound, also where a variable of ``environ``
    is missing."""
    tree, problems, text = _read(folder)
    sources = {SETTINGS_FILE: text}
    if problems:
        raise ProblemsFound(problems, sources)
    if tree is None:
        return Settings(folder=folder, database_url=default_database(folder))
    expanded, missing = _expand(tree, environ)
    if missing:
        raise ProblemsFound(missing, sources)
    return _settings(folder, expanded)


def load_limits(folder: Path) -> Limits:
    """The limits of the project in ``folder`` alone, which no variable of the environment is needed for. Raises
    ProblemsFound."""
    tree, problems, text = _read(folder)
    if problems:
        raise ProblemsFound(problems, {SETTINGS_FILE: text})
    said = tree.get("limits") if isinstance(tree, Fields) else None
    return _limits(plain(said) if said else {})


def check_settings(folder: Path, channels: Collection[str] | None = None) -> tuple[tuple[Problem, ...], str]:
    """What is wrong with the settings whatever the environment is, and their text (empty where there are
    none). ``channels`` are those of the catalog, where they are known.

    The secrets that are reported are struck out of the text, so that no log shows them.
    """
    tree, problems, text = _read(folder)
    if channels is not None and isinstance(tree, Fields):
        problems += tuple(_unknown_channels(tree.get("channels"), channels))
    return problems, text


def transports(folder: Path) -> Mapping[str, str]:
    """Which transport carries which channel, by the settings of the project in ``folder``, whatever the environment is;
    the catalog's holds for all others."""
    tree = _read(folder)[0]
    channels = tree.get("channels") if isinstance(tree, Fields) else None
    return {
        channel.key: channel.value.fields[0].key
        for channel in (channels.fields if isinstance(channels, Fields) else ())
        if isinstance(channel.value, Fields) and channel.value.fields
    }


def _unknown_channels(value: Value | None, channels: Collection[str]) -> Iterator[Problem]:
    for each in value.fields if isinstance(value, Fields) else ():
        if each.key not in (*channels, ASKED_BY_CALL):
            near = get_close_matches(each.key, channels, n=1)
            yield Problem(
                code=UNKNOWN_CHANNEL,
                message=f"The catalog has no channel `{each.key}`.",
                span=each.key_span,
                hint=f"Did you mean `{near[0]}`?" if near else "Declare it under `channels` of the catalog.",
            )


def line_of(folder: Path, *keys: str) -> int | None:
    """The line of the settings on which the last of ``keys``, which lead from the top inwards, stands, or the last
    that there is; None where there is not even the second, such as a channel under ``channels``."""
    value, line, depth = _read(folder)[0], None, 0
    for key in keys:
        if not isinstance(value, Fields) or key not in value:
            break
        line, value, depth = value.key_span(key).line, value.get(key), depth + 1
    return line if depth >= 2 else None


def default_database(folder: Path) -> str:
    """SQLite in ``.journeys/journeys.db`` of the project."""
    return _sqlite_url(folder / ".journeys" / "journeys.db")


def _read(folder: Path) -> tuple[Value | None, tuple[Problem, ...], str]:
    path = folder / SETTINGS_FILE
    start = Span(SETTINGS_FILE, 1, 1)
    if not path.exists():
        return None, (), ""
    try:
        with path.open("rb") as file:
            text = file.read(4 * LARGEST_FILE).decode("utf-8")
    except OSError as error:
        message = f"This cannot be read: {error.strerror or type(error).__name__}."
        return None, (Problem(code="file/unreadable", message=message, span=start),), ""
    except UnicodeDecodeError:
        message = "The file is not UTF-8."
        return (
            None,
            (Problem(code="file/encoding", message=message, span=start, hint="Save it as UTF-8."),),
            "",
        )
    tree, problems = load_document(SETTINGS_FILE, text, "journeys")
    if isinstance(tree, Fields):
        problems += _database_problems(tree.get("database"))
    in_order = tuple(sorted(problems, key=lambda each: (each.span.line, each.span.column)))
    return tree, in_order, _without_secrets(text, problems)


def _without_secrets(text: str, problems: tuple[Problem, ...]) -> str:
    lines = split_lines(text)
    for problem in problems:
        if problem.code == "settings/secret":
            line, start = lines[problem.span.line - 1], problem.span.column - 1
            end = start + problem.span.length
            lines[problem.span.line - 1] = line[:start] + "*" * (end - start) + line[end:]
    return "\n".join(lines)


def _database_problems(value: Value | None) -> tuple[Problem, ...]:
    if not isinstance(value, Scalar):
        return ()
    for match in _PASSWORD.finditer(value.text):
        group = "password" if match["password"] is not None else "query"
        if match[group] and not _VARIABLE.fullmatch(match[group]):
            span = value.place(match.start(group), len(match[group]))
            message = "A password may not stand in the settings."
            hint = "Write ${NAME} and put the password into the environment variable NAME."
            return (Problem(code="settings/secret", message=message, span=span, hint=hint),)
    if re.fullmatch(r"sqlite://(/(:memory:)?)?", value.text):
        message = "A database in memory is gone when the program ends."
        hint = "Name a file: sqlite:///.journeys/journeys.db"
        return (Problem(code="settings/database", message=message, span=value.span, hint=hint),)
    return ()


def _expand(tree: Value, environ: Mapping[str, str]) -> tuple[Any, tuple[Problem, ...]]:
    """The plain data of ``tree`` with ``${NAME}`` replaced, and a problem for each variable that is not
    set."""
    missing: list[Problem] = []

    def expanded(value: Value, key: str = "") -> Any:
        if isinstance(value, Fields):
            return {inner.key: expanded(inner.value, inner.key) for inner in value.fields}
        if isinstance(value, Items):
            return [expanded(item, key) for item in value.items]
        if not isinstance(value, Scalar) or not isinstance(value.value, str):
            return plain(value)
        whole = _VARIABLE.fullmatch(value.text)

        def replacement(match: re.Match[str]) -> str:
            if match[1] not in environ:
                span = value.place(match.start(), len(match[0]))
                message = f"The environment variable {match[1]} is not set."
                missing.append(Problem(code="settings/variable", message=message, span=span))
            found = environ.get(match[1], "")
            return quote(found, safe="") if key == "database" and not whole else found

        return _VARIABLE.sub(replacement, value.text)

    return expanded(tree), tuple(missing)


def _settings(folder: Path, data: dict[str, Any]) -> Settings:
    return Settings(
        folder=folder,
        database_url=_database_url(folder, data.get("database")),
        channels={name: _transport(each) for name, each in (data.get("channels") or {}).items()},
        base_url=data.get("base_url"),
        listen=data.get("listen"),
        limits=_limits(data.get("limits") or {}),
        recipients=_recipients(data),
    )


def _limits(said: dict[str, Any]) -> Limits:
    return Limits(
        tick_every=_span_of_time(said.get("tick_every"), Limits.tick_every),
        connections=said.get("connections", Limits.connections),
        grace=_span_of_time(said.get("grace"), Limits.grace),
        partitions_per_batch=said.get("partitions_per_batch"),
        released_per_minute=said.get("released_per_minute", Limits.released_per_minute),
    )


def _recipients(data: dict[str, Any]) -> frozenset[str] | None:
    """Outside production nobody is written to but those who are named."""
    if data.get("environment", PRODUCTION) == PRODUCTION and "recipients" not in data:
        return None
    return frozenset(address.lower() for address in data.get("recipients") or ())


def _transport(declared: dict[str, dict[str, Any]]) -> dict[str, object]:
    ((uses, options),) = declared.items()
    plain_options = {
        name: float(value) if isinstance(value, Decimal) else value for name, value in options.items()
    }
    return {"uses": uses, **plain_options}


def _database_url(folder: Path, url: str | None) -> str:
    if url is None:
        return default_database(folder)
    relative = re.fullmatch(r"sqlite:///(?!/)(?P<path>.+)", url)
    return _sqlite_url(folder / relative["path"]) if relative else url


def _sqlite_url(path: Path) -> str:
    return f"sqlite:///{path.absolute().as_posix()}"


def _span_of_time(text: str | None, default: timedelta) -> timedelta:
    duration = parse_duration(text) if text else None
    return timedelta(microseconds=duration.elapsed) if duration else default
