"""Where a database is, for the driver and for people, and what they are told when it cannot be reached or fails."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError

from runner.problem import JourneysError

_SQLITE_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_NOTADB,
    }
)
"""What befalls SQLite from outside. Its other errors are mistakes of ours."""


_NOT_ALLOWED = frozenset({"42501", "25006"})
"""The codes of PostgreSQL for what its user has no right to, and for a server or session that only reads."""


class NotAllowedError(JourneysError):
    """The database is there, but does not let its user do this, such as write."""


_PROGRAM_LIMIT = "54"
"""The class of PostgreSQL's errors about values that are too large for it, such as for an index: psycopg counts them
among the errors of operation, but they come from what was written."""


def _from_outside(error: DBAPIError) -> bool:
    """Whether an error comes from the state of the database and not from the statement."""
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _SQLITE_TROUBLE
    if (getattr(error.orig, "sqlstate", None) or "").startswith(_PROGRAM_LIMIT):
        return False
    return error.connection_invalidated or isinstance(error, OperationalError | InterfaceError)


def _refuses(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.Error):
        return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
    return getattr(error.orig, "sqlstate", None) in _NOT_ALLOWED


@contextmanager
def told(engine: Engine) -> Iterator[None]:
    """Raise JourneysError for what befell the database: the user can mend that."""
    try:
        yield
    except DBAPIError as error:
        if _refuses(error):
            message = f"the database {shown(engine.url)} does not allow its user this: {_said(error.orig)}"
            raise NotAllowedError(message) from error
        if not _from_outside(error):
            raise
        raise JourneysError(
            f"the database {shown(engine.url)} failed: {_said(error.orig)};"
            " what was not committed is undone; see to it and try again"
        ) from error


@contextmanager
def options_fit(url: URL) -> Iterator[None]:
    """Raise JourneysError for options of the URL that the driver refuses."""
    try:
        yield
    except (TypeError, ValueError, ArgumentError):
        if not url.query:
            raise
        raise JourneysError(
            f"the database {shown(url)} cannot be opened: its URL has an option that is not valid"
        ) from None


@contextmanager
def may_make_tables(url: URL) -> Iterator[None]:
    """Raise JourneysError where the database's user may not make the tables, or migrate them."""
    try:
        yield
    except DBAPIError as error:
        if not _refuses(error):
            raise
        mend = (
            f"; its owner lets it make them by GRANT USAGE, CREATE ON SCHEMA public TO {url.username or 'its user'},"
            " and whoever made them migrates them"
        )
        raise NotAllowedError(
            f"the schema of the database {shown(url)} is to be made or migrated, which its user may not"
            f"{'' if url.drivername == 'sqlite' else mend}"
        ) from error


def cannot_be_opened(url: URL, error: DBAPIError | OSError) -> JourneysError:
    """What to raise where connecting failed with ``error``."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    return JourneysError(f"the database {shown(url)} cannot be opened: {_said(cause)}")


def _said(cause: BaseException | None) -> str:
    """What a driver says, in one line: libpq breaks and indents its texts."""
    return " ".join(str(cause).split())


def shown(url: URL) -> str:
    """The URL for people to read: as they wrote it, but without the password, and without options, which may hold
    one."""
    return url.set(query={}, drivername=url.get_backend_name()).render_as_string()


def file_of(url: str) -> Path | None:
    """The file of a SQLite database; None for one in memory or on a server. Raises what ``open`` raises of the URL."""
    parsed = parsed_url(url)
    is_file = parsed.drivername == "sqlite" and not in_memory(parsed)
    return Path(str(parsed.database)).absolute() if is_file else None


def parsed_url(url: str) -> URL:
    """The URL with its driver. Raises JourneysError for what is no URL of a database that we know."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Neither the text nor the cause is shown: a part of it may be a password.
        raise JourneysError(
            "this is not a database URL; write sqlite:////path or postgresql://user@host:port/name"
        ) from None
    if parsed.drivername in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise JourneysError(f"{parsed.drivername} is not supported; write sqlite:////path or postgresql://…")
    if parsed.drivername == "sqlite" and in_memory(parsed):
        raise JourneysError(
            "this database URL names no file: write sqlite:////folder/journeys.db, with four slashes, or"
            " sqlite:///journeys.db for a file in the folder where you are"
        )
    return parsed


def in_memory(url: URL) -> bool:
    """Whether this is a SQLite database without a file."""
    return url.database in (None, "", ":memory:")
