"""What the statements of one journey version share: where an expression finds its values, and the cache of statements.

A version's statements are built and compiled once and used for as long as the process runs the version.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeGuard, TypeVar

from sqlalchemy import ColumnElement, FromClause, and_, func, literal, literal_column, select, tuple_

from runner.journey.expression import Expression
from runner.journey.graph import Node, Program
from runner.journey.send_rules import SendRules
from runner.journey.wakes import Turns, Wake, wakes_of
from runner.store.passes.timeline import ACTIVE
from runner.store.passes.ways import LOOKED_AT, Ways
from runner.store.passes.working import in_pass, moving, wave
from runner.store.predicates import Row
from runner.store.statement import Statement
from runner.store.tables import contact, event, run
from runner.store.types import ByCodePoint, constant

WAVE_EVENT = and_(
    event.c.partition == wave.c.partition, event.c.contact == wave.c.contact, event.c.id == wave.c.event
)
"""Joins the event that a pass handles to its wave row."""

WAVE_CONTACT = and_(contact.c.partition == wave.c.partition, contact.c.id == wave.c.contact)
WAVE_RUN = and_(run.c.partition == wave.c.partition, run.c.contact == wave.c.contact, ACTIVE)
"""Joins the runs that are on for a wave row's contact."""

MOVING_RUN = and_(
    run.c.partition == moving.c.partition, run.c.contact == moving.c.contact, run.c.id == moving.c.run, ACTIVE
)
MOVING_CONTACT = and_(contact.c.partition == moving.c.partition, contact.c.id == moving.c.contact)


def handles(*names: str) -> ColumnElement[bool]:
    """The event that a pass handles has one of the reserved ``names``."""
    return wave.c.name.in_([literal_column(f"'{name}'") for name in names])


def of_run(rows: FromClause | type, other: Any = run) -> ColumnElement[bool]:
    """``rows`` carry the key of a run as partition, contact and run: joins them to it."""
    return and_(
        other.c.partition == rows.c.partition,  # type: ignore[union-attr]
        other.c.contact == rows.c.contact,  # type: ignore[union-attr]
        other.c.id == rows.c.run,  # type: ignore[union-attr]
    )


def with_contact(rows: FromClause, *conditions: Expression | None) -> FromClause:
    """``rows`` of a wave, joined with its contact where a condition may read it."""
    if any(condition is not None for condition in conditions):
        return rows.join(contact, WAVE_CONTACT)
    return rows


Built = TypeVar("Built", Statement, tuple[Statement, ...])


class ProgramSql:
    """One version's way into SQL: its number, its program, the zone that stands in for a missing one, the dialect."""

    def __init__(
        self, version: int, program: Program, timezone: str, dialect: str, rules: SendRules | None = None
    ) -> None:
        self.version = version
        self.program = program
        self.rules = rules or SendRules()
        """What concerns its sends."""
        self.ways = Ways(program, self.rules)
        self.dialect = dialect
        conditions = [rule.when for rule in program.journey.exits if rule.when is not None]
        self.may_exit = bool(conditions)
        """Whether a condition may end a run in the midst of its way."""
        self.reads_time = any(condition.reads.time for condition in conditions)
        """Whether time alone can turn such a condition."""
        self.turning: Mapping[int, tuple[Expression, ...]] = {
            node.index: waited
            for node in program.nodes
            if (waited := tuple(one.when for one in wakes_of(node.verb) if _turns_by_time(one)))
        }
        """By node, the conditions that runs there wait for and that time alone can turn."""
        self.follows = program.journey.in_flight.follows
        """Whether runs come into it from other versions."""
        self.looked_at: tuple[int, ...] = tuple(
            node.index
            for node in program.nodes
            if any(isinstance(one, Turns) for one in wakes_of(node.verb))
            and (self.follows or node.index in self.turning)
        )
        """The nodes at which what runs wait for may be true when they are looked at: time may have made it so, or
        another version."""
        self._timezone = timezone
        self._statements: dict[Hashable, Any] = {}

    def once(self, key: Hashable, build: Callable[[], Built]) -> Built:
        """The statement of ``key``, or its statements, built at their first use."""
        built: Built | None = self._statements.get(key)
        if built is None:
            built = self._statements[key] = build()
        return built

    def former(self, node: Node) -> frozenset[str]:
        """The ids that the step may have had where runs come from."""
        return self.program.journey.in_flight.former(node.step.id) if self.follows else frozenset()

    @property
    def zone(self) -> ColumnElement[str]:
        """The zone of the joined contact."""
        return func.coalesce(contact.c.timezone, literal(self._timezone, ByCodePoint()))

    @property
    def runs(self) -> ColumnElement[bool]:
        """The runs of this version. The contact leads to them: 0 is added so that no index on versions tempts the
        planner."""
        return run.c.version + literal_column("0") == constant(self.version)

    def row(self, source: Any, *, with_run: bool = True, with_event: bool = False) -> Row:
        """Where an expression finds its values, read for a row of ``source`` (wave or moving) with contact joined."""
        return Row(
            partition=source.c.partition,
            contact=source.c.contact,
            contact_table=contact,
            zone=self.zone,
            instant=source.c.at,
            trigger=run.c.trigger if with_run else None,
            data=run.c.data if with_run else None,
            event=source.c.properties if with_event else None,
            run=run.c.id if with_run else None,
            entered_at=run.c.entered_at if with_run else None,
        )


def _turns_by_time(wake: Wake) -> TypeGuard[Turns]:
    return isinstance(wake, Turns) and wake.when.reads.time


def stays(sql: ProgramSql) -> ColumnElement[bool]:
    """Whether a run of the version stays where it is in the pass: what has woken it is not taken back."""
    moved = select(moving.c.partition, moving.c.contact, moving.c.run).where(
        in_pass(moving), moving.c.version == constant(sql.version), moving.c.way != constant(LOOKED_AT)
    )
    return tuple_(run.c.partition, run.c.contact, run.c.id).not_in(moved)


def forking(sql: ProgramSql, node: Node) -> bool:
    """Whether the rows that go on from ``node`` say in ``path`` which way they go, and in ``way`` the first of those
    they may go. So SQLite, which keeps them by ``way``, has them in the order of their contacts: what is written for
    them goes to the end of one page after the other, and not up and down."""
    return sql.dialect == "sqlite" and sql.ways.beginning(node.index)[0].number in sql.ways.forks


def way_taken(sql: ProgramSql) -> ColumnElement[int]:
    """The way that a row of ``moving`` came."""
    return func.coalesce(moving.c.path, moving.c.way) if sql.dialect == "sqlite" else moving.c.way


def came(sql: ProgramSql, ways: Sequence[int]) -> ColumnElement[bool]:
    """The rows of ``moving`` that came one of these ways in the pass."""
    among, some = set(ways), []
    if sql.dialect == "sqlite":
        among |= {sql.ways.fork(way) for way in ways}
        forks = [of for first, of in sql.ways.forks.items() if first in among]
        if any(way.number not in ways for of in forks for way in of):
            some = [way_taken(sql).in_([constant(way) for way in ways])]
    return and_(
        in_pass(moving),
        moving.c.version == constant(sql.version),
        moving.c.way.in_([constant(way) for way in sorted(among)]),
        *some,
    )
