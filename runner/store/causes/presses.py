"""Readers press links: what that does to the run whose message carried the link."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Text,
    and_,
    bindparam,
    case,
    literal,
    literal_column,
    null,
    select,
    update,
)

from runner.journey.catalog import LINK_PRESSED
from runner.journey.expression import Expression
from runner.journey.model import Emit, Exit, Link, Send, Snooze
from runner.journey.model.links import Ask, Asked
from runner.journey.values import MILLIONTHS, NUMBER, STRING
from runner.store.causes.announce import announcement
from runner.store.local_time.localtime import due_on
from runner.store.passes.exits import into_leaving
from runner.store.passes.program import WAVE_CONTACT, WAVE_RUN, ProgramSql
from runner.store.passes.working import in_pass, wave
from runner.store.predicates import beginning_of, json_value, value
from runner.store.predicates.read import read_json
from runner.store.statement import Statement
from runner.store.steps.behind import of_step
from runner.store.tables import LET_GO, RunStatus, contact, message, run
from runner.store.types import ByCodePoint, constant, instant_of, json_object, json_with, shifted

_STAGE = bindparam("stage", type_=Integer())


@dataclass(frozen=True, kw_only=True)
class Printed:
    """A link as the version of the number ``wrote`` has it, which wrote the messages that carry it."""

    link: Link
    wrote: int


def pressed_messages(connection: Connection, n: int) -> Mapping[int, Sequence[int]]:
    """By the version in which runs are whose reader has pressed a link in pass ``n``: the versions that wrote the
    messages with these links."""
    found: dict[int, list[int]] = {}
    for present, wrote in _versions_pressed(connection.dialect.name).run(connection, n=n):
        found.setdefault(present, []).append(wrote)
    return found


@cache
def _versions_pressed(dialect: str) -> Statement:
    return Statement(
        select(run.c.version, message.c.version)
        .select_from(wave.join(run, WAVE_RUN).join(message, _carries(dialect)))
        .where(*_of_run(dialect))
        .distinct()
        .order_by(run.c.version, message.c.version)
    )


def _carries(dialect: str) -> ColumnElement[bool]:
    """Joins the message of the run that the press names."""
    return and_(
        message.c.partition == run.c.partition,
        message.c.contact == run.c.contact,
        message.c.run == run.c.id,
        message.c.step == _property(dialect, "step", STRING),
        message.c.visit * constant(MILLIONTHS) == _property(dialect, "visit", NUMBER),
    )


def _of_run(dialect: str) -> tuple[ColumnElement[bool], ...]:
    """The presses of the pass, each with the run that it names."""
    return (
        in_pass(wave),
        wave.c.name == literal(LINK_PRESSED, ByCodePoint()),
        _property(dialect, "run", NUMBER) == run.c.id * constant(MILLIONTHS),
    )


def heed_presses(sql: ProgramSql, printed: Printed, connection: Connection, n: int, stage: int) -> int:
    """Do what a link says for the runs of this version whose reader has pressed it in pass ``n``. Answers how many runs
    it ends, which are in ``stage``."""
    link = printed.link
    key = ("press", printed.wrote, link.name)
    match link.action:
        case Exit(reason=reason):
            statement = sql.once(key, partial(_exit, sql, printed, reason))
            return statement.run(connection, n=n, stage=stage).rowcount
        case Ask(values=values, until=until):
            for asked in values:
                answer = partial(_answer, sql, printed, asked)
                sql.once((*key, asked.name), answer).run(connection, n=n)
            for node in sql.program.nodes:
                if until is not None and isinstance(node.verb, Send):
                    back = partial(_put_back_until, sql, printed, node, until)
                    sql.once((*key, node.index, "back"), back).run(connection, n=n)
        case Snooze(options=options):
            for node in sql.program.nodes:
                for option, duration in options if isinstance(node.verb, Send) else ():
                    back = partial(_put_back, sql, printed, node, option, duration)
                    sql.once((*key, node.index, option), back).run(connection, n=n)
        case Emit(event=name, properties=properties):
            sql.once(
                key,
                lambda: _told(
                    sql,
                    printed,
                    name,
                    {key: json_value(found, sql.row(wave), sql.dialect) for key, found in properties},
                ),
            ).run(connection, n=n)
    return 0


def _property(dialect: str, name: str, type: Any) -> ColumnElement[Any]:
    return read_json(wave.c.properties, (name,), type, dialect)


def _pressed(sql: ProgramSql, printed: Printed) -> tuple[Any, list[ColumnElement[bool]]]:
    """The presses of the link in the pass that count, with event, run and message: the run is on, and the link has not
    expired."""
    dialect = sql.dialect
    rows = wave.join(run, and_(WAVE_RUN, sql.runs)).join(contact, WAVE_CONTACT)
    return rows.join(message, _carries(dialect)), [
        *_of_run(dialect),
        _property(dialect, "link", STRING) == literal(printed.link.name, Text()),
        message.c.version == constant(printed.wrote),
        message.c.status.in_([constant(status.value) for status in LET_GO]),
        wave.c.at < shifted(message.c.let_go_at, constant(printed.link.expires.elapsed)),
    ]


def _exit(sql: ProgramSql, printed: Printed, reason: str) -> Statement:
    rows, conditions = _pressed(sql, printed)
    columns = (wave.c.partition, wave.c.contact, run.c.id, wave.c.at, literal(reason, ByCodePoint()))
    return into_leaving(sql.dialect, select(_STAGE, *columns).select_from(rows).where(*conditions))


def _taken(sql: ProgramSql, asked: Asked) -> list[ColumnElement[bool]]:
    """Whether what the reader has given is within its bounds."""
    row = sql.row(wave)
    given = _property(sql.dialect, f"value_{asked.name}", asked.type)

    def bound(expression: Expression) -> ColumnElement[Any]:
        return value(expression, row, sql.dialect)

    conditions: list[ColumnElement[bool]] = [given.is_not(None)]
    if asked.least is not None:
        conditions.append(given >= bound(asked.least))
    if asked.most is not None:
        conditions.append(given <= bound(asked.most))
    return conditions


def _answer(sql: ProgramSql, printed: Printed, asked: Asked) -> Statement:
    rows, conditions = _pressed(sql, printed)
    conditions += _taken(sql, asked)
    member = f"value_{asked.name}"
    kept: ColumnElement[Any] = literal_column(
        f"json(wave.properties -> '$.{member}')"
        if sql.dialect == "sqlite"
        else f"wave.properties -> '{member}'"
    )
    found = (
        select(
            run.c.partition,
            run.c.contact,
            run.c.id,
            json_with(run.c.data, literal(asked.name, Text()), kept).label("data"),
        )
        .select_from(rows)
        .where(*conditions)
        .subquery("found")
    )
    return Statement(update(run).values(data=found.c.data).where(_same(found)))


def _same(found: Any) -> ColumnElement[bool]:
    return and_(
        run.c.partition == found.c.partition, run.c.contact == found.c.contact, run.c.id == found.c.id
    )


def _put_back(sql: ProgramSql, printed: Printed, node: Any, option: str, duration: Any) -> Statement:
    """The run stands before the send again until the time is up."""
    due = shifted(wave.c.at, constant(duration.elapsed))
    chosen = _property(sql.dialect, "option", STRING) == literal(option, Text())
    return _stands_before(sql, printed, node, due, [chosen])


def _put_back_until(sql: ProgramSql, printed: Printed, node: Any, until: Asked) -> Statement:
    """The run stands before the send again until the day that the reader has given begins where they live; a day that
    is past, or today, puts off nothing."""
    day = _property(sql.dialect, f"value_{until.name}", until.type)
    begins = instant_of(due_on(beginning_of(day), sql.zone))
    due = case((begins > wave.c.at, begins), else_=wave.c.at)
    return _stands_before(sql, printed, node, due, _taken(sql, until))


def _stands_before(
    sql: ProgramSql,
    printed: Printed,
    node: Any,
    due: ColumnElement[Any],
    further: list[ColumnElement[bool]],
) -> Statement:
    """The runs of the presses stand before ``node`` until ``due``; their message will be another one."""
    rows, conditions = _pressed(sql, printed)
    found = (
        select(run.c.partition, run.c.contact, run.c.id, due.label("due"))
        .select_from(rows)
        .where(*conditions, *further, of_step(message.c.step, sql, node))
        .subquery("found")
    )
    return Statement(
        update(run)
        .values(
            step=literal(node.step.id, ByCodePoint()),
            node=constant(node.index),
            visit=run.c.visit + literal_column("1"),
            # It comes to the step when the time is up: from then on its message may be late.
            arrived_at=found.c.due,
            due_at=found.c.due,
            review_at=None,
            next_at=found.c.due,
            deferred=None,
            leaves_by=null(),
        )
        .where(_same(found))
    )


def _told(
    sql: ProgramSql, printed: Printed, name: str, properties: Mapping[str, ColumnElement[Any]]
) -> Statement:
    rows, conditions = _pressed(sql, printed)
    parts = [part for key, found in properties.items() for part in (literal(key, Text()), found)]
    return announcement(
        sql.dialect,
        select(
            wave.c.partition,
            wave.c.contact,
            run.c.id.label("run"),
            wave.c.at,
            literal(name, ByCodePoint()).label("name"),
            json_object(*parts).label("properties"),
            (literal("caused by ", ByCodePoint()) + wave.c.dedup_key).label("key"),
        )
        .select_from(rows)
        .where(*conditions),
    )


@dataclass(frozen=True, kw_only=True)
class Carrier:
    """A message that carries links, and how its run is."""

    run: int
    version: int
    step: str
    visit: int
    let_go_at: datetime
    active: bool


def carrier(
    connection: Connection,
    key: str,
    journey: str,
    *,
    at: datetime,
    run_number: int | None = None,
    step: str | None = None,
    visit: int | None = None,
) -> Carrier | None:
    """The message of ``journey`` to the contact ``key`` that was let go last, up to ``at``: of that run, step and visit
    where these are said."""
    conditions = [
        contact.c.key == key,
        message.c.journey == journey,
        message.c.kind == "message",
        message.c.status.in_(LET_GO),
        message.c.let_go_at <= at,
    ]
    for column, wanted in ((message.c.run, run_number), (message.c.step, step), (message.c.visit, visit)):
        if wanted is not None:
            conditions.append(column == wanted)
    of_contact = and_(contact.c.partition == message.c.partition, contact.c.id == message.c.contact)
    of_run = and_(
        run.c.partition == message.c.partition, run.c.contact == message.c.contact, run.c.id == message.c.run
    )
    found = (
        select(
            message.c.run,
            message.c.version,
            message.c.step,
            message.c.visit,
            message.c.let_go_at,
            run.c.status,
        )
        .select_from(message.join(contact, of_contact).join(run, of_run))
        .where(*conditions)
        .order_by(message.c.let_go_at.desc(), message.c.run.desc(), message.c.visit.desc())
        .limit(1)
    )
    row = connection.execute(found).first()
    if row is None:
        return None
    return Carrier(
        run=row.run,
        version=row.version,
        step=row.step,
        visit=row.visit,
        let_go_at=row.let_go_at,
        active=row.status == RunStatus.ACTIVE.value,
    )
