"""The wire between a database and its driver, with somebody sitting on it.

Whoever listens is called at each moment at which a process can die or its database can fail: before each statement,
before each commit and after it (and a channel of the tests calls around each message). What the listener raises
there befalls the product as if the driver had raised it.
"""

from __future__ import annotations

import os
import socket
import sqlite3
from collections.abc import Callable
from enum import Enum
from typing import Any

import psycopg
from sqlalchemy import Engine, event


class Moment(Enum):
    STATEMENT = "before a statement"
    COMMIT = "before a commit"
    COMMITTED = "after a commit"
    HAND_OVER = "before a message is handed over"
    HANDED_OVER = "after a message was handed over"


class Crash(BaseException):
    """The process dies here. No ``except Exception`` sees it."""


class IOFailed(sqlite3.OperationalError):
    """What SQLite's driver raises when the disk fails."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.sqlite_errorcode = sqlite3.SQLITE_IOERR
        self.sqlite_errorname = "SQLITE_IOERR"


Listener = Callable[[Moment, str], None]


def listen(engine: Engine, listener: Listener) -> None:
    """Call ``listener`` with the moment and the statement, from now on, for as long as the engine lives."""
    dialect: Any = engine.dialect
    commit = dialect.do_commit

    def executing(original: Callable[..., None]) -> Callable[..., None]:
        def execute(cursor: Any, statement: str, *rest: Any, **more: Any) -> None:
            listener(Moment.STATEMENT, statement)
            original(cursor, statement, *rest, **more)

        return execute

    def committing(connection: Any) -> None:
        listener(Moment.COMMIT, "COMMIT")
        commit(connection)
        listener(Moment.COMMITTED, "COMMIT")

    for name in ("do_execute", "do_executemany", "do_execute_no_params"):
        setattr(dialect, name, executing(getattr(dialect, name)))
    dialect.do_commit = committing


class Connections:
    """The connections of one process, so that it can lose them as a dead process does: without a word."""

    def __init__(self, engine: Engine) -> None:
        self._open: list[Any] = []
        event.listen(engine, "connect", lambda connection, _record: self._open.append(connection))

    def cut(self) -> list[int]:
        """Close what is open: SQLite's file, which then forgets what was not committed, or the socket of PostgreSQL,
        without a word. Answers the numbers of the sessions that PostgreSQL has to end now."""
        sessions = []
        for connection in self._open:
            if not isinstance(connection, psycopg.Connection):
                connection.close()
            elif not connection.closed:
                sessions.append(connection.info.backend_pid)
                with socket.socket(fileno=os.dup(connection.fileno())) as end:
                    end.shutdown(socket.SHUT_RDWR)
        self._open.clear()
        return sessions
