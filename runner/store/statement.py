"""A statement that is compiled once and run often."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection as Connection  # the engine's modules name it without knowing SQL
from sqlalchemy import CursorResult, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.compiler import SQLCompiler

from runner.store.held import alone, names_of_held


class Statement:
    """A SQLAlchemy construct compiled at its first use, once a dialect.

    SQLAlchemy's own cache still walks the whole construct at every execution to find its key; the engine runs
    thousands of statements a second on small batches, where that walk would cost more than the statement.
    Rows come back as the driver gives them: ask for integers and text only, or convert.
    """

    def __init__(self, construct: Executable) -> None:
        self._construct = construct
        self._compiled: dict[tuple[str, bool], SQLCompiler] = {}

    def compiled(self, dialect: Dialect, *, alone: bool = False) -> SQLCompiler:
        """The SQL text and its parameters, for tests that read plans as well as for running. ``alone``: it names the
        partition that it works on by equality."""
        compiled = self._compiled.get((dialect.name, alone))
        if compiled is None:
            words = {"render_postcompile": True, "alone": alone}
            made = self._construct.compile(dialect=dialect, compile_kwargs=words)  # type: ignore[attr-defined]
            assert isinstance(made, SQLCompiler)
            compiled = self._compiled[dialect.name, alone] = made
        return compiled

    def run(self, connection: Connection, **parameters: Any) -> CursorResult[Any]:
        """Execute with ``parameters``; names that the statement does not use are ignored."""
        compiled = self.compiled(connection.dialect, alone=alone(connection))
        values = compiled.construct_params({**names_of_held(connection), **parameters}, escape_names=False)
        processors = compiled._bind_processors
        for name, process in processors.items():
            if name in values:
                values[name] = process(values[name])  # type: ignore[operator]
        if compiled.positional:
            ordered: Sequence[Any] = tuple(values[name] for name in compiled.positiontup or ())
            return connection.exec_driver_sql(compiled.string, tuple(ordered))
        return connection.exec_driver_sql(compiled.string, values)

    def each(self, connection: Connection, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[bool]:
        """Execute once a row of the parameters ``names``, as the driver takes them; answers whether each changed
        something.

        For SQLite, where a statement costs a few microseconds and SQLAlchemy's care for each of them ten times that.
        """
        compiled = self.compiled(connection.dialect)
        assert compiled.positional
        ordered = itemgetter(*map(names.index, compiled.positiontup or ()))
        sql = compiled.string
        driver = connection.connection.cursor()
        try:
            return [driver.execute(sql, ordered(row)).rowcount > 0 for row in rows]
        except connection.dialect.loaded_dbapi.Error as error:
            raise DBAPIError.instance(sql, None, error, connection.dialect.loaded_dbapi.Error) from error
        finally:
            driver.close()


def exchange(
    connection: Connection, *statements: tuple[str, Mapping[str, Any]]
) -> list[Sequence[tuple[Any, ...]]]:
    """Execute statements, each with its parameters, one after the other, and wait for the server once (PostgreSQL).
    Answers the rows of each."""
    driver: Any = connection.connection.driver_connection
    try:
        with driver.pipeline():
            cursors = [driver.execute(sql, values) for sql, values in statements]
        return [cursor.fetchall() for cursor in cursors]
    except connection.dialect.loaded_dbapi.Error as error:
        raise DBAPIError.instance(
            statements[-1][0], None, error, connection.dialect.loaded_dbapi.Error
        ) from error
