"""The working tables of a tick: temporary, of one connection, emptied when its transaction ends.

Rows are only ever added. Each belongs to a *pass*, numbered from 0 within the tick, so that nothing has to be deleted
or updated while the tick goes on: on PostgreSQL dead rows would make every later pass slower.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    Insert,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    and_,
    bindparam,
    delete,
    insert,
)
from sqlalchemy.schema import CreateIndex, CreateTable

from runner.store.held import held_at_work
from runner.store.passes.ways import Ways
from runner.store.types import ByCodePoint, Instant, Json

working = MetaData()

wave = Table(
    "wave",
    working,
    Column("n", Integer, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("contact", BigInteger, nullable=False),
    Column("at", Instant),
    Column("late", Integer, comment="1 where the timers of a runner that was away are handled, at now"),
    Column("event", BigInteger, comment="NULL where the instant is that of timers"),
    Column("name", ByCodePoint, comment="of the event"),
    Column("nth", SmallInteger, comment="of an internal event: which one it is of its instant"),
    Column("past", Integer, comment="1 where the event was stored as one that is handled"),
    # The rest is what the event says. Nearly every statement of a pass reads it: looked up for each again, that would
    # be most of what a pass costs in a store that is larger than memory.
    Column("properties", Json),
    Column("received_at", Instant),
    Column("dedup_key", ByCodePoint),
    Column("caused_by", BigInteger),
    Column("silent", Boolean),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    comment="The instant of each contact that a pass handles.",
)

OF_EVENT = ("name", "nth", "properties", "received_at", "dedup_key", "caused_by", "silent")
"""What a row of the wave has of its event, in columns of the same names."""
Index("ix_wave_contact", wave.c.n, wave.c.partition, wave.c.contact)

moving = Table(
    "moving",
    working,
    Column("n", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column(
        "way", SmallInteger, nullable=False, comment="which way it came; 0 for a run that is only looked at"
    ),
    Column("partition", SmallInteger, nullable=False),
    Column("contact", BigInteger, nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("kept", Json, comment="what the run keeps of what it waited for"),
    Column("path", SmallInteger, comment="on SQLite: the way it came, where `way` is the first of a fork"),
    Column("beside", Integer, comment="on SQLite: 1 where timers found another run of its contact"),
    # SQLite keeps the rows in the order in which they are read; PostgreSQL is faster with a narrow index beside them.
    PrimaryKeyConstraint("n", "version", "way", "partition", "contact", "run").ddl_if(dialect="sqlite"),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    sqlite_with_rowid=False,
    comment="Each arrival of a run at a node in a pass.",
)
_BY_WAY = Index("ix_moving_way", moving.c.n, moving.c.version, moving.c.way)

resting = Table(
    "resting",
    working,
    Column("n", Integer, nullable=False),
    Column("version", Integer, nullable=False),
    Column("node", SmallInteger, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("contact", BigInteger, nullable=False),
    Column("run", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("since", Instant, nullable=False),
    Column("due", Instant),
    Column("turn", Instant),
    Column("way", SmallInteger, comment="on which it goes on at once, for what it waits for is so"),
    Column("event", BigInteger, comment="the earlier event that it has heard"),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    comment="Runs that have come to a wait, and until when it lasts.",
)
Index("ix_resting_node", resting.c.n, resting.c.version, resting.c.node)

entering = Table(
    "entering",
    working,
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("event", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("per", ByCodePoint, nullable=False),
    Column("active", BigInteger, comment="the run that is on for this contact and value, if any"),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    comment="Triggers that fired in a pass.",
)

turned = Table(
    "turned",
    working,
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("segment", ByCodePoint, primary_key=True),
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("event", BigInteger, nullable=False),
    Column("run", BigInteger, comment="that caused the event, if one did"),
    Column("holds", Integer, nullable=False, comment="1 where they have come in, 0 where they have left"),
    Column("silent", Integer, nullable=False, comment="1 where nobody is told"),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    comment="Those whom the events of a pass have brought into a segment, or out of it.",
)

told = Table(
    "told",
    working,
    Column("n", Integer, nullable=False, comment="the round in which it was told"),
    Column(
        "place",
        BigInteger().with_variant(Integer, "sqlite"),
        nullable=False,
        comment="in which order they were told; on PostgreSQL the id that the event will have",
    ),
    Column("partition", SmallInteger, nullable=False),
    Column("contact", BigInteger, nullable=False),
    Column("run", BigInteger, comment="that causes it, if one does"),
    Column("at", Instant, nullable=False),
    Column("received_at", Instant, comment="NULL where it was when it happened"),
    Column("name", ByCodePoint, nullable=False),
    Column("properties", Json, nullable=False),
    Column("key", ByCodePoint, nullable=False, comment="once a contact"),
    PrimaryKeyConstraint("place").ddl_if(dialect="sqlite"),  # counts by itself
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    comment="Internal events that are not stored yet.",
)
Index("ix_told_contact", told.c.n, told.c.partition, told.c.contact)

leaving = Table(
    "leaving",
    working,
    Column("stage", Integer, primary_key=True, autoincrement=False),
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("contact", BigInteger, primary_key=True, autoincrement=False),
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("reason", ByCodePoint, nullable=False),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="DELETE ROWS",
    comment="Runs that a rule ends; a pass has several stages of it.",
)

PASS = bindparam("n", type_=Integer())


def in_pass(rows: Table) -> ColumnElement[bool]:
    """The rows of a working table that belong to the pass of the statement, and to the partitions that are held."""
    return and_(rows.c.n == PASS, held_at_work(rows.c.partition))


def once_each(statement: Insert) -> Insert:
    """For arrivals of runs that are taken up again where they stand, which more than one reason may bring there."""
    return statement.prefix_with("OR IGNORE", dialect="sqlite")


way = Table(
    "way",
    working,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("way", SmallInteger, primary_key=True, autoincrement=False),
    Column("node", SmallInteger, primary_key=True, autoincrement=False, comment="a node that it leaves"),
    Column("step", ByCodePoint, nullable=False),
    Column("outcome", ByCodePoint, nullable=False, comment="how a run leaves the step"),
    prefixes=["TEMPORARY"],
    postgresql_on_commit="PRESERVE ROWS",
    comment="The steps on each way of the versions in use.",
)


_STEADY = "; ".join(
    f"SET LOCAL {name} = {value}"
    for name, value in {
        # The batch leads: joins run in the order they are written, row by row through indexes. The planner knows
        # nothing of a temporary table that was filled a moment ago, and guesses badly.
        "join_collapse_limit": "1",
        "enable_hashjoin": "off",
        "enable_mergejoin": "off",
        "enable_seqscan": "off",
        # Planning costs more than running, for statements that are run on a few rows thousands of times.
        "plan_cache_mode": "force_generic_plan",
    }.items()
)


def steady_plans(connection: Connection) -> None:
    """Make PostgreSQL follow the order of joins for this transaction; SQLite's joins are compiled so already."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(_STEADY)


_SESSION = "working tables for"


def prepare_session(connection: Connection, ways: Mapping[int, Ways]) -> None:
    """Give this connection its working tables, and the ways of the versions in use. Does nothing where it has them."""
    key = tuple(sorted((version, found.together) for version, found in ways.items()))
    if connection.info.get(_SESSION) == key:
        return
    create_working_tables(connection)
    leaving = []
    for version, found in ways.items():
        for one in found:
            # SQLite keeps together those that a statement passes on, whichever of its ways they go.
            if connection.dialect.name == "sqlite" and found.fork(one.number) in found.forks:
                continue
            for left in one.steps:
                node = {"version": version, "node": left.node.index, "way": one.number}
                leaving.append({**node, "step": left.node.step.id, "outcome": left.outcome})
    connection.execute(delete(way))
    if leaving:
        connection.execute(insert(way), leaving)
    connection.info[_SESSION] = key


def create_working_tables(connection: Connection) -> None:
    """Make the working tables of this connection, if it has none yet."""
    exists = (
        "SELECT to_regclass('pg_temp.wave') IS NOT NULL"
        if connection.dialect.name == "postgresql"
        else "SELECT count(*) FROM sqlite_temp_master WHERE name = 'wave'"
    )
    if connection.exec_driver_sql(exists).scalar():
        return
    for table in working.sorted_tables:
        connection.execute(CreateTable(table))
        for index in table.indexes:
            if index is not _BY_WAY or connection.dialect.name == "postgresql":
                connection.execute(CreateIndex(index))


def empty_working_tables(connection: Connection) -> None:
    """Forget the passes of an earlier tick. PostgreSQL does so by itself at commit."""
    if connection.dialect.name != "postgresql":
        for table in working.sorted_tables:
            if table is way:
                continue
            connection.exec_driver_sql(f"DELETE FROM {table.name}")
